"""What only a reader that seeks depends on: the index, the places of records, rows, threads."""

import struct
import threading
import time
from dataclasses import replace
from io import BytesIO
from zlib import crc32

import numpy as np
import pytest
from vectors import gcz
from verdicts import X, block, exact, sought, streamed, text

import gcodec
from gcodec.errors import GcodecError


def opened(*entries: tuple[str, int], room: int = 200) -> str:
    """What opening a file with one long record gives when its index has these entries."""
    record = exact(np.arange(room, dtype=np.uint8))
    data = gcz.container(record, index=gcz.index_header([(text(name), at) for name, at in entries]))
    try:
        gcodec.Archive(BytesIO(data)).close()
    except GcodecError as error:
        return error.code
    return "values"


def test_room_of_records_in_the_index():
    """The shortest record takes 34 bytes, the file header 16; nothing lies behind the index."""
    end = 16 + len(exact(np.arange(200, dtype=np.uint8)).pack())
    for offset, code in ((16, "values"), (15, "corrupt"), (end - 34, "values"), (end - 33, "corrupt"), (end, "corrupt"),
                         (end + 20, "corrupt"), (2**63, "corrupt"), (2**64 - 1, "corrupt")):  # fmt: skip
        assert opened(("a", offset)) == code, offset
    assert opened(("a", 16), ("b", 50)) == "values"
    assert opened(("a", 16), ("b", 49)) == "corrupt"
    assert opened(("a", 60), ("b", 60)) == "corrupt"
    assert opened(("a", 16), ("b", end - 33)) == "corrupt"


@pytest.mark.parametrize("offset", [0, 15, 16, 2**63, 2**64 - 1])
@pytest.mark.parametrize("records", [1, 2])
def test_a_footer_that_does_not_point_to_the_last_block(records, offset):
    data = gcz.container(*[exact(name=str(i)) for i in range(records)])
    footer = struct.pack("<Q", offset)
    changed = data[:-16] + footer + struct.pack("<I", crc32(footer)) + b"GCZE"
    assert sought(data) == "values"
    assert sought(changed) == "corrupt" or changed == data  # the only record is at byte 16
    assert streamed(changed) == "corrupt" or changed == data
    size = len(data)
    for at in (size, size - 1):
        footer = struct.pack("<Q", at)
        assert sought(data[:-16] + footer + struct.pack("<I", crc32(footer)) + b"GCZE") in ("corrupt", "truncated")


def test_the_last_block_is_the_index():
    """One of another type that reads like an index, and one that ends before the footer."""
    index = gcz.index_header([(text("a"), 16)])
    for last, code in (
        (block(b"INDX", index), "values"),
        (block(b"indx", index), "corrupt"),
        (block(b"INDX", index) + b"\0", "corrupt"),
        (block(b"INDX", index) + block(b"note", b""), "corrupt"),
    ):
        assert sought(gcz.container(exact(), index_block=last)) == code


def two(a: gcz.Record, b: gcz.Record, *names: str, before: bytes = b"") -> bytes:
    """Two records of which the index has other names."""
    second = 16 + len(before) + len(a.pack())
    return gcz.container(
        before, a, b, index=gcz.index_header([(text(names[0]), 16 + len(before)), (text(names[1]), second)])
    )


def test_names_of_the_index_are_those_of_the_records():
    a, b = exact(X, "a"), exact(-X, "b")
    assert sought(two(a, b, "a", "b")) == "values"
    for names in (("b", "a"), ("a", "c"), ("c", "b")):
        data = two(a, b, *names)
        with gcodec.Archive(BytesIO(data)) as archive:
            for name, right in zip(names, "ab", strict=True):
                if name == right:
                    archive[name]
                else:
                    with pytest.raises(gcodec.errors.Corrupt, match="index points to"):
                        archive[name]
        assert streamed(data) == "corrupt"


def test_what_the_index_points_to_is_a_record():
    note = block(b"note", bytes(60))
    data = gcz.container(note, index=gcz.index_header([(text("a"), 16)]))
    assert sought(data) == "corrupt"


def test_a_record_ends_before_the_next_one_begins():
    """All checksums are right, but the last byte of a's only chunk is the first byte of b."""
    b = exact(-X, "b")
    chunk = exact(np.zeros(20, np.uint8)).chunks[0]
    assert b.pack()[:1] == b"T"
    for over in (0, 1):
        values = np.append(np.arange(19), ord("T")).astype(np.uint8)
        chunk = bytes(1) + values.tobytes()
        a = replace(exact(values), decoded=(crc32(values.tobytes()),)).holding(chunks=[chunk])
        packed = a.pack()
        rest = b.pack() if not over else b.pack()[1:]
        second = 16 + len(packed) - over
        index = gcz.index_header([(text("a"), 16), (text("b"), second)])
        data = gcz.container(packed, rest, index=index)
        with gcodec.Archive(BytesIO(data)) as archive:
            assert np.array_equal(archive["b"], -X)
            if over:
                with pytest.raises(gcodec.errors.Corrupt):
                    archive["a"]
            else:
                assert np.array_equal(archive["a"], values)


def test_the_last_record_ends_before_the_index():
    values = np.append(np.arange(19), ord("I")).astype(np.uint8)
    a = exact(values).holding(chunks=[bytes(1) + values.tobytes()])
    packed = a.pack()[:-1]
    data = gcz.container(packed, index=gcz.index_header([(text("a"), 16)]))
    assert data[16 + len(packed) :].startswith(b"INDX") and sought(data) == "corrupt"


class Slow(BytesIO):
    """A file whose every call gives other threads their turn."""

    def seek(self, *where: int) -> int:
        place = super().seek(*where)
        time.sleep(0.0005)
        return place

    def read(self, n: int = -1) -> bytes:
        time.sleep(0.0005)
        return super().read(n)


def test_one_archive_in_several_threads():
    arrays = {f"x{i}": np.random.default_rng(i).integers(0, 256, 50 + i, np.uint8) for i in range(8)}
    data = gcz.container(*(exact(array, name) for name, array in arrays.items()))
    right: list[str] = []
    with gcodec.Archive(Slow(data), threads=1) as archive:

        def read(name: str) -> None:
            if np.array_equal(archive[name], arrays[name]) and archive.header(name).name == name:
                right.append(name)

        threads = [threading.Thread(target=read, args=(name,)) for name in arrays]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(right) == sorted(arrays)


@pytest.mark.parametrize("rows", [(0, 2), (2, 4), (4, 6), (1, 2), (3, 4), (1, 3), (5, 6), (2, 2), (0, 6)])
def test_rows_read_the_chunks_that_hold_them_and_no_other(rows):
    """All other chunks are damaged. A chunk holds two rows."""
    x = np.arange(18, dtype=np.float32).reshape(6, 3)
    good = gcz.record("x", x, "lossless", chunk=6)
    start, stop = rows
    needed = {row // 2 for row in range(start, stop)}
    chunks = [chunk if i in needed else bytes(len(chunk)) for i, chunk in enumerate(good.chunks)]
    data = gcz.container(replace(good, chunks=tuple(chunks)))
    with gcodec.Archive(BytesIO(data)) as archive:
        assert np.array_equal(archive.rows("x", start, stop), x[start:stop])
