"""The mathematics of the bounds: known values, monotony, closed forms and definitions."""

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gcodec.theory import baselines, report, shannon, sphere, spherical
from gcodec.theory import sparse_dithering as sd
from gcodec.theory.lloyd_max import lloyd_max


def test_uncertainty_and_the_tie_between_the_classes():
    assert sphere.uncertainty_bits(0.1, 1_000_000) == pytest.approx(1660964.047)
    for omega in (1e-9, 0.25, 1, 1e6):
        alpha = shannon.alpha_of_omega(omega)
        assert shannon.omega_of_alpha(alpha) == pytest.approx(omega, rel=1e-9)
        assert shannon.contractive_rate(alpha) == pytest.approx(shannon.unbiased_rate(omega), rel=1e-12)
    assert pytest.approx(0.2546, abs=5e-5) == shannon.CUBIC_LOSS
    assert shannon.omega_of_alpha(1.0) == math.inf


@pytest.mark.parametrize(
    ("nu", "rate"),
    [(0.5, 2.5550), (0.25, 2.8165), (0.1, 3.3435), (0.01, 6.5853), (1e-3, 17.314), (1e-4, 51.5)],
)
def test_worst_rates_of_sparse_dithering(nu, rate):
    assert sd.worst_rate(nu) == pytest.approx(rate, rel=3e-5)


def test_the_equality_case_of_the_published_constant():
    assert sd.worst_density(sd.PUBLISHED_NU) == pytest.approx(0.837, abs=5e-4)


@pytest.mark.parametrize(("d", "margin"), [(1, -0.65), (2, -0.30), (3, 0.05), (100, 3.2), (100_000, 659)])
def test_the_exact_count_against_the_published_bound(d, margin):
    assert sd.published_bits(d) - sd.exact_bits(0.1, d) == pytest.approx(margin, rel=5e-3)


@pytest.mark.parametrize("nu", [1e-9, 1e-4, 0.01, 0.1, 1 / 9, 0.25, 0.5, 0.999])
def test_the_exact_count_equals_its_definition(nu):
    for d in (1, 2, 3, 4, 5, 9, 30, 257):
        worst = max(
            math.log2(math.comb(d, m)) + m + math.floor((m + math.sqrt(m * d / nu)) / 2) for m in range(1, d + 1)
        )
        assert sd.exact_bits(nu, d) == pytest.approx(31 + math.log2(d) + worst, abs=1e-9)


def test_the_closed_form_is_above_the_exact_count():
    for nu in (1e-6, 0.1, 0.9):
        for d in (1, 2, 10, 1000, 10**6, 10**9):
            gap = sd.closed_form_bits(nu, d) - sd.exact_bits(nu, d)
            assert 0 <= gap < 3 + 0.5 * math.log2(d)
    assert sd.exact_bits(0.1, 2**50) == sd.closed_form_bits(0.1, 2**50)
    assert sd.exact_bits(0.95, 2**40) == sd.closed_form_bits(0.95, 2**40)


def test_the_savings_of_randomised_dithering():
    per_message, in_all = sd.saving(0.25)
    assert per_message == 32 / (math.log2(3) + 1)
    assert round(per_message, 1) == 12.4
    assert round(in_all, 1) == 9.9
    best = sd.best_omega()
    assert best == pytest.approx(0.2426, abs=1e-4)
    assert sd.saving(best)[1] >= max(in_all, sd.saving(0.2)[1], sd.saving(0.3)[1])
    assert sd.half_step(0.25, 100) == 0.05


@pytest.mark.parametrize(
    ("alpha", "d", "rate", "draws"),
    [(0.1, 8, 1.978, 2.1e4), (0.25, 12, 1.282, 1.6e4), (0.5, 24, 0.672, 2.6e4), (0.75, 64, 0.280, 9e4),
     (0.9, 128, 0.112, 7.7e3)],
)  # fmt: skip
def test_spherical_blocks(alpha, d, rate, draws):
    bits = sphere.cap_bits(alpha, d)
    assert spherical.golomb_mean_bits(bits) / d == pytest.approx(rate, abs=5e-4)
    assert 2**bits == pytest.approx(draws, rel=0.05)
    assert spherical.expected_bits(alpha, d) == 31 + spherical.golomb_mean_bits(bits)


def _golomb_length(n: int, parameter: int) -> int:
    width = (parameter - 1).bit_length()
    return n // parameter + 1 + (width - 1 if n % parameter < (1 << width) - parameter else width)


@pytest.mark.parametrize("bits", [0.2, 1, 1.3, 2, 3.7, 6])
def test_the_golomb_code_is_the_best_one(bits):
    p = 2.0**-bits
    numbers = range(int(60 / p))

    def mean(parameter):
        return sum(p * (1 - p) ** n * _golomb_length(n, parameter) for n in numbers)

    best = spherical.golomb_parameter(bits)
    assert spherical.golomb_mean_bits(bits) == pytest.approx(mean(best), rel=1e-12)
    assert all(mean(best) <= mean(other) + 1e-12 for other in (best - 1, best + 1) if other)
    entropy = sum(-p * (1 - p) ** n * (math.log2(p) + n * math.log2(1 - p)) for n in numbers)
    assert spherical.geometric_entropy(bits) == pytest.approx(entropy, rel=1e-12)


@given(st.floats(0, 1e7))
def test_golomb_is_within_one_and_a_half_bits(bits):
    mean = spherical.golomb_mean_bits(bits)
    assert spherical.geometric_entropy(bits) <= mean + 1e-9 * bits
    assert mean <= bits + 1.5
    if bits > 10:
        assert mean >= bits + 1.2


