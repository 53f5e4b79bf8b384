"""What `verify` can test of a method beyond its guarantee: rows (name, ok, detail) for one record."""

import math

from ..container.describe import method_name
from ..container.layout import TensorHeader
from ..container.reader import Record
from ..source import Source, spans
from ..theory import sphere

CHANCE = 1e-6  # of failing a file whose indices are as theory says


def method_checks(record: Record, original: Source | None, trials: int) -> list[tuple[str, bool, str]]:
    """Rows for this record's method. `record` must allow its chunks to be read again."""
    return _spherical(record, original, trials) if method_name(record.header) == "sc" else []


def _spherical(record: Record, original: Source | None, trials: int) -> list[tuple[str, bool, str]]:
    """The paper's statement for the average case: an index takes at most −log2 P + 3 bits in the mean; the whole payload
    beside that of one block; the mean over random vectors for one block and `trials`; every block's cap."""
    from ..compressors.spherical import report

    header = record.header
    pieces = spans(header.spec.size, header.chunk)
    chunks = ((record.chunk(i), stop - start) for i, (start, stop) in enumerate(pieces))
    coding = report.Coding.of(record.head(), header.spec, header.guarantee)
    classes = report.index_report(coding, chunks)
    rows = [_index_row("index", classes), _average_row(header, sum(one.index_bits for one in classes))]
    if trials and coding.one_block:
        rows.append(_index_row("index, random vectors", [report.try_vectors(coding, trials)]))
    elif trials:
        used = f"each with the file's own blocks, of up to {coding.length} values, and their caps"
        unused = "not used: a tensor in blocks with alpha is tested on its own blocks"
        rows.append(("trials", True, unused if header.guarantee.kind == "alpha" else used))
    if original is not None:
        caps = [
            report.cap_report(coding, record.chunk(i), original.read(start, stop))
            for i, (start, stop) in enumerate(pieces)
        ]
        rows.append(_cap_row(caps))
    return rows


def _index_row(name: str, classes: list) -> tuple[str, bool, str]:
    """The mean of the indices' bits against −log2 P + 3, with what chance may add."""
    blocks = sum(one.blocks for one in classes)
    if blocks == 0:
        return name, True, "no block has a direction"
    measured = math.fsum(one.index_bits for one in classes) / blocks
    cap = math.fsum(one.blocks * one.cap_bits for one in classes) / blocks
    expected = math.fsum(one.blocks * one.expected_bits for one in classes) / blocks
    slack = _chance(sum(one.deviation for one in classes) / blocks)
    power = f"chance may add {slack:.2g}" if slack <= 3 else "not enough independent blocks to tell"
    detail = (
        f"{measured:.3f} bits in the mean over {_blocks(blocks)}; expected is the entropy {expected:.3f} (−log2 P + log2 e = "
        f"{cap + math.log2(math.e):.3f} for a small P), and the paper's average case allows −log2 P + 3 = {cap + 3:.3f} ({power})"
    )
    return name, measured <= cap + 3 + slack, detail


def _chance(deviation: float) -> float:
    """Bits by which the mean of 1/deviation² independent indices exceeds its expectation with probability CHANCE at most.

    An index times P is nearly exponential, and its code takes one bit for each ln 2 of that. For exponential numbers of mean 1
    Chernoff's bound is P(mean ≥ 1 + t) ≤ exp(−n(t − ln(1+t))), and t − ln(1+t) ≥ t²/(2 + 4t/3).
    """
    a = -math.log(CHANCE) * deviation**2
    return (2 * a / 3 + math.sqrt(4 * a * a / 9 + 2 * a)) / math.log(2)


def _average_row(header: TensorHeader, index_bits: float) -> tuple[str, bool, str]:
    """All bits of the payload against the least that vectors of random direction take on average."""
    d, bound, bits = header.spec.size, header.guarantee.bound, 8 * header.body_length
    if header.guarantee.kind == "alpha":
        least, formula = sphere.cap_bits(bound, d), f"−log2 P({bound:g}, {d:,})"
    else:
        least, formula = sphere.uncertainty_bits(bound / (1 + bound), d), f"d/2·log2((1+ω)/ω), d = {d:,}"
    detail = (
        f"{index_bits:,.0f} bits of indices and {bits - index_bits:,.0f} of norms, splits and head: {(bits - least) / d:+.4f} "
        f"bits per coordinate from what a vector of random direction needs on average, {formula} = {least:,.0f}"
    )
    return "average case", True, detail


def _cap_row(caps: list) -> tuple[str, bool, str]:
    outside, blocks = sum(cap.outside for cap in caps), sum(cap.blocks for cap in caps)
    if blocks == 0:
        return "caps", True, "no block has a direction"
    margin = min(cap.margin for cap in caps)
    detail = f"{outside:,} of {_blocks(blocks)} outside; the least cosine is {margin:+.6f} from its cap's √(1−α)"
    return "caps", outside == 0, detail


def _blocks(count: int) -> str:
    return f"{count:,} block{'s' if count != 1 else ''}"
