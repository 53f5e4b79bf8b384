"""Kills commands, breaks and fills their disks, watches what they open, and counts what goes wrong.

    python tests/fuzz/faults.py kills --count 100
    python tests/fuzz/faults.py disks --count 200
    python tests/fuzz/faults.py full --count 50
    python tests/fuzz/faults.py opens

It prints one line of JSON. A failure is an output that is neither the old one nor a whole new one,
a file that is left over, an exit code other than expected, or a file that was opened and is none of
the command's. `disks` and `full` need a C compiler, and `opens` needs strace.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from fuzz.commands import Tally, Work, works  # noqa: E402
from fuzz.opened import opens  # noqa: E402

HERE = Path(__file__).parent
CALLS = ("read", "write", "fsync", "link")
OLD = b"the old output"
GRACE = 5.0  # seconds in which the child of a command that was killed must end


def kills(count: int, folder: Path, seed: int = 0) -> Tally:
    """Ends commands at any time of their work. Every second one has an output from before."""
    tally, rng, jobs = Tally(), random.Random(seed), works(folder)
    taken = {work.name: _seconds(work) for work in jobs}
    for i in range(count):
        work, old = jobs[i % len(jobs)], OLD if i // len(jobs) % 2 else None
        work.output.unlink(missing_ok=True)
        if old:
            work.output.write_bytes(old)
        pid = _quietly(work)
        time.sleep(rng.uniform(0.0, 1.2) * taken[work.name])
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        found = work.output.read_bytes() if work.output.exists() else None
        done = work.is_right(found)
        tally.outcomes["new" if done else "old" if found == old else "broken"] += 1
        if not done and found != old:
            tally.failures.append(f"{work.name}: the output is neither old nor whole")
        if left := _left_in_the_end(work):
            tally.failures.append(f"{work.name}: left over: {left}")
        tally.tries += 1
    return tally


def _quietly(work: Work) -> int:
    """The number of a fork that runs the command and says nothing."""
    with open(os.devnull, "w") as nowhere:
        return work.fork(nowhere.fileno(), nowhere.fileno(), {})


def _seconds(work: Work) -> float:
    """What a command takes when nobody disturbs it. The first run may have to compile."""
    for _ in range(2):
        start = time.monotonic()
        assert os.waitpid(_quietly(work), 0)[1] == 0
    return time.monotonic() - start


def _left_in_the_end(work: Work) -> list[str]:
    until = time.monotonic() + GRACE
    while (left := work.left_over()) and time.monotonic() < until:
        time.sleep(0.02)
    return left


def disks(count: int, folder: Path, seed: int = 0, jobs: slice = slice(None)) -> Tally:
    """Breaks the disk of the input or the output at some call: exit code 5, and nothing is lost."""
    library = _failing_disk(folder)
    tally, rng, some = Tally(), random.Random(seed), works(folder)[jobs]
    for i in range(count):
        work, call = some[i % len(some)], CALLS[i // len(some) % len(CALLS)]
        after = rng.choice((0, 0, 1, 2, 5)) if call in ("read", "write") else 0
        place = work.folder / ("in" if call == "read" else "out")
        _broken(tally, work, call, after, place, library)
    return tally


def full(count: int, folder: Path, seed: int = 0, jobs: slice = slice(None)) -> Tally:
    """Fills the disk of the output after any number of bytes, from none to all but one.

    The output is a file, standard output, or standard output that Python does not buffer.
    """
    library = _failing_disk(folder)
    tally, rng = Tally(), random.Random(seed)
    for work in works(folder)[jobs]:
        last = len(work.right) - 1
        places = [0, last, *(rng.randrange(last) for _ in range(count - 2))]
        for one, buffered in ((work, ""), (work.to_stdout(), ""), (work.to_stdout(), "1")):
            for after in places:
                _broken(tally, one, "full", after, work.folder / "out", library, PYTHONUNBUFFERED=buffered)
    return tally


def _failing_disk(folder: Path) -> Path:
    """The library of failing_disk.c, which `main` may have loaded."""
    if loaded := os.environ.get("LD_PRELOAD"):
        return Path(loaded)
    folder.mkdir(parents=True, exist_ok=True)
    library = folder / "failing_disk.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, HERE / "failing_disk.c", "-ldl"], check=True)
    return library


def _broken(tally: Tally, work: Work, call: str, after: int, place: Path, library: Path, **environment: str) -> None:
    """Runs a command while `call` fails in the folder `place` from some call or byte on."""
    work.output.write_bytes(OLD)
    before = {path: path.read_bytes() for path in (work.folder / "in").iterdir()}
    failing = {"FAILING_CALL": call, "FAILING_PATH": f"{place}", "FAILING_AFTER": f"{after}"}
    code, err = work.run(LD_PRELOAD=str(library), **failing, **environment)
    found = work.output.read_bytes()
    what = f"{work.name}, {call} after {after}: exit {code}, {err.strip()}"
    words = "No space left on device" if call == "full" else "Input/output error"
    if code == 0 and work.is_right(found):
        tally.outcomes[f"{call}: none was reached"] += 1
    elif code != 5 or err.count("\n") != 1 or words not in err:
        tally.failures.append(what)
    elif "-" not in work.args and call != "fsync" and found != OLD:
        tally.failures.append(f"{what}; the old output is lost")
    else:
        tally.outcomes[f"{call}: exit 5"] += 1
    if work.left_over() or before != {path: path.read_bytes() for path in before}:
        tally.failures.append(f"{what}; left over: {work.left_over()}")
    tally.tries += 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["kills", "disks", "full", "opens"])
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "work"
        folder.mkdir()
        if args.what in ("disks", "full") and "LD_PRELOAD" not in os.environ:
            library = _failing_disk(folder)
            return subprocess.call([sys.executable, *sys.argv], env=os.environ | {"LD_PRELOAD": str(library)})
        if args.what == "opens":
            tally = opens(folder)
        else:
            tally = {"kills": kills, "disks": disks, "full": full}[args.what](args.count, folder, args.seed)
    print(json.dumps(vars(tally) | {"what": args.what, "seconds": round(time.monotonic() - start)}))
    return int(bool(tally.failures))


if __name__ == "__main__":
    sys.exit(main())
