"""What the formulas cost.

Files choose their arguments, so no bound or dimension may take long or much memory.
"""

import math
import tracemalloc

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gcodec.theory import sparse_dithering as sd
from gcodec.theory import spherical


@pytest.mark.parametrize("nu", [5e-324, 1e-310, 1e-301, 1e-16])
def test_the_exact_count_of_tiny_bounds(nu):
    """It is finite, though d/ν is not, and compares but a few of the d numbers of levels."""
    d = 120 << 20
    tracemalloc.start()
    bits = sd.exact_bits(nu, d)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert math.isfinite(bits) and peak < 1 << 20
    assert bits == pytest.approx(d / 2 / math.sqrt(nu), rel=1e-6 if nu < 1e-16 else 1)
    assert bits == pytest.approx(sd.closed_form_bits(nu, d), rel=1e-9)


def _plain_cap(omega: float, d: int) -> float:
    """`cap_for_omega` with a test at every step of its bisection."""
    a = (d - 1) / 2
    low, high = omega / (1 + omega) * (1 - 1e-12), min(1.0, omega * (a + 1) / a)
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if spherical.unbiased_omega(middle, d) <= omega else (low, middle)
    return low


@given(st.floats(-300, 6).map(lambda x: 10**x) | st.floats(1e-3, 1e4), st.integers(2, 50) | st.integers(2, 10**12))
@example(5e-324, 3)
@example(0.5, 300)
@example(spherical.unbiased_omega(0.5, 40), 40)  # where two expansions meet
def test_the_search_for_a_cap_ends_where_a_plain_one_does(omega, d):
    if spherical.unbiased_omega(1.0, d) > omega:
        assert spherical.cap_for_omega(omega, d) == _plain_cap(omega, d)


@pytest.mark.parametrize(("omega", "d"), [(562.34, 3000), (0.5, 300), (9990.0, 10_000), (1e-3, 1000)])
def test_a_cap_takes_few_evaluations(omega, d, monkeypatch):
    asked = []
    plain = spherical.unbiased_omega
    monkeypatch.setattr(spherical, "unbiased_omega", lambda alpha, d: asked.append(alpha) or plain(alpha, d))
    spherical.cap_for_omega(omega, d)
    assert len(asked) <= 26
