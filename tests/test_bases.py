"""Bases on the command line and in Python: chains, folders, keyframes, and what is hostile."""

import json
import shutil
import struct
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from checks import call_cli
from safetensors.numpy import load_file, save_file
from vectors import gcz

import gcodec
from gcodec.container.fields import crc32, pack_text
from gcodec.container.layout import pack_block
from gcodec.errors import Corrupt, FormatError, InvalidInput, LimitExceeded, MissingBase
from gcodec.pipeline.joined import runs

STEPS = 4
OTHER = Path(__file__).parents[1] / "corpora" / "lm_up.npy"


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    """A folder of four steps, and gcodec files of them: the first whole, each other on the last."""
    folder = tmp_path_factory.mktemp("chain")
    rng = np.random.default_rng(0)
    tensors = {"a": rng.standard_normal((64, 48)) * 0.02, "b": rng.standard_normal(1500), "n": np.arange(5)}
    tensors = {name: array.astype("f4" if array.dtype.kind == "f" else "i8") for name, array in tensors.items()}
    for step in range(STEPS):
        save_file(tensors, folder / f"s{step}.safetensors")
        base = [] if step == 0 else ["--base", folder / f"s{step - 1}.safetensors.gcz", "--base-dir", folder]
        promise = ["--lossless"] if step == 0 else ["--alpha", "0.1"]
        code, _, err = call_cli("encode", folder / f"s{step}.safetensors", *base, *promise, "-q")
        assert code == 0, err
        for name, array in tensors.items():
            moved = array + 1e-3 * rng.standard_normal(array.shape)
            tensors[name] = moved.astype("f4") if array.dtype.kind == "f" else array + 1
    return folder


def error(x, y):
    return float(((x.astype(np.float64) - y.astype(np.float64)) ** 2).sum())


def test_a_chain_decodes_and_verifies(chain, tmp_path):
    out = tmp_path / "s3.safetensors"
    last = chain / "s3.safetensors.gcz"
    code, _, err = call_cli("decode", last, "-o", out)
    assert code == 2 and "--base" in err and "CRC-32" in err
    assert call_cli("decode", last, "-o", out, "--base-dir", chain, "-q")[0] == 0
    decoded, original = load_file(out), load_file(chain / "s3.safetensors")
    before = gcodec.load(chain / "s2.safetensors.gcz", base=chain)
    assert error(decoded["a"], original["a"]) <= 0.1 * error(before["a"], original["a"])
    assert (decoded["n"] == original["n"]).all()
    code, text, _ = call_cli("verify", last, "--base-dir", chain, "--against", chain / "s3.safetensors")
    assert code == 0 and "every promise holds" in text and "behind it 2 more" in text
    code, text, _ = call_cli("verify", last, "--base-dir", chain, "--against", chain / "s2.safetensors")
    assert code == 1 and "FAILS" in text


def test_python_finds_the_same(chain):
    names = [chain / f"s{step}.safetensors.gcz" for step in range(STEPS)]
    found = gcodec.load(names[3], base=chain)
    with gcodec.open(names[3], base=[str(name) for name in names[:3]]) as archive:
        assert archive["a"].tobytes() == found["a"].tobytes()
        assert archive.rows("a", 5, 9).tobytes() == found["a"][5:9].tobytes()
        with gcodec.open(names[0]) as first, pytest.raises(MissingBase):
            gcodec.load(names[3], base=first)
    with gcodec.open(names[2], base=names[:2]) as before:
        assert gcodec.load(names[3], base=before)["a"].tobytes() == found["a"].tobytes()
    lone = gcodec.load(names[1], base=load_file(chain / "s0.safetensors"))
    assert lone["b"].shape == (1500,)
    with pytest.raises(InvalidInput, match="is no gcodec file"):
        gcodec.load(names[1], base=chain / "s0.safetensors")


