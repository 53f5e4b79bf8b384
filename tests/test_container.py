"""The container: records come back, alone and in a stream; every damage is named for what it is."""

import io
import struct
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from vectors import gcz

import gcodec
from gcodec.compressors.contract import Guarantee
from gcodec.container.fields import Cursor, crc32, pack_text, pack_varint
from gcodec.container.layout import FileHeader, Frame, Index, TensorHeader, pack_block
from gcodec.container.reader import RandomAccess, Stream
from gcodec.container.writer import ContainerWriter
from gcodec.errors import (
    ChecksumMismatch,
    Corrupt,
    FormatError,
    GcodecError,
    InvalidInput,
    LimitExceeded,
    NotGcodec,
    Truncated,
    UnsupportedFeature,
    UnsupportedVersion,
)
from gcodec.pipeline.compress import compress
from gcodec.request.choice import Choice
from gcodec.source import ArraySource

ARRAYS = {"a": np.arange(12, dtype=np.float32).reshape(3, 4), "b/é": np.array(7, np.int16), "empty": np.zeros((0, 3))}


@pytest.fixture(scope="module")
def container():
    """Records alone, without META."""
    file = io.BytesIO()
    writer = ContainerWriter(file)
    for name, array in ARRAYS.items():
        with compress(name, ArraySource(array), Choice("lossless", Guarantee("exact"))) as coded:
            writer.add(coded.header, coded.pieces(), coded.work)
    writer.close()
    return file.getvalue()


class OnlyRead:
    """A file object that can do nothing but read, a little at a time."""

    def __init__(self, data):
        self._file = io.BytesIO(data)

    def read(self, n):
        return self._file.read(min(n, 7))


def test_stream_needs_no_seeking(container):
    records = [(r.header.name, r.head(), r.chunk(0) if r.header.chunks else b"") for r in Stream(OnlyRead(container))]
    assert [name for name, *_ in records] == list(ARRAYS)


def test_random_access_gives_the_same_records(container):
    access = RandomAccess(io.BytesIO(container), len(container))
    stream = {record.header.name: record.header for record in Stream(io.BytesIO(container))}
    assert {name: access.record(name).header for name in access.offsets} == stream


def test_random_access_reads_only_what_it_needs(tmp_path):
    big = np.random.default_rng(0).normal(size=(3 << 19,)).astype(np.float32)
    gcodec.save(tmp_path / "x.gcz", {"big": big, "small": ARRAYS["a"], "big2": big}, lossless=True)
    data = (tmp_path / "x.gcz").read_bytes()

    class Counting(io.BytesIO):
        got = 0

        def read(self, n=-1):
            out = super().read(n)
            self.got += len(out)
            return out

    file = Counting(data)
    with gcodec.Archive(file) as archive:
        assert np.array_equal(archive["small"], ARRAYS["a"])
        assert file.got < 1500
        before = file.got
        assert np.array_equal(archive.rows("big", 5, 9), big[5:9])
        assert file.got - before < len(data) * 0.45  # the first of two chunks of one of two big tensors


def test_records_within_records_are_refused():
    """By the index as well, which could else have the same bytes pay for many tensors."""
    inner = gcz.record("b", np.arange(4, dtype=np.float32), "sd", 0.1).pack()
    outer = gcz.record("a", np.frombuffer(inner, np.uint8), "lossless").holding(chunks=[bytes(4) + inner])
    at = 16 + len(outer.pack()) - len(inner)
    data = gcz.container(outer, index=gcz.index_header([(pack_text("a"), 16), (pack_text("b"), at)]))
    access = RandomAccess(io.BytesIO(data), len(data))
    with pytest.raises(Corrupt, match="'a'"):
        access.record("a")
    with pytest.raises(Corrupt):
        list(drain(data))


@pytest.mark.parametrize("name", ["a", "b/é"])
def test_every_prefix_is_truncated(container, name):
    for n in range(len(container)):
        with pytest.raises(Truncated):
            list(drain(container[:n]))


def drain(data):
    for record in Stream(io.BytesIO(data)):
        record.head()
        for i in range(len(record.header.chunks)):
            record.chunk(i)
        yield record.header.name


def test_records_before_a_cut_are_whole(container):
    names = []
    with pytest.raises(Truncated):
        for name in drain(container[:-20]):
            names.append(name)
    assert names == list(ARRAYS)


def test_every_flipped_bit_is_noticed_or_ignorable(container):
    for position in range(len(container)):
        for bit in range(8):
            damaged = bytearray(container)
            damaged[position] ^= 1 << bit
            with pytest.raises(GcodecError):
                list(drain(bytes(damaged)))


def repaired(container, at, value):
    """The file with one header byte changed and the header's checksum made good."""
    data = bytearray(container)
    data[at] = value
    data[12:16] = struct.pack("<I", crc32(bytes(data[:12])))
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", Truncated),
        (b"\x89GCZ", Truncated),
        (b"hello, I am a text", NotGcodec),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), NotGcodec),
    ],
)
def test_not_ours(data, error):
    with pytest.raises(error):
        Stream(io.BytesIO(data))
    with pytest.raises(error):
        RandomAccess(io.BytesIO(data), len(data))


