"""Reads and writes many damaged HDF5 files and skeletons, and counts what goes wrong.

python tests/fuzz/hdf5_mutants.py --inputs 20000 --seed 1 [--keep DIR]

Prints one line of JSON: how many inputs were tried, how they ended, how often the child that calls
HDF5 died, and the numbers of those that raised no error of gcodec's, took too long, or touched
another file. Input i is made of (seed, i) alone; `--first i --inputs 1 --keep DIR` writes one
again. The children are forked, not started anew, which is quick; all else is as usual.
"""

import argparse
import json
import os
import random
import struct
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

import h5py  # noqa: E402
import hdf5_files  # noqa: E402
import numpy as np  # noqa: E402
from hdf5_victims import KINDS, make_victims, state  # noqa: E402

from fuzz.hdf5_damage import Seed  # noqa: E402
from gcodec.errors import GcodecError  # noqa: E402
from gcodec.io import hdf5  # noqa: E402
from gcodec.io.hdf5.process import child, guarded  # noqa: E402
from gcodec.io.skeleton import SKELETON  # noqa: E402

LONGEST = 10.0  # seconds of processor time that an input may take, with its children
MOST_VALUES = 1 << 20  # so many values of a dataset are read at each of its ends


class Forked:
    """A child made by a fork, as much of a Popen as `guarded` needs."""

    def __init__(self, descriptor: int) -> None:
        (asked, asks), (answers, answered) = os.pipe(), os.pipe()
        self.returncode: int | None = None
        self.pid = os.fork()
        if self.pid == 0:
            os.close(asks)
            os.close(answers)
            try:
                child.serve(descriptor, os.fdopen(asked, "rb"), os.fdopen(answered, "wb"))
            finally:
                os._exit(99)
        os.close(asked)
        os.close(answered)
        self.stdin, self.stdout = os.fdopen(asks, "wb"), os.fdopen(answers, "rb")
        guarded.receive(self.stdout, 64)

    def poll(self) -> int | None:
        return self.wait(0, os.WNOHANG)

    def wait(self, timeout: float | None = None, flags: int = 0) -> int | None:
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, flags)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
                DEATHS[self.returncode] += self.returncode not in (0, -9)  # which `stop` does
        return self.returncode

    def kill(self) -> None:
        if self.poll() is None:
            os.kill(self.pid, 9)


DEATHS: Counter[int] = Counter()


def indexes(path: Path) -> None:
    """A dataset for each index of chunks that HDF5 has."""
    with h5py.File(path, "w", libver="latest") as file:
        values = hdf5_files.numbers(40, 6)
        file.create_dataset("single", data=values, chunks=(40, 6), compression="gzip")
        file.create_dataset("fixed array", data=values, chunks=(7, 5), shuffle=True)
        file.create_dataset("extensible array", data=values, chunks=(7, 6), maxshape=(None, 6), compression="gzip")
        file.create_dataset("tree", data=values, chunks=(7, 5), maxshape=(None, None), fletcher32=True)
        create = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        create.set_chunk((16,))
        create.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        h5py.h5d.create(file.id, b"implicit", h5py.h5t.IEEE_F32LE, h5py.h5s.create_simple((64,)), create)


def small(path: Path, **options: object) -> None:
    with h5py.File(path, "w", **options) as file:
        file["g/w"] = hdf5_files.numbers(9, 4)
        file["u"] = np.arange(40, dtype="u2")
        file["u"].attrs["gcodec_dtype"] = "bfloat16"
        file.create_dataset("z", data=hdf5_files.numbers(30, 4), chunks=(7, 4), compression="gzip")


@cache
def seeds(victims: Path) -> list[Seed]:
    """Files of all kinds; those with names of other files name victims."""
    sources = [str(path) for path in sorted(victims.iterdir())]
    makers: dict[str, Callable[[Path], None]] = {"indexes": indexes}
    for libver in ("earliest", "v110", "latest"):
        makers |= {f"small {libver}": lambda path, libver=libver: small(path, libver=libver)}
        makers |= {f"keras {libver}": lambda path, libver=libver: hdf5_files.write_keras(path, libver=libver)}
        makers |= {f"all {libver}": lambda path, libver=libver: hdf5_files.write_everything(path, libver=libver)}
    makers |= {"userblock": lambda path: small(path, userblock_size=512)}
    makers |= {kind.__name__: lambda path, kind=kind: kind(path, sources) for kind in KINDS}
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for name, make in makers.items():
            path = Path(folder, "seed.h5")
            make(path)
            with hdf5.Reader(path, trust=True) as reader:
                ranges = [place for about in reader._datasets.values() for place in about.ranges]
            found.append(Seed.of(name, path.read_bytes(), tuple(hdf5.reader.holes(ranges, path.stat().st_size))))
    return found


