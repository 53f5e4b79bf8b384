"""What coded bytes pay for: how much memory and time a reader lets a container ask for (spec/format.md §7)."""

from dataclasses import dataclass

from ..errors import LimitExceeded
from .layout import TensorHeader

FREE_BYTES, BYTES_PER_BYTE = 1 << 26, 1 << 15  # decoded bytes that any container may have, and those per coded byte
FREE_WORK, WORK_PER_BYTE = 1 << 30, 1 << 17  # the same of work, about nanoseconds
FREE_CODED = 1 << 16  # coded bytes that the free work is for
WORK_PER_CHUNK = 1 << 17  # beside its values'; a head counts as a chunk
WORK_PER_ACCEPTED = 1 << 7  # per decoded byte of an explicit limit


@dataclass
class Budget:
    """What the records that are decoded, or written, together ask for.

    limit: the decoded bytes that the user accepts; None: what the coded ones pay for.
    """

    limit: int | None = None
    coded: int = 0  # bytes of bodies
    decoded: int = 0  # bytes
    work: int = 0

    def add(self, header: TensorHeader, work: int) -> None:
        """Count a record; work: that of its compressor."""
        self.coded += header.body_length
        self.decoded += header.spec.size * header.spec.dtype.itemsize
        self.work += work + WORK_PER_CHUNK * (1 + len(header.chunks))

    def spend(self, header: TensorHeader, work: int) -> None:
        """Count a record; raises LimitExceeded when that is too much."""
        self.add(header, work)
        if self.exceeded:
            raise LimitExceeded(
                f"record {header.name!r} brings the total to {self.decoded:,} decoded bytes and about "
                f"{self.work / 1e9:.1f} s of work from {self.coded:,} coded bytes; {self._bytes:,} bytes and "
                f"{self._work / 1e9:.1f} s are accepted. If you trust the file, accept more with --limit {self.needed}"
            )

    @property
    def exceeded(self) -> bool:
        return self.decoded > self._bytes or self.work > self._work

    @property
    def needed(self) -> int:
        """The least explicit limit that accepts this."""
        return max(self.decoded, -(-self.work // WORK_PER_ACCEPTED) if self.work > FREE_WORK else 0)

    @property
    def _bytes(self) -> int:
        return FREE_BYTES + BYTES_PER_BYTE * self.coded if self.limit is None else self.limit

    @property
    def _work(self) -> int:
        if self.limit is None:
            return FREE_WORK + WORK_PER_BYTE * max(self.coded - FREE_CODED, 0)
        return max(FREE_WORK, WORK_PER_ACCEPTED * self.limit)
