"""One tensor through a compressor and back: encode, decode what was written, measure, try again.

This is the only place that decides whether a bound holds; compressors are not trusted.
"""

import math
import warnings
from dataclasses import dataclass, replace
from functools import partial
from typing import IO, Any

import numpy as np

from .. import dtypes, ieee
from ..compressors import registry
from ..compressors.contract import LOOSEST, Compressor, Guarantee, Payload, Plan, TensorSpec, TooFine
from ..compressors.guard import ForeignEntry
from ..container.fields import crc32
from ..container.layout import Chunk, TensorHeader
from ..container.spool import room_for
from ..distortion import Scan, part_error, scan_source, whole_error
from ..dtypes import as_bytes
from ..errors import InvalidInput
from ..parallel import ordered
from ..request.choice import Choice
from ..request.terms import Others, Slices, Terms
from ..source import Source, spans
from .coded import CodedRecord
from .decompress import compressor_of, decoded
from .effects.measuring import Part, combine, measure
from .faults import naming, reading_back
from .seeds import record_seed

FINEST = {np.dtype(np.float64): 2.0**-100}  # bounds below are met by the tensor itself, in fewer bits than by levels
FINEST_OF_OTHERS = 2.0**-50
TRIES = 4  # with a tightened bound, before a tensor is stored exactly
_SPREAD = 0.02  # by what share the worst of many slices differs from one try to the next
_CLOSER = 2.0**-20  # by what share a bound is made tighter at first; too little changes no step


@ieee.arithmetic()
def compress(name: str, source: Source, choice: Choice) -> CodedRecord:
    """Compress one tensor so that the guarantee holds for the bytes that come back.

    A tensor is stored exactly, and the header then says `exact`, when it is empty, zero throughout,
    or of a dtype that takes no bound; when its bound is finer than its dtype; and when the
    compressor misses the bound even after its bound was made tighter.
    """
    scan = scan_for_bound(name, source, choice)
    if scan is None:
        return store(name, source, choice)
    try:
        return Attempt.of(name, source, choice, scan).run()
    except TooFine:
        return store(name, source, choice)


def scan_for_bound(name: str, source: Source, choice: Choice) -> Scan | None:
    """The scan of a tensor that takes the bound; None for one that is to be stored exactly."""
    dtypes.code_of(source.dtype)  # refuses what the format has no code for
    exact = choice.method == registry.EXACT.name or choice.guarantee.kind == "exact"
    if exact or not dtypes.is_float(source.dtype) or source.size == 0:
        return None
    source = Others(source, choice.terms) if choice.terms.kept else source
    if choice.guarantee.bound < FINEST.get(source.dtype, FINEST_OF_OTHERS):
        scan_source(name, source, choice.nonfinite)  # which raises what the choice forbids
        return None
    scan = scan_source(name, source, choice.nonfinite)
    return scan if scan is not None and scan.norm2 > 0 else None


@dataclass(frozen=True)
class Attempt:
    """A tensor, and what one compressor plans to do with it.

    choice: that of the tensor, for the compressor's method.
    """

    name: str
    source: Source
    choice: Choice
    scan: Scan
    compressor: Compressor
    guarantee: Guarantee
    plan: Plan

    @classmethod
    def of(cls, name: str, source: Source, choice: Choice, scan: Scan) -> "Attempt":
        """Raises what `Compressor.plan` raises; an error of it gets the tensor's name."""
        compressor = registry.by_name(choice.method).load()(**_options(name, choice))
        guarantee = Guarantee(choice.guarantee.kind, min(choice.guarantee.bound, LOOSEST))
        with naming(name):
            return cls(name, source, choice, scan, compressor, guarantee, compressor.plan(source, guarantee))

    def run(self, passes: int = 1) -> CodedRecord:
        """Code the tensor. Raises TooFine, and InvalidInput for a tensor that does not suit.

        passes: of how many that are needed this is one, for progress.
        """
        choice = in_passes(self.choice, passes)
        guarantee, bound = self.guarantee, choice.guarantee.bound
        make = self.plan.payload
        slices = choice.terms.axis is not None
        for before in range(2 * TRIES if slices else TRIES):
            with naming(self.name):
                payload = make()
            if payload.expected == math.inf:  # it cannot be unbiased, whatever the bound
                break
            coded = _code(self.name, self.source, choice, payload, self.scan)
            reached = _reached(coded.header)
            if reached <= bound:
                return coded
            coded.close()
            tighter = (
                guarantee.bound
                * min(bound / reached, 1.0)
                * (1 - (_SPREAD if slices else _CLOSER * 2.0 ** (6 * before)))
            )
            if not tighter > 0:
                break
            guarantee = Guarantee(guarantee.kind, tighter)
            make = partial(self.compressor.encode, self.source, guarantee)
        self._report_miss()
        return store(self.name, self.source, choice)

    def _report_miss(self) -> None:
        """Warn that a compressor of another package missed the bound: its authors want to know."""
        entry = registry.by_name(self.choice.method)
        if isinstance(entry, ForeignEntry):
            warnings.warn(
                f"{self.name or 'the array'} is stored exactly: the compressor {entry.name} of package {entry.package} "
                f"missed {self.guarantee.kind} ≤ {self.choice.guarantee.bound:g}",
                stacklevel=2,
            )


