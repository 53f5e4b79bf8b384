"""`inspect`: what the bits of a record are for, beside what theory counts."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from .. import ieee
from ..compressors.contract import CodedTensor, Compressor, Section
from ..container.describe import describe
from ..container.layout import TensorHeader
from ..container.reader import Record
from ..container.records.record import Member
from ..pipeline.decompress import compressor_of


@dataclass(frozen=True)
class Inspection:
    """A tensor's payload.

    sections: together they have all its bits. yardsticks: what theory says that it takes, as words
    and bits.
    """

    header: TensorHeader
    sections: tuple[Section, ...]
    yardsticks: tuple[tuple[str, float], ...]

    @property
    def bits(self) -> int:
        """The length of the payload, head and chunks."""
        return 8 * self.header.body_length

    def to_json(self) -> dict[str, Any]:
        """Plain data: what `info` says about the tensor, then its sections and yardsticks."""
        return describe(self.header) | plain(self.sections, self.bits, self.yardsticks)


@ieee.arithmetic()
def inspect_record(record: Record) -> Inspection:
    """Parse every chunk of a record, which must be readable twice. Raises what decoding raises."""
    if isinstance(record, Member):
        share = Section("share of joined tensors", 8.0 * record.header.body_length)
        return Inspection(record.header, (share,), ())
    compressor, coded = _opened(record)
    if not record.header.chunks:
        head = Section("head", 8.0 * record.header.head_length)
        return Inspection(record.header, (head,), ())
    return Inspection(record.header, tuple(compressor.sections(coded)), tuple(compressor.yardsticks(coded)))


@ieee.arithmetic()
def arrays_of(record: Record) -> Mapping[str, np.ndarray]:
    """The compressor's `arrays`: what the payload holds, if it is the tensor's own.

    Raises what decoding raises.
    """
    if isinstance(record, Member):
        return {}
    compressor, coded = _opened(record)
    return compressor.arrays(coded) if record.header.chunks else {}


def _opened(record: Record) -> tuple[type[Compressor], CodedTensor]:
    """A record whose head its compressor's decoder takes. Raises Corrupt if it does not."""
    compressor, coded = compressor_of(record.header), record.coded()
    compressor.decoder(coded.payload.head, coded.spec)
    return compressor, coded


def plain(sections: Sequence[Section], bits: int, yardsticks: Sequence[tuple[str, float]]) -> dict[str, Any]:
    """Sections with their shares of the payload, and yardsticks, for JSON."""
    parts = [asdict(section) | {"share": section.bits / bits if bits else 0.0} for section in sections]
    return {"sections": parts, "yardsticks": [{"name": name, "bits": value} for name, value in yardsticks]}
