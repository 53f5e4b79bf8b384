"""`verify`: does a container keep its promises, and where does it stand against the theory?"""

import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np

from .. import dtypes
from ..container.budget import Budget
from ..container.describe import describe
from ..container.layout import TensorHeader
from ..container.reader import Record, Stream, whole
from ..distortion import scan_source, squared_error
from ..errors import InvalidInput
from ..parallel import thread_count
from ..pipeline.decompress import decompress
from ..source import ArraySource, Source
from ..theory import shannon
from .bounds import Limit, lower_bound, upper_bound
from .spherical_checks import method_checks
from .trials import try_seeds

CERTIFICATE_TOLERANCE = 1e-6  # relative: sums in another order
MIN_TRIALS = 10
Originals = Mapping[str, Source | np.ndarray]


def verify(
    container: str | os.PathLike | bytes | BinaryIO,
    against: Originals | np.ndarray | None = None,
    *,
    trials: int = 0,
    threads: int | None = None,
    limit: int | None = None,
) -> dict:
    """Check every tensor of a container, and measure it against the originals if they are given.

    container: a path, the bytes, or a binary file. against: the originals, arrays or Sources by name, or one array. trials: with `against`, encode
    every tensor with an omega guarantee that often with new seeds and test what is promised of the expectation.

    Returns {"ok", "checks" of the file as a whole, "tensors": [what `info` says, "measured_distortion" (with `against`), "lower_bound_bits",
    "upper_bound_bits" (None where theory gives none), "checks": [{"name", "ok", "detail"}]]}. Raises what decoding raises
    on damaged bytes: then no promise can be checked.
    """
    if trials and against is None:
        raise InvalidInput("trials need the original: give it with --against")
    if trials and trials < MIN_TRIALS:
        raise InvalidInput(f"{trials} trials say nothing; at least {MIN_TRIALS} are needed, 200 are good")
    originals = None if against is None else _sources(against)
    with _opened(container) as file:
        budget = Budget.of(file, limit)
        stream = Stream(file)
        tensors = [
            check_record(record, _original(record.header, originals), trials, thread_count(threads), budget)
            for record in whole(stream)
        ]
    checks = _scope(stream.meta["scope"], tensors) if "scope" in stream.meta else []
    everything = [*checks, *(check for tensor in tensors for check in tensor["checks"])]
    return {"ok": all(check["ok"] for check in everything), "checks": checks, "tensors": tensors}


@contextmanager
def _opened(container: str | os.PathLike | bytes | BinaryIO) -> Iterator[BinaryIO]:
    if isinstance(container, (bytes, bytearray)):
        from io import BytesIO

        yield BytesIO(container)
    elif isinstance(container, (str, os.PathLike)):
        with open(Path(container), "rb") as file:
            yield file
    else:
        yield container


def _sources(against: Originals | np.ndarray) -> dict[str, Source]:
    """Whatever form the originals have, as Sources by name."""
    named = {"": against} if isinstance(against, np.ndarray) else against
    return {name: ArraySource(value) if isinstance(value, np.ndarray) else value for name, value in named.items()}


def _original(header: TensorHeader, against: dict[str, Source] | None) -> Source | None:
    if against is None:
        return None
    source = against.get(header.name)
    if source is None:
        raise InvalidInput(f"the original has no tensor named {header.name!r}")
    if source.shape != header.spec.shape or source.dtype != header.spec.dtype:
        raise InvalidInput(
            f"tensor {header.name!r} is {header.spec.dtype} of shape {header.spec.shape}, "
            f"but the original is {source.dtype} of shape {source.shape}"
        )
    return source


def check_record(record: Record, original: Source | None, trials: int, threads: int, budget: Budget) -> dict:
    """All checks of one tensor."""
    header = record.header
    error2, equal = 0.0, True
    scan = None
    if original is not None and dtypes.is_float(header.spec.dtype):
        scan = scan_source(header.name, original, "lossless")
    for part in decompress([record], threads, budget):
        if original is not None:
            there = original.read(part.start, part.start + part.values.size)
            equal = equal and there.tobytes() == part.values.tobytes()
            error2 += squared_error(there, part.values, scan.scale) if scan else 0.0
    checks = [
        _check("checksums", True, "the coded bytes are intact"),
        _check("decoded values", True, "they are what the encoder decoded"),
        _certificate(header),
        *_bits(header, lower := lower_bound(header), upper := upper_bound(header)),
    ]
    result = describe(header) | {"lower_bound_bits": lower, "upper_bound_bits": upper.bits if upper else None}
    if original is not None:
        measured = 0.0 if equal else error2 / scan.norm2 if scan and scan.norm2 else math.inf
        result["measured_distortion"] = measured if math.isfinite(measured) else None
        checks += _against(header, measured, equal)
        if trials and header.guarantee.kind == "omega":
            checks += [_check(*row) for row in try_seeds(original, record, trials, threads)]
    checks += [_check(*row) for row in method_checks(record, original, trials)]
    return result | {"checks": checks}


