"""Killed commands, broken disks, and what a command opens.

tests/fuzz/faults.py does it more often.
"""

import shutil

import pytest
from checks import NIGHTLY
from fuzz import commands, faults, opened


def test_a_killed_command_leaves_the_old_or_the_new_and_nothing_else(tmp_path):
    tally = faults.kills(100 if NIGHTLY else 4, tmp_path / "work")
    assert not tally.failures and tally.tries == sum(tally.outcomes.values())


@pytest.mark.skipif(shutil.which("cc") is None, reason="a C compiler makes the library that fails")
def test_a_disk_that_breaks(tmp_path):
    """Of the input and of the output, in reading, writing, syncing and naming."""
    tally = faults.disks(128 if NIGHTLY else 8, tmp_path / "work", jobs=slice(None) if NIGHTLY else slice(1, 3))
    assert not tally.failures
    assert all(tally.outcomes[f"{call}: exit 5"] for call in faults.CALLS)


@pytest.mark.skipif(shutil.which("cc") is None, reason="a C compiler makes the library that fails")
def test_a_disk_that_becomes_full(tmp_path):
    """Of a file and of standard output, with a buffer and without one."""
    tally = faults.full(50 if NIGHTLY else 2, tmp_path / "work", jobs=slice(None) if NIGHTLY else slice(1, 2))
    assert not tally.failures
    assert tally.outcomes["full: exit 5"] == tally.tries or NIGHTLY


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace shows what is opened")
def test_no_other_file_is_opened(tmp_path):
    (tmp_path / "work").mkdir()
    tally = opened.opens(tmp_path / "work", opened.KINDS[: None if NIGHTLY else 1])
    assert not tally.failures and tally.outcomes["calls"] > 1000


def test_what_may_be_opened(tmp_path):
    work = commands.Work("encode", tmp_path / "w", ["encode", "in/x.h5"], tmp_path / "w" / "out" / "x.gcz", b"")
    here = tmp_path / "w"
    for line, allowed in (
        (f'7 openat(AT_FDCWD, "{tmp_path}/victims/old.h5", O_RDWR) = 5', False),
        (f'7 openat(AT_FDCWD, "{tmp_path}/victims/old.h5", O_RDONLY|O_CLOEXEC) = -1 EMFILE (…)', False),
        ('7 openat(AT_FDCWD, "/etc/passwd", O_WRONLY|O_TRUNC) = 5', False),
        (f'7 unlink("{here}/in/x.h5") = 0', False),
        (f'7 rename("{here}/out/a", "{tmp_path}/victims/old.h5") = 0', False),
        ('7 openat(AT_FDCWD, "in/x.h5", O_RDONLY|O_CLOEXEC) = 5', True),
        ('7 openat(AT_FDCWD, "in/x.h5", O_RDWR|O_CLOEXEC) = 5', False),
        (f'7 openat(AT_FDCWD, "{here}/out", O_RDWR|O_CLOEXEC|O_TMPFILE, 0600) = 5', True),
        ('7 openat(AT_FDCWD, "/usr/lib/libc.so", O_RDONLY|O_CLOEXEC) = 5', True),
    ):
        assert opened.is_allowed(line, work, tmp_path) == allowed, line
