"""A tensor against its base: as a whole, as a change under a bound, or exactly; what is smallest.

A bound is of the sum that a reader gets, in the tensor's own dtype, against the tensor itself: so a
chain of changes, each against what was decoded before, does not drift.
"""

import math
from dataclasses import dataclass, replace
from functools import cached_property
from threading import Lock

from ... import ieee
from ...compressors import registry
from ...compressors.contract import Decode, Guarantee, Payload, Plan, TensorSpec
from ...compressors.on_base import BesideBase
from ...container.base import DELTA, MAX_DEPTH, BaseName
from ...dtypes import work_dtype
from ...request.choice import Choice
from ...request.on_base import OnBase
from ...request.structure import resolved
from ...request.terms import Others, Terms
from ...source import Source, spans
from .. import auto
from ..coded import CodedRecord
from ..compress import TRIES, scan_for_bound, store
from ..decompress import compressor_of, sum_decoder
from .pair import BesideKept, Changes, Pair

_CLOSE = 1 / 16  # with ‖x − base‖² below this share of ‖x‖², a change beats a whole tensor of its bound
_BELOW = 1 - 2.0**-38  # a share of a measured ratio of norms that is certainly below the true one
_SHORT = 1 - 2.0**-20  # what share of a bound is tried after a miss
_LIKELY = 1.1  # a candidate is coded if it may take fewer bits by this factor
_DELTA = registry.by_id(DELTA).name


def _delta() -> type[BesideBase]:
    """The compressor that is read beside a base."""
    found = registry.by_id(DELTA).load()
    assert issubclass(found, BesideBase)
    return found


def compress(name: str, source: Source, choice: Choice) -> CodedRecord:
    """Compress a tensor by its choice, against the base of the choice if it has one."""
    base = choice.base
    if base is not None and not base.whole and base.depth < MAX_DEPTH:
        with ieee.arithmetic():
            if not _stands_alone(choice):
                return _Candidates.of(name, source, replace(choice, base=None, sample=None), base).smallest()
            if Pair(name, source, base.source, None, choice.threads).is_same:
                return _Candidates.of(name, source, _exact(choice), base).smallest()
    coded = auto.compress(name, source, _alone(name, source, choice))
    return replace(coded, found=replace(coded.found, moment=True)) if coded.found and choice.moment else coded


def _stands_alone(choice: Choice) -> bool:
    """Whether no change can keep the promise: that of kept values, of slices or of each value."""
    kept = choice.fill or choice.keep_zeros or choice.axis is not None
    return bool(kept) or choice.guarantee.kind not in ("alpha", "exact")


def _exact(choice: Choice) -> Choice:
    return Choice(registry.EXACT.name, Guarantee("exact"), nonfinite="lossless", threads=choice.threads)


@ieee.arithmetic()
def _alone(name: str, source: Source, choice: Choice) -> Choice:
    """The choice for a tensor that is coded without its base, under the bound of the change.

    A bound along an axis becomes the same share of each slice.
    """
    base, asked = choice.base, choice.guarantee
    if base is None:
        return choice
    choice = replace(choice, base=None)
    if base.alpha_of == "tensor" or asked.kind != "alpha":
        return choice
    terms = resolved(name, source, choice).terms
    scan = scan_for_bound(name, source, replace(choice, terms=terms))
    if scan is None:
        return choice
    others = Others(source, terms), BesideKept(source, base.source, terms)
    distance = Pair(name, *others, scan, choice.threads).distance
    if distance == 0:
        return _exact(choice)
    return replace(choice, guarantee=Guarantee("alpha", asked.bound * _share(distance)))


def _share(distance: float) -> float:
    """What share of alpha is that of the tensor, where it is relative to the change."""
    return min(distance * _BELOW, 1.0)


