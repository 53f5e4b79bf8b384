"""Kills commands, breaks their disks, watches what they open, and counts what goes wrong.

    python tests/fuzz/faults.py kills --count 100
    python tests/fuzz/faults.py disks --count 200
    python tests/fuzz/faults.py opens

Prints one line of JSON for each. A failure is an output that is neither the old one nor a whole new
one, a file that is left over, an exit code other than expected, or a file that was opened and is
none of the command's.
"""

import argparse
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

import hdf5_files  # noqa: E402
import numpy as np  # noqa: E402
from hdf5_victims import KINDS, make_victims, state  # noqa: E402

GCODEC = [sys.executable, "-m", "gcodec"]
HERE = Path(__file__).parent
CALLS = ("read", "write", "fsync", "link")


@dataclass
class Tally:
    tries: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)


@dataclass
class Work:
    """A command on files in a folder of their own; `right` are the bytes that it should write."""

    name: str
    folder: Path
    args: list[str]
    output: Path
    right: bytes

    def start(self, **options) -> subprocess.Popen:
        environment = os.environ | {"TMPDIR": str(self.folder / "tmp")} | options.pop("env", {})
        return subprocess.Popen(
            [*GCODEC, *self.args],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            **options,
        )

    def left_over(self) -> list[str]:
        """Files that do not belong here."""
        known = {"tmp", "in", "out"}
        found = [path.name for path in self.folder.iterdir() if path.name not in known]
        found += [path.name for path in (self.folder / "out").iterdir() if path != self.output]
        return found + [path.name for path in (self.folder / "tmp").iterdir()]


def works(folder: Path) -> list[Work]:
    """Encoding and decoding of an array of 8 MB and of an HDF5 file."""
    made = []
    for name, make in (("x.npy", _array), ("m.h5", _model)):
        whole = folder / f"whole-{name}"
        whole.mkdir(parents=True)
        make(whole / name)
        subprocess.run([*GCODEC, "encode", name, "--lossless", "-q"], cwd=whole, check=True)
        subprocess.run([*GCODEC, "decode", f"{name}.gcz", "-q", "-o", f"back-{name}"], cwd=whole, check=True)
        for command, source, result in (("encode", name, f"{name}.gcz"), ("decode", f"{name}.gcz", f"back-{name}")):
            place = folder / f"{command}-{name}"
            for part in ("in", "out", "tmp"):
                (place / part).mkdir(parents=True)
            shutil.copy(whole / source, place / "in")
            output = place / "out" / result
            args = [
                command,
                f"in/{source}",
                "-f",
                "-q",
                "-o",
                f"out/{result}",
                *(["--lossless"] if command == "encode" else []),
            ]
            made.append(Work(f"{command} {name}", place, args, output, (whole / result).read_bytes()))
    return made


def _array(path: Path) -> None:
    np.save(path, np.random.default_rng(0).normal(size=1 << 20))


def _model(path: Path) -> None:
    import h5py

    with h5py.File(path, "w") as file:
        for i in range(4):
            file[f"layer {i}/w"] = hdf5_files.numbers(300, 300, seed=i)


def kills(count: int, folder: Path, seed: int = 0) -> Tally:
    """Ends commands at any time. Every second one has an output from before."""
    tally, rng, jobs = Tally(), random.Random(seed), works(folder)
    taken = {work.name: _seconds(work) for work in jobs}
    for i in range(count):
        work = jobs[i % len(jobs)]
        old = b"the old output" if i // len(jobs) % 2 else None
        work.output.unlink(missing_ok=True)
        if old:
            work.output.write_bytes(old)
        process = work.start()
        time.sleep(rng.uniform(0.3, 1.1) * taken[work.name])
        process.kill()
        process.communicate()
        time.sleep(0.3)  # for its child, if it has one, to notice
        found = work.output.read_bytes() if work.output.exists() else None
        done = found is not None and (found == work.right or _same(work, found))
        tally.outcomes["new" if done else "old" if found == old else "broken"] += 1
        if not done and found != old:
            tally.failures.append(f"{work.name}: the output is neither old nor whole")
        if left := work.left_over():
            tally.failures.append(f"{work.name}: left over: {left}")
        tally.tries += 1
    return tally


def _seconds(work: Work) -> float:
    """What a command takes when nobody disturbs it."""
    start = time.monotonic()
    process = work.start()
    process.communicate()
    assert process.returncode == 0
    return time.monotonic() - start


def _same(work: Work, found: bytes) -> bool:
    """Whether an HDF5 file is whole, whose bytes may differ in times."""
    return work.output.suffix == ".h5" and len(found) == len(work.right)


