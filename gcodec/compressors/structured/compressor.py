"""`structured`: kept values, a range, a mean and scales around another method's code.

The other method codes what is left of the tensor; or, where values are kept, what is left of each
chunk by itself. See spec/compressors/10-structured.md.
"""

from dataclasses import dataclass, fields, replace
from itertools import chain

import numpy as np

from ...coding.bitstring import BitReader
from ...errors import Corrupt, InvalidInput
from ...source import ArraySource, Source, matricise
from ..common.scale_classes import Tiling
from ..contract import Compressor, Decode, Entry, Guarantee, Payload, Plan, TensorSpec, TooFine
from ..lossless.planes import LEVEL_OF_MAPS, decode_plane, encode_plane
from ..registry import ENTRIES, WRAPPED, WRAPPED_WITH_KEPT, by_name
from .form import MAX_KEPT, Form, Rests, left_shape
from .measure import Others, energies, means_of, others, scales_of, shares

_OWN_WORK = 16  # nanoseconds that a value takes beside the other method
_WITH_KEPT, _WITHOUT = (tuple(chain(*able.values())) for able in (WRAPPED_WITH_KEPT, WRAPPED))
_MORE = 1.1  # times the bits that the first chunk foretells: what all may take
_SPARE = 4096.0  # bits that a map's tables may take beyond what the first chunk foretells