@dataclass(frozen=True)
class _Candidates:
    """The ways to code a tensor that has a base.

    choice: without the base. bound: relative to ‖x‖²; 0 where only exact copies will do.
    """

    pair: Pair
    choice: Choice
    base: OnBase
    bound: float

    @classmethod
    def of(cls, name: str, source: Source, choice: Choice, base: OnBase) -> "_Candidates":
        asked = choice.guarantee
        bounded = asked.kind == "alpha" and choice.method != registry.EXACT.name
        scan = scan_for_bound(name, source, replace(choice, guarantee=Guarantee("alpha", 0.5))) if bounded else None
        pair = Pair(name, source, base.source, scan, choice.threads)
        bound = 0.0
        if bounded and math.isfinite(pair.distance) and not pair.is_same:
            bound = asked.bound * (1.0 if base.alpha_of == "tensor" else _share(pair.distance))
        return cls(pair, choice, base, bound)

    def smallest(self) -> CodedRecord:
        """The candidate with the fewest bytes that readers want to be paid."""
        best: CodedRecord | None = None
        for make in (self._same, self._change, self._exactly, self._whole):
            found = make(math.inf if best is None else 8.0 * best.paid_size)
            if found is None:
                continue
            if best is None or found.paid_size < best.paid_size:
                best, found = found, best
            if found is not None:
                found.close()
        assert best is not None  # the last one makes some record of any tensor, if there is none
        return best

    def _same(self, bits: float) -> CodedRecord | None:
        """Nothing at all, where the base is the tensor or meets the bound."""
        if not self.pair.is_same and not 0 < self.pair.distance <= self.bound:
            return None
        guarantee = Guarantee("exact") if self.pair.is_same else Guarantee("alpha", self.bound)
        decode = _delta().decoder_on(b"", self.pair.spec, self.base.source)
        return self._record(_DELTA, _delta().unchanged(self.pair.spec), decode, guarantee)

    def _change(self, bits: float) -> CodedRecord | None:
        """The change under a bound that makes the sum meet the bound of the tensor."""
        if not 0 < self.bound < self.pair.distance:
            return None
        changes = Changes(self.pair.source, self.base.source)
        alpha = self.bound / self.pair.distance
        choice = replace(self.choice, nonfinite="lossless", terms=Terms())
        for _ in range(TRIES):
            choice = replace(choice, guarantee=Guarantee("alpha", alpha))
            with auto.compress(self.pair.name, changes, choice) as coded:
                if coded.header.guarantee.kind != "alpha":
                    return None
                found = self._sum(coded)
            if found.header.distortion <= self.bound:
                return found
            found.close()
            alpha *= self.bound / found.header.distortion * _SHORT
        return None

    def _sum(self, coded: CodedRecord) -> CodedRecord:
        """The record of a coded change."""
        header, lock = coded.header, Lock()
        cls, payload = compressor_of(header), coded.payload
        starts, at = {}, len(payload.head)
        for (start, _), chunk in zip(spans(header.spec.size, header.chunk), header.chunks, strict=True):
            starts[start] = at, chunk.length
            at += chunk.length

        def code(start: int, stop: int) -> bytes:
            with lock:
                coded.body.seek(starts[start][0])
                return coded.body.read(starts[start][1])

        decode = sum_decoder(
            header.compressor, cls.decoder(payload.head, header.spec), header.spec.dtype, self.base.source
        )
        method = registry.by_id(header.compressor).name
        return self._record(method, replace(payload, code=code), decode, Guarantee("alpha", self.bound))

    def _exactly(self, bits: float) -> CodedRecord | None:
        """The exact change, unless its middle chunk foretells that it takes more."""
        if self.pair.is_same or 0 < self.pair.distance <= self.bound:
            return None
        pair, payload = self.pair, _delta()().encode_on(self.pair.source, self.base.source)
        pieces = spans(pair.source.size, payload.chunk)
        start, stop = pieces[len(pieces) // 2]
        foretold = 8.0 * len(payload.code(start, stop)) / (stop - start) * pair.source.size
        if math.isinf(bits):
            bits = self._plan.most
        if foretold > _LIKELY * bits:
            return None
        decode = _delta().decoder_on(payload.head, pair.spec, self.base.source)
        return self._record(_DELTA, payload, decode, Guarantee("exact"))

    @cached_property
    def _plan(self) -> Plan:
        """What an exact copy without the base takes."""
        return registry.EXACT.load()().plan(self.pair.source, Guarantee("exact"))

    def _whole(self, bits: float) -> CodedRecord | None:
        """The tensor without its base, where that may win."""
        if self.bound and (self.pair.distance > _CLOSE or math.isinf(bits)):
            choice = replace(self.choice, guarantee=Guarantee("alpha", self.bound))
            return auto.compress(self.pair.name, self.pair.source, choice)
        if self._plan.least > bits:
            return None
        choice = replace(
            self.choice, method=registry.EXACT.name, guarantee=Guarantee("exact"), options={}, terms=Terms()
        )
        return store(self.pair.name, self.pair.source, choice, self._plan.payload())

    def _record(self, method: str, payload: Payload, decode: Decode, guarantee: Guarantee) -> CodedRecord:
        of_change = guarantee.kind == "alpha" and self.base.alpha_of == "change"
        alpha = self.choice.guarantee.bound if of_change else None
        named = BaseName(self.pair.crc, self.base.name, self.base.depth + 1, alpha)
        spec = self.pair.spec
        if method != _DELTA:
            spec = TensorSpec(work_dtype(spec.dtype), spec.shape)
        work = registry.by_name(method).load().work(payload.head, spec)
        return self.pair.record(method, payload, decode, guarantee, named, work)
