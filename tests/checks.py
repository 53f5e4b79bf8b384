"""Checks that hold for every compressor, shared by the tests of compressors and the pipeline."""

import io
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from fractions import Fraction
from pathlib import Path
from unittest import mock

import numpy as np

import gcodec
from gcodec import dtypes
from gcodec.cli.main import app, guarded
from gcodec.compressors import registry
from gcodec.compressors.contract import Guarantee, TensorSpec
from gcodec.errors import Corrupt, Truncated
from gcodec.source import ArraySource

NIGHTLY = os.environ.get("HYPOTHESIS_PROFILE") == "nightly"  # more of everything that is tried at random
BOUNDS = {"exact": (0.0,), "alpha": (0.5, 0.1, 1e-3), "omega": (1.0, 0.25), "pointwise": (0.5, 0.01, 1e-4)}
CASES = [("auto", kind, bound) for kind in ("alpha", "omega", "pointwise") for bound in BOUNDS[kind]] + [
    (entry.name, kind, bound)
    for entry in registry.ENTRIES
    for kind in entry.load().kinds
    for bound in BOUNDS[kind]
]  # fmt: skip


def tensors(dtype: np.dtype) -> dict[str, np.ndarray]:
    """Arrays that a compressor must cope with.

    They have odd lengths, one value, extremes, zeros and heavy tails.
    """
    rng = np.random.default_rng(1)
    info = np.finfo(np.float32 if dtype.itemsize < 4 else dtype)
    largest = float(dtypes.narrow(np.array([info.max], np.float64), dtype)[0])
    found = {
        "scalar": np.array(-2.5),
        "one": np.array([3.0]),
        "two": np.array([1.0, -1e-3]),
        "matrix": rng.normal(size=(37, 19)),
        "row": rng.normal(size=(1, 65)),
        "convolution": rng.normal(size=(8, 4, 3, 3)),
        "heavy": rng.standard_t(2, size=501),
        "sparse": rng.normal(size=700) * (rng.random(700) < 0.02),
        "one-hot": np.eye(1, 300, 17)[0],
        "constant": np.full(100, 0.7),
        "ones": np.ones(2000),
        "signs": np.where(rng.random(3000) < 0.5, -1.0, 1.0),
        "huge": rng.normal(size=64) * (largest * 1e-2),
        "largest": np.array([largest, -largest, 0.0]),
        "smallest": np.array([float(info.smallest_subnormal), 0.0, -0.0]),
        "rank one": np.outer(rng.normal(size=40), rng.normal(size=24)),
    }
    return {name: array.astype(dtype) for name, array in found.items()}


def distortion(x: np.ndarray, y: np.ndarray) -> float:
    """‖y − x‖²/‖x‖², safe for huge and tiny values."""
    scale = float(np.abs(x.astype(np.float64)).max()) or 1.0
    a, b = x.astype(np.float64) / scale, y.astype(np.float64) / scale
    return float(((b - a) ** 2).sum() / ((a**2).sum() or 1.0))


def check_promise(x: np.ndarray, method: str, kind: str, bound: float, **options: object) -> bytes:
    """Encode and decode: same dtype and shape, and the guarantee that the file states holds."""
    bounds = {"lossless": True} if kind == "exact" else {kind: bound}
    data = gcodec.encode(x, method, **bounds, **options)
    y = gcodec.decode(data)
    assert y.dtype == x.dtype and y.shape == x.shape
    stated = header_of(data)
    if stated.guarantee.kind == "exact":
        assert y.tobytes() == x.tobytes()
    elif kind == "pointwise":
        check_pointwise(x, y, bound)
        assert largest_ratio(x, y) <= stated.distortion <= bound
    elif kind == "alpha":
        assert distortion(x, y) <= bound * (1 + 1e-12)
    else:
        assert stated.expected <= bound
    return data


def check_pointwise(x: np.ndarray, y: np.ndarray, bound: float) -> None:
    """|yᵢ − xᵢ| ≤ bound·|xᵢ| in exact arithmetic, and the signs of all values, zeros too."""
    assert np.array_equal(np.signbit(x.astype(np.float64)), np.signbit(y.astype(np.float64)))
    assert ((x == 0) == (y == 0)).all()
    assert largest_ratio(x, y) <= Fraction(bound)


