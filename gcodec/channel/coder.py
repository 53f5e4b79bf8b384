"""One vector of a channel, coded again and again: each message begins where the last one ended."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from .. import dtypes
from ..compressors import registry
from ..compressors.contract import Payload, TensorSpec
from ..container.budget import FREE_WORK, WORK_PER_ACCEPTED
from ..container.layout import TensorHeader
from ..distortion import relative_error, scan_source, squared_error
from ..errors import InvalidInput, LimitExceeded
from ..pipeline import auto
from ..pipeline.decompress import decoded
from ..request.choice import Choice
from ..source import ArraySource, spans
from .message import ZERO, Parcel

Measure = Callable[[np.ndarray], float]  # the relative error of decoded values that counts
_MESSAGES = 32  # after so many messages, everything is chosen anew


@dataclass
class Coder:
    """Codes vectors of one shape and dtype. before: the payload of the last one, and its method."""

    name: str
    choice: Choice
    before: tuple[int, Payload] | None = None
    age: int = field(default=0)

    def encode(self, values: np.ndarray, measure: Measure) -> tuple[Parcel, np.ndarray]:
        """(the coded vector, the values that it decodes to, in the same dtype and shape).

        measure: gives the error that must be within the bound.
        """
        if not values.any():
            return Parcel(ZERO), np.zeros_like(values)
        source = ArraySource(values)
        return self._again(source, measure) or self._anew(source, measure)

    def _again(self, source: ArraySource, measure: Measure) -> tuple[Parcel, np.ndarray] | None:
        """By what the last message chose; None where that does not fit any more."""
        self.age += 1
        if self.before is None or self.age > _MESSAGES:
            return None
        method, last = self.before
        payload = last.again(source, self.choice.guarantee) if last.again else None
        if payload is None:
            return None
        made = _parcel(method, source, payload)
        back = unpacked(made, TensorSpec(source.dtype, source.shape))
        error, bound = measure(back), self.choice.guarantee.bound
        if error > bound:
            return None
        self.before = method, payload
        return replace(made, error=error), back

    def _anew(self, source: ArraySource, measure: Measure) -> tuple[Parcel, np.ndarray]:
        choice, bound = self.choice, self.choice.guarantee.bound
        while True:
            with auto.compress(self.name, source, choice) as coded:
                header, payload = coded.header, coded.payload
                made = _parcel_of(header, b"".join(coded.pieces()))
            back = unpacked(made, TensorSpec(source.dtype, source.shape))
            error = measure(back) if header.expected is None else header.expected
            if error <= bound:
                self.before, self.age = (header.compressor, payload), 0
                return replace(made, error=error), back
            if header.guarantee.kind == "exact":
                raise InvalidInput(
                    f"{self.name}: roundings to its dtype alone are an error of {error:.2g}, beyond the bound {bound:.2g}; "
                    "give a larger bound, or a channel without feedback"
                )
            tighter = choice.guarantee.bound * min(bound / error, 0.99)
            choice = replace(choice, guarantee=replace(choice.guarantee, bound=max(tighter, math.ulp(0.0))))


def measure_of(name: str, values: np.ndarray, dtype: np.dtype) -> Measure:
    """What gives ‖x̂ − x‖²/‖x‖² for decoded values, which are rounded to a dtype before.

    Raises NonFinite, which names the tensor.
    """
    if not dtypes.is_float(dtype):
        return lambda back: 0.0
    scan = scan_source(name, ArraySource(values), "refuse")
    flat = values.reshape(-1)

    def measure(back: np.ndarray) -> float:
        if scan is None or scan.norm2 == 0:
            return 0.0
        rounded = dtypes.narrow(back.reshape(-1), dtype)
        return relative_error([squared_error(flat, dtypes.widen(rounded), scan.scale)], scan)

    return measure


def _parcel_of(header: TensorHeader, body: bytes) -> Parcel:
    ends = np.cumsum([header.head_length, *(chunk.length for chunk in header.chunks)])
    head, *chunks = (body[end - length : end] for end, length in zip(ends, np.diff(ends, prepend=0), strict=True))
    return Parcel(header.compressor, 0.0, header.chunk, head, tuple(chunks))


def _parcel(method: int, source: ArraySource, payload: Payload) -> Parcel:
    chunks = tuple(payload.code(*span) for span in spans(source.size, payload.chunk))
    return Parcel(method, 0.0, payload.chunk, payload.head, chunks)


def check_work(parcels: Sequence[Parcel], specs: Sequence[TensorSpec]) -> None:
    """Raise LimitExceeded for parcels that take more work than tensors of their size may."""
    pairs = [pair for pair in zip(parcels, specs, strict=True) if pair[0].method != ZERO]
    work = sum(registry.by_id(parcel.method).load().work(parcel.head, spec) for parcel, spec in pairs)
    accepted = max(FREE_WORK, WORK_PER_ACCEPTED * sum(spec.size * spec.dtype.itemsize for spec in specs))
    if work > accepted:
        raise LimitExceeded(
            f"message: decoding would take about {work / 1e9:.1f} s; {accepted / 1e9:.1f} s are accepted for tensors of "
            "this size"
        )


def unpacked(parcel: Parcel, spec: TensorSpec) -> np.ndarray:
    """The values of a parcel, of this dtype and shape, without the scales of joined tensors.

    Raises an error of the FormatError family, and UnsupportedFeature.
    """
    if parcel.method == ZERO:
        return np.zeros(spec.shape, spec.dtype)
    entry = registry.by_id(parcel.method)
    decode = entry.load().decoder(parcel.head, spec)
    parts = [
        decoded(entry, spec.dtype, decode, data, span)
        for data, span in zip(parcel.chunks, spans(spec.size, parcel.chunk), strict=True)
    ]
    whole: np.ndarray = parts[0] if len(parts) == 1 else np.concatenate(parts)
    return whole.reshape(spec.shape)