def mutant(rng: random.Random, victims: Path) -> tuple[Seed, bytes]:
    """Small files more often: in them, a change meets more."""
    found = seeds(victims)
    seed = rng.choices(found, [1 / len(seed.data) ** 0.5 for seed in found])[0]
    return seed, seed.damaged(rng)


def encode(path: Path) -> None:
    """What encoding reads of a file."""
    with hdf5.Reader(path) as reader:
        for _, tensor in reader.tensors():
            for start in (0, max(0, tensor.size - MOST_VALUES)):
                tensor.read(start, min(start + MOST_VALUES, tensor.size))


def decode(path: Path, image: bytes, records: dict[str, np.ndarray]) -> None:
    """What decoding writes for a skeleton, with the records of the file before it was damaged."""
    skeleton = np.frombuffer(struct.pack("<QQ", len(image), 0) + image, np.uint8)
    with hdf5.Writer(path, {"names": list(records)}) as writer:
        writer.add(SKELETON, skeleton.dtype, skeleton.shape).write(0, skeleton)
        for name, values in records.items():
            writer.add(name, values.dtype, values.shape).write(0, values.ravel())


def records_of(seed: Seed, folder: Path) -> dict[str, np.ndarray]:
    path = folder / "pristine.h5"
    path.write_bytes(seed.data)
    with hdf5.Reader(path, trust=True) as reader:
        found = list(reader.tensors())[1:]
        return {name: tensor.read(0, tensor.size).reshape(tensor.shape) for name, tensor in found}


@dataclass
class Tally:
    inputs: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    failures: dict[int, str] = field(default_factory=dict)
    slowest: float = 0.0


def run(seed: int, numbers: range, keep: Path | None = None) -> Tally:
    """Try these inputs in this process, the parent of all children."""
    tally, before = Tally(), guarded.start
    guarded.start = Forked  # type: ignore[assignment]
    with tempfile.TemporaryDirectory() as name:
        folder, victims = Path(name), make_victims(Path(name, "victims"))
        untouched, records = state(victims), {}
        try:
            for number in numbers:
                rng = random.Random(seed << 40 | number)
                source, data = mutant(rng, victims)
                if source.name not in records:
                    records[source.name] = records_of(source, folder)
                if keep:
                    keep.mkdir(parents=True, exist_ok=True)
                    (keep / f"{seed}-{number}.h5").write_bytes(data)
                (folder / "x.h5").write_bytes(data)
                start = sum(os.times()[:4])
                for action in (encode, lambda path, d=data, s=source: decode(folder / "y.h5", d, records[s.name])):
                    try:
                        action(folder / "x.h5")
                        tally.outcomes["fine"] += 1
                    except GcodecError as error:
                        tally.outcomes[error.code] += 1
                    except Exception as error:
                        where = traceback.extract_tb(error.__traceback__)[-1]
                        tally.failures[number] = f"{type(error).__name__}: {error} ({where.filename}:{where.lineno})"
                taken = sum(os.times()[:4]) - start
                tally.slowest = max(tally.slowest, taken)
                if taken > 2 * LONGEST:
                    tally.failures[number] = f"took {taken:.1f} s"
                if state(victims) != untouched or set(os.listdir(folder)) - {"victims", "x.h5", "y.h5", "pristine.h5"}:
                    tally.failures[number] = "touched another file"
                    untouched = state(victims)
                tally.inputs += 1
        finally:
            guarded.start = before
    return tally


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="the number of the first input")
    parser.add_argument("--keep", type=Path, help="a folder for the inputs")
    args = parser.parse_args()
    start = time.monotonic()
    tally = run(args.seed, range(args.first, args.first + args.inputs), args.keep)
    deaths = {str(code): count for code, count in DEATHS.items() if count}
    print(json.dumps(vars(tally) | {"deaths of children": deaths, "seconds": round(time.monotonic() - start)}))
    return int(bool(tally.failures))


if __name__ == "__main__":
    sys.exit(main())
