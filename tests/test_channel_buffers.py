"""Arrays that a message is decoded into: those that cannot take it are refused unchanged."""

import numpy as np
import pytest

import gcodec
from gcodec.errors import InvalidInput

TENSORS = {"a": ((80, 60), "f4"), "b": ((80, 60), "f4"), "none": ((0,), "f4")}
SHARED = np.zeros(2 * 80 * 60 - 1, np.float32)
FIXED = np.zeros((80, 60), np.float32)
FIXED.flags.writeable = False
A, NONE = np.zeros((80, 60), np.float32), np.zeros(0, np.float32)


@pytest.mark.parametrize(
    ("out", "words"),
    [
        (5, "out must be a list"),
        ("abc", "out must be a list"),
        ({"a": A, "b": FIXED, "none": NONE}, "out must be a list"),
        ([A], "each of the 3 tensors, not 1"),
        ([A, A, NONE, NONE], "each of the 3 tensors, not 4"),
        ([A, FIXED, NONE], "b: .*read-only"),
        ([A, A.tolist(), NONE], "b: .*not list"),
        ([A, A.astype("f8"), NONE], "b: .*float64"),
        ([A, A.astype("i4"), NONE], "b: .*int32"),
        ([A, A.astype(">f4"), NONE], "b: .*>f4"),
        ([A, A.T, NONE], r"b: .*\(60, 80\)"),
        ([A, np.zeros((2, 80, 60), np.float32), NONE], "b: .*shape"),
        ([A, A, NONE], "a and b: .*share memory"),
        ([SHARED[:4800].reshape(80, 60), SHARED[-4800:].reshape(80, 60), NONE], "a and b: .*share memory"),
    ],
)
def test_arrays_that_cannot_take_a_message(out, words):
    sender = gcodec.Channel(TENSORS, alpha=0.1)
    message = sender.encode([np.ones(shape, dtype) for shape, dtype in TENSORS.values()])
    with pytest.raises(InvalidInput, match=words):
        sender.decode(message, out)
    assert not A.any() and not SHARED.any()


def test_views_that_stand_in_between_take_a_message():
    sender, both = gcodec.Channel(TENSORS, alpha=0.1), np.zeros((80, 120), np.float32)
    rng = np.random.default_rng(0)
    message = sender.encode([rng.standard_normal(shape).astype(dtype) for shape, dtype in TENSORS.values()])
    out = (both[:, ::2], both[:, 1::2], NONE)
    found = sender.decode(message, out)
    assert all(x is y for x, y in zip(found, out, strict=True))
    assert all(np.array_equal(x, y) for x, y in zip(out, sender.decoded, strict=True))
