"""The contract of a compressor.

A compressor turns a tensor into a *payload* and back. A payload is a *head* (what all chunks share:
a norm, a step, tables) and *chunks* (the coded bytes of `chunk` consecutive values each; the last
chunk may be shorter). Chunks are coded and decoded independently, in any order and by several
threads, so a tensor may be larger than memory and a slice can be decoded alone.

A compressor must have:

* `encode(source, guarantee)`, which makes all passes over the tensor that it needs to choose its
  parameters, and returns a Payload whose `code(start, stop)` gives the bytes of one chunk.
* `decoder(head, spec)`, which parses the head once and returns a function `decode(data, start,
  count)`. That gives the `count` values from flat index `start` on, in the work dtype of
  `dtypes.work_dtype` or in the tensor's own dtype. It uses exact arithmetic only
  (spec/arithmetic.md), it never trusts a length or an index that it read, and it raises Corrupt
  on any data that the encoder cannot have written.
* `work(head, spec)`, what decoding costs, or `work_per_value`, which the default multiplies.

A compressor may have `upper_bound`, `checks`, `may_try` and `encode_again`, which `verify` asks;
`sections`, `yardsticks` and `arrays`, which `inspect` asks; and `message_options`, which the
experiments ask. Each has a default. They get plain data: a CodedTensor and a Source.

A compressor is not trusted. Its caller decodes the bytes that it made and measures them: see
`pipeline.compress`. A miss leads to more tries with a smaller bound and at last to exact storage.
So whatever `encode` does, the values that were decoded then meet an `alpha`, `pointwise` or `exact`
promise. Two things are not measured. One is that a later decoding gives the same values: that takes
a decoder that depends on its arguments alone. The crc of each chunk's decoded values shows if it
does not, and reading then fails. The other is the expectation that an `omega` promise speaks of:
the compressor must know it, and `verify --trials` tests it. What raises other errors, or gives
other types than it should, ends the call by an error that names the compressor.

A compressor is a frozen dataclass. Its fields are its options (`seed`, `effort`, …), each with a
default. One that can be unbiased has the field `seed`, an integer. Every parameter that decoding
needs is in the head. The bound is not among them, because a retry may have made it smaller.
"""

import math
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, ClassVar

import numpy as np

from ..errors import InternalError
from ..source import Source

CHUNK = 1 << 20  # the most values that a chunk may hold
LOOSEST = 2.0**64  # an omega above asks for nothing more, and would overflow in what compressors compute
Decode = Callable[[bytes, int, int], np.ndarray]


class TooFine(Exception):
    """A bound asks for finer steps than a format has; the caller then stores the tensor exactly."""


@dataclass(frozen=True)
class Guarantee:
    """What is promised of the decoded tensor x̂, in its own dtype.

    kind "alpha": ‖x̂ − x‖² ≤ bound·‖x‖², for every input.
    kind "omega": E x̂ = x and E‖x̂ − x‖² ≤ bound·‖x‖² over the seed.
    kind "pointwise": |x̂ᵢ − xᵢ| ≤ bound·|xᵢ| for every i; signs are kept, those of zeros too.
    kind "exact": x̂ is x, bit for bit; the bound is 0.
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
        return math.prod(self.shape)


@dataclass(frozen=True)
class Payload:
    """The coded form of a tensor, about to be written or read back.

    head: the bytes that every chunk's decoder needs.
    chunk: how many values a chunk has, 1 … CHUNK (as many as the tensor, if that has one chunk).
    code: a pure function (start, stop) → the bytes of the chunk with these values, for all threads.
    expected: of an unbiased compressor, E‖x̂ − x‖²/‖x‖² of this tensor, or more. None for others.
    again: codes a tensor of the same shape and dtype by this payload's parameters, without most of
        the search; it gives None where they do not fit. None where there is no such way.
    values: gives what is decoded, flat, in the work dtype. None where the encoder does not know it.
    """

    head: bytes
    chunk: int
    code: Callable[[int, int], bytes]
    expected: float | None = None
    again: "Callable[[Source, Guarantee], Payload | None] | None" = None
    values: Callable[[], np.ndarray] | None = None


@dataclass(frozen=True)
class Plan:
    """What a compressor is about to do with a tensor.

    least, most: the numbers of bits between which the payload is likely to be. payload: makes it.
    worth: how many times the bits of another payload it is worth; above 1 where it keeps more.
    closer: gives a better `least` by a part of the work that `payload` then need not do again.
    """

    least: float
    most: float
    payload: Callable[[], Payload]
    worth: float = 1.0
    closer: Callable[[], float] | None = None


@dataclass(frozen=True)
class CodedTensor:
    """A tensor as its record describes it. The payload's `code` reads the written chunks."""

    spec: TensorSpec
    guarantee: Guarantee
    payload: Payload

    @property
    def spans(self) -> list[tuple[int, int]]:
        """The flat indices (start, stop) of each chunk."""
        size, chunk = self.spec.size, self.payload.chunk
        return [(start, min(start + chunk, size)) for start in range(0, size, chunk)]

    @property
    def bits(self) -> int:
        """The length of head and chunks. All chunks are read."""
        return 8 * (len(self.payload.head) + sum(len(self.payload.code(*span)) for span in self.spans))


