"""The contract of a compressor.

A compressor turns a tensor into a *head* (what all of its chunks share: a norm, a step, tables) and *chunks* (the coded
bytes of `chunk` consecutive values each, the last one shorter), and back. Head and chunks are its *payload*. Chunks are
coded and decoded independently, in any order and by several threads, so a tensor may be larger than memory and a slice
can be decoded alone.

What a compressor must have:

* `encode(source, guarantee)` makes all passes over the tensor that it needs to choose its parameters, and returns a
  Payload whose `code(start, stop)` gives the bytes of one chunk.
* `decoder(head, spec)` parses the head once and returns a function `decode(data, start, count)` that gives the `count`
  values from flat index `start` on, in the work dtype of `dtypes.work_dtype` (or in the tensor's own dtype). It uses
  exact arithmetic only (spec/arithmetic.md), and raises `Corrupt` on any data that it cannot have written; it never
  trusts a length or an index that it read.
* `work(head, spec)`, or the number `work_per_value` that its default multiplies, says what decoding costs.

What it may have, each with a default that says nothing: `upper_bound`, `checks` and `encode_again`, which `verify` asks,
and `message_options`, which the experiments ask. They get plain data: a CodedTensor and a Source.

What a compressor promises is checked by its caller, on the bytes that it made: see `pipeline.compress`. A miss leads to a
second try with a smaller bound and at last to exact storage, so a wrong compressor costs bits but never breaks a promise.

A compressor is a frozen dataclass: its fields are its options (`seed`, `effort`, …), each with a default. One that can be
unbiased has the field `seed`, a whole number. It writes every parameter that decoding needs into the head; the
guarantee's bound is not among them (it may have been tightened by a retry).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar

import numpy as np

from ..source import Source

CHUNK = 1 << 20  # the most values that a chunk may hold
Decode = Callable[[bytes, int, int], np.ndarray]


class TooFine(Exception):
    """A bound asks for finer steps than a compressor's format has; its caller then stores the tensor exactly."""


@dataclass(frozen=True)
class Guarantee:
    """What is promised of the decoded tensor x̂, in its own dtype.

    kind "alpha": ‖x̂ − x‖² ≤ bound·‖x‖², for every input. kind "omega": E x̂ = x and E‖x̂ − x‖² ≤ bound·‖x‖² over the seed.
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
    """The coded form of a tensor, about to be written or read back.

    head: bytes that every chunk's decoder needs. chunk: values a chunk (1…CHUNK; of a tensor with more than one chunk).
    code: (start, stop) → the bytes of the chunk with these values; a pure function, called from several threads.
    expected: for an unbiased compressor, E‖x̂ − x‖²/‖x‖² of this very tensor or an upper bound of it; else None.
    """

    head: bytes
    chunk: int
    code: Callable[[int, int], bytes]
    expected: float | None = None


@dataclass(frozen=True)
class CodedTensor:
    """What a record says of a tensor: dtype and shape, the guarantee, and the payload, whose `code` reads the chunks."""

    spec: TensorSpec
    guarantee: Guarantee
    payload: Payload

    @property
    def spans(self) -> list[tuple[int, int]]:
        """The flat indices (start, stop) of each chunk."""
        size, chunk = self.spec.size, self.payload.chunk
        return [(start, min(start + chunk, size)) for start in range(0, size, chunk)]


@dataclass(frozen=True)
class UpperBound:
    """A number of bits that a payload does not exceed, and what it is in words.

    certain: whether it holds for every input; otherwise it holds in expectation over the seed, and one payload may exceed it.
    """

    bits: float
    words: str
    certain: bool = True


@dataclass(frozen=True)
class Check:
    """One thing that was looked at: its name, whether it is as promised, and a line that says what was found."""

    name: str
    ok: bool
    detail: str


class Compressor(ABC):
    """An encoder–decoder pair; the module's text has the contract."""

    version: ClassVar[int] = 1  # of the payload's format
    work_per_value: ClassVar[int]  # about the nanoseconds that a value takes to decode, at worst
    kinds: ClassVar[tuple[str, ...]]  # the guarantees that it can give, the preferred one first

    @abstractmethod
    def encode(self, source: Source, guarantee: Guarantee) -> Payload:
        """Choose parameters for a non-empty, finite tensor with a non-zero value (to be exact: for any non-empty tensor).

        Raises InvalidInput for a tensor, a bound or an option that it is not made for, and TooFine.
        """

    @classmethod
    @abstractmethod
    def decoder(cls, head: bytes, spec: TensorSpec) -> Decode:
        """A decoder of the chunks; raises Corrupt when the head cannot be right."""

    @classmethod
    def work(cls, head: bytes, spec: TensorSpec) -> int:
        """About the nanoseconds that decoding a tensor takes at worst, whatever its chunks hold: see container/budget.py.

        It is found from the head without doing the work; raises Corrupt.
        """
        return cls.work_per_value * spec.size

    @classmethod
    def upper_bound(cls, coded: CodedTensor) -> UpperBound | None:
        """The bits that theory allows for this payload, its coder's constants included; None where theory has no such bound.

        It is found from the head, the guarantee and the lengths, without reading a chunk.
        """
        return None

    @classmethod
    def checks(cls, coded: CodedTensor, original: Source | None, trials: int) -> Iterable[Check]:
        """What the chunks show beyond the guarantee, such as codes that are as long as theory says.

        original: the tensor that was encoded, when it is at hand. trials: how many random experiments to make; 0: none.
        The head and the chunks have been decoded without an error before.
        """
        return ()

    @classmethod
    def encode_again(cls, coded: CodedTensor, source: Source, seed: int) -> Payload:
        """The payload of the coded tensor's `source` with another seed, the parameters that do not depend on it as before.

        By default those parameters are the ones that an encoder with default options chooses for the same guarantee.
        """
        return cls(seed=seed).encode(source, coded.guarantee)  # type: ignore[call-arg]  # a dataclass with this field

    @classmethod
    def message_options(cls, spec: TensorSpec, guarantee: Guarantee) -> dict[str, Any]:
        """Options for thousands of messages of this kind, where encoding one may take milliseconds; {}: the defaults."""
        return {}


@dataclass(frozen=True)
class Entry:
    """A compressor as the registry lists it, known without importing it.

    id: its number in a file. name: that of the method. path: "module:Class", imported on first use. summary: one line.
    efforts: those in which `auto` tries it. matrix: it is made for matrices, and refuses other tensors. whole: it takes
    memory that grows with the tensor, so `auto` leaves it out for the largest ones.
    """

    id: int
    name: str
    path: str
    summary: str
    efforts: tuple[str, ...] = ()
    matrix: bool = False
    whole: bool = False

    def load(self) -> type[Compressor]:
        """The class; raises what importing it raises."""
        module, _, name = self.path.partition(":")
        found: type[Compressor] = getattr(import_module(module), name)
        return found
