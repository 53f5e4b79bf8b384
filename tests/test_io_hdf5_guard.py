"""The child process that reads and writes HDF5: its limits, and its death, which the parent
survives with one clear line.
"""

import os
import resource
import signal
import struct
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from checks import NIGHTLY, call_cli
from fuzz import hdf5_mutants
from hdf5_contents import check_same
from hdf5_files import copy, numbers, write_everything
from hdf5_victims import unlimited_virtual

from gcodec.errors import Corrupt, GcodecError, InvalidInput
from gcodec.io import hdf5
from gcodec.io.hdf5 import describe
from gcodec.io.hdf5.dataset import Survey
from gcodec.io.hdf5.process import guarded
from gcodec.io.uncoded import Uncoded


@pytest.fixture
def compressed(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", data=numbers(100, 100), compression="gzip", chunks=(10, 100))
    return tmp_path / "a.h5"


def child_of(access):
    return access._access._child


def limits_of(process):
    """Soft limits by the name that /proc gives them."""
    lines = Path(f"/proc/{process.pid}/limits").read_text().splitlines()[1:]
    return {line[:25].strip(): line[26:47].strip() for line in lines}


@pytest.mark.skipif(not Path("/proc/self/limits").exists(), reason="limits are shown by Linux alone")
def test_the_child_has_limits(compressed):
    with hdf5.Reader(compressed) as reader:
        child, size = child_of(reader), compressed.stat().st_size
        limits = limits_of(child)
        assert limits["Max open files"] == "0"  # beside those that are open
        assert int(limits["Max file size"]) == size + (1 << 20) and limits["Max core file size"] == "0"
        assert 1 < int(limits["Max cpu time"]) <= 4 and int(limits["Max address space"]) < 4 << 30
        assert os.readlink(f"/proc/{child.pid}/cwd").endswith(" (deleted)")
        before = int(limits["Max cpu time"])
        for _ in range(2000):
            reader._access._allowed["cpu"] += 0.01
        next(tensor for name, tensor in reader.tensors() if name == "x").read(0, 10)
        assert int(limits_of(child)["Max cpu time"]) == before + 20


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGXCPU, signal.SIGKILL, signal.SIGABRT])
def test_a_child_that_dies_means_corrupt(compressed, tmp_path, number):
    with (
        pytest.raises(Corrupt, match=r"a\.h5: HDF5 cannot read or write it: the library "),
        hdf5.Reader(compressed) as reader,
    ):
        tensor = dict(reader.tensors())["x"]
        assert tensor.read(0, 5).size == 5
        os.kill(child_of(reader).pid, number)
        for _ in range(2):  # the second question is answered in the same way
            with pytest.raises(Corrupt):
                tensor.read(0, 5)
        tensor.read(0, 5)
    assert child_of(reader).returncode == -number


def endless(path):
    """An attribute of variable length in a global heap with a free object of size 0, at which HDF5
    stays for ever.
    """
    with h5py.File(path, "w") as file:
        file["u"] = np.arange(4, dtype="u2")
        file["u"].attrs["gcodec_dtype"] = "bfloat16"
    data = bytearray(path.read_bytes())
    at = data.find(b"GCOL") + 16
    while struct.unpack_from("<H", data, at)[0]:
        at += 16 + -(-struct.unpack_from("<Q", data, at + 8)[0] // 8) * 8
    struct.pack_into("<Q", data, at + 8, 0)
    path.write_bytes(data)


def test_a_file_without_an_end(tmp_path):
    endless(tmp_path / "a.h5")
    code, out, err = call_cli("encode", tmp_path / "a.h5", "--lossless")
    assert (code, out, err.count("\n")) == (3, "", 1) and "a.h5" in err and "far more time" in err
    assert os.listdir(tmp_path) == ["a.h5"]


def test_the_child_can_open_no_other_file(tmp_path, monkeypatch):
    """As if the layout were not looked at: HDF5 is asked for the extent of a virtual dataset, and
    to that end opens a pipe.
    """
    os.mkfifo(tmp_path / "pipe")
    unlimited_virtual(tmp_path / "x.h5", [str(tmp_path / "pipe")])
    monkeypatch.setattr(guarded, "start", hdf5_mutants.Forked)
    asked = os.memfd_create("asked")

    def careless(name, dataset, file_size):
        dataset.get_space().get_simple_extent_dims()
        os.write(asked, b"extent")
        return Uncoded(name, 0, "values elsewhere")

    monkeypatch.setattr("gcodec.io.hdf5.tree.describe", careless)
    waits = signal.signal(signal.SIGALRM, lambda *_: pytest.fail("HDF5 opened the pipe and waits for ever"))
    signal.alarm(20)
    try:
        with hdf5.Reader(tmp_path / "x.h5") as reader:
            assert reader.meta["kept"] == 1
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, waits)
    assert os.pread(asked, 100, 0) == b"extent"
    os.close(asked)


