"""The contract of a compressor.

A compressor turns a tensor into a *head* (what all of its chunks share: a norm, a step, tables) and *chunks* (the coded
bytes of `chunk` consecutive values each, the last one shorter), and back. Chunks are coded and decoded independently,
in any order and by several threads, so a tensor may be larger than memory and a slice can be decoded alone.

Encoding: `encode(source, guarantee)` makes all passes over the tensor that it needs to choose its parameters, and
returns a Payload whose `code(start, stop)` gives the bytes of one chunk.

Decoding: `decoder(head, spec)` parses the head once and returns a function `decode(data, start, count)` that gives the
`count` values from flat index `start` on, in the work dtype of `dtypes.work_dtype` (or in the tensor's own dtype).
It uses exact arithmetic only (spec/arithmetic.md), and raises `Corrupt` on any data that it cannot have written; it
never trusts a length or an index that it read.

What a compressor promises is checked by its caller, on the bytes it made: see `pipeline.compress`. A miss leads to a second
try with a smaller bound and at last to `lossless`, so a wrong compressor costs bits but never breaks a promise.

A compressor is a frozen dataclass: its fields are its options (`seed`, `effort`, …). It writes every parameter that
decoding needs into the head; the guarantee's bound is not among them (it may have been tightened by a retry).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..source import Source

CHUNK = 1 << 20  # the most values that a chunk may hold
Decode = Callable[[bytes, int, int], np.ndarray]


class TooFine(Exception):
    """A bound asks for finer steps than a compressor's format has; its caller then stores the tensor exactly."""


@dataclass(frozen=True)
class Guarantee:
    """What is promised of the decoded tensor x̂, in its own dtype.

    kind "alpha": ‖x̂ − x‖² ≤ bound·‖x‖², surely. kind "omega": E x̂ = x and E‖x̂ − x‖² ≤ bound·‖x‖² over the seed.
    kind "exact": x̂ is x, bit for bit (bound 0).
    """

    kind: str
    bound: float = 0.0


@dataclass(frozen=True)
class TensorSpec:
    """Dtype and shape of a tensor."""

    dtype: np.dtype
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        size = 1
        for n in self.shape:
            size *= n
        return size


@dataclass(frozen=True)
class Payload:
    """A tensor about to be coded.

    head: bytes that every chunk's decoder needs. chunk: values a chunk (1…CHUNK; of a tensor with more than one chunk).
    code: (start, stop) → the bytes of the chunk with these values; a pure function, called from several threads.
    expected: for an unbiased compressor, E‖x̂ − x‖²/‖x‖² of this very tensor or an upper bound of it; else None.
    """

    head: bytes
    chunk: int
    code: Callable[[int, int], bytes]
    expected: float | None = None


class Compressor(ABC):
    """An encoder–decoder pair; see the module's text for the contract."""

    version: ClassVar[int] = 1  # of the payload's format
    work_per_value: ClassVar[int]  # about the nanoseconds that a value takes to decode, at worst
    kinds: ClassVar[tuple[str, ...]]  # the guarantees it can give

    @abstractmethod
    def encode(self, source: Source, guarantee: Guarantee) -> Payload:
        """Choose parameters for a non-empty, finite tensor with a non-zero value.

        Raises InvalidInput for a tensor, a bound or an option that it is not made for, and TooFine.
        """

    @classmethod
    def work(cls, head: bytes, spec: TensorSpec) -> int:
        """About the nanoseconds that decoding a tensor takes at worst, whatever its chunks hold: see container/budget.py.

        Told from the head without doing the work; raises Corrupt.
        """
        return cls.work_per_value * spec.size

    @classmethod
    @abstractmethod
    def decoder(cls, head: bytes, spec: TensorSpec) -> Decode:
        """A decoder of the chunks; raises Corrupt when the head cannot be right."""
