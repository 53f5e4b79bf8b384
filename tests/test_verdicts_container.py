"""Limits of the container, each at its value and one beyond, by both readers; and its codes."""

import json
import re
import struct
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from checks import call_cli
from vectors import gcz
from verdicts import X, block, exact, sought, streamed, text, varint

import gcodec


def empty(*dims: int) -> gcz.Record:
    """The record of a tensor without values."""
    return exact(np.zeros(0, np.float32)).but(ndim=varint(len(dims)), dims=b"".join(map(varint, dims)))


def lossy(kind: str = "alpha", **fields: float) -> gcz.Record:
    record = gcz.record("a", X, "sd", 0.1) if kind == "alpha" else gcz.record("a", X, "rsd", 0.5)
    return record.but(**{name: struct.pack("<d", value) for name, value in fields.items()})


def meta(json: bytes) -> bytes:
    return gcz.container(block(b"META", json), exact())


def attributes(json: bytes) -> bytes:
    return gcz.container(exact().but(attributes=text(json)))


def long_json(length: int) -> bytes:
    return b'{"x":"' + b"y" * (length - 8) + b'"}'


def many_parts(count: int) -> bytes:
    """JSON in which so many bytes are one of `[ { , :`, all but two of them in a string."""
    return b'{"x":"' + b"," * (count - 2) + b'"}'


def nested(depth: int) -> bytes:
    return b'{"x":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"


def integer(length: int) -> bytes:
    return b'{"x":' + b"9" * length + b"}"


LIMITS = {
    "values beside a dimension of 0": lambda over: gcz.container(empty(0, 2**48 - 1 + over)),
    "values of several dimensions": lambda over: gcz.container(empty(2**24 - 1, 0, 2**24 + 1 + over)),
    "dimensions": lambda over: gcz.container(exact(X[:1]).but(ndim=varint(64 + over), dims=b"\1" * (64 + over))),
    "bytes of a name": lambda over: gcz.container(exact().but(name=text(b"n" * (65_535 + over)))),
    "values of a chunk": lambda over: gcz.container(exact().but(chunk=varint(1_048_576 + over))),
    "bytes of META": lambda over: meta(long_json(8_388_608 + over)),
    "bytes of attributes": lambda over: attributes(long_json(8_388_608 + over)),
    "parts of META": lambda over: meta(many_parts(524_288 + over)),
    "parts of attributes": lambda over: attributes(many_parts(524_288 + over)),
    "depth of META": lambda over: meta(nested(64 + over)),
    "depth of attributes": lambda over: attributes(nested(64 + over)),
    "digits of an integer": lambda over: meta(integer(300 + over)),
    "guarantees": lambda over: gcz.container(exact().but(guarantee=bytes([3 * over]))),
    "alpha below 1": lambda over: gcz.container(lossy(bound=1.0 if over else 1 - 2.0**-53)),
    "alpha above 0": lambda over: gcz.container(lossy(bound=0.0 if over else 5e-324)),
    "omega": lambda over: gcz.container(lossy("omega", bound=np.inf if over else 1.7976931348623157e308)),
    "omega above 0": lambda over: gcz.container(lossy("omega", bound=-0.0 if over else 5e-324)),
    "distortion": lambda over: gcz.container(lossy(distortion=np.inf if over else 1.7976931348623157e308)),
    "distortion from 0": lambda over: gcz.container(lossy(distortion=-5e-324 if over else 0.0)),
    "expected": lambda over: gcz.container(lossy("omega", expected=np.inf if over else 1.7976931348623157e308)),
    "expected from 0": lambda over: gcz.container(lossy("omega", expected=-5e-324 if over else 0.0)),
}


@pytest.mark.parametrize("read", [streamed, sought])
@pytest.mark.parametrize("make", LIMITS.values(), ids=LIMITS)
def test_limits_of_a_file(make, read):
    assert read(make(0)) == "values"
    assert read(make(1)) == "corrupt"


def declared(body: int, **fields: bytes) -> bytes:
    """A record with these fields whose body of so many bytes is missing."""
    return gcz.container()[:16] + block(b"TENS", b"".join(exact().but(**fields).fields.values()), body)


def declared_head(length: int) -> bytes:
    return declared(length, head_length=varint(length), table=bytes(9))


def declared_chunk(length: int) -> bytes:
    return declared(length, table=varint(length) + bytes(8))


DECLARED = {  # what is within the limit is then missed in the file
    "bytes of a header": lambda over: gcz.container()[:16] + struct.pack("<4sIQ", b"TENS", 16_777_216 + over, 0),
    "bytes of a body": lambda over: gcz.container()[:16] + block(b"skip", b"", 2**62 - 1 + over),
    "bytes of a head": lambda over: declared_head(67_108_864 + over),
    "bytes of a chunk": lambda over: declared_chunk(33_554_432 + over),
}


@pytest.mark.parametrize("make", DECLARED.values(), ids=DECLARED)
def test_limits_of_what_is_declared(make):
    assert streamed(make(0)) == "truncated"
    assert streamed(make(1)) == "corrupt"


