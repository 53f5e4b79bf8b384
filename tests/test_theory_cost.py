"""What the formulas cost: files choose their arguments, so no bound or dimension may take long or much memory."""

import math
import tracemalloc

import pytest

from gcodec.theory import sparse_dithering as sd


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
