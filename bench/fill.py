"""Writes the figures of a table of bench/run.py into pages: `python bench/fill.py [TABLE.csv]`.

Without a table it takes that of this version of gcodec. A sentence is found by its words, and only
its numbers change. Where a page has lost the words, that is an error: a number that nothing fills
would grow old.
"""

import csv
import re
import sys
from pathlib import Path

import gcodec

ROOT = Path(__file__).parents[1]
BOUND, UNBIASED, EXACT, POWERSGD = "alpha 0.1", "omega 0.25", "exact", "none; error at most 0.1"
UP, QKV, UPDATE, WEIGHTS, MLP, BF16 = "lm_up", "lm_qkv", "cnn_delta", "lm_up_weights", "mlp", "mlp_bf16"
SD, ECSQ, TCQ, KLT, DITHER, LOSSLESS = (f"gcodec {name}" for name in ("sd", "ecsq", "tcq", "klt", "dither", "lossless"))
README = {UP: "MLP gradient", QKV: "attention gradient", UPDATE: "ResNet, update", WEIGHTS: "trained weights"}
README_CODERS = [(name, BOUND) for name in ("gcodec auto", "NNCodec", "SZ3", "zfp")] + [("PowerSGD", POWERSGD)]
README_CODERS += [(name, EXACT) for name in (LOSSLESS, "ZipNN", "pcodec", "zstd -9")]
METHODS = {
    UP: "language model, feed-forward gradient (1024×256)", QKV: "language model, attention gradient (768×256)",
    UPDATE: "ResNet, a federated client's update (128×128×3×3)", MLP: "small network, gradient (256×256)",
    WEIGHTS: "language model, trained weights (1024×256)",
}  # fmt: skip
PAGES = ("README.md", "docs/benchmarks.md", "docs/methods/index.md", "docs/methods/quantisers.md",
         "docs/methods/klt.md", "docs/methods/lossless.md", "docs/methods/dither.md",
         "docs/methods/sparse-dithering.md")  # fmt: skip


class Table:
    """The rows of a table, by tensor, coder and promise."""

    def __init__(self, path: Path) -> None:
        self.name = path.name
        with path.open(encoding="utf-8") as file:
            self._rows = {(r["tensor"], r["coder"].split(",")[0], r["promise"]): r for r in csv.DictReader(file)}

    def number(self, field: str, *row: str) -> float:
        return float(self._rows[row][field])

    def bits(self, tensor: str, coder: str, promise: str = BOUND) -> str:
        row = (tensor, coder, promise)
        return f"{self.number('bits', *row):.2f}" if row in self._rows else "–"

    def speeds(self, coder: str, promise: str = BOUND) -> list[str]:
        """Of encoding and of decoding the first tensor, in MB/s."""
        return [f"{self.number(way, UP, coder, promise):,.0f}" for way in ("encode", "decode")]

    def extremes(self, field: str, coder: str) -> list[str]:
        """The least and the largest number of three gradients."""
        found = [self.number(field, tensor, coder, BOUND) for tensor in (UP, QKV, UPDATE)]
        return [f"{min(found):,.0f}", f"{max(found):,.0f}"]

    def fewer(self, *tensors: str) -> list[str]:
        """How many times fewer bits `klt` takes than `ecsq`: at least and at most."""
        times = [self.number("bits", one, ECSQ, BOUND) / self.number("bits", one, KLT, BOUND) for one in tensors]
        return [f"{min(times):.0f}", f"{max(times):.0f}"]


