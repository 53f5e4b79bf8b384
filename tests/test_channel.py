"""Channels: what arrives, the bound of each tensor, feedback, warm starts, and damaged messages."""

from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest

import gcodec
from gcodec.channel.coder import Coder
from gcodec.channel.manifest import JOINED, Manifest
from gcodec.channel.message import Message, Parcel
from gcodec.compressors.contract import Guarantee
from gcodec.container.fields import crc32
from gcodec.errors import ChecksumMismatch, Corrupt, FormatError, InvalidInput, NonFinite

SHAPES = {"weight": (70, 90), "bias": (90,), "scale": (), "none": (0, 3), "norm": (5,)}
FLOATS = [np.dtype(name) for name in ("f4", "f8", "f2", ml_dtypes.bfloat16)]


def gradients(seed: int, dtype: object = np.float32) -> list[np.ndarray]:
    """Of sizes that differ much from tensor to tensor."""
    rng = np.random.default_rng(seed)
    sizes = 4.0 ** np.arange(-2, 3)
    return [(rng.standard_normal(s) * size).astype(dtype) for s, size in zip(SHAPES.values(), sizes, strict=True)]


def channel(dtype: object = np.float32, **options) -> gcodec.Channel:
    return gcodec.Channel({name: (shape, dtype) for name, shape in SHAPES.items()}, **options)


def ratio(x: np.ndarray, y: np.ndarray) -> Fraction:
    pairs = [(Fraction(float(a)), Fraction(float(b))) for a, b in zip(x.reshape(-1), y.reshape(-1), strict=True)]
    norm = sum(a * a for a, _ in pairs)
    return sum((b - a) ** 2 for a, b in pairs) / norm if norm else Fraction(0)


@pytest.mark.parametrize("dtype", FLOATS, ids=lambda dtype: dtype.name)
@pytest.mark.parametrize("method", ["auto", "ecsq", "tcq", "klt", "sd"])
def test_each_tensor_is_within_its_bound(method, dtype):
    sender, receiver = channel(dtype, method=method, alpha=0.1, feedback=False), channel(dtype)
    for step in range(3):
        given = gradients(step, dtype)
        arrived = receiver.decode(sender.encode(given))
        for x, y, seen in zip(given, arrived, sender.decoded, strict=True):
            assert y.dtype == x.dtype and y.shape == x.shape and y.tobytes() == seen.tobytes()
            assert ratio(x, y) <= Fraction(0.1)


@pytest.mark.parametrize("dtype", FLOATS, ids=lambda dtype: dtype.name)
def test_feedback_loses_nothing_for_good(dtype):
    """What was sent and the memory add up to all gradients."""
    sender = channel(dtype, method="ecsq", alpha=0.3)
    given, sent = [np.zeros(s) for s in SHAPES.values()], [np.zeros(s) for s in SHAPES.values()]
    for step in range(5):
        grads = gradients(step, dtype)
        sender.encode(grads)
        given = [total + g.astype(float) for total, g in zip(given, grads, strict=True)]
        sent = [total + y.astype(float) for total, y in zip(sent, sender.decoded, strict=True)]
    for name, total, part in zip(SHAPES, given, sent, strict=True):
        memory = sender.state_dict()["memory"][name].astype(float)
        np.testing.assert_allclose(part + memory, total, rtol=1e-5, atol=1e-5 * np.abs(total).max(initial=1e-30))


def test_a_part_of_the_memory_is_kept():
    given, half, full = gradients(1), channel(alpha=0.3, method="ecsq", feedback=0.5), channel(alpha=0.3, method="ecsq")
    half.encode(given)
    full.encode(given)
    for name, left in full.state_dict()["memory"].items():
        assert np.array_equal(half.state_dict()["memory"][name], left * np.float32(0.5))
    with pytest.raises(InvalidInput, match="a factor between 0 and 1"):
        channel(alpha=0.1, feedback=1.5)


def test_a_channel_goes_on_from_its_state():
    first, other = channel(alpha=0.2, method="ecsq"), channel(alpha=0.2, method="ecsq")
    first.encode(gradients(0))
    other.load_state_dict(first.state_dict())
    first._coders.clear()  # the warm start is no part of the state
    assert first.encode(gradients(1)) == other.encode(gradients(1))
    with pytest.raises(InvalidInput, match="lacks"):
        gcodec.Channel({"a": ((2,), "f4")}).load_state_dict(first.state_dict())
    with pytest.raises(InvalidInput, match="another shape"):
        other.load_state_dict({"step": 0, "memory": {"bias": np.zeros(3, np.float32)}})


