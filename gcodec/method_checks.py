"""What `verify` can test of a method beyond its guarantee: rows (name, ok, detail) for one record."""

import math

from .container.reader import Record
from .describe import method_name
from .pipeline import spans
from .source import Source

SIGMA = 1.5  # bits; of the length of a Golomb code for a geometric index, nearly whatever its parameter
SIGMAS = 4.0


def method_checks(record: Record, original: Source | None, trials: int) -> list[tuple[str, bool, str]]:
    """Rows for this record's method. `record` must allow its chunks to be read again."""
    return _spherical(record, original, trials) if method_name(record.header) == "sc" else []


def _spherical(record: Record, original: Source | None, trials: int) -> list[tuple[str, bool, str]]:
    """The paper's statement for the average case: the index takes at most −log2 P + 3 bits in the mean; the cap of every
    block against the original; and, for one block and `trials`, the mean over random vectors."""
    from .compressors import spherical_report as report

    header, head = record.header, record.head()
    pieces = spans(header.spec.size, header.chunk)
    chunks = ((record.chunk(i), stop - start) for i, (start, stop) in enumerate(pieces))
    rows = [_index_row("index", *_mean(report.index_report(head, header.spec, header.guarantee, chunks)))]
    if trials and len(pieces) == 1 and report.describe(head, header.spec, header.guarantee)["mode"] == "one block":
        one = report.try_vectors(head, header.spec, header.guarantee, trials)
        rows.append(_index_row("index, random vectors", *_mean([one])))
    if original is not None:
        caps = [
            report.cap_report(head, header.spec, header.guarantee, record.chunk(i), original.read(start, stop))
            for i, (start, stop) in enumerate(pieces)
        ]
        outside, blocks = sum(cap.outside for cap in caps), sum(cap.blocks for cap in caps)
        least = min((cap.least for cap in caps), default=math.inf)
        rows.append(
            (
                "caps",
                outside == 0,
                f"{outside} of {blocks:,} blocks outside; the least cosine is {least:.6f} of the rim's",
            )
        )
    return rows


def _mean(classes: list) -> tuple[int, float, float, float]:
    """Blocks, and over them the means of the index's bits, of −log2 P, and of the entropy that theory expects."""
    blocks = sum(one.blocks for one in classes)
    parts = [(one.index_bits, one.cap_bits, one.expected_bits) for one in classes]
    sums = [math.fsum(one.blocks * part[i] for one, part in zip(classes, parts, strict=True)) for i in range(3)]
    measured, cap, expected = (total / max(blocks, 1) for total in sums)
    return blocks, measured, cap, expected


def _index_row(name: str, blocks: int, measured: float, cap: float, expected: float) -> tuple[str, bool, str]:
    slack = SIGMAS * SIGMA / math.sqrt(max(blocks, 1))
    detail = (
        f"{measured:.3f} bits in the mean over {blocks:,} blocks, expected about {expected:.3f}; "
        f"{measured - cap:.3f} above −log2 P, where the paper allows 3 (± {slack:.2g})"
    )
    return name, measured <= cap + 3 + slack, detail
