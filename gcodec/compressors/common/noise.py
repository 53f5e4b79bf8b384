"""What checks share: is the noise of an unbiased record that which it promises? And words."""

from ..contract import Check, CodedTensor

_SLACK = 1e-8  # relative; more than the roundings of an expected error


def noise_check(expected: float, coded: CodedTensor, cause: str) -> Check:
    """E‖x̂ − x‖²/‖x‖² as it follows from the payload and the original, beside what is promised.

    expected: that number, or an upper bound of it that an honest encoder would store. cause: what
    it follows from, in words.
    """
    stored, bound = coded.payload.expected or 0.0, coded.guarantee.bound
    right = expected <= bound * (1 + _SLACK) and expected <= stored * (1 + _SLACK)
    detail = f"the expected error with this {cause} is at most {expected:.6g}; stored {stored:.6g}, bound {bound:g}"
    return Check("noise", right, detail)


def apart(bits: float, d: int) -> str:
    """How far a payload of d values is above or below a bound, in words. bits: its bits more."""
    return f"{abs(bits) / d:.4f} bits per coordinate {'above' if bits >= 0 else 'below'}"
