"""Watches which files a command opens, and which of them for writing."""

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

from hdf5_victims import KINDS, make_victims, state
from test_victims import container

from fuzz.commands import GCODEC, Tally, Work, place_of, works
from gcodec.kernels.compiler.folder import folder

CALLS = "open,openat,openat2,creat,truncate,rename,renameat2,link,linkat,unlink,mkdir"


def opens(place: Path, kinds: tuple[Callable, ...] = KINDS) -> Tally:
    """Watches commands on good files, and on files of these kinds, which name other files."""
    tally, victims = Tally(), make_victims(place / "victims")
    before = state(victims)
    sources = [str(path) for path in sorted(victims.iterdir())]
    jobs = works(place)
    for kind in kinds:
        jobs += _hostile(place / kind.__name__, kind, sources)
    for work in jobs:
        work.output.unlink(missing_ok=True)
        code, err, calls = _watched(work, place / "log")
        if code:
            tally.failures.append(f"{work.name}: exit {code}, {err.strip()}")
        wrong = {line for line in calls if not is_allowed(line, work, place)}
        tally.failures += [f"{work.name}: {line}" for line in sorted(wrong)]
        tally.outcomes["calls"] += len(calls)
        tally.tries += 1
    if state(victims) != before:
        tally.failures.append("a victim was touched")
    return tally


def _watched(work: Work, log: Path) -> tuple[int, str, list[str]]:
    """Exit code, standard error, and the lines of strace."""
    strace = ["strace", "-f", "-qq", "-e", f"trace={CALLS}", "-o", str(log)]
    done = subprocess.run(
        [*strace, *GCODEC, *work.args], cwd=work.folder, env=work.environment, capture_output=True, check=False
    )
    return done.returncode, done.stderr.decode(), log.read_text(errors="replace").splitlines()


def _hostile(folder: Path, kind: Callable, sources: list[str]) -> list[Work]:
    made = []
    for command, source, result in (("encode", "x.h5", "x.h5.gcz"), ("decode", "x.gcz", "x.h5")):
        place = place_of(folder / command)
        kind(place / "in" / "x.h5", sources)
        (place / "in" / "x.gcz").write_bytes(container((place / "in" / "x.h5").read_bytes()))
        args = [command, f"in/{source}", "-q", "-o", f"out/{result}", *(["--lossless"] if command == "encode" else [])]
        made.append(Work(f"{command} {kind.__name__}", place, args, place / "out" / result, b""))
    return made


def is_allowed(line: str, work: Work, folder: Path) -> bool:
    """Whether a call is Python's own, or about the input, the output, or a temporary file."""
    call, names = line.split("(", 1)[0].split()[-1], re.findall(r'"([^"]*)"', line)
    if "resumed>" in line or not names:
        return True
    paths = [os.path.normpath(os.path.join(work.folder, name)) for name in names]
    writes = any(flag in line for flag in ("O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC")) or not call.startswith("open")
    inside = [path for path in paths if path.startswith(f"{folder}/")]
    if call.startswith("open") and not writes:
        known = {str(work.folder / work.args[1]), str(work.output.parent), str(work.folder)}
        return all(path in known or "ENOENT" in line for path in inside)
    if all(_is_of_kernels(path, call) for path in paths):
        return True
    if "O_TMPFILE" in line:
        return paths[0] in (str(work.output.parent), str(work.folder / "tmp"))
    if call in ("linkat", "link", "rename", "renameat2"):
        return paths[-1].startswith(str(work.output.parent))
    # Python tries whether it can write there, and the child makes its folder, which is gone at once
    temporary = f"{work.folder}/tmp/"
    own = (temporary, "/proc/self/fd/", "/dev/null", f"{work.output.parent}/.")
    return all(path.startswith(own) for path in paths)


def _is_of_kernels(path: str, call: str) -> bool:
    """Whether a path is where compiled kernels are kept, or a folder that is made for them."""
    place = folder()
    return place is not None and (path.startswith(str(place)) or (call == "mkdir" and Path(path) in place.parents))