@dataclass(frozen=True)
class UpperBound:
    """A number of bits that a payload does not exceed, and what it is in words.

    certain: it holds for every input, not only for the mean over seeds. overhead: the coder's part.
    """

    bits: float
    words: str
    certain: bool = True
    overhead: float = 0.0


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    name: a word or two. ok: whether it is as promised. detail: what was found, in one line.
    """

    name: str
    ok: bool
    detail: str


@dataclass(frozen=True)
class Section:
    """A part of a payload, and what it costs.

    name: what it is, in a few words. bits: what it takes, over head and all chunks. Parts of a
    joint code have their shares, which need not be whole. Together the sections have all bits of
    the payload. formula: the bits that the paper counts for it; None where the paper has no such
    part. note: why it differs from the formula, or what it holds.
    """

    name: str
    bits: float
    formula: float | None = None
    note: str = ""


class Compressor(ABC):
    """An encoder–decoder pair; the module's text has the contract."""

    version: ClassVar[int] = 1  # the version of the payload's format
    work_per_value: ClassVar[int]  # about the nanoseconds that a value takes to decode, at worst
    kinds: ClassVar[tuple[str, ...]]  # the guarantees that it can give, the preferred one first

    @abstractmethod
    def encode(self, source: Source, guarantee: Guarantee) -> Payload:
        """The payload of a tensor: choose the parameters, and say how each chunk is coded.

        The tensor is not empty. If the guarantee is not "exact", it is of a floating dtype, finite,
        and not zero throughout. Raises InvalidInput for a tensor, a bound or an option that the
        compressor is not made for, and TooFine.
        """

    def plan(self, source: Source, guarantee: Guarantee) -> Plan:
        """What `encode` is about to give, as far as a short look at the tensor tells.

        `auto` codes only what may win by its plan. By default, nothing is known beforehand. Raises
        what `encode` raises.
        """
        return Plan(0.0, math.inf, lambda: self.encode(source, guarantee))

    @classmethod
    @abstractmethod
    def decoder(cls, head: bytes, spec: TensorSpec) -> Decode:
        """A decoder of the chunks; raises Corrupt when the head cannot be right."""

    @classmethod
    def work(cls, head: bytes, spec: TensorSpec) -> int:
        """About how many nanoseconds decoding takes at worst, whatever the chunks hold.

        The head alone says so, and the work is not done: see container/budget.py. Raises Corrupt.
        """
        return cls.work_per_value * spec.size

    @classmethod
    def upper_bound(cls, coded: CodedTensor) -> UpperBound | None:
        """The most bits that theory allows for this payload, the coder's constants included.

        None if theory has no such bound. No chunk is read.
        """
        return None

    @classmethod
    def may_try(cls, coded: CodedTensor) -> bool:
        """Whether random experiments say something about such a payload."""
        return coded.guarantee.kind == "omega"

    @classmethod
    def checks(cls, coded: CodedTensor, original: Source | None, trials: int) -> Iterable[Check]:
        """What can be checked of this compressor's payloads beyond the guarantee.

        original: the tensor that was encoded, if it is at hand. It is finite and not zero, unless
        the guarantee is "exact". trials: how many random experiments the user wants; 0 where
        `may_try` says no. Head and chunks have been decoded without an error before.
        """
        return ()

    @classmethod
    def sections(cls, coded: CodedTensor) -> Sequence[Section]:
        """What the bits of the payload are for. All chunks are read and parsed."""
        return Section("head", 8.0 * len(coded.payload.head)), Section(
            "chunks", coded.bits - 8.0 * len(coded.payload.head)
        )

    @classmethod
    def yardsticks(cls, coded: CodedTensor) -> Sequence[tuple[str, float]]:
        """What theory says that such a payload takes: words and bits."""
        return ()

    @classmethod
    def arrays(cls, coded: CodedTensor) -> Mapping[str, np.ndarray]:
        """What the payload holds, as arrays to look at: levels, signs, norms, …; by name."""
        return {}

    @classmethod
    def encode_again(cls, coded: CodedTensor, source: Source, seed: int) -> Payload:
        """Encode the tensor once more as it was encoded, with another seed.

        source: the original. The default has default options; parameters in the head must be kept.
        """
        return cls(seed=seed).encode(source, coded.guarantee)  # type: ignore[call-arg]  # it has that field

    @classmethod
    def message_options(cls, spec: TensorSpec, guarantee: Guarantee) -> dict[str, Any]:
        """Options for thousands of messages of this kind, each encoded within milliseconds."""
        return {}


@dataclass(frozen=True)
class Entry:
    """A compressor as the registry lists it: what can be said without importing it.

    id: its number in a file. name: what users call the method. path: "module:Class", imported on
    first use. summary: one line. efforts: those in which `auto` tries it, and up to how many values
    of a tensor. matrix: whether it is made for matrices alone. beaten_by: a method that takes fewer
    bits for every tensor that takes more than few bits a value, if there is one.
    """

    id: int
    name: str
    path: str
    summary: str
    efforts: Mapping[str, float] = field(default_factory=dict)
    matrix: bool = False
    beaten_by: str = ""

    def load(self) -> type[Compressor]:
        """The class; raises what importing it raises."""
        module, _, name = self.path.partition(":")
        found: type[Compressor] | None = getattr(sys.modules.get(module), name, None)
        return found or getattr(import_module(module), name)  # which waits for a thread that imports it

    def fault(self, words: str) -> Exception:
        """The error that stands for a fault of this compressor."""
        return InternalError(f"{self.name}: {words}")
