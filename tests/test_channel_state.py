"""States of a channel: which are taken, and that a refused one changes nothing."""

import numpy as np
import pytest

import gcodec
from gcodec.errors import InvalidInput

TENSORS = {"w": ((80, 60), "f4"), "b": ((5,), "f2"), "n": ((3,), "i4")}
GOOD = {"w": np.ones((80, 60), np.float32), "b": np.ones(5, np.float32)}


@pytest.mark.parametrize(
    "options",
    [{"lossless": True}, {"alpha": 0.1, "feedback": False}, {"omega": 0.5}, {"pointwise": 0.1}],
    ids=str,
)
def test_a_channel_without_feedback_takes_no_memory(options):
    """It would add the memory to every message."""
    sender, given = gcodec.Channel(TENSORS, **options), [np.zeros(shape, dtype) for shape, dtype in TENSORS.values()]
    with pytest.raises(InvalidInput, match="the state has a memory"):
        sender.load_state_dict({"step": 3, "memory": GOOD})
    sender.encode(given)
    assert sender.step == 1 and not any(array.any() for array in sender.decoded)
    sender.load_state_dict({"step": 3, "memory": {}})
    assert sender.step == 3


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (None, "a state is the mapping"),
        ({}, "a state is the mapping"),
        ({"memory": GOOD}, "a state is the mapping"),
        ({"step": 1, "memory": None}, "the memory of a state"),
        ({"step": 1, "memory": []}, "the memory of a state"),
        ({"step": -1, "memory": {}}, "whole number, 0 or more"),
        ({"step": 1.0, "memory": {}}, "whole number"),
        ({"step": 2**70, "memory": {}}, "below 2.63"),
        ({"step": 2**64 - 1, "memory": {}}, "below 2.63"),
        ({"step": 1, "memory": GOOD | {"other": GOOD["w"]}}, "lacks"),
        ({"step": 1, "memory": {3: GOOD["w"]}}, "lacks"),
        ({"step": 1, "memory": GOOD | {"w": None}}, "w: "),
        ({"step": 1, "memory": GOOD | {"w": [[1.0], [1.0, 2.0]]}}, "w: "),
        ({"step": 1, "memory": GOOD | {"w": GOOD["w"].T}}, "w: .*another shape"),
        ({"step": 1, "memory": GOOD | {"w": GOOD["w"].astype("f8")}}, "w: .*another shape or dtype"),
        ({"step": 1, "memory": GOOD | {"b": np.full(5, np.nan, np.float32)}}, "b: .*NaN"),
        ({"step": 1, "memory": GOOD | {"n": np.ones(3, np.float32)}}, "n: .*sent exactly"),
    ],
)
def test_what_is_no_state(state, words):
    sender = gcodec.Channel(TENSORS, alpha=0.1)
    sender.load_state_dict({"step": 7, "memory": GOOD})
    with pytest.raises(InvalidInput, match=words):
        sender.load_state_dict(state)
    after = sender.state_dict()
    assert after["step"] == 7 and all(np.array_equal(after["memory"][name], GOOD[name]) for name in GOOD)
