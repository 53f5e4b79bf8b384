"""Weights from one sender to many receivers: updates, each against what the receivers have.

    trainer ── UpdateSender.update ── bytes ── UpdateReceiver.apply ── inference
               UpdateSender.keyframe ── for a receiver that joins, or has missed an update

The sender keeps what a receiver has, bit for bit, and codes the change from that. So errors do not
add up. See spec/updates.md.
"""

import io
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .. import dtypes, ieee
from ..container.budget import Budget
from ..container.fields import Cursor, crc32, pack_varint
from ..container.reader import Stream
from ..distortion import part_error, relative_error, scan_source
from ..errors import ChecksumMismatch, Corrupt, InvalidInput, MissingBase, NotGcodec, UnsupportedVersion
from ..parallel import thread_count
from ..pipeline.archive import read_tensor
from ..pipeline.bases.bases import Bases
from ..pipeline.bases.places import Sources
from ..pipeline.convert import encode_tensors
from ..request.choice import Choice, Effort, choose
from ..request.on_base import OnBase, OnBases
from ..source import ArraySource, Source
from .channel import Channel
from .decoding import crc_of
from .manifest import Example, Manifest
from .message import bytes_of
from .target import scan_of

MAGIC, VERSION = b"GCU", 1
KEYFRAME, RECORDS, CHANGES = range(3)  # what an update's body is
Tensors = Sequence[Any] | Mapping[str, Any]


