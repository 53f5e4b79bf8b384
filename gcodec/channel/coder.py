"""One vector of a channel, coded again and again: each message begins where the last one ended."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from ..compressors.contract import Guarantee, Payload, TensorSpec
from ..container.layout import TensorHeader
from ..errors import InvalidInput
from ..pipeline import auto
from ..request.choice import Choice
from ..source import ArraySource, Source, spans
from .decoding import unpacked
from .message import ZERO, Parcel
from .target import Target

Again = Callable[[Source, Guarantee], Payload | None]

_TRIES = 4  # times that a warm start is tried with a smaller bound
_ROOM = 0.995  # the part of a bound that is aimed at where the last error was beyond it
_MESSAGES = 32  # after so many messages, everything is chosen anew


@dataclass
class Coder:
    """Codes vectors of one shape and dtype.

    before: the method of the last one, and what codes the next one like it. age: how many came
    since everything was chosen. share: the part of the bound that the method is given. It is below
    1 where what counts is larger than the error that the method measures: the worst of joined
    tensors, or what rounding to a dtype adds.
    """

    name: str
    choice: Choice
    before: tuple[int, Again] | None = None
    age: int = field(default=0)
    share: float = field(default=1.0)

    def encode(self, values: np.ndarray, target: Target) -> tuple[Parcel, np.ndarray]:
        """(the coded vector, the values that it decodes to, in the same dtype and shape)."""
        if self._is_zero(values, target):
            return Parcel(ZERO, float(values.any())), np.zeros_like(values)
        source = ArraySource(values)
        return self._again(source, target) or self._anew(source, target)

    def _is_zero(self, values: np.ndarray, target: Target) -> bool:
        """Whether zeros will do. Under alpha they need not keep their signs."""
        if self.choice.guarantee.kind == "alpha":
            return target.bound >= 1 or not values.any()
        return not values.reshape(-1).view(np.uint8).any()

    def _again(self, source: ArraySource, target: Target) -> tuple[Parcel, np.ndarray] | None:
        """By what the last message chose; None where that does not fit any more."""
        self.age += 1
        if self.before is None or self.age > _MESSAGES:
            return None
        method, again = self.before
        for _ in range(_TRIES):
            payload = again(source, replace(self.choice.guarantee, bound=self.share * target.bound))
            if payload is None:
                return None
            back = _values(method, source, payload)
            error = target.measure(back)
            self._aim(error, target.bound)
            if error <= target.bound:
                self._remember(method, payload)
                return replace(_parcel(method, source, payload), error=error), back
        return None

    def _aim(self, error: float, bound: float) -> None:
        """Choose the share so that the next error is just within the bound.

        Where the method measures what counts, the share is 1, and stays 1.
        """
        if error > bound or (self.share < 1 and error > 0):
            self.share = min(self.share * _ROOM * bound / error, 1.0)

    def _remember(self, method: int, payload: Payload) -> None:
        """Keep of a payload only what the next one begins with: the rest takes much memory."""
        self.before = (method, payload.again) if payload.again else None

    def _anew(self, source: ArraySource, target: Target) -> tuple[Parcel, np.ndarray]:
        bound = target.bound
        choice = replace(self.choice, guarantee=replace(self.choice.guarantee, bound=bound))
        while True:
            with auto.compress(self.name, source, choice) as coded:
                header, payload = coded.header, coded.payload
                made = _parcel_of(header, b"".join(coded.pieces()))
            back = unpacked(made, TensorSpec(source.dtype, source.shape))
            error = target.measure(back) if header.expected is None else header.expected
            if error <= bound:
                self._remember(header.compressor, payload)
                self.age = 0
                self.share = choice.guarantee.bound / bound if bound else 1.0
                return replace(made, error=error), back
            if header.guarantee.kind == "exact":
                raise InvalidInput(
                    f"{self.name}: roundings to its dtype alone are an error of {error:.2g}, beyond the bound {bound:.2g}; "
                    "give a larger bound, or a channel without feedback"
                )
            tighter = choice.guarantee.bound * min(bound / error, 0.99)
            choice = replace(choice, guarantee=replace(choice.guarantee, bound=max(tighter, math.ulp(0.0))))


def _values(method: int, source: ArraySource, payload: Payload) -> np.ndarray:
    """What a payload will be decoded to, of the shape of the source."""
    if payload.values is not None:
        return payload.values().reshape(source.shape)
    return unpacked(_parcel(method, source, payload), TensorSpec(source.dtype, source.shape))


def _parcel_of(header: TensorHeader, body: bytes) -> Parcel:
    ends = np.cumsum([header.head_length, *(chunk.length for chunk in header.chunks)])
    head, *chunks = (body[end - length : end] for end, length in zip(ends, np.diff(ends, prepend=0), strict=True))
    return Parcel(header.compressor, 0.0, header.chunk, head, tuple(chunks))


def _parcel(method: int, source: ArraySource, payload: Payload) -> Parcel:
    chunks = tuple(payload.code(*span) for span in spans(source.size, payload.chunk))
    return Parcel(method, 0.0, payload.chunk, payload.head, chunks)
