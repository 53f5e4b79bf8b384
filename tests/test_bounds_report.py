"""The rows of `gcodec bounds`: what a method needs is never below what any method needs."""

import dataclasses
import json
import math

import pytest

from gcodec.theory import report, sphere

DIMENSIONS = (1, 2, 3, 8, 100, 10_000, 1_000_000)


@pytest.mark.parametrize("d", DIMENSIONS)
@pytest.mark.parametrize("alpha", [1e-6, 0.01, 0.1, 0.5, 0.9, 0.999])
def test_no_method_is_below_the_lower_bounds(d, alpha):
    table = {row.name: row for row in report.rows(d, alpha=alpha)}
    cap = table["cap"].bits
    assert table["uncertainty"].bits * (d - 1) / d + 1 <= cap * (1 + 1e-12)  # it counts the norm as a coordinate more
    assert cap * (1 - 1e-14) <= table["low end"].bits <= table["high end"].bits
    assert cap + 1 <= table["sc"].bits - 31 + 1e-9 * cap
    assert table["sc"].bits - 31 <= cap + 3
    assert cap <= table["sd exact"].bits <= table["sd closed"].bits
    assert table["uncertainty"].bits <= table["ecsq"].bits
    assert ("sd published" in table) == (alpha == 0.1 and d >= 3)
    assert all(row.bits >= table["sd exact"].bits for row in table.values() if row.name == "sd published")
    strict = [
        row for row in table.values() if row.group == report.BASELINE and row.note == "for every input" and row.reaches
    ]
    assert all(cap <= row.bits for row in strict)


# d, α, bits of a code that is known: so many equal arcs cover the circle (d = 2), and so many caps
# the sphere (d = 3)
COVERS = ((2, 0.1, math.log2(10)), (2, 0.25, math.log2(6)), (2, 0.5, 2.0), (3, 0.1, 6.29))


@pytest.mark.parametrize(("d", "alpha", "bits"), COVERS)
def test_what_is_called_a_lower_bound_of_the_direction_is_one(d, alpha, bits):
    table = report.rows(d, alpha=alpha)
    lower = [row.bits for row in table if row.group == report.LOWER]
    assert len(lower) == 2 and max(lower) <= bits * (1 + 1e-12)
    about = [row.bits for row in table if row.group == report.OPTIMUM]
    assert d == 3 or about == pytest.approx([bits, bits], rel=1e-14)
    assert d == 2 or about == pytest.approx([6.8694, 7.5338], abs=1e-4)  # above a code that exists: no lower bounds


def test_the_pair_around_the_optimum_grows_apart_as_log_log_d():
    for d in (3, 16, 10_000, 1_000_000):
        low, high = (row.bits for row in report.rows(d, alpha=0.1) if row.group == report.OPTIMUM)
        assert low == pytest.approx(sphere.cap_bits(0.1, d) + math.log2(d), rel=1e-14)
        assert high - low == pytest.approx(math.log2(math.log2(d)), rel=1e-6)


def test_a_bound_of_nothing_is_0_and_not_minus_0():
    (row,) = (row for row in report.rows(100, omega=1e308) if row.group == report.LOWER)
    assert f"{row.bits:.1f} {row.rate:.4f}" == "0.0 0.0000"


def test_the_slow_down_of_training():
    (row,) = (row for row in report.rows(100, alpha=0.2) if row.group == report.TRAINING)
    assert (row.rounds, row.bits, row.kind) == (1.25, None, "alpha")
    (row,) = (row for row in report.rows(100, omega=0.25) if row.group == report.TRAINING)
    assert (row.rounds, row.bits, row.kind) == (1.25, None, "omega")
    rounds = {row.name: row.rounds for row in report.rows(1, alpha=0.2)}
    assert rounds["cap"] is None and rounds["sparseloco-like"] == 1


@pytest.mark.parametrize("d", DIMENSIONS)
@pytest.mark.parametrize("omega", [1e-3, 0.25, 1, 4, 100])
def test_unbiased_rows(d, omega):
    table = {row.name: row for row in report.rows(d, omega=omega)}
    assert table["uncertainty"].bits <= table["rsd"].bits
    assert table["uncertainty"].bits <= table["sc"].bits
    assert table["sc"].reaches and table["rsd"].reaches and table["rand-k"].reaches and table["qsgd"].reaches
    assert table["natural dithering"].reaches or omega < 0.127
    assert all(row.kind == "omega" for row in table.values())


@pytest.mark.parametrize("d", [1, 2, 3, 10, 31, 32, 33])
def test_operators_that_rotate_have_constants_from_32_coordinates_on(d):
    names = {row.name for arguments in ({"alpha": 0.1}, {"omega": 0.1}) for row in report.rows(d, **arguments)}
    assert names.isdisjoint({"drive/eden", "turboquant", "eden"}) == (d < 32)


def test_rows_are_plain_data():
    """At any bound that float64 has."""
    bounds = (5e-324, 1e-308, 1e-300, 1e-30, 1e-9, 0.1)
    asked = [{kind: bound} for bound in bounds for kind in ("alpha", "omega")]
    for arguments in (*asked, {"alpha": 1 - 2.0**-53}, {"omega": 1e9}, {"omega": 1.7e308}):
        for d in (1, 2, 1000, 9 * 10**18):
            table = [dataclasses.asdict(row) for row in report.rows(d, **arguments)]
            assert json.loads(json.dumps(table, allow_nan=False)) == table
            counted = [row for row in table if row["group"] != report.TRAINING]
            assert all(row["rate"] == row["bits"] / d for row in counted) and len(counted) == len(table) - 1