class UpdateSender:
    """The end that has the weights.

    >>> sender = UpdateSender({"weight": ((64, 64), np.float32)}, alpha=0.1)
    >>> receiver = UpdateReceiver({"weight": ((64, 64), np.float32)})
    >>> weights = receiver.apply(sender.update([np.ones((64, 64), np.float32)]))

    The first update, and that of `keyframe`, stand alone; every other one is a change from the
    last. decoded: what every receiver has after the last update, bit for bit. step: how many there
    were.
    """

    def __init__(
        self,
        tensors: Mapping[str, Example],
        *,
        alpha: float | None = None,
        lossless: bool = False,
        effort: Effort = "best",
        threads: int | None = None,
    ) -> None:
        """tensors: for each name an array like those to come, or its shape and dtype.

        alpha: ‖x̂ − x‖² ≤ alpha·‖x − have‖² for each floating tensor x and what receivers have of
        it. lossless: receivers get x, bit for bit. One of the two is needed. effort, threads: as
        for `gcodec.encode`. Raises InvalidInput.
        """
        self.manifest = Manifest.of(tensors)
        if (alpha is None) == (not lossless):
            raise InvalidInput("an UpdateSender needs a bound alpha, or lossless=True, and not both")
        self._choice = choose(alpha=alpha, lossless=lossless, effort=effort, threads=threads)
        self._threads = thread_count(threads)
        changes = {name: (spec.shape, _changed(spec.dtype)) for name, spec in self._named()}
        self._channel = Channel(changes, alpha=alpha, effort=effort, feedback=False, threads=threads) if alpha else None
        self.decoded: list[np.ndarray] = []
        self.step = 0

    def update(self, arrays: Tensors) -> bytes:
        """The bytes that bring every receiver to these arrays.

        arrays: in the order of the tensors, or by name. Raises InvalidInput for arrays of another
        shape or dtype, and NonFinite; then nothing has happened.
        """
        given = self.manifest.arrays(arrays)
        if not self.decoded:
            return self._advance(KEYFRAME, self._records(given, self._exactly), given)
        made = self._by_channel(given)
        if made is None:
            self._check_finite(given)
            body = self._records(given, OnBases(lambda *_: self._choice, self._base))
            made = RECORDS, body, _read_records(body, self.manifest, self.decoded)
        return self._advance(*made)

    def keyframe(self) -> bytes:
        """The update that brings a receiver to where all others are, whatever it has.

        Raises InvalidInput before the first update.
        """
        if not self.decoded:
            raise InvalidInput("there was no update yet, so receivers have nothing")
        crc = crc_of(self.decoded)
        return Update(KEYFRAME, self.step, crc, crc, self._records(self.decoded, self._exactly)).pack()

    def _advance(self, kind: int, body: bytes, decoded: Sequence[np.ndarray]) -> bytes:
        before = crc_of(self.decoded)
        self.decoded = [array.copy() for array in decoded]
        self.step += 1
        return Update(kind, self.step, before, crc_of(self.decoded), body).pack()

    def _by_channel(self, given: Sequence[np.ndarray]) -> tuple[int, bytes, list[np.ndarray]] | None:
        """The changes as a channel's message; None where a sum, once rounded, misses its bound."""
        if self._channel is None:
            return None
        with ieee.arithmetic():
            pairs = zip(given, self.decoded, strict=True)
            changes = [
                x - have if dtypes.is_float(x.dtype) else x for x, have in ((_wide(x), _wide(h)) for x, h in pairs)
            ]
            if not all(np.isfinite(change).all() for change in changes if dtypes.is_float(change.dtype)):
                return None
            body = self._channel.encode(changes)
            decoded = _sums(self._channel.decoded, self.decoded)
            sound = all(self._within(*three) for three in zip(given, self.decoded, decoded, strict=True))
        return (CHANGES, body, decoded) if sound else None

    def _check_finite(self, given: Sequence[np.ndarray]) -> None:
        """Raise NonFinite for values for which no bound can hold."""
        if self._channel is not None:
            for name, array in zip(self.manifest.names, given, strict=True):
                scan_of(name, array)

    def _within(self, x: np.ndarray, have: np.ndarray, decoded: np.ndarray) -> bool:
        """Whether ‖decoded − x‖² ≤ alpha·‖x − have‖²."""
        if not dtypes.is_float(x.dtype) or np.array_equal(x, decoded):
            return True
        scan = scan_source("", ArraySource(x), "refuse")
        if scan is None or scan.norm2 == 0:
            return False
        error, change = (
            relative_error([part_error("alpha", x.reshape(-1), y.reshape(-1), scan)], scan) for y in (decoded, have)
        )
        return error <= self._choice.guarantee.bound * change * (1 - 2.0**-38)

    def _records(self, arrays: Sequence[np.ndarray], chooser: Any) -> bytes:
        """A container of the arrays."""
        file = io.BytesIO()
        sources: Iterable[tuple[str, Source]] = (
            (name, ArraySource(array)) for name, array in zip(self.manifest.names, arrays, strict=True)
        )
        for _ in encode_tensors(sources, {}, file, chooser, self._threads):
            pass
        return file.getvalue()

    def _exactly(self, name: str, source: Source) -> Choice:
        return replace(choose(lossless=True), threads=self._threads)

    def _base(self, name: str, source: Source) -> OnBase:
        return OnBase(ArraySource(self.decoded[self.manifest.names.index(name)]), name)

    def _named(self) -> Iterable[tuple[str, Any]]:
        return zip(self.manifest.names, self.manifest.specs, strict=True)


class UpdateReceiver:
    """An end that follows the weights.

    decoded: the weights after the last update; empty at first. step: the number of that update.
    """

    def __init__(self, tensors: Mapping[str, Example], *, threads: int | None = None) -> None:
        """tensors: as for the sender. Raises InvalidInput."""
        self.manifest = Manifest.of(tensors)
        changes = {
            name: (spec.shape, _changed(spec.dtype))
            for name, spec in zip(self.manifest.names, self.manifest.specs, strict=True)
        }
        self._channel = Channel(changes, threads=threads)
        self._threads = thread_count(threads)
        self.decoded: list[np.ndarray] = []
        self.step = 0

    def apply(self, data: bytes) -> list[np.ndarray]:
        """The weights after an update, which are read-only: later updates are changes from them.

        Raises MissingBase for one that is a change from other weights than this end has: it needs
        a keyframe. Raises an error of the FormatError family for damaged bytes. Then it has what
        it had before.
        """
        update = Update.unpack(bytes_of(data))
        if update.kind != KEYFRAME and (not self.decoded or update.before != crc_of(self.decoded)):
            raise MissingBase(
                f"update {update.step} is a change from weights that this receiver lacks (it has update {self.step}); ask the "
                "sender for a keyframe"
            )
        with ieee.arithmetic():
            if update.kind == CHANGES:
                decoded = _sums(self._channel.decode(update.body), self.decoded)
            else:
                decoded = _read_records(update.body, self.manifest, self.decoded if update.kind == RECORDS else [])
        if crc_of(decoded) != update.after:
            raise ChecksumMismatch("update: it decodes to other values than it was encoded from")
        for array in decoded:
            array.flags.writeable = False
        self.decoded, self.step = decoded, update.step
        return list(decoded)


