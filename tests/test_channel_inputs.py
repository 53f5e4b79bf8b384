"""Arguments of a channel that are none: an error of ours, and the channel as before."""

import numpy as np
import pytest

import gcodec
from gcodec.channel.message import Message, Parcel
from gcodec.errors import FormatError, InvalidInput, NonFinite, OutOfMemory

TENSORS = {"a": ((80, 60), "f4"), "b": ((5,), "f4")}
RNG = np.random.default_rng(0)


def gradients() -> list[np.ndarray]:
    return [RNG.standard_normal(shape).astype(dtype) for shape, dtype in TENSORS.values()]


def bound_of(sender: gcodec.Channel, message: bytes) -> float:
    return Message.unpack(message, sender.manifest).guarantee.bound


@pytest.mark.parametrize("bound", [0, 1.0, -0.5, float("nan"), "0.2", True, [0.2], 10**400])
def test_a_bound_that_is_refused_is_not_kept(bound):
    sender = gcodec.Channel(TENSORS, alpha=0.1)
    with pytest.raises(InvalidInput):
        sender.encode(gradients(), bound)
    assert bound_of(sender, sender.encode(gradients())) == 0.1 and sender.step == 1


def test_the_bound_of_a_message_that_fails_is_not_kept():
    sender, bad = gcodec.Channel(TENSORS, alpha=0.1), gradients()
    bad[1][2] = np.inf
    with pytest.raises(NonFinite):
        sender.encode(bad, 0.3)
    assert bound_of(sender, sender.encode(gradients())) == 0.1
    assert bound_of(sender, sender.encode(gradients(), 0.3)) == bound_of(sender, sender.encode(gradients())) == 0.3


def test_bounds_where_there_are_none():
    with pytest.raises(InvalidInput, match="lossless, and its messages have no bound"):
        gcodec.Channel(TENSORS, lossless=True).encode(gradients(), 0.2)
    with pytest.raises(InvalidInput, match="bound must be a number, not True"):
        gcodec.Channel(TENSORS, omega=0.5).encode(gradients(), True)


@pytest.mark.parametrize("arrays", [None, 5, "ab", b"ab", {1, 2}, iter([1, 2])], ids=lambda given: type(given).__name__)
def test_what_is_no_list_of_arrays(arrays):
    with pytest.raises(InvalidInput, match="give a list of arrays or a mapping"):
        gcodec.Channel(TENSORS, alpha=0.1).encode(arrays)


@pytest.mark.parametrize("data", [None, "GCM", -1, 5, 10**15, [71, 67, 77]], ids=str)
def test_what_is_no_message(data):
    sender, receiver = gcodec.Channel(TENSORS), gcodec.UpdateReceiver(TENSORS)
    for take in (sender.decode, sender.container, receiver.apply):
        with pytest.raises(InvalidInput, match="must be bytes, not"):
            take(data)


def test_all_that_holds_bytes_is_taken():
    sender = gcodec.Channel(TENSORS, alpha=0.1)
    message = sender.encode(gradients())
    for data in (bytearray(message), memoryview(message), np.frombuffer(message, np.uint8)):
        assert np.array_equal(sender.decode(data)[0], sender.decoded[0])
    with pytest.raises(FormatError):
        sender.decode(b"")


@pytest.mark.parametrize("feedback", ["yes", None, float("nan"), -0.1, 2, 10**400])
def test_feedback_is_a_factor(feedback):
    with pytest.raises(InvalidInput, match="feedback"):
        gcodec.Channel(TENSORS, alpha=0.1, feedback=feedback)


def test_too_little_memory_for_what_a_short_message_says():
    receiver = gcodec.Channel({"x": ((1 << 47,), "f8")})
    message = Message(gcodec.Guarantee("alpha", 0.1), 0, (Parcel(0),), np.zeros(0, np.uint16), 0)
    with pytest.raises(OutOfMemory, match=f"{1 << 50} bytes"):
        receiver.decode(message.pack(receiver.manifest))


def test_too_little_memory_for_a_container(monkeypatch):
    def fail(*_args, **_options):
        raise MemoryError

    sender = gcodec.Channel(TENSORS, alpha=0.1)
    message = sender.encode(gradients())
    monkeypatch.setattr("gcodec.channel.contained.ContainerWriter", fail)
    with pytest.raises(OutOfMemory, match="too little memory for its tensors"):
        sender.container(message)


@pytest.mark.parametrize("kind", ["alpha", "omega", "pointwise"])
def test_a_bound_is_no_flag(kind):
    with pytest.raises(InvalidInput, match=f"{kind} must be a number, not True"):
        gcodec.Channel(TENSORS, **{kind: True})


def test_what_was_received_says_where_it_belongs():
    sender, receiver = gcodec.Channel(TENSORS, alpha=0.1), gcodec.Channel(TENSORS)
    messages = [sender.encode(gradients()) for _ in range(3)]
    assert receiver.received is None
    for i in (0, 2, 1, 1):
        receiver.decode(messages[i])
        assert receiver.received == i
    with pytest.raises(FormatError):
        receiver.decode(messages[2][:-1])
    assert receiver.received == 1 and receiver.step == 0


def test_a_sender_of_updates_says_what_to_do_about_values_that_are_not_finite():
    sender, bad = gcodec.UpdateSender(TENSORS, alpha=0.1), gradients()
    sender.update(gradients())
    bad[1][3] = np.inf
    with pytest.raises(NonFinite, match="b: 1 of 5 .* this end is as before$"):
        sender.update(bad)
    assert sender.step == 1