def test_the_ends_of_the_geometric_law():
    assert spherical.geometric_entropy(0) == 0
    assert spherical.golomb_mean_bits(0) == 1
    assert spherical.golomb_parameter(0) == 1
    assert spherical.geometric_entropy(5000.0) == pytest.approx(5000 + math.log2(math.e))
    with pytest.raises(ValueError, match="1000 bits"):
        spherical.golomb_parameter(1001)


@given(st.floats(1e-9, 1e6), st.integers(1, 10**6))
def test_the_cap_of_an_unbiased_code(omega, d):
    alpha = spherical.cap_for_omega(omega, d)
    assert 0 < alpha <= 1
    assert spherical.unbiased_omega(alpha, d) <= omega
    if alpha < 1:
        assert spherical.unbiased_omega(min(1.0, alpha * (1 + 1e-9) + 1e-15), d) > omega * (1 - 1e-12)


@pytest.mark.parametrize(
    "call",
    [
        lambda: report.rows(0, alpha=0.1),
        lambda: report.rows(10, alpha=1.0),
        lambda: report.rows(10, alpha=0.0),
        lambda: report.rows(10, alpha=math.nan),
        lambda: report.rows(10, omega=0.0),
        lambda: report.rows(10, omega=math.inf),
        lambda: report.rows(10),
        lambda: report.rows(10, alpha=0.1, omega=0.1),
        lambda: sphere.cap_bits(1.5, 3),
        lambda: sphere.cap_bits(0.5, 2.5),
        lambda: spherical.cap_for_omega(-1.0, 3),
        lambda: sd.worst_rate(0.0),
        lambda: sd.published_bits(0),
        lambda: baselines.top_k_alpha(3, 4),
        lambda: lloyd_max(9),
        lambda: lloyd_max(1.5),
        lambda: baselines.top_k_alpha(3, 1.5),
        lambda: baselines.rand_k_omega(math.nan, 1),
        lambda: baselines.dithering_omega(10, 0),
        lambda: baselines.dithering_bits(10, -1),
        lambda: baselines.natural_dithering_omega(10, 0.5),
        lambda: baselines.natural_dithering_bits(10, math.nan),
        lambda: baselines.turboquant_alpha(0),
        lambda: baselines.rotation_alpha(0),
        lambda: baselines.rotation_omega(2.5),
        lambda: baselines.rotation_bits(10, 65),
        lambda: baselines.sparse_loco_count(10, 0.0),
        lambda: baselines.sparse_loco_bits(10, 11),
        lambda: baselines.sparse_loco_alpha(0),
    ],
)
def test_arguments_outside_the_domain_are_refused(call):
    with pytest.raises(ValueError, match=r"must be|needed|given"):
        call()


def test_lloyd_max_against_known_quantisers():
    centroids, error = lloyd_max(1)
    assert centroids == pytest.approx((math.sqrt(2 / math.pi),), rel=1e-14)
    assert error == pytest.approx(1 - 2 / math.pi, rel=1e-13)
    assert lloyd_max(2)[0] == pytest.approx((0.4528, 1.510), abs=5e-4)
    assert [lloyd_max(b)[1] for b in (2, 3, 4, 5)] == pytest.approx([0.1175, 0.03454, 0.009501, 0.002505], rel=1e-3)
    for bits in range(1, 9):
        assert lloyd_max(bits)[1] < baselines.turboquant_alpha(bits)
        assert len(lloyd_max(bits)[0]) == 2 ** (bits - 1)


def test_constants_of_the_baselines():
    assert baselines.rand_k_omega(100, 10) == 9
    assert baselines.top_k_alpha(100, 10) == 0.9
    assert baselines.sparse_bits(4, 2) == pytest.approx(64 + math.log2(6))
    assert baselines.ternary_omega(100) == 9
    assert baselines.terngrad_omega(100) == 4.5
    assert baselines.ternary_bits(100) == pytest.approx(31 + 100 * math.log2(3))
    assert baselines.dithering_omega(100, 10) == 1
    assert baselines.dithering_omega(100, 2) == 5
    assert baselines.dithering_bits(100, 10) == 33 + 300 + 100
    assert baselines.natural_bits(100) == 900
    assert baselines.natural_dithering_omega(64, 4) == 0.125 + 1
    assert baselines.natural_dithering_bits(100, 4) == pytest.approx(31 + 100 * math.log2(9))
    assert baselines.sign_alpha(4) == 0.75
    assert baselines.sign_bits(100) == 131
    assert baselines.rotation_omega(1) == pytest.approx(math.pi / 2 - 1)
    assert baselines.rotation_bits(100, 3) == 332
    assert baselines.sparse_loco_count(8192, 0.01) == 2 * 41
    assert baselines.sparse_loco_count(4100) == 123 + 1
    assert baselines.sparse_loco_alpha(10_000) == 1 - 1 / 4096
    assert baselines.sparse_loco_bits(8192, 82) == 14 * 82 + 128
    assert baselines.turboquant_alpha(1) == pytest.approx(2.7207 / 4, rel=1e-4)


def test_the_table_of_the_worked_example():
    text = (Path(__file__).parent.parent / "docs" / "worked-example.md").read_text(encoding="utf-8")
    for name, omega in (("1/16", 1 / 16), ("1/4", 0.25), ("1", 1), ("4", 4)):
        per_message, in_all = sd.saving(omega)
        assert f"| {name} | {sd.expected_rate(omega):.3f} | {per_message:.2f} | {in_all:.2f} |" in text
