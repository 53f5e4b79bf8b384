"""The reference decoder stands alone, is small, and agrees with gcodec bit for bit."""

import ast
import json
import re
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from checks import NIGHTLY
from reference_files import METHODS, PATH, SPEC, by_reference, decode, random_file, record_of, reference

import gcodec
from gcodec.compressors import registry

FILES = 250 if NIGHTLY else 14  # random files a method


@pytest.mark.parametrize("method", METHODS)
def test_equals_gcodec(method):
    rng = np.random.default_rng([3, METHODS.index(method)])
    own, may_be = 0, (registry.by_name(method).id, registry.by_name("structured").id)  # a range may be kept
    for _ in range(FILES):
        _, data = random_file(rng, method)
        assert decode(data) == [gcodec.decode(data).tobytes()]
        own += record_of(data)[0].header.compressor in may_be
    assert own > 0.7 * FILES  # the rest was stored exactly: empty, zero, or no bound was met


@pytest.mark.parametrize("method", METHODS if NIGHTLY else ["lossless"])
def test_equals_gcodec_over_several_chunks(method):
    rng = np.random.default_rng(8)
    x = (
        np.outer(rng.standard_normal(1100), rng.standard_normal(1000)) * 9
    )  # a matrix of higher rank would take `klt` hours
    kinds = registry.by_name(method).load().kinds
    options = {"lossless": True} if kinds == ("exact",) else {kinds[0]: 0.5}
    options |= {"max_draws": 64} if method == "sc" else {}
    data = gcodec.encode(x.astype("int8" if method == "lossless" else "float32"), method, **options)
    assert len(record_of(data)[2]) > 1
    assert decode(data) == [gcodec.decode(data).tobytes()]


def test_both_factors_in_the_head_of_klt():
    """A transpose of more than 2²⁰ values, of a small rank, as plain Python is slow."""
    rng = np.random.default_rng(9)
    x = (rng.standard_normal((40, 2)) @ rng.standard_normal((2, 26_300))).astype("float32")
    data = gcodec.encode(x, "klt", alpha=0.1)
    assert record_of(data)[2] == [b"", b""]
    assert decode(data) == [gcodec.decode(data).tobytes()]


def test_zstandard_of_every_kind_of_block():
    zstandard = pytest.importorskip("zstandard")
    rng = np.random.default_rng(2)
    words = [rng.integers(97, 123, rng.integers(2, 9), dtype=np.uint8).tobytes() for _ in range(60)]
    text = b" ".join(words[i] for i in rng.integers(0, 60, 40_000))
    skewed = rng.geometric(0.3, 200_000).astype(np.uint8).tobytes()
    contents = [b"a", b"ab" * 500, bytes(300_000), skewed, text, text[:3000], skewed[:700], rng.bytes(200_000)]
    for content in contents:
        for level in (-7, 1, 3, 9, 19) if NIGHTLY or len(content) < 1 << 16 else (3,):
            frame = zstandard.ZstdCompressor(level=level, write_content_size=True).compress(content)
            assert reference.Zstandard(frame, len(content)).content == content


def test_command_line(tmp_path, capsys, monkeypatch):
    tensors = {"a": np.arange(6, dtype=np.int16).reshape(2, 3), "b/ü": np.linspace(0, 1, 50), "": np.zeros(())}
    file, raw = tmp_path / "x.gcz", tmp_path / "raw"
    gcodec.save(file, tensors, alpha=0.01)
    monkeypatch.setattr(sys, "argv", ["decode.py", str(file), "--raw", str(raw)])
    assert reference.main() == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    decoded = gcodec.load(file)
    assert lines == [
        {"index": i, "name": name, "dtype": x.dtype.name, "shape": list(x.shape)}
        for i, (name, x) in enumerate(tensors.items())
    ]
    assert [(raw / f"{i}.raw").read_bytes() for i in range(3)] == [decoded[name].tobytes() for name in tensors]
    for content, status, code in ((file.read_bytes()[:99], 3, "truncated"), (b"no", 3, "not-gcodec"), (None, 5, "")):
        file.unlink()
        if content is not None:
            file.write_bytes(content)
        assert reference.main() == status
        assert code in capsys.readouterr().err


def test_example_of_the_container():
    """The file that format.md prints byte by byte, and what it says the bytes mean."""
    rows = re.findall(r"^\| ([0-9A-F]{2}) \| `([0-9A-F ]+)` \|", (SPEC / "format.md").read_text(), re.MULTILINE)
    data = bytes.fromhex("".join(text for _, text in rows))
    assert [int(offset, 16) for offset, _ in rows] == np.cumsum([0] + [len(bytes.fromhex(t)) for _, t in rows])[
        :-1
    ].tolist()
    x = np.array([3, -1, 0, 0.5], np.float32)
    assert decode(data) == [np.array([3, -1, 0, 0], np.float32).tobytes()] == [gcodec.decode(data).tobytes()]
    assert record_of(data)[1:] == record_of(gcodec.encode(x, "sd", alpha=0.1))[1:]


