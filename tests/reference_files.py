"""The reference decoder as a module, and random files for it and for gcodec."""

import importlib.util
import io
import sys
from pathlib import Path

import ml_dtypes
import numpy as np
from checks import NIGHTLY

import gcodec
from gcodec import dtypes
from gcodec.compressors import registry
from gcodec.container.reader import Record, Stream
from gcodec.errors import InvalidInput

SPEC = Path(__file__).parent.parent / "spec"
PATH = SPEC / "reference" / "decode.py"
MODULE = importlib.util.spec_from_file_location("reference_decoder", PATH)
assert MODULE is not None and MODULE.loader is not None
reference = importlib.util.module_from_spec(MODULE)
sys.modules[MODULE.name] = reference
MODULE.loader.exec_module(reference)

FLOATS = ("float32", "float64", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2")
EXACT = ("int8", "int64", "uint16", "uint32", "bool", "complex64", "complex128")
METHODS = [entry.name for entry in registry.ENTRIES]


def decode(data: bytes) -> list[bytes]:
    """Each tensor's bytes, by the reference decoder."""
    return [b"".join(chunks) for _, chunks in reference.decode_file(data)]


def random_shape(rng: np.random.Generator) -> tuple[int, ...]:
    most = 5000 if NIGHTLY and rng.random() < 0.1 else 300
    ndim = rng.choice(5, p=[0.04, 0.3, 0.4, 0.16, 0.1])
    shape = tuple(int(n) for n in rng.integers(1, max(round(most ** (1 / max(ndim, 1))), 2) + 1, ndim))
    return (*shape, 0) if rng.random() < 0.02 else shape


def random_values(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """float64 values of the kinds that compressors take different ways for."""
    x = rng.standard_normal(shape)
    kind = rng.choice(8, p=[0.3, 0.2, 0.1, 0.1, 0.1, 0.1, 0.05, 0.05])
    if kind == 1 and x.ndim:  # rows and columns of different scales
        x = x * np.exp(2 * rng.standard_normal((x.shape[0],) + (1,) * (x.ndim - 1)))
        x = x * np.exp(rng.standard_normal(x.shape[-1]))
    elif kind == 2:
        x = rng.standard_t(1.5, shape)
    elif kind == 3:
        x = x * (rng.random(shape) < 0.05)
    elif kind == 4:
        x = np.ones(shape) * x.flat[0] if x.size else x
    elif kind == 5 and x.ndim == 2 and x.size:
        x = np.outer(x[:, 0], rng.standard_normal(shape[1])) + 0.05 * x
    elif kind == 6:
        x = x * 0
    elif kind == 7:
        x = np.round(x * 3)
    return x


def random_array(rng: np.random.Generator, method: str) -> np.ndarray:
    dtype = rng.choice(EXACT if method in ("lossless", "delta") and rng.random() < 0.5 else FLOATS)
    x = random_values(rng, random_shape(rng))
    if dtype in EXACT:
        return (x * 40).astype(np.int64).astype(dtype)
    info = ml_dtypes.finfo(dtypes.by_name(dtype))
    powers = (0, 0, 0, int(info.minexp) + 2, int(info.maxexp) - 2, -4, 5)
    with np.errstate(over="ignore", under="ignore"):
        x = np.clip(x * 2.0 ** rng.choice(powers), float(info.min), float(info.max))
    return x.astype(dtypes.by_name(dtype))


def random_options(rng: np.random.Generator, method: str, dtype: np.dtype) -> dict | None:
    """Options for `gcodec.encode`, None when the method does not take the dtype."""
    kinds = registry.by_name(method).load().kinds
    kind = kinds[rng.integers(len(kinds))]
    coarse = dtype.itemsize < 4
    if kind == "exact" or not dtypes.is_float(dtype):
        return {"lossless": True}
    if kind == "omega" and coarse and method != "rsd":
        return {"alpha": 0.2} if "alpha" in kinds else None
    if kind == "pointwise":
        kept = {"other": "geometric", "kept": (0, 1 << 8 * dtype.itemsize - 1)} if method == "structured" else {}
        return {"options": kept} | {kind: float(rng.choice((0.99, 0.9, 0.5, 0.25, 0.1, 0.01, 1e-3, 1e-6, 1e-12)))}
    bounds = (0.9, 0.5, 0.1, 0.01, 1e-4) if coarse or method == "sc" else (0.9, 0.5, 0.1, 0.01, 1e-6, 1e-10)
    options = {kind: float(rng.choice(bounds)) * (4 if kind == "omega" else 1)}
    if method == "sc":
        options |= {"max_draws": 1 << 10, "block": [None, 1, 3, 8][rng.integers(4)]}
    if kind == "omega" or method == "sc":
        options["seed"] = (0, 1, 300, 1 << 40, (1 << 64) - 1)[rng.integers(5)]
    if method == "structured":
        options["options"] = {
            "other": ["ecsq", "tcq", "klt"][rng.integers(3)],
            "mean": bool(rng.integers(2)),
            "means": 0 if rng.random() < 0.3 else None,
            "clamp": bool(rng.integers(2)),
        }
        if options["options"]["other"] != "klt" and rng.random() < 0.6:
            options["options"]["kept"] = (0, 1 << 8 * dtype.itemsize - 1)
    if method in ("tcq", "klt"):
        options["effort"] = ["best", "fast"][rng.integers(2)]
    return options


def random_file(rng: np.random.Generator, method: str) -> tuple[np.ndarray, bytes]:
    while True:
        x = random_array(rng, method)
        options = random_options(rng, method, x.dtype)
        if options is None:
            continue
        try:
            return x, gcodec.encode(x, method, **options)
        except InvalidInput as error:
            # a block of `sc` beyond its budget, or means along an axis of a single number
            assert "draws" in str(error) or (x.shape == () and "has no axis" in str(error))


def record_of(data: bytes) -> tuple[Record, bytes, list[bytes]]:
    """The only record with its head and chunks."""
    record = next(iter(Stream(io.BytesIO(data))))
    return record, record.head(), [record.chunk(i) for i in range(len(record.header.chunks))]


def mutated(rng: np.random.Generator, data: bytes) -> bytes:
    """Bits flipped, bytes replaced, cut off or added."""
    out = bytearray(data)
    for _ in range(rng.integers(1, 4)):
        kind = rng.integers(8)
        if kind < 5 and out:
            out[rng.integers(len(out))] ^= 1 << int(rng.integers(8))
        elif kind == 5 and out:
            out[rng.integers(len(out))] = rng.choice([0, 255, rng.integers(256)])
        elif kind == 6:
            del out[rng.integers(len(out) + 1) :]
        else:
            out += rng.bytes(rng.integers(1, 4))
    return bytes(out)


def by_reference(header: object, head: bytes, chunk: bytes, count: int) -> bytes | None:
    _, compressor = reference.COMPRESSORS[header.compressor]
    try:
        values = compressor(header, head).decode(chunk, 0, count)
    except reference.FormatError as error:
        assert error.code == "corrupt"
        return None
    return values if isinstance(values, bytes) else reference.narrow(values, header.dtype)