def largest_ratio(x: np.ndarray, y: np.ndarray) -> Fraction:
    """max |yᵢ − xᵢ|/|xᵢ| over the values other than zero, exactly.

    Fractions are slow, so only those are taken that may be the largest.
    """
    a, b = x.astype(np.float64).reshape(-1), y.astype(np.float64).reshape(-1)
    a, b = a[x.reshape(-1) != 0], b[x.reshape(-1) != 0]
    ratios = np.abs(b - a) / np.abs(a)
    near = (ratios > 0) & (ratios >= ratios.max(initial=0) * (1 - 1e-9))
    pairs = set(zip(a[near].tolist(), b[near].tolist(), strict=True))
    return max((abs(Fraction(b) - Fraction(a)) / abs(Fraction(a)) for a, b in pairs), default=Fraction(0))


def header_of(data: bytes):
    from io import BytesIO

    from gcodec.container.reader import Stream

    return next(iter(Stream(BytesIO(data)))).header


def check_corrupt_payloads(method: str, kind: str, bound: float, tries: int = 60) -> None:
    """Prefixes and mutations of a payload give something of the right size, or raise Corrupt."""
    x = np.random.default_rng(3).normal(size=(24, 16)).astype(np.float32)
    cls = registry.by_name(method).load()
    payload = cls().encode(ArraySource(x), Guarantee(kind, bound))
    spec = TensorSpec(x.dtype, x.shape)
    chunk = payload.code(0, min(payload.chunk, x.size))
    count = min(payload.chunk, x.size)
    rng = np.random.default_rng(4)
    for _ in range(tries):
        for head, data in ((_mutated(payload.head, rng), chunk), (payload.head, _mutated(chunk, rng))):
            try:
                values = cls.decoder(head, spec)(data, 0, count)
            except Corrupt:
                continue
            assert values.shape == (count,)


def _mutated(data: bytes, rng: np.random.Generator) -> bytes:
    changed = bytearray(data)
    match rng.integers(4):
        case 0:
            return bytes(changed[: rng.integers(len(changed) + 1)])
        case 1:
            return bytes(changed) + rng.bytes(3)
        case 2 if changed:
            changed[rng.integers(len(changed))] ^= 1 << rng.integers(8)
        case _ if changed:
            at = rng.integers(len(changed))
            changed[at : at + 4] = rng.bytes(4)
    return bytes(changed)


def names_in(data: bytes) -> list[str]:
    """The names of the records of a stream that arrive whole."""
    from gcodec.container.reader import Stream

    stream = Stream(io.BytesIO(data))
    with suppress(Truncated):
        for _ in stream:
            pass
    return stream.names


def run_cli(*args: object, stdin: bytes | None = None) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of the command line in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "gcodec", *map(str, args)], input=stdin, capture_output=True, timeout=120, check=False
    )
    return done.returncode, done.stdout.decode(errors="replace"), said(done.stderr)


def said(stderr: bytes) -> str:
    """What a command says on stderr, apart from the notice that it compiles kernels."""
    return stderr.decode(errors="replace").replace("gcodec: compiling kernels, once\n", "")


def call_cli(*args: object, stdin: bytes | None = None) -> tuple[int, str, str]:
    """What `run_cli` does, within this process, which is faster.

    It is for commands whose output is files and text.
    """
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err, standard_input(stdin):
        try:
            guarded(app)([str(arg) for arg in args])
        except SystemExit as end:
            return int(end.code or 0), out.getvalue(), said(err.getvalue().encode())
    raise AssertionError("a command ends with SystemExit")


@contextmanager
def standard_input(data: bytes | None) -> Iterator[None]:
    """A pipe that gives these bytes stands for the standard input, unless they are None."""
    if data is None:
        yield
        return
    read, write = os.pipe()
    feeder = threading.Thread(target=feed, args=(write, data))
    feeder.start()
    with open(read) as pipe, mock.patch.object(sys, "stdin", pipe):
        yield
    feeder.join()


def feed(pipe: int, data: bytes) -> None:
    """Write bytes to a pipe, as far as they are read, and close it."""
    with suppress(BrokenPipeError), open(pipe, "wb") as file:
        file.write(data)


def wait_until_it_writes(process: subprocess.Popen, folder: Path) -> None:
    """Return once a command has its temporary file in a folder, with a name or without one, or has
    ended.
    """
    while process.poll() is None and not list(folder.glob(".*.part")):
        with suppress(OSError):
            opened = [os.readlink(link) for link in Path(f"/proc/{process.pid}/fd").iterdir()]
            if any(path.startswith(f"{folder}/") and path.endswith(" (deleted)") for path in opened):
                return
        time.sleep(0.01)
