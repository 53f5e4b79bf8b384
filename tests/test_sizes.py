"""No file of corpora/ becomes larger than bench/sizes.csv says, by any method.

After a change that is worth it, or that makes files smaller: python bench/sizes.py
"""

import csv
import importlib.util
from pathlib import Path

BENCH = Path(__file__).parents[1] / "bench"
GROWTH = 1.01
ROUNDING = 8  # bytes: products of matrices in the search differ a little between machines


def grown(kept: dict[tuple[str, ...], int], found: dict[tuple[str, ...], int]) -> dict[tuple[str, ...], str]:
    """What is larger than allowed, or missing, or new, with both sizes."""
    return {
        key: f"{kept.get(key)} bytes became {found.get(key)}"
        for key in kept.keys() | found.keys()
        if key not in kept or key not in found or found[key] > GROWTH * kept[key] + ROUNDING
    }


def test_files_do_not_grow():
    spec = importlib.util.spec_from_file_location("sizes", BENCH / "sizes.py")
    sizes = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sizes)
    with sizes.TABLE.open(encoding="utf-8") as file:
        kept = {(row["file"], row["method"], row["bound"]): int(row["bytes"]) for row in csv.DictReader(file)}
    found = {row[:3]: row[3] for row in sizes.sizes()}
    assert len(found) > 100
    assert grown(kept, found) == {}


def test_growth_is_found():
    kept = {("a", "ecsq", "alpha 0.1"): 10_000, ("b", "ecsq", "alpha 0.1"): 10_000}
    same = {key: 10_108 for key in kept}
    assert grown(kept, same) == {}
    assert list(grown(kept, same | {("b", "ecsq", "alpha 0.1"): 10_109})) == [("b", "ecsq", "alpha 0.1")]
    assert set(grown(kept, {})) == set(kept) and len(grown({}, kept)) == 2
