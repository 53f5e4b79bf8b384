"""Caps of the sphere: known values, closed forms and monotony."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gcodec.theory import sphere

ALPHAS = (1e-300, 1e-12, 1e-4, 0.01, 0.1, 0.25, 0.5, 0.6, 0.9, 0.999, 1 - 1e-6, 1 - 1e-12, 1.0)
DIMENSIONS = (1, 2, 3, 8, 100, 10_000, 1_000_000)

# −log2 P(α, d) for d = 8, 100, 10⁴, 10⁶, from a computation with 30 digits
CAP_BITS = {
    0.5: (5.91504316221, 53.6580234276, 5006.96971242, 500010.291533),
    0.25: (9.62323176907, 103.441274318, 10006.7620975, 1000010.08401),
    0.1: (14.3489236693, 169.005091514, 16615.8730931, 1660973.60201),
    0.01: (26.0286416731, 333.507845340, 33223.9213406, 3321936.05724),
    0.0001: (49.2877163677, 662.385761560, 66439.8875377, 6643860.83738),
}

# Each line has d, α, −log2 P and 1/c̄ − 1, from 30 digits. There are small and large dimensions,
# tiny α, and α above one half on all sides of the rim.
CAPS = (
    (2, 1e-12, 21.5830646988, 1.666666666667e-13),
    (2, 0.6, 1.825991948524, 0.1439206479681),
    (2, 0.9, 1.330669782709, 0.3166098475276),
    (2, 0.999999, 1.000918740817, 0.569797111527),
    (3, 1e-12, 41.86313713865, 2.500000000001e-13),
    (3, 0.9, 1.548412254608, 0.5194938532959),
    (8, 0.6, 4.887189524582, 0.3879630885317),
    (8, 0.999, 1.095986475503, 2.226219572699),
    (100, 1e-12, 1977.869357845, 4.900990099014e-13),
    (100, 0.9, 10.61546982223, 1.933763926961),
    (100, 0.999, 1.408175153695, 8.899416310375),
    (10_000, 0.6, 3691.768308475, 0.5809017895787),
    (10_000, 0.9, 766.2493652066, 2.15943954178),
    (10_000, 0.999999, 1.119745079057, 114.9240316734),
    (1_000_000, 1e-12, 19931559.92929, 4.999990000014e-13),
    (1_000_000, 0.6, 368493.0591704, 0.581136458389),
    (1_000_000, 0.999, 728.0177906413, 30.59127968812),
    (1_000_000, 0.999999, 2.656031697303, 654.6797145742),
    (1_000_000, 0.999999999999, 1.001151549769, 1251.314462357),
)


@pytest.mark.parametrize("alpha", CAP_BITS)
def test_cap_bits_agree_with_the_reference_table(alpha):
    got = [sphere.cap_bits(alpha, d) for d in (8, 100, 10_000, 1_000_000)]
    assert got == pytest.approx(CAP_BITS[alpha], rel=1e-11)


@pytest.mark.parametrize(("d", "alpha", "bits", "excess"), CAPS)
def test_caps_agree_with_a_computation_of_30_digits(d, alpha, bits, excess):
    assert sphere.cap_bits(alpha, d) == pytest.approx(bits, rel=1e-12)
    assert sphere.mean_cosine_excess(alpha, d) == pytest.approx(excess, rel=1e-12)


@given(st.floats(1e-12, 1.0, exclude_max=True), st.integers(2, 10**6))
def test_the_expansions_agree_where_they_meet(alpha, d):
    a = (d - 1) / 2
    candidates = [sphere._excess(alpha, a)]
    if alpha < 0.99:
        candidates.append(sphere._excess_by_series(alpha, a))
    if alpha > 0.4 and a * (1 - alpha) > 1:
        candidates.append(sphere._by_continued_fraction(alpha, a) - 1)
    if alpha > 0.4 and a * (1 - alpha) < 2:
        candidates.append(sphere._by_complement(alpha, a) - 1)
    assert candidates == pytest.approx([candidates[0]] * len(candidates), rel=1e-11, abs=1e-14)


def test_caps_in_closed_form():
    for alpha in ALPHAS[1:]:
        assert sphere.cap_bits(alpha, 1) == 1
        assert sphere.mean_cosine(alpha, 1) == 1
        angle = math.atan2(math.sqrt(alpha), math.sqrt(1 - alpha))
        assert 2 ** -sphere.cap_bits(alpha, 2) == pytest.approx(angle / math.pi, rel=1e-12)
        assert sphere.mean_cosine(alpha, 2) == pytest.approx(math.sqrt(alpha) / angle, rel=1e-12)
        height = alpha / (1 + math.sqrt(1 - alpha))  # 1 − √(1−α): Archimedes, for d = 3
        assert 2 ** -sphere.cap_bits(alpha, 3) == pytest.approx(height / 2, rel=1e-12)
        assert sphere.mean_cosine(alpha, 3) == pytest.approx((1 + math.sqrt(1 - alpha)) / 2, rel=1e-12)
    assert sphere.cap_bits(1.0, 10**6) == pytest.approx(1, abs=1e-12)


def test_cap_bits_grow_with_dimension_and_shrink_with_alpha():
    table = np.array([[sphere.cap_bits(alpha, d) for alpha in ALPHAS] for d in DIMENSIONS])
    assert np.isfinite(table).all()
    assert (np.diff(table, axis=0) >= -1e-14).all()
    assert (np.diff(table, axis=1) <= 0).all()
    assert (table >= 1).all()


def test_a_measured_share_of_the_sphere():
    rng = np.random.default_rng(1)
    x = rng.standard_normal((200_000, 6))
    cosines = x[:, 0] / np.linalg.norm(x, axis=1)
    inside = cosines[cosines >= math.sqrt(1 - 0.4)]
    share, expected = inside.size / cosines.size, 2 ** -sphere.cap_bits(0.4, 6)
    assert abs(share - expected) < 5 * math.sqrt(expected / cosines.size)
    assert inside.mean() == pytest.approx(sphere.mean_cosine(0.4, 6), abs=5 * inside.std() / math.sqrt(inside.size))
