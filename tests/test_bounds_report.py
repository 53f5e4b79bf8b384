"""The rows of `gcodec bounds`: what a method needs is never below what any method needs."""

import dataclasses
import json

import pytest

from gcodec.theory import report

DIMENSIONS = (1, 2, 3, 8, 100, 10_000, 1_000_000)


@pytest.mark.parametrize("d", DIMENSIONS)
@pytest.mark.parametrize("alpha", [1e-6, 0.01, 0.1, 0.5, 0.9, 0.999])
def test_no_method_is_below_the_lower_bounds(d, alpha):
    table = {row.name: row for row in report.rows(d, alpha=alpha)}
    cap = table["cap"].bits
    assert table["uncertainty"].bits * (d - 1) / d + 1 <= cap * (1 + 1e-12)  # it counts the norm as a coordinate more
    assert cap <= table["covering"].bits
    assert cap + 1 <= table["sc"].bits - 31 + 1e-9 * cap
    assert cap <= table["sd exact"].bits <= table["sd closed"].bits
    assert table["uncertainty"].bits <= table["ecsq"].bits
    assert ("sd published" in table) == (alpha == 0.1)
    strict = [
        row for row in table.values() if row.group == report.BASELINE and row.note == "for every input" and row.reaches
    ]
    assert all(cap <= row.bits for row in strict)


@pytest.mark.parametrize("d", DIMENSIONS)
@pytest.mark.parametrize("omega", [1e-3, 0.25, 1, 4, 100])
def test_unbiased_rows(d, omega):
    table = {row.name: row for row in report.rows(d, omega=omega)}
    assert table["uncertainty"].bits <= table["rsd"].bits
    assert table["uncertainty"].bits <= table["sc"].bits
    assert table["sc"].reaches and table["rsd"].reaches and table["rand-k"].reaches and table["qsgd"].reaches
    assert table["natural dithering"].reaches or omega < 0.127
    assert all(row.kind == "omega" for row in table.values())


def test_rows_are_plain_data():
    for arguments in ({"alpha": 1e-9}, {"alpha": 0.1}, {"omega": 1e-9}, {"omega": 1e9}):
        for d in (1, 2, 1000, 2**62):
            table = [dataclasses.asdict(row) for row in report.rows(d, **arguments)]
            assert json.loads(json.dumps(table, allow_nan=False)) == table
            assert all(row["rate"] == row["bits"] / d for row in table)
