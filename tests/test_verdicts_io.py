"""Limits and checks of file formats, each with a file that must be refused; and terminals."""

import base64
import json
import pty
import struct
import sys
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from functools import cache
from io import BytesIO, StringIO
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from checks import call_cli
from numpy.lib import format as npy_format

from gcodec.cli.main import app, guarded
from gcodec.container.budget import Budget
from gcodec.errors import InvalidInput, LimitExceeded
from gcodec.io import formats


def npy(array: np.ndarray) -> bytes:
    buffer = BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def npy_of(shape: tuple[int, ...], dtype: str = "|i1", data: bytes = b"") -> bytes:
    """A file whose header has this shape."""
    buffer = BytesIO()
    npy_format.write_array_header_1_0(buffer, {"descr": dtype, "fortran_order": False, "shape": shape})
    return buffer.getvalue() + data


def archive(members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as file:
        for name, data in members.items():
            file.writestr(zipfile.ZipInfo(name), data, method)
    return buffer.getvalue()


def read(path: Path, data: bytes, fmt: str) -> dict[str, np.ndarray]:
    path.write_bytes(data)
    with formats.reader(path, fmt) as reader:
        return {name: tensor.read(0, tensor.size).reshape(tensor.shape) for name, tensor in reader.tensors()}


def refused(path: Path, data: bytes, fmt: str, words: str = "") -> bool:
    """Whether a file is refused, with these words."""
    try:
        read(path, data, fmt)
    except InvalidInput as error:
        assert words in str(error), error
        return True
    return False


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED], ids=["stored", "deflated"])
def test_the_checksum_of_a_member_is_compared(tmp_path, method):
    """A bit is flipped in the last value, far behind the array's header, and in the checksum."""
    data = npy(np.random.default_rng(0).integers(0, 4, 1 << 18, np.uint8))
    whole = archive({"a.npy": data}, method)
    assert not refused(tmp_path / "a.npz", whole, "npz")
    (info,) = zipfile.ZipFile(BytesIO(whole)).infolist()
    last = 30 + len("a.npy") + info.compress_size - 1
    places = [whole.index(b"PK\x01\x02") + 16]  # the place of the CRC-32 in the directory
    places += [last] if method == zipfile.ZIP_STORED else []
    for place in places:
        damaged = bytearray(whole)
        damaged[place] ^= 1
        assert refused(tmp_path / "a.npz", bytes(damaged), "npz", "CRC")


def nested(spare: int) -> tuple[bytes, np.ndarray]:
    """An archive with a member whose data are another member as well, and that member's bytes.

    spare: the length of the archive less that of all its members together.
    """
    inner = archive({"b.npy": npy(np.zeros(1000, np.uint8))})
    member = inner[: inner.index(b"PK\x01\x02")]
    outer = archive({"a.npy": npy(np.frombuffer(member, np.uint8))})
    begin = outer.index(member)
    entry = bytearray(inner[inner.index(b"PK\x01\x02") : inner.index(b"PK\x05\x06")])
    entry[42:46] = struct.pack("<I", begin)
    end = outer.index(b"PK\x05\x06")
    directory = outer[outer.index(b"PK\x01\x02") : end] + bytes(entry)
    start = outer.index(b"PK\x01\x02")
    members = sum(info.compress_size for data in (inner, outer) for info in zipfile.ZipFile(BytesIO(data)).infolist())
    comment = b"c" * (spare + members - start - len(directory) - 22)
    tail = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 2, 2, len(directory), start, len(comment)) + comment
    return outer[:start] + directory + tail, np.frombuffer(member, np.uint8)


def test_members_that_overlap(tmp_path):
    """They are seen when they have more bytes together than the file has."""
    data, member = nested(0)
    found = read(tmp_path / "a.npz", data, "npz")
    assert np.array_equal(found["a"], member) and not found["b"].any()
    assert refused(tmp_path / "a.npz", nested(-1)[0], "npz", "overlap")


@pytest.mark.parametrize(("length", "bad"), [(1 << 24, False), ((1 << 24) + 1, True)])
def test_the_longest_map_of_dtypes(tmp_path, length, bad):
    text = b'{"a": "bfloat16"' + b" " * (length - 17) + b"}"
    data = archive({"a.npy": npy(np.ones(3, np.uint16)), "__gcodec_dtypes__.json": text}, zipfile.ZIP_DEFLATED)
    assert refused(tmp_path / "a.npz", data, "npz") == bad


@pytest.mark.parametrize("fmt", ["npy", "npz"])
def test_shapes_of_arrays(tmp_path, fmt):
    """Below 2⁴⁸ values beside dimensions of 0, and 64 dimensions at most."""
    cases = {
        (0, 2**48 - 1): False,
        (0, 2**48): True,
        (2**24, 0, 2**24): True,
        (1,) * 63 + (0,): False,
        (1,) * 64 + (0,): True,
    }
    for shape, bad in cases.items():
        data = npy_of(shape)
        data = data if fmt == "npy" else archive({"a.npy": data})
        assert refused(tmp_path / "a", data, fmt, "not one that an array can have" if bad else "") == bad, shape
    for more, bad in ((-1, True), (0, False), (1, True)):
        data = npy_of((5,), data=bytes(5 + more))
        assert refused(tmp_path / "a", data if fmt == "npy" else archive({"a.npy": data}), fmt) == bad


@pytest.mark.parametrize("fmt", ["npz", "h5"])
def test_names_that_are_too_long_or_deep(tmp_path, fmt):
    names = {"n" * 4096: False, "n" * 4097: True, "é" * 2048: False, "é" * 2049: True, "a/" * 99 + "a": False,
             "a/" * 100 + "a": fmt == "h5"}  # fmt: skip
    for name, bad in names.items():
        with formats.writer(tmp_path / f"x.{fmt}", fmt, {}, Budget()) as writer:
            if bad:
                with pytest.raises(InvalidInput, match=r"longer than 4096|more than 100"):
                    writer.add(name, np.dtype("f4"), (1,))
            else:
                writer.add(name, np.dtype("f4"), (1,)).write(0, np.ones(1, np.float32))