@pytest.mark.parametrize("method", ["ecsq", "tcq", "klt"])
def test_a_warm_start_costs_few_bytes_and_no_search(method, monkeypatch):
    rng = np.random.default_rng(3)
    base = rng.standard_normal((300, 20)) @ rng.standard_normal((20, 90)) * np.exp(rng.standard_normal((300, 1)))
    given = [(base + 0.3 * rng.standard_normal(base.shape) * np.abs(base)).astype(np.float32) for _ in range(5)]
    sender = gcodec.Channel({"w": given[0]}, method, alpha=0.05, feedback=False)
    sender.encode([given[0]])
    monkeypatch.setattr(Coder, "_anew", lambda *_: pytest.fail("it searched again"))
    sizes = [len(sender.encode([x])) for x in given[1:]]
    fresh = [len(gcodec.encode(x, method, alpha=0.05)) for x in given[1:]]
    assert sum(sizes) <= 1.04 * sum(fresh)
    assert all(ratio(x, y) <= Fraction(0.05) for x, y in zip(given[-1:], sender.decoded, strict=True))


def test_joined_tensors_start_warm(monkeypatch):
    """The worst of them must be within the bound; the next message knows what that takes."""
    rng, searched, anew = np.random.default_rng(4), [], Coder._anew
    monkeypatch.setattr(Coder, "_anew", lambda *args: searched.append(args[0].name) or anew(*args))
    sender = gcodec.Channel({str(i): ((100 + i,), "f4") for i in range(12)}, "ecsq", alpha=0.1, feedback=False)
    for _ in range(10):
        given = [rng.standard_normal(100 + i).astype(np.float32) for i in range(12)]
        sender.encode(given)
        assert all(ratio(x, y) <= Fraction(0.1) for x, y in zip(given, sender.decoded, strict=True))
    assert len(searched) <= 2


def test_vectors_of_a_channel_for_matrices_are_coded_by_ecsq():
    tensors = {"matrix": ((80, 90), "f4"), "vector": ((5000,), "f4"), "small": ((50,), "f4")}
    rng = np.random.default_rng(5)
    sender = gcodec.Channel(tensors, "klt", alpha=0.1)
    message = sender.encode([rng.standard_normal(shape).astype(np.float32) for shape, _ in tensors.values()])
    assert [parcel.method for parcel in Message.unpack(message, sender.manifest).parcels] == [7, 5, 5]


def test_a_tensor_that_changes_wholly_is_searched_anew():
    sender, receiver = channel(alpha=0.01, method="auto"), channel()
    for scale in (1.0, 1e-30, 0.0, 1e30, 1.0):
        given = [(x * np.float32(scale)).astype(np.float32) for x in gradients(1)]
        sender._memory.clear()
        arrived = receiver.decode(sender.encode(given))
        assert all(ratio(x, y) <= Fraction(0.01) for x, y in zip(given, arrived, strict=True))


def test_small_tensors_take_few_bytes():
    """A tensor of 1 kB among 32 takes at most 80 bytes, everything included."""
    rng = np.random.default_rng(0)
    given = [rng.standard_normal(256).astype(np.float32) * 10.0 ** rng.integers(-6, 6) for _ in range(32)]
    given = [x.astype(np.float32) for x in given]
    sender = gcodec.Channel({str(i): x for i, x in enumerate(given)}, alpha=0.1)
    message = sender.encode(given)
    assert len(message) <= 32 * 80
    assert all(ratio(x, y) <= Fraction(0.1) for x, y in zip(given, sender.decoded, strict=True))


def test_exact_and_other_dtypes():
    given = {"step": np.array(7), "mask": np.array([True, False]), "w": gradients(0)[0]}
    sender, receiver = gcodec.Channel(given, lossless=True), gcodec.Channel(given)
    arrived = receiver.decode(sender.encode(given))
    assert all(np.array_equal(x, y) and x.dtype == y.dtype for x, y in zip(given.values(), arrived, strict=True))
    assert sender.state_dict()["memory"] == {}


def test_noise_follows_from_seed_rank_step_and_tensor():
    x = np.ones((2, 300), np.float32)
    tensors = {"a": x, "b": x}

    def sent(seed: int | None, rank: int, messages: int = 1) -> list[np.ndarray]:
        sender = gcodec.Channel(tensors, "dither", omega=0.5, seed=seed, rank=rank)
        for _ in range(messages):
            sender.encode([x, x])
        return sender.decoded

    a, b = sent(1, 0)
    assert not np.array_equal(a, b)
    assert np.array_equal(a, sent(1, 0)[0])
    others = [sent(2, 0)[0], sent(1, 1)[0], sent(1, 0, 2)[0], sent(None, 0)[0], sent(None, 0)[0]]
    assert len({y.tobytes() for y in [a, *others]}) == 6


def test_out_buffers_and_names():
    sender, given = channel(alpha=0.1), dict(zip(SHAPES, gradients(4), strict=True))
    message, out = sender.encode(given), [np.empty(s, np.float32) for s in SHAPES.values()]
    assert all(a is b for a, b in zip(channel().decode(message, out), out, strict=True))
    assert all(np.array_equal(a, b) for a, b in zip(out, sender.decoded, strict=True))


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ([], "5 tensors, not 0"),
        ({"weight": np.zeros(3)}, "exactly these"),
        ([*gradients(0)[:4], np.zeros(6, np.float32)], "norm: float32 of shape"),
        ([*gradients(0)[:4], np.zeros(5)], "norm: float64"),
    ],
)
def test_arrays_that_are_not_as_agreed(arrays, words):
    with pytest.raises(InvalidInput, match=words):
        channel(alpha=0.1).encode(arrays)