@dataclass(frozen=True)
class Update:
    """kind: of the body. step: how many updates there were, with this one. before, after: the crcs
    of all values that a receiver has before and after it.
    """

    kind: int
    step: int
    before: int
    after: int
    body: bytes

    def pack(self) -> bytes:
        head = MAGIC + bytes([VERSION, self.kind]) + pack_varint(self.step)
        data = head + struct.pack("<II", self.before, self.after) + self.body
        return data + struct.pack("<I", crc32(data))

    @classmethod
    def unpack(cls, data: bytes) -> "Update":
        """Raises an error of the FormatError family, and UnsupportedVersion."""
        if data[:3] != MAGIC:
            raise NotGcodec("this is not an update: it does not start with GCU")
        if data[3:4] > bytes([VERSION]):
            raise UnsupportedVersion(f"update version {data[3]}; this gcodec reads version {VERSION}: update gcodec")
        if len(data) < 18 or crc32(data[:-4]) != int.from_bytes(data[-4:], "little"):
            raise ChecksumMismatch("update: the checksum does not agree; the bytes were damaged or cut")
        cursor = Cursor(data[4:-4], "update")
        kind, step, before, after = cursor.u8(), cursor.varint(), cursor.u32(), cursor.u32()
        if kind > CHANGES or data[3] != VERSION:
            raise Corrupt(f"update: kind {kind} or version {data[3]} does not exist")
        return cls(kind, step, before, after, cursor.take(cursor.left))


def _changed(dtype: np.dtype) -> np.dtype:
    """The dtype of a change: the work dtype; others than floats are sent as they are."""
    return dtypes.work_dtype(dtype) if dtypes.is_float(dtype) else dtype


def _wide(array: np.ndarray) -> np.ndarray:
    return dtypes.widen(array) if dtypes.is_float(array.dtype) else array


def _sums(changes: Sequence[np.ndarray], have: Sequence[np.ndarray]) -> list[np.ndarray]:
    """have + change in the work dtype, put between its largest finite numbers, in the own dtype."""
    sums = []
    for change, before in zip(changes, have, strict=True):
        if dtypes.is_float(before.dtype):
            largest = float(np.finfo(change.dtype).max)
            change = dtypes.narrow(np.clip(dtypes.widen(before) + change, -largest, largest), before.dtype)
        sums.append(np.asarray(change))
    return sums


def _read_records(body: bytes, manifest: Manifest, have: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The tensors of a container, against those that a receiver has. Raises Corrupt for others."""
    bases = Bases([Sources(dict(zip(manifest.names, map(ArraySource, have), strict=False)), "the weights here")], 1)
    expected = sum(spec.size * spec.dtype.itemsize for spec in manifest.specs)
    budget, found = Budget(max(2 * expected, 1 << 26)), {}
    for record in bases.on(Stream(io.BytesIO(body))):
        found[record.header.name] = read_tensor(record, 1, budget)
    arrays = [found.get(name) for name in manifest.names]
    for array, spec in zip(arrays, manifest.specs, strict=True):
        if array is None or (array.dtype, array.shape) != (spec.dtype, spec.shape) or len(found) != len(arrays):
            raise Corrupt("update: it has other tensors than this receiver")
    return [array for array in arrays if array is not None]