def test_info_shows_the_chain(chain):
    last = chain / "s3.safetensors.gcz"
    code, text, _ = call_cli("info", last)
    assert code == 0 and "base" in text
    code, text, _ = call_cli("info", last, "--base-dir", chain)
    assert code == 0 and "bases of " in text and "s0.safetensors.gcz" in text
    code, text, _ = call_cli("info", last, "--base-dir", chain, "--json")
    tensor = next(one for one in json.loads(text)["tensors"] if one["name"] == "a")
    assert tensor["base"]["depth"] == 3 and len(tensor["chain"]) == 3


def test_rebase_makes_a_file_stand_alone(chain, tmp_path):
    last, alone = chain / "s3.safetensors.gcz", tmp_path / "alone.gcz"
    assert call_cli("rebase", last, "-o", alone)[0] == 2
    code, _, err = call_cli("rebase", last, "-o", alone, "--base-dir", chain, "-q")
    assert code == 0, err
    with gcodec.open(alone) as archive:
        expected = gcodec.load(last, base=chain)
        assert {name: archive[name].tobytes() for name in archive} == {n: x.tobytes() for n, x in expected.items()}
        assert archive.header("a").guarantee.kind == "alpha" and archive.header("a").base is None
    assert call_cli("verify", alone, "--against", chain / "s3.safetensors", "-q")[0] == 0


def test_keyframes_end_a_chain(chain, tmp_path):
    for keyframes, depth in ((5, 4), (4, None)):
        out = tmp_path / f"{keyframes}.gcz"
        args = ["--base", chain / "s3.safetensors.gcz", "--base-dir", chain, "--alpha", "0.1"]
        code, _, err = call_cli("encode", chain / "s2.safetensors", *args, "--keyframes", keyframes, "-o", out, "-q")
        assert code == 0, err
        with gcodec.open(out, base=chain) as archive:
            base = archive.header("a").base
            assert (base.depth if base else None) == depth
            x, before = (load_file(chain / "s2.safetensors"), gcodec.load(chain / "s3.safetensors.gcz", base=chain))
            assert 0 < error(archive["a"], x["a"]) <= 0.1 * error(before["a"], x["a"])


def test_wrong_options(chain):
    source = chain / "s1.safetensors"
    for args, words in (
        (["--keyframes", "3", "--alpha", "0.1"], "needs a --base"),
        (["--base-dir", chain, "--alpha", "0.1"], "name the file that is coded against"),
        (["--base", "-", "--alpha", "0.1"], "read several times"),
        (["--alpha-of", "tensor", "--alpha", "0.1"], "give one"),
        (["--base", source, "--alpha", "0.1", "--scope", "file"], "do not go together"),
        (["--base", OTHER, "--alpha", "0.1"], "no tensor of the same name, dtype and size as any"),
    ):
        code, _, err = call_cli("encode", source, *args, "-o", "nothing.gcz")
        assert code == 2 and words in err


def test_a_base_that_changed_is_noticed(chain, tmp_path):
    """A base is known by its values, so a changed one is not found, or the sum tells of it."""
    tensors, x = (load_file(chain / f"s{step}.safetensors") for step in (0, 1))
    gcodec.save(tmp_path / "x.gcz", x, lossless=True, base=tensors)
    with gcodec.open(tmp_path / "x.gcz", base=tensors) as archive:
        assert archive["a"].tobytes() == x["a"].tobytes()
        tensors["a"][3, 4] += 1
        with pytest.raises(FormatError, match="its base has changed"):
            archive["a"]
    with pytest.raises(MissingBase):
        gcodec.load(tmp_path / "x.gcz", base=tensors)