def test_the_child_writes_no_more_than_it_may(tmp_path, monkeypatch):
    monkeypatch.setattr(guarded, "ENTRY", -(1 << 22))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", data=numbers(1 << 19), chunks=(1 << 18,), shuffle=True)
    with pytest.raises(GcodecError, match="File too large"):
        copy(tmp_path / "a.h5", tmp_path / "b.h5", piece=1 << 19)


def test_trust_gives_the_same(tmp_path):
    write_everything(tmp_path / "a.h5")
    for name, options in (("plain", ()), ("trusted", ("--trust",))):
        coded, back = tmp_path / f"{name}.gcz", tmp_path / f"{name}.h5"
        assert call_cli("encode", tmp_path / "a.h5", "--lossless", "-o", coded, *options)[0] == 0
        assert call_cli("decode", coded, "-o", back, *options)[0] == 0
        check_same(tmp_path / "a.h5", back)
    assert (tmp_path / "plain.gcz").read_bytes() == (tmp_path / "trusted.gcz").read_bytes()


def test_a_child_that_does_not_start(compressed, monkeypatch):
    monkeypatch.setattr(guarded, "START", "raise SystemExit('no h5py here')")
    code, _, err = call_cli("encode", compressed, "--lossless")
    assert code == 5 and "did not start: no h5py here" in err and err.count("\n") == 1


def test_what_a_child_costs(compressed):
    """Seconds of processor time for its start; its end is a signal."""

    def children():
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    with hdf5.Reader(compressed):
        pass
    before = children()
    with hdf5.Reader(compressed):
        pass
    assert children() - before < 0.6  # 0.2 on a machine of its own


def test_damaged_files_hurt_no_parent(tmp_path):
    tally = hdf5_mutants.run(3, range(count := 3000 if NIGHTLY else 60))
    assert tally.inputs == count and not tally.failures
    assert tally.outcomes["corrupt"] + tally.outcomes["invalid-input"] > 10 and tally.outcomes["fine"] > 10


def test_answers_that_make_no_sense(compressed):
    """A child that a file has taken over is not believed."""
    with hdf5.Reader(compressed) as reader:
        found = Survey(reader._datasets)
    (packed, ranges), size, unpack = found.pack(), compressed.stat().st_size, Survey.unpack
    assert unpack(packed, ranges, size) == found
    one = packed["datasets"][0]
    for i, value in [
        (1, "O"),
        (1, "<f8"),
        (2, "S4"),
        (3, [-1]),
        (3, [1 << 50]),
        (3, "x"),
        (4, [0, 5]),
        (4, [1]),
        (7, 99),
    ]:
        with pytest.raises((Corrupt, InvalidInput)):
            unpack({**packed, "datasets": [[*one[:i], value, *one[i + 1 :]]]}, ranges, size)
    for answer, places in [
        ({}, ranges),
        ([], ranges),
        (packed, ranges[:-1]),
        (packed, ranges + ranges),
        ({"datasets": 3}, b""),
    ]:
        with pytest.raises(Corrupt):
            unpack(answer, places, size)
    with pytest.raises(Corrupt, match="overlap"):
        unpack({**packed, "datasets": [one, one]}, ranges + ranges, size)
    with pytest.raises(Corrupt, match="beyond"):
        unpack(packed, ranges, size - 3000)


def test_no_time_is_lost_at_the_end(compressed):
    start = time.monotonic()
    with hdf5.Reader(compressed) as reader:
        child = child_of(reader)
    assert child.returncode is not None and time.monotonic() - start < 20
    assert describe.usable_filters() >= {1, 2, 3}