@pytest.mark.parametrize(("chunks", "code"), [(524_288, "values"), (524_289, "corrupt")])
def test_the_most_chunks(chunks, code):
    """Of one value each; the header alone is read."""
    record = exact(X[:1]).but(dims=varint(chunks), chunk=b"\1", table=bytes(9 * chunks))
    data = gcz.container(
        record.pack(body_length=0)[: -len(record.chunks[0])], index=gcz.index_header([(text("a"), 16)])
    )
    try:
        with gcodec.Archive(BytesIO(data)) as archive:
            assert archive.header("a").spec.shape == (chunks,)
    except gcodec.errors.Corrupt:
        assert code == "corrupt"
    else:
        assert code == "values"


def test_names_that_are_written(tmp_path):
    """Of two bytes a letter: the limit is of bytes."""
    longest = "é" * 32_767 + "n"
    gcodec.save(tmp_path / "x.gcz", {longest: X}, lossless=True)
    assert list(gcodec.load(tmp_path / "x.gcz")) == [longest]
    with gcodec.open(tmp_path / "x.gcz") as archive:
        assert np.array_equal(archive[longest], X)
    with pytest.raises(gcodec.errors.InvalidInput, match="longer than 65535 bytes"):
        gcodec.save(tmp_path / "y.gcz", {"é" * 32_768: X}, lossless=True)
    assert not (tmp_path / "y.gcz").exists()


def test_the_bytes_that_are_written(tmp_path):
    """They are those of the file that spec/format.md prints byte by byte, without its metadata."""
    np.save(tmp_path / "x.npy", X)
    assert call_cli("encode", tmp_path / "x.npy", "--method", "sd", "--alpha", 0.1)[0] == 0
    page = (Path(__file__).parents[1] / "spec" / "format.md").read_text(encoding="utf-8")
    printed = "".join(re.findall(r"^\| [0-9A-F]{2} \| `([0-9A-F ]+)`", page, re.MULTILINE))
    _, record = gcz.split(bytes.fromhex(printed))
    assert bytes.fromhex(printed) == gcz.container(block(b"META", b'{"format":"npy","bytes":16}'), record)
    assert (tmp_path / "x.npy.gcz").read_bytes() == gcz.container(record)


def test_an_exact_tensor_has_no_distortion():
    header = gcodec.Archive(BytesIO(gcz.container(exact()))).header("a")
    assert (header.guarantee.kind, header.guarantee.bound, header.distortion, header.expected) == ("exact", 0, 0, None)


def test_numbers_of_the_scope_are_those_of_float64():
    """None is negative. An integer so large has too many digits."""
    largest, least, below = b"1.7976931348623157e308", b"-0.0", b"-5e-324"
    good, bad = (largest, least, b"0"), (below, b"-" + largest, b"1e309", b"true")
    for alpha, code in (*((number, "values") for number in good), *((number, "corrupt") for number in bad)):
        assert streamed(meta(b'{"scope":{"alpha":%b,"norm2":{}}}' % alpha)) == code
        assert streamed(meta(b'{"scope":{"alpha":0.1,"norm2":{"a":%b}}}' % alpha)) == code


def test_codes_of_dtypes():
    codes = {1: "float16", 2: "bfloat16", 3: "float32", 4: "float64", 5: "float8_e4m3fn", 6: "float8_e5m2", 16: "int8",
             17: "int16", 18: "int32", 19: "int64", 20: "uint8", 21: "uint16", 22: "uint32", 23: "uint64", 32: "bool",
             33: "complex64", 34: "complex128", 7: "float8_e3m4", 8: "float8_e4m3", 35: "float8_e8m0fnu",
             36: "float8_e4m3fnuz", 37: "float8_e5m2fnuz", 38: "float4_e2m1fn"}  # fmt: skip
    for code in range(40):
        data = gcz.container(empty(0).but(dtype=bytes([code])))
        assert streamed(data) == ("values" if code in codes else "unsupported-feature")
        if code in codes:
            assert gcodec.decode(data).dtype.name == codes[code]


def test_a_bound_of_integers_is_seen_in_the_header():
    for dtype, sound in ((3, True), (18, False)):
        record = gcz.record("a", X, "sd", 0.1).but(dtype=bytes([dtype]))
        with gcodec.Archive(BytesIO(gcz.container(record, exact(name="b")))) as archive:
            if sound:
                assert archive.header("a").guarantee.bound == 0.1
            else:
                with pytest.raises(gcodec.errors.Corrupt, match="int32"):
                    archive.header("a")


def test_codes_of_methods(tmp_path):
    names = [
        "#0",
        "lossless",
        "sd",
        "rsd",
        "sc",
        "ecsq",
        "tcq",
        "klt",
        "dither",
        "geometric",
        "structured",
        "delta",
        "#12",
    ]
    records = [exact(name=name).but(compressor=bytes([number])) for number, name in enumerate(names)]
    (tmp_path / "x.gcz").write_bytes(gcz.container(*records))
    code, out, _ = call_cli("info", tmp_path / "x.gcz", "--json")
    assert code == 0 and [tensor["method"] for tensor in json.loads(out)["tensors"]] == names
    for fields in ({"compressor": b"\0"}, {"compressor": b"\x7f"}, {"version": b"\0"}, {"version": b"\2"}):
        assert streamed(gcz.container(exact().but(**fields))) == "unsupported-feature"