def test_nothing_changes_when_a_value_is_not_finite():
    sender, bad = channel(alpha=0.1), gradients(1)
    sender.encode(gradients(0))
    before, bad[1][3] = sender.state_dict(), np.nan
    with pytest.raises(NonFinite, match="bias"):
        sender.encode(bad)
    after = sender.state_dict()
    assert after["step"] == before["step"] == 1
    assert all(np.array_equal(after["memory"][name], array) for name, array in before["memory"].items())


def test_what_to_do_about_values_that_are_not_finite():
    """A channel has no fill, and its user no command line."""
    sender, bad = channel(alpha=0.1), gradients(1)
    bad[0][3, 4] = np.nan
    with pytest.raises(NonFinite, match=r"^weight: 1 of 6300 .* index \(3, 4\); .* this end is as before$") as found:
        sender.encode(bad)
    assert "fill" not in str(found.value) and "--" not in str(found.value)


def test_a_bound_finer_than_the_dtype_is_refused():
    sender = gcodec.Channel({"w": ((9,), ml_dtypes.bfloat16)}, alpha=1e-9)
    sender.encode([np.ones(9, ml_dtypes.bfloat16)])  # bfloat16 values themselves have no error
    sender.load_state_dict({"step": 1, "memory": {"w": np.full(9, 1e-3, np.float32)}})
    with pytest.raises(InvalidInput, match="small tensors: roundings to its dtype"):
        sender.encode([np.ones(9, ml_dtypes.bfloat16)])


@pytest.mark.parametrize(
    "tensors",
    [["a"], {1: np.zeros(3)}, {"a": ("x", "f4")}, {"a": ((2,), "O")}, {"a": ((-1,), "f4")}, {"a": ((3.7,), "f4")},
     {"a": ((True,), "f4")}, {"a": (("3",), "f4")}, {"a": ((3,), None)}, {"a": ((3,),)}, {"a": ()}, {"a": (3, "f4")},
     {"a": ((3,), "f4", 1)}, {"a": ({3: 1}, "f4")}, {"a": ("12", "f4")}, {"a": ((0, 1 << 60), "f4")},
     {"a": ((1,) * 65, "f4")}, {"\ud800": ((3,), "f4")}, {"a": ((float("inf"),), "f4")}],
)  # fmt: skip
def test_tensors_that_are_none(tensors):
    with pytest.raises(InvalidInput):
        gcodec.Channel(tensors)


def test_every_cut_and_every_flipped_bit_is_noticed():
    sender, receiver = channel(alpha=0.1, method="ecsq"), channel()
    message = sender.encode(gradients(0))
    for end in range(len(message)):
        with pytest.raises(FormatError):
            receiver.decode(message[:end])
    for at in range(len(message)):
        damaged = bytearray(message)
        damaged[at] ^= 1 << at % 8
        with pytest.raises((FormatError, gcodec.errors.UnsupportedVersion)):
            receiver.decode(bytes(damaged))
    with pytest.raises(Corrupt, match="other names"):
        gcodec.Channel({"w": ((70, 90), "f4")}).decode(message)


def test_damage_with_right_checksums_gives_errors_of_ours():
    """Each field of the message replaced, with the crc at the end made anew."""
    manifest = Manifest.of({"w": ((70, 90), "f4"), "b": ((9,), "f4")})
    sender = gcodec.Channel({"w": ((70, 90), "f4"), "b": ((9,), "f4")}, "ecsq", alpha=0.1)
    message = sender.encode([np.ones((70, 90), np.float32), np.ones(9, np.float32)])
    rng = np.random.default_rng(5)
    for _ in range(600):
        body = bytearray(message[:-4])
        body[8 + int(rng.integers(min(len(body) - 8, 60)))] = int(rng.integers(256))
        data = bytes(body) + crc32(bytes(body)).to_bytes(4, "little")
        try:
            found = sender.decode(data)
        except gcodec.errors.GcodecError:
            continue
        assert [y.tobytes() for y in found] == [y.tobytes() for y in sender.decoded]
    wrong = Message(Guarantee("alpha", 0.1), 0, (Parcel(0), Parcel(0)), np.zeros(1, np.uint16), 0)
    with pytest.raises(ChecksumMismatch, match="other values"):
        sender.decode(wrong.pack(manifest))


def test_which_tensors_are_joined():
    manifest = Manifest.of({"a": ((JOINED - 1,), "f4"), "b": ((JOINED,), "f4"), "c": ((3,), "f8"), "d": ((3,), "i4")})
    assert manifest.joined("alpha") == (0,) and manifest.alone("alpha") == (1, 2, 3)
    assert manifest.joined("omega") == () and manifest.alone("exact") == (0, 1, 2, 3)