def figures(page: str, table: Table) -> list[tuple[str, list[str]]]:
    """The sentences of a page, with {} for each number, and the numbers."""
    bits, speeds = table.bits, table.speeds
    if page == "README.md":
        quick = [speeds(KLT)[0], speeds(ECSQ)[0], bits(UP, ECSQ), speeds("NNCodec")[0], speeds("SZ3")[0]]
        lines = [(name, [bits(tensor, *coder) for coder in README_CODERS]) for tensor, name in README.items()]
        return [("`klt` encodes {} MB/s, `ecsq` {} ({} bits), NNCodec {}, SZ3 {}.", quick), *map(_line, lines)]
    if page == "docs/methods/index.md":
        lines = [(name, [bits(one, method) for method in (SD, ECSQ, TCQ, KLT)]) for one, name in METHODS.items()]
        return [("{} to {} times fewer bits than `ecsq`", table.fewer(UP, QKV, UPDATE, MLP)), *map(_line, lines)]
    zstd = sorted((bits(BF16, f"zstd -{level}", EXACT) for level in (1, 9)), key=float)
    return {
        "docs/methods/quantisers.md": [
            ("on a gradient of a language model {} and {} bits at α = 0.1.", [bits(UP, ECSQ), bits(UP, TCQ)]),
            ("{} MB/s and decoded it with {}; `tcq` with {} and {}.", speeds(ECSQ) + speeds(TCQ)),
        ],
        "docs/methods/klt.md": [
            ("({} bits against {} of `tcq`)", [bits(WEIGHTS, KLT), bits(WEIGHTS, TCQ)]),
            ("At α = 0.1: {} bits for a feed-forward gradient of a language model, {} for one of attention, "
             "{} for the update", [bits(tensor, KLT) for tensor in (UP, QKV, UPDATE)]),
            ("{} to {} times less than `ecsq`", table.fewer(UP, QKV, UPDATE)),
            ("takes {}, {} and {} bits", [bits(tensor, "PowerSGD", POWERSGD) for tensor in (UP, QKV, UPDATE)]),
            ("{} to {} MB/s and decodes {} to {}", table.extremes("encode", KLT) + table.extremes("decode", KLT)),
        ],
        "docs/methods/lossless.md": [
            ("{} of 32 bits for a value of a float32 gradient, where zstd takes {}, and {} of 16 for one in bfloat16, "
             "where zstd takes {} to {}.",
             [bits(UP, LOSSLESS, EXACT), bits(UP, "zstd -1", EXACT), bits(BF16, LOSSLESS, EXACT), *zstd]),
            ("{} MB/s on one core and decodes it with {}", speeds(LOSSLESS, EXACT)),
        ],
        "docs/methods/dither.md": [
            ("{} bits at ω = 0.25 for a gradient of a language model, where `rsd` takes {}.",
             [bits(UP, DITHER, UNBIASED), bits(UP, "gcodec rsd", UNBIASED)]),
            ("{} MB/s and decodes {}", speeds(DITHER, UNBIASED)),
        ],
        "docs/methods/sparse-dithering.md": [("{} MB/s and decodes {}", speeds(SD))],
    }.get(page, [])  # fmt: skip


def _line(row: tuple[str, list[str]]) -> tuple[str, list[str]]:
    """A line of a table: its first cell, and the numbers of the others."""
    return " | ".join([f"| {row[0]}", *["{}"] * len(row[1])]), row[1]


def filled(page: str, text: str, table: Table) -> str:
    """The page with the numbers of a table, and with links to it. Words may be wrapped."""
    text = re.sub(r"(?<=bench/results/)[\w.-]*\.csv", table.name, text)
    for words, numbers in figures(page, table):
        parts = [r"([\d.,]*\d|–)".join(map(re.escape, word.split("{}"))) for word in words.split()]
        found = list(re.finditer(r"\s+".join(parts), text))
        if len(found) != 1:
            raise SystemExit(f"{page}: {words!r} is there {len(found)} times and not once")
        for place in range(len(numbers), 0, -1):
            text = text[: found[0].start(place)] + numbers[place - 1] + text[found[0].end(place) :]
    return text


def main() -> None:
    found = list(map(Path, sys.argv[1:])) or list((ROOT / "bench" / "results").glob(f"{gcodec.__version__}-*.csv"))
    if len(found) != 1:
        raise SystemExit(f"name one table: there are {len(found)} of gcodec {gcodec.__version__}")
    for page in PAGES:
        text = (ROOT / page).read_text(encoding="utf-8")
        (ROOT / page).write_text(filled(page, text, Table(found[0])), encoding="utf-8")


if __name__ == "__main__":
    main()