def _scope(scope: dict, tensors: list[dict]) -> list[dict]:
    """`--scope file`: the errors of all tensors together, by their measured or else their stored distortions."""
    alpha, norm2 = scope["alpha"], scope["norm2"]
    unnamed = [t["name"] for t in tensors if t["guarantee"]["class"] == "alpha" and t["name"] not in norm2]
    if unnamed:
        return [
            _check(
                "scope", False, f"the norm of {unnamed[0]!r} is not given, so the bound over all tensors says nothing"
            )
        ]
    error = sum(_distortion(tensor) * norm2.get(tensor["name"], 0.0) for tensor in tensors)
    reached = error / (sum(norm2.values()) or 1.0)
    sign = "≤" if reached <= alpha else ">"
    return [
        _check("scope", reached <= alpha, f"over all tensors, relative squared L2 error {reached:.6g} {sign} {alpha:g}")
    ]


def _distortion(tensor: dict) -> float:
    """Measured if there is an original (infinite if it could not be), else as stored."""
    measured = tensor.get("measured_distortion", tensor["distortion"])
    return math.inf if measured is None else measured


def _check(name: str, ok: bool, detail: str) -> dict:
    return {"name": name, "ok": bool(ok), "detail": detail}


def _certificate(header: TensorHeader) -> dict:
    """What the encoder says that it reached must be within what it promises."""
    bound = header.guarantee.bound
    if header.guarantee.kind == "exact":
        return _check("certificate", True, "exact: every bit is that of the original")
    reached = header.distortion if header.guarantee.kind == "alpha" else header.expected
    assert reached is not None
    words = "relative squared L2 error" if header.guarantee.kind == "alpha" else "expected relative squared L2 error"
    sign = "≤" if reached <= bound else ">"
    return _check("certificate", reached <= bound, f"{words} {reached:.6g} {sign} {bound:g}{_margin(reached, bound)}")


def _margin(value: float, bound: float) -> str:
    return f", {100 * (bound - value) / bound:.2f} % below" if value <= bound else ""


def _bits(header: TensorHeader, lower: float | None, upper: Limit | None) -> list[dict]:
    bits, d = 8 * header.body_length, max(header.spec.size, 1)
    checks = []
    if upper is not None:
        relation = f"{(upper.bits - bits) / d:.4f} bits per coordinate below" if bits <= upper.bits else "above"
        detail = f"{bits:,} bits, {relation} {upper.words}, {upper.bits:,.0f}"
        checks.append(_check("upper bound", bits <= upper.bits or not upper.sure, detail))
    if lower is not None:
        gap = (bits - lower) / d
        detail = f"{gap:+.4f} bits per coordinate from the sphere's lower bound {lower:,.0f}"
        if gap < 0:
            detail += ": below the sphere bound, the data is compressible"
        checks.append(_check("lower bound", True, detail))
    if header.guarantee.kind == "alpha" and header.spec.size:
        rate = shannon.contractive_rate(header.guarantee.bound)
        detail = f"{bits / d - rate:+.4f} bits per coordinate from {rate:.4f}, which independent Gaussian values need"
        checks.append(_check("Shannon's bound", True, detail))
    return checks


def _against(header: TensorHeader, measured: float, equal: bool) -> list[dict]:
    """The decoded tensor against the original."""
    kind, bound = header.guarantee.kind, header.guarantee.bound
    if kind == "exact":
        return [_check("original", equal, "equal bit for bit" if equal else "not equal to the original")]
    agrees = math.isclose(measured, header.distortion, rel_tol=CERTIFICATE_TOLERANCE, abs_tol=1e-30)
    rows = [_check("stored distortion", agrees, f"measured {measured:.6g}, stored {header.distortion:.6g}")]
    if kind == "alpha":
        sign = "≤" if measured <= bound else ">"
        rows.append(_check("original", measured <= bound, f"relative squared L2 error {measured:.6g} {sign} {bound:g}"))
    return rows