def linked(count: int, cycle: bool = False) -> bytes:
    """A container of records that say "as the last one is", the first of which stands alone."""
    x = np.arange(4, dtype=np.float32)
    whole = gcz.record("0", x, "lossless")
    crc = crc32(x.tobytes())
    same = gcz.record("", np.zeros(4, np.float32), "delta").holding(b"", [b""])
    same = gcz.Record(same.fields, same.head, same.chunks, (crc,)).holding(b"", [b""])

    fields = list(same.fields.items())
    at = [name for name, _ in fields].index("attributes")
    between = b"".join(value for _, value in fields[1:at])
    after = b"".join(value for _, value in fields[at + 1 :])

    def link(i: int) -> bytes:
        attributes = f'{{"base":{{"crc":{crc},"name":"{(i - 1) % count if cycle else i - 1}"}}}}'
        return pack_block(b"TENS", pack_text(str(i)) + between + pack_text(attributes) + after, 0)

    packed = [link(i) if i or cycle else whole.pack() for i in range(count)]
    offsets = np.cumsum([16, *map(len, packed)]).tolist()
    entries = [(pack_text(str(i)), offset) for i, offset in enumerate(offsets[:-1])]
    return b"".join([gcz.container()[:16], *packed, gcz.ending(entries, offsets[-1])])


def test_long_chains_and_cycles_end(tmp_path):
    path = tmp_path / "links.gcz"
    path.write_bytes(linked(1001))
    with gcodec.open(path, base=path) as archive:
        assert archive["1000"].tolist() == [0, 1, 2, 3]
    path.write_bytes(linked(1003))
    with gcodec.open(path, base=path) as archive, pytest.raises(LimitExceeded, match="more than 1,000 records"):
        archive["1002"]
    path.write_bytes(linked(100_000))
    with gcodec.open(path, base=path) as archive, pytest.raises(LimitExceeded, match="more than 1,000 records"):
        archive["99999"]
    for count, error in ((1, MissingBase), (2, Corrupt), (5, Corrupt)):
        path.write_bytes(linked(count, cycle=True))
        words = "it is not in" if count == 1 else "a cycle"
        with gcodec.open(path, base=path) as archive, pytest.raises(error, match=words):
            archive["0"]


def test_bases_are_paid_by_their_own_files(tmp_path):
    """A chain of few bytes that stands for much is beyond the budget, and says so."""
    size = 1 << 20
    zeros = np.zeros(size, np.float32)
    crc = crc32(zeros.tobytes())
    first = gcz.record("0", zeros, "lossless")
    same = gcz.record("", zeros, "delta")
    links = [
        same.but(
            name=pack_text(str(i)),
            attributes=pack_text(json.dumps({"base": {"crc": crc, "name": str(i - 1), "depth": 1}})),
        )
        for i in range(1, 400)
    ]
    path = tmp_path / "many.gcz"
    path.write_bytes(gcz.container(first, *links))
    with gcodec.open(path, base=path) as archive, pytest.raises(LimitExceeded, match="limit="):
        archive["399"]


def few_changes(rng, tensors, share=0.01):
    """The tensors, of which few values moved by one unit in the last place."""
    return {
        name: (x.view(np.int16) + (rng.random(x.shape) < share).astype(np.int16)).view(x.dtype)
        for name, x in tensors.items()
    }


@pytest.fixture(scope="module")
def layers():
    """Three steps of a model of many small bfloat16 tensors."""
    rng = np.random.default_rng(3)
    shapes = {f"layer.{i}.{name}": shape for i in range(4) for name, shape in (("w", (40, 30)), ("b", (30,)))}
    first = {name: (rng.standard_normal(shape) * 0.05).astype(ml_dtypes.bfloat16) for name, shape in shapes.items()}
    second = few_changes(rng, first)
    return first, second, few_changes(rng, second)


def bits_of(tensors):
    return {name: x.tobytes() for name, x in tensors.items()}


