"""The two ends of a channel: lists of tensors in, messages out, and back."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from .. import dtypes, ieee
from ..arguments import check_number, whole_number
from ..compressors.contract import Guarantee
from ..distortion import Scan
from ..errors import InvalidInput
from ..request.choice import Effort, choose
from ..source import matricise
from .buffers import check_out
from .coder import Coder
from .contained import contained
from .decoding import arrays_of, as_coded, crc_of, enough_memory
from .joined import encode_joined
from .manifest import Example, Manifest
from .message import Message, Parcel, bytes_of
from .state import state_of
from .target import Target, measure_of, scan_of, share_left_out, shares

Scope = Literal["tensor", "message"]
_OF_MATRICES = ("klt",)  # methods in whose place vectors are coded by ecsq
_EMPTY = np.empty(0)
_JOINED = -1  # the number of the coder of the joined tensors


class Channel:
    """Messages of the same tensors, again and again: gradients, or changes of a model.

    >>> sender = Channel({"weight": ((64, 64), np.float32)}, alpha=0.1)
    >>> receiver = Channel({"weight": ((64, 64), np.float32)})
    >>> message = sender.encode([np.ones((64, 64), np.float32)])
    >>> bool(np.array_equal(receiver.decode(message)[0], sender.decoded[0]))
    True

    Both ends make a channel of the same tensors. A message says everything that decoding needs, so
    a lost one harms no other. Only the sending end remembers: what the search for the last message
    found, which makes the next one cheap, and with feedback what was not sent yet.
    """

    def __init__(
        self,
        tensors: Mapping[str, Example] | str,
        method: str = "auto",
        *,
        alpha: float | None = None,
        omega: float | None = None,
        pointwise: float | None = None,
        lossless: bool = False,
        scope: Scope = "tensor",
        effort: Effort = "best",
        feedback: bool | float = True,
        seed: int | None = None,
        rank: int = 0,
        threads: int | None = None,
    ) -> None:
        """tensors: for each name an array like those to come, or its shape and dtype; or the text
        that `specs` is.

        method, alpha, omega, pointwise, lossless, effort, threads: as for `gcodec.encode`. The
        bound holds for each floating tensor; others are exact. scope: with "message", alpha holds
        for all tensors together, as one vector, and those that hardly matter wait. feedback:
        whether what a message leaves out under alpha is added to the next one, or how much of it,
        as a factor between 0 and 1. With all of it nothing is lost for good, and training bears
        bounds that it would not bear without. seed, rank: of an unbiased method; the noise of each
        message follows from seed, rank, step and tensor.
        Without a seed it is fresh.

        Raises InvalidInput.
        """
        self.manifest = Manifest.of(tensors)
        self._choice = choose(
            method, alpha=alpha, omega=omega, pointwise=pointwise, lossless=lossless, effort=effort, threads=threads
        )
        kind = self._choice.guarantee.kind
        if scope not in ("tensor", "message") or (scope == "message" and kind != "alpha"):
            raise InvalidInput('scope is "tensor", or with a bound alpha "message"')
        self._whole = scope == "message"
        self._seed = None if seed is None else whole_number("seed", seed)
        self._rank = whole_number("rank", rank)
        check_number("feedback", int(feedback) if isinstance(feedback, bool | np.bool_) else feedback)
        if not 0 <= feedback <= 1:
            raise InvalidInput(f"feedback is a factor between 0 and 1, not {feedback}")
        self._feedback = np.float32(feedback if kind == "alpha" else 0)
        self._coders: dict[int, Coder] = {}
        self._memory: dict[int, np.ndarray] = {}
        self._sums: dict[int, np.ndarray] = {}  # room for gradients with the memory in them
        self.step = 0
        self.received: int | None = None
        self.decoded: list[np.ndarray] = []
        self.error = 0.0

    def encode(self, arrays: Sequence[Any] | Mapping[str, Any], bound: float | None = None) -> bytes:
        """The message of these arrays, in the order of the tensors, or by name.

        bound: of this message and those after it, in the place of the one before. One thread at a
        time may encode.

        Afterwards `decoded` has what the other end will see, `error` says which share of the energy
        was left out, at most, and `step` is one more. Raises
        InvalidInput for arrays of another shape or dtype, and for a bound finer than what a dtype
        can hold of the sum with the memory; and NonFinite. They name the tensor, and memory, step
        and bound are as before.
        """
        given, before = self.manifest.arrays(arrays), self._choice
        if bound is not None:
            self._choice = replace(before, guarantee=self._bounded(bound))
        try:
            message, sums = self._message(given)
        except BaseException:
            self._choice = before
            raise
        if self._feedback:
            for i, array in enumerate(given):
                if dtypes.is_float(array.dtype):
                    self._keep(i, sums[i])
        self.step += 1
        return message

    def decode(self, data: bytes, out: Sequence[np.ndarray] | None = None) -> list[np.ndarray]:
        """The arrays of a message; with `out`, they are put into these arrays.

        out: an array of the right shape and dtype for each tensor, in order, none of which shares
        memory with another one. Where decode raises an error, they are as before.

        Raises InvalidInput for other arrays, and for what is no bytes; an error of the FormatError
        family for damaged bytes and for a message of other tensors; UnsupportedVersion or
        UnsupportedFeature; LimitExceeded for a message that takes far more time than its tensors'
        sizes let expect; and OutOfMemory.

        Messages that come twice, or in another order, are decoded like all others. `received` is
        the step of this one afterwards: the `step` that the sending end had before it encoded.
        """
        if out is not None:
            check_out(out, self.manifest)
        with enough_memory(self.manifest):
            message = Message.unpack(bytes_of(data), self.manifest)
            arrays = arrays_of(message, self.manifest)
        self.received = message.step
        if out is None:
            return arrays
        for target, array in zip(out, arrays, strict=True):
            target[...] = array
        return list(out)

    @property
    def specs(self) -> str:
        """The tensors as a text, with which both ends, `gcodec decode` and `verify` know them."""
        return self.manifest.text

    def container(self, data: bytes) -> bytes:
        """A message as a container, which `gcodec.load`, `verify` and all other tools take.

        It has the message's tensors by name. Raises what `decode` raises.
        """
        with enough_memory(self.manifest):
            return contained(bytes_of(data), self.manifest)

    def state_dict(self) -> dict[str, Any]:
        """What a training checkpoint needs of the sending end: the step, and the memory by name."""
        names = self.manifest.names
        return {"step": self.step, "memory": {names[i]: array.copy() for i, array in self._memory.items()}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where `state_dict` was taken.

        Raises InvalidInput for what is no state, for that of other tensors, and for a memory where
        this channel has none; then the channel is as before.
        """
        self.step, self._memory = state_of(state, self.manifest, feedback=bool(self._feedback))

    def _bounded(self, bound: float) -> Guarantee:
        """The guarantee of this channel with another bound. Raises InvalidInput."""
        kind = self._choice.guarantee.kind
        if kind == "exact":
            raise InvalidInput("this channel is lossless, and its messages have no bound")
        check_number("bound", bound)
        return choose(self._choice.method, **{kind: bound}).guarantee  # type: ignore[arg-type]

    def _message(self, given: Sequence[np.ndarray]) -> tuple[bytes, list[np.ndarray]]:
        """(the message, what it was coded from: the arrays with the memory in them)."""
        with ieee.arithmetic():
            sums = [self._with_memory(i, array) for i, array in enumerate(given)]
            self.decoded, scales, parcels = self._coded(sums)
        message = Message(self._choice.guarantee, self.step, parcels, scales, crc_of(self.decoded), self._whole)
        return message.pack(self.manifest), sums

    def _coded(self, sums: Sequence[np.ndarray]) -> tuple[list[np.ndarray], np.ndarray, tuple[Parcel, ...]]:
        """(what each tensor decodes to, the scales of the joined ones, the parcels)."""
        kind, specs, names = self._choice.guarantee.kind, self.manifest.specs, self.manifest.names
        alone, small = self.manifest.alone(kind), self.manifest.joined(kind)
        scans = [scan_of(name, array) for name, array in zip(names, sums, strict=True)]
        decoded, parcels, scales = [_EMPTY] * len(specs), [], np.zeros(0, np.uint16)
        for i, target in zip(alone, self._targets(alone, sums, scans), strict=True):
            parcel, back = self._coder(i).encode(sums[i], target)
            parcels.append(parcel)
            decoded[i] = dtypes.narrow(back, specs[i].dtype)
        if small:
            targets = [self._target(i, sums[i], scans[i], self._choice.guarantee.bound) for i in small]
            scales, parcel, parts = encode_joined(self._coder(_JOINED), [sums[i] for i in small], targets)
            parcels.append(parcel)
            for i, part in zip(small, parts, strict=True):
                decoded[i] = dtypes.narrow(part, specs[i].dtype)
        errors = [parcel.error for parcel in parcels]
        self.error = share_left_out(
            [*errors[: len(alone)], *errors[len(alone) :] * len(small)], [scans[i] for i in (*alone, *small)]
        )
        for i, spec in enumerate(specs):
            decoded[i] = decoded[i] if spec.size else np.zeros(spec.shape, spec.dtype)
        return decoded, scales, tuple(parcels)

    def _targets(self, alone: Sequence[int], sums: Sequence[np.ndarray], scans: Sequence[Scan | None]) -> list[Target]:
        """What the tensors that are alone have to meet."""
        bounds = [self._choice.guarantee.bound] * len(alone)
        if self._whole:
            bounds = shares(bounds[0], [self.manifest.specs[i] for i in alone], [scans[i] for i in alone])
        return [self._target(i, sums[i], scans[i], bound) for i, bound in zip(alone, bounds, strict=True)]

    def _target(self, i: int, array: np.ndarray, scan: Scan | None, bound: float) -> Target:
        return Target(bound, measure_of(self._choice.guarantee.kind, array, self.manifest.specs[i].dtype, scan))

    def _keep(self, i: int, array: np.ndarray) -> None:
        """Keep for the next message what was left out of an array, with its memory in it."""
        if i not in self._memory:
            self._memory[i] = np.empty_like(array)
        left = np.subtract(array, dtypes.widen(self.decoded[i]), out=self._memory[i])
        if self._feedback != 1:
            left *= self._feedback

    def _with_memory(self, i: int, array: np.ndarray) -> np.ndarray:
        """What is to be sent, of the dtype that it is coded in."""
        wide = array.astype(as_coded(self.manifest.specs[i], self._choice.guarantee.kind).dtype, copy=False)
        if i not in self._memory:
            return wide
        if i not in self._sums:
            self._sums[i] = np.empty_like(wide)
        np.add(wide, self._memory[i], out=self._sums[i])
        return self._sums[i]

    def _coder(self, i: int) -> Coder:
        """The coder of a tensor, or of the joined ones; with a seed, one for this message alone."""
        name = "the joined small tensors" if i == _JOINED else self.manifest.names[i]
        if self._choice.method in _OF_MATRICES and (i == _JOINED or min(matricise(self.manifest.specs[i].shape)) == 1):
            return self._coders.setdefault(i, Coder(name, replace(self._choice, method="ecsq", options={})))
        if self._choice.guarantee.kind == "omega" and self._seed is not None:
            mixed = hashlib.blake2b(f"{self._seed} {self._rank} {self.step}".encode(), digest_size=8).digest()
            options = self._choice.options | {"seed": int.from_bytes(mixed, "little")}
            return Coder(name, replace(self._choice, options=options))
        return self._coders.setdefault(i, Coder(name, self._choice))
