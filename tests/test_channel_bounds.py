"""Bounds of channels: of each value, of the whole message, and one that changes."""

from fractions import Fraction

import numpy as np
import pytest
from test_channel import channel, gradients, ratio

import gcodec
from gcodec.channel.message import Message
from gcodec.compressors.contract import Guarantee
from gcodec.container.fields import crc32
from gcodec.errors import Corrupt, InvalidInput


def test_the_bound_may_change():
    """From a message on, also for the warm start; every message says its own bound."""
    sender, receiver = channel(alpha=0.5, method="ecsq", feedback=False), channel()
    sizes = []
    for bound in (None, 0.05, None, 0.5):
        given = gradients(1)
        sizes.append(len(message := sender.encode(given, bound)))
        expected = 0.5 if bound is None and len(sizes) == 1 else bound or 0.05
        assert Message.unpack(message, sender.manifest).guarantee == Guarantee("alpha", expected)
        assert all(ratio(x, y) <= Fraction(expected) for x, y in zip(given, receiver.decode(message), strict=True))
    assert sizes[1] > 1.5 * sizes[0] and sizes[3] < sizes[2]
    with pytest.raises(InvalidInput, match="alpha must be between"):
        sender.encode(gradients(1), 2.0)


def test_each_value_is_within_a_pointwise_bound():
    given = gradients(3)
    given[0][:9], given[0][3, :5], given[1][:] = 0, -0.0, -0.0
    sender, receiver = channel(pointwise=0.01), channel()
    for _ in range(2):
        arrived = receiver.decode(sender.encode(given))
        for x, y in zip(given, arrived, strict=True):
            assert np.all(np.abs(y.astype(float) - x) <= 0.01 * np.abs(x.astype(float)))
            assert np.array_equal(np.signbit(x), np.signbit(y))
    assert sender.state_dict()["memory"] == {}


def test_signs_of_zeros_are_kept_where_all_is_exact():
    x = np.array([-0.0, 0.0], np.float32)
    sender = gcodec.Channel({"w": x}, lossless=True)
    assert sender.decode(sender.encode([x]))[0].tobytes() == x.tobytes()


@pytest.mark.parametrize("alpha", [0.02, 0.3, 0.97])
def test_one_bound_for_the_whole_message(alpha):
    """Tensors of little energy are left out, and the errors of all together are within alpha."""
    rng = np.random.default_rng(1)
    tensors = {name: ((64, 80), "f4") for name in "abc"} | {"none": ((0,), "f4"), "steps": ((2,), "i8")}
    given = [(rng.standard_normal((64, 80)) * size).astype("f4") for size in (1.0, 0.3, 0.01)]
    given += [np.zeros(0, "f4"), np.array([1, 2])]
    sender = gcodec.Channel(tensors, "ecsq", alpha=alpha, scope="message", feedback=False)
    each = gcodec.Channel(tensors, "ecsq", alpha=alpha, feedback=False)
    message = sender.encode(given)
    arrived = each.decode(message)
    errors = [float(((x.astype(float) - y) ** 2).sum()) for x, y in zip(given, arrived, strict=True)]
    assert sum(errors) <= alpha * sum(float((x.astype(float) ** 2).sum()) for x in given[:3])
    assert not arrived[2].any() and arrived[0].any()
    assert len(message) < len(each.encode(given))


@pytest.mark.parametrize("options", [{"omega": 0.3, "scope": "message"}, {"alpha": 0.1, "scope": "file"}], ids=str)
def test_scopes_that_are_none(options):
    with pytest.raises(InvalidInput, match='scope is "tensor"'):
        channel(**options)


def test_an_unknown_guarantee_is_refused():
    data = bytearray(channel(alpha=0.1).encode(gradients(0)))
    data[9:10] = b"\x05"
    with pytest.raises(Corrupt, match="guarantee 5 is unknown"):
        channel().decode(bytes(data[:-4]) + crc32(bytes(data[:-4])).to_bytes(4, "little"))
