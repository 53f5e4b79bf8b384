"""A tensor and its base: how far they are apart, and the records that join them."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ... import dtypes
from ...compressors import registry
from ...compressors.contract import CHUNK, Decode, Guarantee, Payload, TensorSpec
from ...container.base import BaseName, joined_crc
from ...container.fields import crc32
from ...container.layout import Chunk, TensorHeader
from ...container.spool import room_for
from ...distortion import Scan, part_error, relative_error, squared_error, whole_error
from ...dtypes import as_bytes
from ...errors import InvalidInput
from ...parallel import ordered
from ...request.terms import Terms
from ...source import Source, Span, spans
from ..coded import CodedRecord
from ..decompress import BASE_WORK, decoded
from ..effects.measuring import Part, combine, measure


class Changes:
    """x − base as a Source, rounded to the work dtype. It is infinite where that overflows."""

    def __init__(self, source: Source, base: Source) -> None:
        self._source, self._base = source, base
        self.dtype, self.shape, self.size = dtypes.work_dtype(source.dtype), source.shape, source.size

    def read(self, start: int, stop: int) -> np.ndarray:
        with np.errstate(over="ignore", invalid="ignore"):
            above, below = self._source.read(start, stop), self._base.read(start, stop)
            found: np.ndarray = dtypes.widen(above) - dtypes.widen(below)
        return found


class BesideKept:
    """A base with zeros where the tensor's values are kept, and where it is not finite."""

    def __init__(self, source: Source, base: Source, terms: Terms) -> None:
        self._source, self._base, self._terms = source, base, terms
        self.dtype, self.shape, self.size = source.dtype, source.shape, source.size

    def read(self, start: int, stop: int) -> np.ndarray:
        values, below = self._source.read(start, stop), np.array(self._base.read(start, stop))
        below[self._terms.mask(values) | ~np.isfinite(below)] = 0
        return below


@dataclass(frozen=True)
class Pair:
    """A tensor and its base, both of one dtype and size.

    scan: of the tensor, if it takes a bound. threads: at most so many code it.
    """

    name: str
    source: Source
    base: Source
    scan: Scan | None
    threads: int

    @property
    def spec(self) -> TensorSpec:
        return TensorSpec(self.source.dtype, self.source.shape)

    @cached_property
    def crc(self) -> int:
        """The CRC of the base's values."""
        return crc_of(self.base)

    @cached_property
    def is_same(self) -> bool:
        """Whether every bit of the tensor is that of the base."""
        pieces = spans(self.source.size, CHUNK)
        return all(np.array_equal(_bits(self.source.read(*span)), _bits(self.base.read(*span))) for span in pieces)

    @cached_property
    def distance(self) -> float:
        """‖x − base‖²/‖x‖², rounded up; infinite where no bound is possible."""
        if self.scan is None or self.scan.norm2 == 0:
            return math.inf
        parts = []
        for span in spans(self.source.size, CHUNK):
            with np.errstate(invalid="ignore", over="ignore"):
                parts.append(squared_error(self.source.read(*span), self.base.read(*span), self.scan.scale))
        return relative_error(parts, self.scan)

    def record(
        self, method: str, payload: Payload, decode: Decode, guarantee: Guarantee, named: BaseName, work: int
    ) -> CodedRecord:
        """The record of a payload beside the base; the distortion is that of what `decode` gives.

        work: what decoding the payload takes. Raises InvalidInput when the base changes meanwhile.
        """
        body, entry = room_for(self.source.size * self.spec.dtype.itemsize), registry.by_name(method)
        try:
            body.write(payload.head)
            lines = []
            for data, line in ordered(
                self._coder(
                    entry.fault, payload, lambda *args: decoded(entry, self.spec.dtype, decode, *args), guarantee
                ),
                spans(self.source.size, payload.chunk),
                self.threads if self.source.size > payload.chunk else 1,
            ):
                body.write(data)
                lines.append(line)
            if joined_crc((line.base, line.bytes) for line in lines) != named.crc:
                raise InvalidInput(f"{self.name or 'the array'}: its base changed while it was read; try again")
            distortion, attributes = self._distortion(lines, guarantee), named.attributes(self.name)
            parts = [line.part for line in lines if line.part is not None]
            found = combine(parts, self.spec) if parts and math.isfinite(distortion) else None
            if found:
                length = len(payload.head) + sum(line.chunk.length for line in lines)
                attributes |= found.attributes(guarantee, distortion, length)
            header = TensorHeader(
                name=self.name,
                spec=self.spec,
                compressor=entry.id,
                version=entry.load().version,
                guarantee=guarantee,
                distortion=distortion,
                expected=None,
                chunk=payload.chunk,
                head_length=len(payload.head),
                head_crc=crc32(payload.head),
                chunks=tuple(line.chunk for line in lines),
                attributes=attributes,
            )
            return CodedRecord(header, body, work + BASE_WORK * self.source.size, payload, found)
        except BaseException:
            body.close()
            raise

    def _distortion(self, lines: "list[_Line]", guarantee: Guarantee) -> float:
        if guarantee.kind == "exact":
            return 0.0
        assert self.scan is not None  # else there is no bound
        return whole_error("alpha", [line.error for line in lines], self.scan)

    def _coder(
        self,
        fault: Callable[[str], Exception],
        payload: Payload,
        decode: Callable[[bytes, Span], np.ndarray],
        guarantee: Guarantee,
    ) -> "Callable[[Span], tuple[bytes, _Line]]":
        def work(span: Span) -> tuple[bytes, _Line]:
            data = payload.code(*span)
            back, values, below = decode(data, span), self.source.read(*span), self.base.read(*span)
            error, part = 0.0, None
            if guarantee.kind == "exact":
                if not np.array_equal(_bits(back), _bits(values)):
                    raise fault(f"{self.name or 'the array'} did not come back bit for bit (or it changed meanwhile)")
            elif self.scan is not None:
                error = part_error("alpha", values, back, self.scan)
                part = measure(values, back, self.spec, span[0], self.scan.scale)
            chunk = Chunk(len(data), crc32(data), crc32(as_bytes(back)))
            return data, _Line(chunk, error, part, crc32(as_bytes(below)), below.nbytes)

        return work


@dataclass(frozen=True)
class _Line:
    """What is known of a chunk. base, bytes: the CRC of the base's values, and how many bytes."""

    chunk: Chunk
    error: float
    part: Part | None
    base: int
    bytes: int


def crc_of(source: Source) -> int:
    """The CRC-32 of the little-endian bytes of a tensor's values."""
    crc = 0
    for span in spans(source.size, CHUNK):
        crc = crc32(as_bytes(np.ascontiguousarray(source.read(*span))), crc)
    return crc


def _bits(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values).view(np.uint8)