def test_versions_and_flags(container):
    with pytest.raises(UnsupportedVersion, match="2.0"):
        Stream(io.BytesIO(repaired(container, 8, 2)))
    assert list(drain(repaired(container, 9, 7))) == list(ARRAYS)  # a later minor is read
    with pytest.raises(UnsupportedFeature):
        Stream(io.BytesIO(repaired(container, 10, 1)))
    assert list(drain(repaired(container, 11, 255))) == list(ARRAYS)  # ignorable


def test_unknown_blocks(container):
    with pytest.raises(UnsupportedFeature, match="NEWS"):
        list(drain(container[:16] + pack_block(b"NEWS", b"x") + container[16:]))
    # An ignorable block is skipped. The index must count it in its offsets.
    shifted = container[:16] + pack_block(b"news", b"x", 3) + b"abc" + container[16:]
    with pytest.raises(Corrupt, match="index"):
        list(drain(shifted))


def test_bytes_after_the_end(container):
    with pytest.raises(Corrupt, match="after the end"):
        list(drain(container + b"x"))


def test_duplicate_names():
    with pytest.raises(Corrupt, match="twice"):
        Index.unpack(Index((("a", 16), ("a", 99))).pack(), 200)


def header_of(container):
    return next(iter(Stream(io.BytesIO(container)))).header


def test_absurd_shapes_allocate_nothing(container):
    header = header_of(container)
    for shape in [(1 << 47,), (1 << 62, 4), (1 << 20, 1 << 20)]:
        packed = header.pack().replace(b"\x02\x03\x04", bytes([len(shape)]) + b"".join(map(pack_varint, shape)), 1)
        with pytest.raises(Corrupt):
            TensorHeader.unpack(packed)


def test_limit(container):
    with pytest.raises(LimitExceeded, match="--limit"):
        gcodec.decode(gcodec.encode(np.zeros(1000)), limit=100)
    bomb = gcodec.encode(np.zeros(3 << 27, np.uint8))  # 384 MiB of zeros are few bytes, and allowed
    assert len(bomb) < 40_000


@given(st.integers(0, 2**64 - 1))
def test_varints_round_trip(value):
    cursor = Cursor(pack_varint(value), "test")
    assert cursor.varint() == value
    cursor.end()


@pytest.mark.parametrize("data", [b"\x80\x00", b"\xff" * 9 + b"\x02", b"\xff" * 11])
def test_varints_are_of_the_fewest_bytes_and_below_2_to_64(data):
    with pytest.raises(Corrupt):
        Cursor(data, "test").varint()


@given(st.binary(max_size=200))
def test_headers_of_random_bytes(data):
    for parse in (TensorHeader.unpack, partial(Index.unpack, end=100)):
        try:
            parse(data)
        except (FormatError, UnsupportedFeature):
            pass


def test_frame_limits():
    with pytest.raises(Corrupt):
        Frame.unpack(struct.pack("<4sIQ", b"TENS", 1 << 25, 0))
    assert FileHeader.unpack(FileHeader().pack()) == FileHeader()


def test_names_in_the_writer(tmp_path):
    with pytest.raises(InvalidInput, match="longer"):
        gcodec.save(tmp_path / "x.gcz", {"n" * 70000: np.zeros(3)}, lossless=True)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["\ud800", 3, None, b"x"])
def test_names_that_are_none(tmp_path, name):
    with pytest.raises(InvalidInput, match="name"):
        gcodec.save(tmp_path / "x.gcz", {"w": np.zeros(3), name: np.zeros(3)}, lossless=True)
    assert not list(tmp_path.iterdir())


def test_saved_files_say_what_will_come(tmp_path):
    gcodec.save(tmp_path / "x.gcz", ARRAYS, lossless=True)
    with gcodec.open(tmp_path / "x.gcz") as tensors:
        assert tensors.meta == {"names": list(ARRAYS), "bytes": sum(a.nbytes for a in ARRAYS.values())}
        gcodec.save(tmp_path / "y.gcz", tensors, lossless=True)  # a lazy mapping
    assert gcodec.load(tmp_path / "y.gcz").keys() == ARRAYS.keys()


def test_a_wrong_decoded_checksum_is_noticed(container):
    header = header_of(container)
    old = struct.pack("<I", header.chunks[0].decoded_crc)
    data = container[:16] + container[16:].replace(old, b"abcd", 1)
    frame = Frame.unpack(data[16:32])
    end = 32 + frame.header_length
    data = data[:end] + struct.pack("<I", crc32(data[16:end])) + data[end + 4 :]
    with pytest.raises(ChecksumMismatch, match="other values"):
        list(gcodec.api.read_tensor(record) for record in Stream(io.BytesIO(data)))
