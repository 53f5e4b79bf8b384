"""Reads many mutated containers and counts what goes wrong.

    python tests/fuzz/mutate.py --inputs 1000000 --seed 1 [--method sc] [--keep DIR] [--alone]

`--method` may also be a format, `npy`, `npz` or `safetensors`: then files of it are read instead.

It prints one line of JSON: how many inputs were read, accepted and refused, the numbers of those
that failed, the peak of memory above what reading the good vectors takes, and the seconds. An input
fails if it crashes, takes longer than 2 s, or is taken for right though it is wrong.

Input i is made of (seed, i) alone. `--keep` writes the files that failed. `--first i --inputs 1`
tries one again. The inputs are read in a process of their own, so that one that kills it is counted
as well. `--alone` reads them in this process, for coverage: `coverage run --source=gcodec
tests/fuzz/mutate.py --inputs 20000 --alone`.
"""

import argparse
import faulthandler
import json
import multiprocessing
import os
import random
import resource
import sys
import time
import traceback
import warnings
from dataclasses import dataclass, field
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from fuzz import arrays  # noqa: E402
from fuzz.engine import mutant, seeds  # noqa: E402
from fuzz.oracle import as_stream, check  # noqa: E402

LONGEST = 2.0  # seconds that an input may take
BROKEN = 3  # exit status when an input cannot be made
DEADLINE = 60  # seconds after which the process is ended
MEMORY = (
    192 << 20
)  # address space beyond that of a warm reader: 64 MiB, and 4 times the 2²⁰ values that an input may have


@dataclass
class Tally:
    inputs: int = 0
    accepted: int = 0
    failures: dict[int, str] = field(default_factory=dict)  # by the input's number
    slow: dict[int, float] = field(default_factory=dict)
    slowest: float = 0.0
    peak: int = 0  # bytes above the warm reader

    def add(self, other: "Tally") -> None:
        self.inputs += other.inputs
        self.accepted += other.accepted
        self.failures |= other.failures
        self.slow |= other.slow
        self.slowest = max(self.slowest, other.slowest)
        self.peak = max(self.peak, other.peak)


def made(seed: int, number: int, method: str):
    rng = random.Random(seed << 40 | number)
    return arrays.mutant(rng, method) if method in arrays.FORMATS else mutant(rng, method)


def is_accepted(one, every_way: bool) -> bool:
    return arrays.check(one) if isinstance(one, arrays.Mutant) else check(one, every_way)


def warm(method: str = "") -> None:
    """Compile and cache what reading takes."""
    if method in arrays.FORMATS:
        for data in arrays.seeds(method):
            assert arrays.check(arrays.Mutant(data, method))
        return
    for seed in seeds():
        as_stream(seed.data)
        check(mutant(random.Random(0)))


def run(seed: int, numbers: range, method: str, report) -> None:
    """Read these inputs.

    `report` gets a tally of every thousand, and the number of each input before it is read.
    """
    warnings.simplefilter("error")
    warm(method)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tally = Tally()
    for number in numbers:
        report(number)
        one = made(seed, number, method)
        start = time.monotonic()
        faulthandler.dump_traceback_later(DEADLINE, exit=True)
        try:
            tally.accepted += is_accepted(one, every_way=number % 4 == 0)
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            tally.failures[number] = f"{type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})"
        taken = time.monotonic() - start
        tally.slowest = max(tally.slowest, taken)
        if taken > LONGEST:
            tally.slow[number] = taken
        tally.inputs += 1
        if tally.inputs == 1000 or number == numbers[-1]:
            tally.peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10
            report(tally)
            tally = Tally()
    faulthandler.cancel_dump_traceback_later()


def _child(seed: int, numbers: range, method: str, current, results) -> None:
    warm(method)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, most))

    def report(what: int | Tally) -> None:
        if isinstance(what, Tally):
            results.send(what)
        else:
            current.value = what

    try:
        run(seed, numbers, method, report)
    except Exception:  # a mutation itself failed
        traceback.print_exc()
        os._exit(BROKEN)


def guarded(seed: int, numbers: range, method: str) -> Tally:
    """As `run`, in processes of their own; an input that ends its process is a failure."""
    total, context = Tally(), multiprocessing.get_context("fork")
    while numbers:
        current = context.Value("q", numbers[0], lock=False)
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(target=_child, args=(seed, numbers, method, current, sender))
        process.start()
        sender.close()
        while True:
            try:
                total.add(receiver.recv())
            except EOFError:
                break
        process.join()
        if process.exitcode == BROKEN:
            raise RuntimeError(f"input {current.value} could not be made")
        if process.exitcode == 0:
            return total
        total.failures[current.value] = f"the process ended with {process.exitcode}"
        numbers = numbers[numbers.index(current.value) + 1 :]
    return total


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="the number of the first input")
    parser.add_argument("--method", default="", help="only vectors of this method, or files of this format")
    parser.add_argument("--keep", type=Path, help="a folder for the inputs that fail")
    parser.add_argument("--alone", action="store_true", help="in this process")
    args = parser.parse_args()
    numbers, start = range(args.first, args.first + args.inputs), time.monotonic()
    if args.alone:
        total = Tally()
        run(args.seed, numbers, args.method, lambda what: total.add(what) if isinstance(what, Tally) else None)
    else:
        total = guarded(args.seed, numbers, args.method)
    if args.keep:
        args.keep.mkdir(parents=True, exist_ok=True)
        for number in total.failures | total.slow:
            (args.keep / f"{args.seed}-{number}.gcz").write_bytes(made(args.seed, number, args.method).data)
    print(
        json.dumps(vars(total) | {"seed": args.seed, "method": args.method, "seconds": round(time.monotonic() - start)})
    )
    return int(bool(total.failures or total.slow))


if __name__ == "__main__":
    sys.exit(main())