def safetensors(header: bytes, data: bytes = b"", length: int | None = None) -> bytes:
    return (len(header) if length is None else length).to_bytes(8, "little") + header + data


def entry(shape: list[int], end: int, dtype: str = "U8", begin: int = 0) -> bytes:
    return json.dumps({"a": {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}}).encode()


def test_headers_of_safetensors(tmp_path):
    cases = [
        (safetensors(b"{}"), False),
        (safetensors(b"{}", length=3), True),
        (safetensors(b"")[:7], True),
        (safetensors(entry([3], 3), bytes(3)), False),
        (safetensors(entry([3], 3), bytes(2)), True),
        (safetensors(entry([3], 3), bytes(4)), True),
        (safetensors(entry([3], 4), bytes(4)), True),
        (safetensors(entry([3], 4, begin=1), bytes(4)), True),
        (safetensors(entry([1] * 63 + [0], 0)), False),
        (safetensors(entry([1] * 64 + [0], 0)), True),
        (safetensors(entry([0, 2**63 - 1], 0)), False),
        (safetensors(entry([0, 2**63], 0)), True),
    ]
    for number, (data, bad) in enumerate(cases):
        assert refused(tmp_path / "a.safetensors", data, "safetensors") == bad, number


@pytest.mark.parametrize(
    ("fmt", "data"), [("npy", npy(np.arange(3))), ("safetensors", safetensors(entry([3], 3), bytes(3)))]
)
def test_files_that_were_cut_are_refused_before_anything_is_read(tmp_path, fmt, data):
    path = tmp_path / f"a.{fmt}"
    path.write_bytes(data)
    formats.reader(path, fmt).__exit__(None, None, None)
    path.write_bytes(data[:-1])
    with pytest.raises(InvalidInput, match="cut"):
        formats.reader(path, fmt)


@pytest.mark.parametrize(("length", "words"), [(100_000_000, "header:"), (100_000_001, "does not fit")])
def test_the_longest_header_of_safetensors(tmp_path, length, words):
    """It is of zeros, so one that is within the limit is no JSON."""
    path = tmp_path / "a.safetensors"
    with open(path, "wb") as file:
        file.write(length.to_bytes(8, "little"))
        file.truncate(length + 8)
    with pytest.raises(InvalidInput, match=words):
        formats.reader(path, "safetensors")


def packed(header: bytes) -> bytes:
    return zlib.compress(header, 9)


@cache
def in_proportion() -> tuple[bytes, bytes]:
    """A header of 2²⁰ + 64 bytes for each packed one; a longer one that packs to as many."""
    for noise in range(100, 300):
        begin = b'{"__metadata__":{"x":"%s"}}' % np.random.default_rng(0).bytes(noise).hex().encode()
        header, longer = (begin.ljust((1 << 20) + 64 * 1300 + over) for over in (0, 1))
        if len(packed(header)) == len(packed(longer)) == 1300:
            return header, longer
    raise AssertionError("no such header was found")


@pytest.mark.parametrize("over", [0, 1])
def test_a_header_of_safetensors_in_the_metadata_is_in_proportion(tmp_path, over):
    header = in_proportion()[over]
    meta = {"format": "safetensors", "header": base64.b64encode(packed(header)).decode()}
    for limit, bad in ((None, bool(over)), (len(header), False), (len(header) - 1, True)):
        try:
            with formats.writer(tmp_path / "a.safetensors", "safetensors", meta, Budget(limit)):
                pass
        except LimitExceeded as error:
            assert bad and "--limit" in str(error)
        else:
            assert not bad


@pytest.mark.parametrize("over", [0, 1])
def test_what_the_reader_packs_the_writer_takes(tmp_path, over):
    header = in_proportion()[over]
    path = tmp_path / "a.safetensors"
    path.write_bytes(safetensors(header))
    with formats.reader(path, "safetensors") as reader:
        meta = dict(reader.meta)
    assert (len(meta["header"]) < 10_000) == (not over)
    with formats.writer(tmp_path / "b.safetensors", "safetensors", meta, Budget()):
        pass
    assert (tmp_path / "b.safetensors").read_bytes() == path.read_bytes()


@contextmanager
def terminal() -> Iterator[list[bytes]]:
    """The standard output is a terminal; what came to it is in the list afterwards."""
    ours, theirs = pty.openpty()
    shown: list[bytes] = []
    with open(theirs, "w") as screen, open(ours, "rb", buffering=0) as eye:
        with mock.patch.object(sys, "stdout", screen):
            yield shown
        screen.write("end")
        screen.flush()
        shown.append(eye.read(1 << 16))


def test_binary_data_do_not_go_to_a_terminal(tmp_path):
    np.save(tmp_path / "x.npy", np.ones(5))
    path, coded = str(tmp_path / "x.npy"), str(tmp_path / "x.npy.gcz")
    assert call_cli("encode", path)[0] == 0
    for args, code in ((["encode", path, "-o", "-"], 2), (["decode", coded, "-o", "-"], 2), (["info", coded], 0)):
        with terminal() as shown, redirect_stderr(StringIO()) as err, pytest.raises(SystemExit) as end:
            guarded(app)(args)
        assert (end.value.code or 0) == code
        if code:
            assert shown == [b"end"] and "terminal" in err.getvalue() and err.getvalue().count("\n") == 1
        else:
            assert b"float64" in shown[0]