def test_examples_of_random_numbers():
    text = (SPEC / "arithmetic.md").read_text().replace("−", "-")
    for counter, expected in (
        ((0, 0, 0), 0x33FE8BD4F9C57863),
        ((0, 0, 1), 0x568A9B0B1A2C05EC),
        ((1, 2, 3), 0x76E36D629CAE6121),
        ((2**64 - 1, 0, 2**40), 0x9E23D5065C80E73A),
    ):
        assert reference.random(*counter) == expected
        assert f"`0x{expected:X}`" in text
    for counter, expected in (((0, 8, 0), -1.147603374024963), ((7, 3, 2**33 + 1), 0.7257395071868256)):
        assert reference.normal(*counter) == expected
        assert str(expected) in text


EXAMPLES = {  # page, compressor, guarantee: shape, head, chunk, values
    ("02-sparse-dithering", 2, "alpha"): ((4,), "0000803F", "8427", [3, -1, 0, 0]),
    ("04-spherical", 4, "alpha"): ((3,), "13", "C0B185", [2.942309, -0.74521714, 0.15287624]),
    ("05-ecsq", 5, "alpha"): ((4,), "2F41FFC0", "9CCB8400FD4D", [3.4765625, -1.73828125, 0, 0]),
    ("05-ecsq", 5, "raw bits"): (
        (4,),
        "2ED9FFC0",
        "B0303880E1AF01B680",
        [100.452148, -1.7319336, 0, 0],
    ),
    ("06-tcq", 6, "alpha"): (
        (3, 3),
        "86CCFFC0",
        "A01FE30C404FBC010596",
        [4.243408, -3.0310059, 1.2124023, 0.3031006, 0.3031006, 0.3031006, 2.121704, -2.121704, 1.2124023],
    ),
    ("07-klt", 7, "first row"): (
        (4, 3),
        "8751000000158D1BE200FC140A",
        "611BE200EDDE1B",
        [4.2120538, -6.3180804, 12.636161],
    ),
    ("08-dither", 8, "omega"): (
        (4,),
        "441DAC6000",
        "B0604200012F",
        [2.077806, -2.3002875, -0.55815715, -0.22838996],
    ),
    ("09-geometric", 9, "pointwise"): (
        (4,),
        "990C03F00000040400000061C0",
        "6D0002007400A003A002AAAAAAA003A20001860540",
        [2.7319844, -1.0031592, 0, 0.54992676],
    ),
    ("10-structured", 10, "kept"): (
        (6,),
        "0105010100000000",
        "00000100010100040000002F41FFC0C48B8400B03A",
        [3.4765625, 0, -1.73828125, 0, 0, 0],
    ),
    ("11-delta", 11, "exact"): ((4,), "000000", "A256AA8800018403", [1e-45, 0, -0.0, 3e-45]),
}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: f"{example[0]}-{example[2]}")
def test_worked_examples(example):
    page, compressor, _ = example
    shape, head, chunk, expected = EXAMPLES[example]
    text = (SPEC / "compressors" / f"{page}.md").read_text()
    assert head in text and chunk in text
    size = int(np.prod(shape))
    header = SimpleNamespace(
        compressor=(compressor, 1), shape=shape, size=size, dtype=reference.F32, work=reference.F32
    )
    decoded = by_reference(header, bytes.fromhex(head), bytes.fromhex(chunk), size)
    assert decoded is not None
    assert np.frombuffer(decoded, "<f4")[: len(expected)] == pytest.approx(expected, rel=1e-6)


def test_pages_have_the_fixed_headings():
    headings = ["Inputs", "Parameters", "Payload", "Decoding", "Output", "What", "Encoder", "Worked"]
    for page in (SPEC / "compressors").glob("*.md"):
        found = re.findall(r"^## (\w+)", page.read_text(), re.MULTILINE)
        assert found == headings, page.name


def test_stands_alone():
    for node in ast.walk(ast.parse(PATH.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        assert all(name.split(".")[0] in sys.stdlib_module_names for name in names)


def test_is_small():
    """Lines of code: all but blank lines, comments and docstrings."""
    source = PATH.read_text()
    prose = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node):
            prose.update(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    lines = ((number, line.strip()) for number, line in enumerate(source.splitlines(), 1))
    assert sum(bool(line) and line[0] != "#" and number not in prose for number, line in lines) <= 1275