@dataclass(frozen=True)
class Structured(Compressor):
    """‖x̂ − x‖² ≤ α‖x‖², or |x̂ᵢ − xᵢ| ≤ ε·|xᵢ|, both over the values that are not kept.

    other, effort: the other method, and its effort; None is the one of fewest bits that suits the
    guarantee. kept: the words of values that come back bit for bit. axis: each slice along it is
    scaled to the same size. mean: whether the mean is taken off. means: the axis of slices whose
    means are taken off. clamp: whether decoded values are put between the least and the largest.
    """

    other: str | None = None
    effort: str = "best"
    kept: tuple[int, ...] = ()
    axis: int | None = None
    mean: bool = False
    means: int | None = None
    clamp: bool = False
    kinds = ("alpha", "pointwise")

    def encode(self, source: Source, guarantee: Guarantee) -> Payload:
        return self.plan(source, guarantee).payload()

    def plan(self, source: Source, guarantee: Guarantee) -> Plan:
        able = (WRAPPED_WITH_KEPT if self.kept else WRAPPED)[guarantee.kind]
        if self.other not in able:
            if self.other is None:
                return replace(self, other=WRAPPED_WITH_KEPT[guarantee.kind][-1]).plan(source, guarantee)
            raise InvalidInput(f"the method must be one of {', '.join(able)}, not {self.other!r}")
        form = self._form(source)
        tiling = Tiling.of(source.shape, source.size)
        if guarantee.kind == "pointwise" and form.kept.size:
            return self._plan_of_chunks(source, form, tiling, guarantee, np.full(len(tiling.spans()), guarantee.bound))
        if guarantee.kind == "pointwise":
            return self._plan_of_rests(source, form, guarantee)
        rests, whole, counts = energies(source, form, tiling.spans())
        budget = guarantee.bound * whole.sum()
        if form.kept.size:
            bounds = shares(rests, counts, budget) / np.maximum(rests, 1e-300)
            return self._plan_of_chunks(source, form, tiling, guarantee, bounds)
        if budget >= rests.sum():
            head = replace(form, range=None).pack(self._entry.id, self._entry.load().version)
            return Plan(8.0 * len(head), 8.0 * len(head), lambda: Payload(head, tiling.chunk, lambda *_: b""))
        return self._plan_of_rests(source, form, replace(guarantee, bound=budget / rests.sum()))

    def _plan_of_rests(self, source: Source, form: Form, guarantee: Guarantee) -> Plan:
        """The plan where nothing is kept. guarantee: of the rests."""
        head = form.pack(self._entry.id, self._entry.load().version)
        other = self._other.plan(Rests(source, form), guarantee)
        return Plan(other.least, other.most + 8.0 * len(head), lambda: _behind(head, other.payload()))

    @property
    def _entry(self) -> Entry:
        assert self.other is not None  # `plan` has chosen one
        return by_name(self.other)

    @property
    def _other(self) -> Compressor:
        cls = self._entry.load()
        known = {"effort": self.effort} if "effort" in {one.name for one in fields(cls)} else {}  # type: ignore[arg-type]
        return cls(**known)

    def _form(self, source: Source) -> Form:
        if len(self.kept) > MAX_KEPT:
            raise InvalidInput(f"at most {MAX_KEPT} values can be kept, not {len(self.kept)}")
        for axis in (self.axis, self.means):
            if axis is not None and not 0 <= axis < len(source.shape):
                raise InvalidInput(f"a tensor of shape {source.shape} has no axis {axis}")
        kept = np.array(sorted(set(self.kept)), f"u{source.dtype.itemsize}")
        form = Form(source.dtype, source.shape, kept, as_they_are=_takes_as_they_are(self._entry.load()))
        if form.as_they_are and (self.axis is not None or self.means is not None or self.mean or self.clamp):
            raise InvalidInput(f"{self.other} takes no axis, no mean and no range")
        pieces = Tiling.of(source.shape, source.size).spans()
        if self.mean or self.clamp:
            found = Others.of(source, form, pieces)
            form = replace(form, mean=found.mean if self.mean else 0.0)
            form = replace(form, range=(found.low, found.high) if self.clamp and found.count else None)
        if self.means is not None:
            form = replace(form, axis_of_means=self.means, means=means_of(source, form, self.means, pieces))
        if self.axis is not None:
            form = replace(form, axis=self.axis)
            form = replace(form, scales=scales_of(source, form, pieces))
        return form

    def _plan_of_chunks(
        self, source: Source, form: Form, tiling: Tiling, guarantee: Guarantee, bounds: np.ndarray
    ) -> Plan:
        """The plan where values are kept.

        bounds: of the error of each chunk, relative to its rests.
        """
        other, first = self._other, int(np.argmax(bounds < 1)) if (bounds < 1).any() else 0
        plans: dict[int, tuple[bytes, Plan | None]] = {}

        def plan_of(start: int, stop: int) -> tuple[bytes, Plan | None]:
            """The coded map of a chunk, and the plan of what is left."""
            numbers = form.numbers(source.read(start, stop))
            mapped = b"".join(encode_plane(numbers, level=LEVEL_OF_MAPS))
            bound = float(bounds[start // tiling.chunk])
            if bound >= 1 or numbers.all():
                return mapped, None
            rest = form.rest(*others(source, form, start, stop))
            if not rest.any():
                if form.as_they_are and np.signbit(rest).any():
                    raise TooFine
                return mapped, None
            left = ArraySource(rest.reshape(left_shape(numbers, tiling.width)))
            return mapped, other.plan(left, replace(guarantee, bound=bound))

        def code(start: int, stop: int) -> bytes:
            mapped, plan = plans.pop(start) if start in plans else plan_of(start, stop)
            if plan is None:
                return mapped
            payload = plan.payload()
            return mapped + len(payload.head).to_bytes(4, "little") + payload.head + payload.code(0, payload.chunk)

        head = form.pack(self._entry.id, self._entry.load().version)
        span = tiling.spans()[first]
        plans[span[0]] = mapped, plan = plan_of(*span)
        share, own = source.size / (span[1] - span[0]), 8.0 * len(head)
        least, most = (plan.least, plan.most) if plan else (0.0, 0.0)
        own += 8.0 * len(mapped) * share
        more = 1.0 if share == 1 else _MORE
        return Plan(
            (least * share + own) / more,
            (most * share + own) * more + _SPARE,
            lambda: Payload(head, tiling.chunk, code),
        )

    @classmethod
    def work(cls, head: bytes, spec: TensorSpec) -> int:
        form, other, rest = _unpack(head, spec)
        own = _OWN_WORK * spec.size
        if form.kept.size:
            return own + other.work_per_value * spec.size
        return own + (other.work(rest, TensorSpec(form.work, spec.shape)) if rest else 0)

    @classmethod
    def decoder(cls, head: bytes, spec: TensorSpec) -> Decode:
        form, other, rest = _unpack(head, spec)
        if form.kept.size:
            if rest:
                raise Corrupt("structured: bytes after the head")
            width = matricise(spec.shape)[1]
            return lambda data, start, count: _decode_left(form, other, width, data, start, count)
        decode = other.decoder(rest, TensorSpec(form.work, spec.shape)) if rest else _nothing

        def restored(data: bytes, start: int, count: int) -> np.ndarray:
            return form.restore(decode(data, start, count), np.arange(start, start + count))

        return restored


def _behind(head: bytes, payload: Payload) -> Payload:
    return replace(payload, head=head + payload.head, again=None)  # the other method sees rests alone


def _takes_as_they_are(cls: type[Compressor]) -> bool:
    """Whether a method codes the values themselves, as it bounds the error of each."""
    return "pointwise" in cls.kinds


def _unpack(head: bytes, spec: TensorSpec) -> tuple[Form, type[Compressor], bytes]:
    """(what a head says, the class of the other method, its head); raises Corrupt."""
    form, method, version, rest = Form.unpack(head, spec.dtype, spec.shape)
    for entry in ENTRIES:
        if entry.id == method and entry.name in (_WITH_KEPT if form.kept.size else _WITHOUT):
            cls = entry.load()
            form = replace(form, as_they_are=_takes_as_they_are(cls))
            if cls.version == version and not (form.as_they_are and form.alters):
                return form, cls, rest
    raise Corrupt(f"structured: method {method} of payload version {version} is not one that may stand here")


def _nothing(data: bytes, start: int, count: int) -> np.ndarray:
    """The rests where the bound allows that all of them are 0."""
    if data:
        raise Corrupt("structured: a chunk with bytes where there is no method's head")
    return np.zeros(count, np.float32)


def _decode_left(form: Form, other: type[Compressor], width: int, data: bytes, start: int, count: int) -> np.ndarray:
    """A chunk of which some values are kept."""
    numbers = np.empty(count, np.uint8)
    reader = BitReader(data[decode_plane(data, 0, numbers) :], "structured chunk")
    if numbers.max() > form.kept.size:
        raise reader.corrupt("the number of a kept word that the head lacks")
    left = np.flatnonzero(numbers == 0)
    rest = np.zeros(left.size, form.work)
    if reader.data.size:
        head = reader.take(int.from_bytes(reader.take(4).tobytes(), "little")).tobytes()
        if not left.size:
            raise reader.corrupt("bytes of values where all are kept")
        spec = TensorSpec(form.work, left_shape(numbers, width))
        rest = other.decoder(head, spec)(reader.rest().tobytes(), 0, left.size)
    out = np.empty(count, form.dtype)
    out[left] = form.restore(rest, left + start)
    out.view(form.word)[numbers > 0] = form.kept[numbers[numbers > 0] - 1]
    return out
