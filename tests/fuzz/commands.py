"""Commands on files in folders of their own, for the drivers that disturb them."""

import io
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

import h5py
import hdf5_files
import numpy as np
from checks import call_cli

from gcodec.cli.main import main

GCODEC = [sys.executable, "-m", "gcodec"]


@dataclass
class Tally:
    tries: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Work:
    """A command on files in a folder of their own; `right` are the bytes that it should write."""

    name: str
    folder: Path
    args: list[str]
    output: Path
    right: bytes

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | {"TMPDIR": str(self.folder / "tmp")}

    def to_stdout(self) -> "Work":
        """The same command, with its standard output instead of a file."""
        at = self.args.index("-o") + 1
        return replace(self, name=f"{self.name} to stdout", args=[*self.args[:at], "-", *self.args[at + 1 :]])

    def run(self, **environment: str) -> tuple[int, str]:
        """Exit code and standard error. Standard output goes to the output.

        The command runs in a new process; or in a fork, if the library that it needs is loaded.
        """
        with open(self.output if "-" in self.args else os.devnull, "wb") as stdout, tempfile.TemporaryFile() as stderr:
            if environment.get("LD_PRELOAD", "") == os.environ.get("LD_PRELOAD"):
                status = os.waitpid(self.fork(stdout.fileno(), stderr.fileno(), environment), 0)[1]
                code = os.waitstatus_to_exitcode(status)
            else:
                command, env = [*GCODEC, *self.args], self.environment | environment
                code = subprocess.call(command, cwd=self.folder, env=env, stdout=stdout, stderr=stderr, timeout=120)
            stderr.seek(0)
            return code, stderr.read().decode()

    def fork(self, stdout: int, stderr: int, environment: dict[str, str]) -> int:
        """The number of a fork of this process that runs the command, which is quick to start."""
        pid = os.fork()
        if pid == 0:
            code = 99
            try:
                os.chdir(self.folder)
                os.environ.update(self.environment | environment)
                tempfile.tempdir = None
                os.dup2(stdout, 1)
                os.dup2(stderr, 2)
                sys.stdout = _stream(1, bool(environment.get("PYTHONUNBUFFERED")))
                sys.stderr = _stream(2, False)
                sys.argv = ["gcodec", *self.args]
                main()
                code = 0
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else 0
            finally:
                sys.stderr.flush()
                os._exit(code)
        return pid

    def is_right(self, found: bytes | None) -> bool:
        """Whether an output is whole. The bytes of an HDF5 file may differ in times."""
        return found == self.right or (
            found is not None and self.output.suffix == ".h5" and len(found) == len(self.right)
        )

    def left_over(self) -> list[str]:
        """Files that do not belong here."""
        found = [path.name for path in self.folder.iterdir() if path.name not in {"tmp", "in", "out"}]
        found += [path.name for path in (self.folder / "out").iterdir() if path != self.output]
        return found + [path.name for path in (self.folder / "tmp").iterdir()]


def _stream(number: int, raw: bool) -> io.TextIOWrapper:
    """A standard stream as Python makes it; raw: with PYTHONUNBUFFERED."""
    file = io.FileIO(number, "w", closefd=False)
    return io.TextIOWrapper(file if raw else io.BufferedWriter(file), write_through=True)  # type: ignore[arg-type]


def place_of(folder: Path) -> Path:
    """A folder for a command: with its input, its output, and temporary files."""
    for part in ("in", "out", "tmp"):
        (folder / part).mkdir(parents=True)
    return folder


def works(folder: Path) -> list[Work]:
    """Encoding and decoding of an array of 8 MB and of an HDF5 file."""
    made = []
    for name, make in (("x.npy", _array), ("m.h5", _model)):
        whole = folder / f"whole-{name}"
        whole.mkdir(parents=True)
        make(whole / name)
        assert call_cli("encode", whole / name, "--lossless", "-q", "-T", 1)[0] == 0
        assert call_cli("decode", whole / f"{name}.gcz", "-q", "-T", 1, "-o", whole / f"back-{name}")[0] == 0
        for command, source, result in (("encode", name, f"{name}.gcz"), ("decode", f"{name}.gcz", f"back-{name}")):
            place = place_of(folder / f"{command}-{name}")
            shutil.copy(whole / source, place / "in")
            args = [command, f"in/{source}", "-f", "-q", "-o", f"out/{result}"]
            args += ["--lossless"] if command == "encode" else []
            right = (whole / result).read_bytes()
            made.append(Work(f"{command} {name}", place, args, place / "out" / result, right))
    return made


def _array(path: Path) -> None:
    np.save(path, np.random.default_rng(0).normal(size=1 << 20))


def _model(path: Path) -> None:
    with h5py.File(path, "w") as file:
        for i in range(4):
            file[f"layer {i}/w"] = hdf5_files.numbers(300, 300, seed=i)
