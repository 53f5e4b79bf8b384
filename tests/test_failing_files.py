"""File objects whose disk fails: the system's error comes through, and nothing else is lost."""

import errno
import io
import os

import numpy as np
import pytest

import gcodec
from gcodec.errors import Closed
from gcodec.pipeline.archive import read_tensor
from gcodec.pipeline.salvage import Salvage

ARRAYS = {name: np.random.default_rng(seed).normal(size=(40, 50)) for seed, name in enumerate("abc")}
POLICY = gcodec.Policy(lossless=True)


class Failing(io.BytesIO):
    """A file one of whose calls fails; `after` calls go well before it, and all after it."""

    def __init__(self, data=b"", after=-1):
        super().__init__(data)
        self.left = after

    def read(self, count=-1):
        self._count()
        return super().read(count)

    def readinto(self, buffer):
        self._count()
        return super().readinto(buffer)

    def write(self, data):
        self._count()
        return super().write(data)

    def _count(self):
        self.left -= 1
        if self.left == -1:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    @property
    def has_failed(self):
        return self.left < 0


@pytest.fixture(scope="module")
def coded():
    file = io.BytesIO()
    with gcodec.Writer(file, POLICY) as writer:
        for name, array in ARRAYS.items():
            writer.add(name, array)
    return file.getvalue()


def test_load_raises_what_the_disk_does(coded):
    after = 0
    while True:
        file = Failing(coded, after)
        try:
            loaded = gcodec.load(file)
        except OSError as error:
            assert error.errno == errno.EIO
            after += 1
            continue
        assert not file.has_failed and after > 3 * len(ARRAYS)
        assert all(np.array_equal(loaded[name], array) for name, array in ARRAYS.items())
        return


def test_an_archive_goes_on_after_an_error(coded):
    failed, after = 0, 0
    while True:
        file = Failing(coded, -2)
        with gcodec.open(file, threads=2) as archive:
            file.left = after
            for name, array in ARRAYS.items():
                try:
                    found = archive[name]
                except OSError as error:
                    assert error.errno == errno.EIO
                    failed, found = failed + 1, archive[name]
                assert np.array_equal(found, array)
        if not file.has_failed:
            break
        after += 1
    assert failed == after >= len(ARRAYS)


def test_records_before_a_failed_write_can_be_salvaged(coded):
    after = 0
    while True:
        file, done = Failing(after=after), []
        try:
            writer = gcodec.Writer(file, POLICY)
        except OSError:
            after += 1
            continue
        try:
            for name, array in ARRAYS.items():
                writer.add(name, array)
                done.append(name)
            writer.close()
            break
        except OSError as error:
            assert error.errno == errno.EIO
        with pytest.raises(Closed, match="failed"):
            writer.add("more", ARRAYS["a"])
        with pytest.raises(Closed, match="failed"):
            writer.close()
        found = {record.header.name: read_tensor(record) for record in Salvage(io.BytesIO(file.getvalue()))}
        assert list(found) == done or list(found) == [*done, list(ARRAYS)[len(done)]]
        assert all(np.array_equal(array, ARRAYS[name]) for name, array in found.items())
        after += 1
    assert after > 2 * len(ARRAYS) and file.getvalue() == coded