def disks(count: int, folder: Path, seed: int = 0, jobs: slice = slice(None)) -> Tally:
    """Breaks the disk of the input or the output at some call: exit code 5, and nothing is lost."""
    library = folder / "failing_disk.so"
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, HERE / "failing_disk.c", "-ldl"], check=True)
    tally, rng, some = Tally(), random.Random(seed), works(folder)[jobs]
    for i in range(count):
        work, call = some[i % len(some)], CALLS[i // len(some) % len(CALLS)]
        place = work.folder / ("in" if call == "read" else "out")
        work.output.write_bytes(b"the old output")
        before = {path: path.read_bytes() for path in (work.folder / "in").iterdir()}
        after = rng.choice((0, 0, 1, 2, 5)) if call in ("read", "write") else 0
        settings = {
            "FAILING_CALL": call,
            "FAILING_PATH": f"{place}",
            "FAILING_AFTER": str(after),
            "LD_PRELOAD": str(library),
        }
        process = work.start(env=settings)
        err = process.communicate(timeout=120)[1].decode()
        found = work.output.read_bytes()
        what = f"{work.name}, {call} after {after}: exit {process.returncode}, {err.strip()}"
        if process.returncode == 0 and (found == work.right or _same(work, found)):
            tally.outcomes[f"{call}: none was reached"] += 1
        elif process.returncode != 5 or err.count("\n") != 1 or "Input/output error" not in err:
            tally.failures.append(what)
        elif call != "fsync" and found != b"the old output":
            tally.failures.append(f"{what}; the old output is lost")
        else:
            tally.outcomes[f"{call}: exit 5"] += 1
        if work.left_over() or before != {path: path.read_bytes() for path in before}:
            tally.failures.append(f"{what}; left over: {work.left_over()}")
        tally.tries += 1
    return tally


def opens(folder: Path, kinds=KINDS) -> Tally:
    """Watches which files a command opens, and which for writing; its input names other files."""
    tally = Tally()
    victims = make_victims(folder / "victims")
    before = state(victims)
    sources = [str(path) for path in sorted(victims.iterdir())]
    jobs = works(folder)
    for kind in kinds:
        jobs += _hostile(folder / kind.__name__, kind, sources)
    for work in jobs:
        work.output.unlink(missing_ok=True)
        log = folder / "log"
        strace = ["strace", "-f", "-qq", "-e", "trace=open,openat,openat2,creat,truncate,rename,renameat2,link,linkat,unlink,mkdir",
                  "-o", str(log)]  # fmt: skip
        environment = os.environ | {"TMPDIR": str(work.folder / "tmp")}
        done = subprocess.run(
            [*strace, *GCODEC, *work.args], cwd=work.folder, env=environment, capture_output=True, check=False
        )
        if done.returncode:
            tally.failures.append(f"{work.name}: exit {done.returncode}, {done.stderr.decode().strip()}")
        wrong = {line for line in log.read_text(errors="replace").splitlines() if not _is_allowed(line, work, folder)}
        tally.failures += [f"{work.name}: {line}" for line in sorted(wrong)]
        tally.outcomes["calls"] += len(log.read_text(errors="replace").splitlines())
        tally.tries += 1
    if state(victims) != before:
        tally.failures.append("a victim was touched")
    return tally


def _hostile(folder: Path, kind, sources: list[str]) -> list[Work]:
    from test_victims import container

    made = []
    for command, source, result in (("encode", "x.h5", "x.h5.gcz"), ("decode", "x.gcz", "x.h5")):
        place = folder / command
        for part in ("in", "out", "tmp"):
            (place / part).mkdir(parents=True)
        kind(place / "in" / "x.h5", sources)
        (place / "in" / "x.gcz").write_bytes(container((place / "in" / "x.h5").read_bytes()))
        args = [command, f"in/{source}", "-q", "-o", f"out/{result}", *(["--lossless"] if command == "encode" else [])]
        made.append(Work(f"{command} {kind.__name__}", place, args, place / "out" / result, b""))
    return made


def _is_allowed(line: str, work: Work, folder: Path) -> bool:
    """Whether a call is one of Python's own, or on the input, the output, or a temporary file."""
    call, names = line.split("(", 1)[0].split()[-1], re.findall(r'"([^"]*)"', line)
    if "resumed>" in line or not names:
        return True
    paths = [os.path.normpath(os.path.join(work.folder, name)) for name in names]
    writes = any(flag in line for flag in ("O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC")) or not call.startswith("open")
    inside = [path for path in paths if path.startswith(f"{folder}/")]
    if call.startswith("open") and not writes:
        known = {str(work.folder / work.args[1]), str(work.output.parent), str(work.folder)}
        return all(path in known or "ENOENT" in line for path in inside)
    if "O_TMPFILE" in line:
        return paths[0] in (str(work.output.parent), str(work.folder / "tmp"))
    if call in ("linkat", "link", "rename", "renameat2"):
        return paths[-1].startswith(str(work.output.parent))
    temporary = (
        f"{work.folder}/tmp/"  # where Python tries whether it can write, and the child's folder, which is gone at once
    )
    own = (temporary, "/proc/self/fd/", "/dev/null", f"{work.output.parent}/.")
    return all(path.startswith(own) or "kernels" in path or "gcodec" in Path(path).parts[-2] for path in paths)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["kills", "disks", "opens"])
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "work"
        folder.mkdir()
        run = {"kills": lambda: kills(args.count, folder, args.seed), "disks": lambda: disks(args.count, folder, args.seed),
               "opens": lambda: opens(folder)}[args.what]  # fmt: skip
        tally = run()
    print(json.dumps(vars(tally) | {"what": args.what, "seconds": round(time.monotonic() - start)}))
    return int(bool(tally.failures))


if __name__ == "__main__":
    sys.exit(main())