def in_passes(choice: Choice, passes: int) -> Choice:
    """The choice for one of so many passes: what is done in it counts for its share."""
    return choice if passes == 1 else replace(choice, progress=lambda values: choice.progress(values // passes))


def _options(name: str, choice: Choice) -> dict[str, Any]:
    """The options of the compressor, with a seed of this record's own if it is to be unbiased."""
    seed = choice.options.get("seed")
    if choice.guarantee.kind == "omega" and "seed" in registry.option_names(choice.method):
        return choice.options | {"seed": record_seed(seed, name)}
    return choice.options if seed is None else choice.options | {"seed": int(seed) % 2**64}


def store(name: str, source: Source, choice: Choice, payload: Payload | None = None) -> CodedRecord:
    """Store bit for bit, by the method asked for if it is exact, else by one for every tensor.

    payload: what that one has made of the tensor, if it was asked before.
    """
    if choice.guarantee.kind != "exact" or source.size == 0:
        choice = replace(choice, method=registry.EXACT.name, guarantee=Guarantee("exact"), options={}, terms=Terms())
    if payload is None:
        with naming(name):
            payload = registry.by_name(choice.method).load()(**choice.options).encode(source, choice.guarantee)
    return _code(name, source, choice, payload, Scan(1.0, 1.0))


def _code(name: str, source: Source, choice: Choice, payload: Payload, scan: Scan) -> CodedRecord:
    """Code every chunk, decode it again and measure."""
    entry = registry.by_name(choice.method)
    cls = entry.load()
    spec = TensorSpec(source.dtype, source.shape)
    body = room_for(source.size * spec.dtype.itemsize)
    try:
        body.write(payload.head)
        chunks, errors, parts, worst = _code_chunks(name, source, choice, payload, scan, body)
        distortion, attributes = (
            whole_error(choice.guarantee.kind, errors, scan),
            choice.terms.attributes(spec.dtype, worst),
        )
        found = combine(parts, spec) if parts and math.isfinite(distortion) else None
        if found:
            length = len(payload.head) + sum(chunk.length for chunk in chunks)
            attributes |= found.attributes(choice.guarantee, distortion, length)
        header = TensorHeader(
            name=name,
            spec=spec,
            compressor=entry.id,
            version=cls.version,
            guarantee=choice.guarantee,
            distortion=distortion,
            expected=payload.expected,
            chunk=payload.chunk,
            head_length=len(payload.head),
            head_crc=crc32(payload.head),
            chunks=chunks,
            attributes=attributes,
        )
        with reading_back(entry):
            if compressor_of(header) is not cls:
                raise entry.fault(f"no reader would take what it made of {name or 'the array'}")
            sampled = len(_sampled(len(chunks), choice.sample)) < len(chunks)
            return CodedRecord(header, body, cls.work(payload.head, spec), payload, found, sampled)
    except BaseException:
        body.close()
        raise


def _code_chunks(
    name: str, source: Source, choice: Choice, payload: Payload, scan: Scan, body: IO[bytes]
) -> tuple[tuple[Chunk, ...], list[float], list[Part], float]:
    """Append the coded chunks to `body`.

    Returns their table, `part_error` of each, what a bound did to each, and the worst slice.
    """
    spec = TensorSpec(source.dtype, source.shape)
    entry = registry.by_name(choice.method)
    with reading_back(entry):
        decode = entry.load().decoder(payload.head, spec)
    exact, terms = choice.guarantee.kind == "exact", choice.terms
    slices = None if terms.axis is None else Slices(spec.shape, terms.axis)

    def work(span: tuple[int, int]) -> tuple[bytes, Chunk, float, list[Part], np.ndarray | None]:
        start, stop = span
        check_bools(name, source.read(start, stop))
        data = payload.code(start, stop)
        with reading_back(entry):
            back = decoded(entry, spec.dtype, decode, data, span)
        values = source.read(start, stop)
        if exact and not dtypes.same_bytes(back, values):
            raise entry.fault(f"{name or 'the array'} did not come back bit for bit (or it changed meanwhile)")
        pair = None if exact else terms.compared(values, back)
        parts = [measure(*pair, spec, start, scan.scale)] if pair else []
        found = parts[0].error if parts else None
        error = part_error(choice.guarantee.kind, *pair, scan, found) if pair else 0.0 if exact else math.inf
        chunk = Chunk(len(data), crc32(data), crc32(as_bytes(back)))
        return data, chunk, error, parts, slices.sums(*pair, start) if slices and pair else None

    pieces = spans(source.size, payload.chunk)
    places = _sampled(len(pieces), choice.sample)
    chunks: dict[int, Chunk] = {}
    errors: list[float] = []
    parts: list[Part] = []
    coded = ordered(work, [pieces[i] for i in places], choice.threads if len(places) > 1 else 1)
    for i, (data, chunk, error, part, sums) in zip(places, coded, strict=True):
        body.write(data)
        choice.progress(pieces[i][1] - pieces[i][0])
        parts += part if i == 0 or i - 1 in chunks else [one.apart() for one in part]
        chunks[i] = chunk
        errors.append(error)
        if slices and sums is not None:
            slices.add(sums)
    return _with_lacking(chunks, pieces), errors, parts, slices.largest() if slices else 0.0


def _sampled(count: int, sample: int | None) -> list[int]:
    """Which of so many chunks are coded: all, or a sample at equal distances."""
    if sample is None or count <= sample:
        return list(range(count))
    return [int(place) for place in np.linspace(0, count - 1, sample)]


def _with_lacking(chunks: dict[int, Chunk], pieces: list[tuple[int, int]]) -> tuple[Chunk, ...]:
    """All lines of the chunk table; those of chunks that were not coded have likely lengths."""
    if len(chunks) == len(pieces):
        return tuple(chunks.values())
    values = [stop - start for start, stop in pieces]
    rates = np.interp(range(len(pieces)), list(chunks), [one.length / values[i] for i, one in chunks.items()])
    likely = (Chunk(round(rate * count), 0, 0) for rate, count in zip(rates.tolist(), values, strict=True))
    return tuple(chunks.get(i, one) for i, one in enumerate(likely))


def check_bools(name: str, values: np.ndarray) -> None:
    """Raise InvalidInput for an array of bools of which one is neither 0 nor 1."""
    if values.dtype == np.bool_ and values.view(np.uint8).max(initial=0) > 1:
        raise InvalidInput(
            f"{name or 'the array'}: holds a bool that is neither 0 nor 1; if its bytes matter, store them as uint8"
        )


def _reached(header: TensorHeader) -> float:
    """The distortion that the bound speaks of: for an unbiased compressor, what it expects.

    A single result far beyond the bound is a miss as well. Every unbiased compressor has bounded
    errors, so none that is right produces such a result, and this does not condition on the seed.
    """
    if header.guarantee.kind != "omega":
        return float(max(header.distortion, header.attributes.get("slices", {}).get("distortion", 0.0)))
    if header.expected is None or header.distortion > 16 * header.guarantee.bound:
        return math.inf
    return header.expected