def test_neighbours_with_bases_are_joined(layers, tmp_path):
    """A chain of joined tensors decodes, is shown, verifies, and can be made to stand alone."""
    paths = [tmp_path / f"{i}.gcz" for i in range(3)]
    gcodec.save(paths[0], layers[0], lossless=True)
    for i in (1, 2):
        gcodec.save(paths[i], layers[i], lossless=True, base=paths[:i][::-1])
        assert bits_of(gcodec.load(paths[i], base=tmp_path)) == bits_of(layers[i])
    assert paths[1].stat().st_size < paths[0].stat().st_size / 8
    with gcodec.open(paths[2], base=paths[:2]) as archive:
        assert archive.rows("layer.2.w", 5, 8).tobytes() == layers[2]["layer.2.w"][5:8].tobytes()
        assert archive.header("layer.2.w").base.several and archive.header("layer.2.w").base.depth == 2
    with pytest.raises(MissingBase, match="joined with 'layer.0.w'"):
        gcodec.load(paths[2], base=paths[0])
    code, text, _ = call_cli("info", paths[2], "--base-dir", tmp_path)
    assert code == 0 and "bases of 8 tensors: " in text and text.index("1.gcz ←") < text.index("0.gcz", -20)
    save_file(layers[2], tmp_path / "x.safetensors")
    assert call_cli("verify", paths[2], "--base-dir", tmp_path, "--against", tmp_path / "x.safetensors", "-q")[0] == 0
    alone = tmp_path / "alone"
    assert call_cli("rebase", paths[2], "-o", alone, "--base-dir", tmp_path, "-q")[0] == 0
    assert bits_of(gcodec.load(alone)) == bits_of(layers[2])


def test_only_what_is_close_is_joined(layers, tmp_path):
    """A tensor that has become another one is coded as without its neighbours."""
    rng = np.random.default_rng(4)
    other = {name: rng.permutation(x.reshape(-1)).reshape(x.shape) for name, x in layers[1].items()}
    mixed = layers[1] | {name: other[name] for name in ("layer.1.w", "layer.3.b")}
    for name, tensors in (("other", other), ("mixed", mixed)):
        gcodec.save(tmp_path / name, tensors, lossless=True, base=layers[0])
        with gcodec.open(tmp_path / name, base=layers[0]) as archive:
            assert bits_of(archive) == bits_of(tensors)
            joined = [one for one in archive if archive.header(one).base and archive.header(one).base.several]
        assert not set(joined) & {"layer.1.w", "layer.3.b"} and bool(joined) == (name == "mixed")
    gcodec.save(tmp_path / "whole", other, lossless=True)
    whole = (tmp_path / "whole").stat().st_size
    assert (tmp_path / "other").stat().st_size <= whole + 64 * len(other)


def test_a_base_with_several_bases(layers, tmp_path, monkeypatch):
    """Tensors of two blocks are joined in two as well; a file that joins them in one is refused."""
    steps = []
    for number, tensors in enumerate(layers):
        halves = list(tensors.items())
        steps.append(dict([*halves[:4], ("between", np.arange(number, 2000)), *halves[4:]]))
    paths = [tmp_path / f"{i}.gcz" for i in range(3)]
    for i in range(3):
        gcodec.save(paths[i], steps[i], lossless=True, base=paths[:i][::-1] or None)
        assert bits_of(gcodec.load(paths[i], base=tmp_path)) == bits_of(steps[i])
    with monkeypatch.context() as patch:
        patch.setattr(runs, "_kind", lambda task: (task.source.dtype, True))
        gcodec.save(paths[2], layers[2], lossless=True, base=paths[:2][::-1])
    with pytest.raises(LimitExceeded, match="have several bases themselves"):
        gcodec.load(paths[2], base=tmp_path)


def test_a_folder_of_other_files_is_searched(chain, tmp_path):
    for name in ("s0", "s1", "s2"):
        shutil.copy(chain / f"{name}.safetensors.gcz", tmp_path)
    (tmp_path / "broken.gcz").write_bytes(struct.pack("<Q", 5))
    assert gcodec.load(chain / "s3.safetensors.gcz", base=tmp_path)["a"].shape == (64, 48)
