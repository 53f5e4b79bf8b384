"""Updates of weights: bounds, exact bits, late joiners, lost updates, damage."""

import subprocess
import sys
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

import gcodec
from gcodec.errors import ChecksumMismatch, FormatError, InvalidInput, MissingBase, NotGcodec, UnsupportedVersion

EXAMPLE = Path(__file__).parent.parent / "examples" / "weight_sync.py"


def weights(dtype=np.float32, seed=0):
    rng = np.random.default_rng(seed)
    found = {"w": rng.standard_normal((48, 64)) * 0.05, "b": rng.standard_normal(30), "s": rng.standard_normal(())}
    return {name: array.astype(dtype) for name, array in found.items()} | {"step": np.array(seed)}


def moved(before, rng, lr=1e-3):
    step = {
        n: x + (lr * np.tanh(rng.standard_normal(x.shape))).astype(np.float32) for n, x in before.items() if n != "step"
    }
    return {n: step[n].astype(before[n].dtype) if n in step else x + 1 for n, x in before.items()}


def squares(x, y):
    return float(((x.astype(np.float64) - y.astype(np.float64)) ** 2).sum())


@pytest.mark.parametrize("dtype", [np.float32, ml_dtypes.bfloat16, np.float16], ids=lambda dtype: np.dtype(dtype).name)
@pytest.mark.parametrize("promise", [{"alpha": 0.1}, {"alpha": 0.01}, {"lossless": True}], ids=str)
def test_receivers_follow(dtype, promise):
    rng, now = np.random.default_rng(1), weights(dtype)
    sender, first, late = gcodec.UpdateSender(now, **promise), gcodec.UpdateReceiver(now), gcodec.UpdateReceiver(now)
    first.apply(sender.update(now))
    errors = []
    for step in range(20):
        have, now = list(sender.decoded), moved(now, rng)
        data = sender.update(now)
        got = first.apply(data)
        for x, before, y in zip(now.values(), have, got, strict=True):
            if "lossless" in promise or x.dtype == np.int64:
                assert x.tobytes() == y.tobytes()
            else:
                assert squares(x, y) <= promise["alpha"] * squares(x, before)
        assert [y.tobytes() for y in got] == [y.tobytes() for y in sender.decoded]
        errors.append(squares(now["w"], got[0]))
        if step == 9:
            with pytest.raises(MissingBase, match="ask the sender for a keyframe"):
                late.apply(data)
            late.apply(sender.keyframe())
        elif step > 9:
            late.apply(data)
    assert [y.tobytes() for y in late.decoded] == [y.tobytes() for y in first.decoded]
    assert np.mean(errors[-5:]) <= 1.5 * np.mean(errors[:5]) + 1e-12


def test_a_lost_update_needs_a_keyframe():
    rng, now = np.random.default_rng(2), weights()
    sender, receiver = gcodec.UpdateSender(now, alpha=0.1), gcodec.UpdateReceiver(now)
    receiver.apply(sender.update(now))
    sender.update(now := moved(now, rng))
    data = sender.update(now := moved(now, rng))
    before = receiver.decoded
    with pytest.raises(MissingBase, match="it has update 1"):
        receiver.apply(data)
    assert receiver.decoded is before and receiver.step == 1
    receiver.apply(sender.keyframe())
    assert receiver.step == 3 and receiver.decoded[0].tobytes() == sender.decoded[0].tobytes()
    arrays = receiver.apply(sender.update(now := moved(now, rng)))
    with pytest.raises(ValueError, match="read-only"):  # else the next update would not fit
        arrays[0][0] = 1
    arrays.clear()
    receiver.apply(sender.update(moved(now, rng)))


def test_updates_are_small():
    rng, now = (
        np.random.default_rng(3),
        {"w": (np.random.default_rng(3).standard_normal((256, 256)) * 0.05).astype("f4")},
    )
    sender = gcodec.UpdateSender(now, alpha=0.1)
    whole = len(sender.update(now))
    assert len(sender.update(moved(now, rng))) < whole / 10


def test_damage_and_wrong_use():
    now = weights()
    sender, receiver = gcodec.UpdateSender(now, alpha=0.1), gcodec.UpdateReceiver(now)
    with pytest.raises(InvalidInput, match="no update yet"):
        sender.keyframe()
    data = sender.update(now)
    for damaged, error in (
        (data[:-1], ChecksumMismatch),
        (b"GCX" + data[3:], NotGcodec),
        (b"GCU\x02", UnsupportedVersion),
    ):
        with pytest.raises(error):
            receiver.apply(damaged)
    rng = np.random.default_rng(4)
    for at in rng.integers(0, len(data), 40):
        with pytest.raises((FormatError, UnsupportedVersion)):
            receiver.apply(data[:at] + bytes([data[at] ^ 1 << int(rng.integers(8))]) + data[at + 1 :])
    with pytest.raises(FormatError, match="other tensors"):
        gcodec.UpdateReceiver({"w": now["w"]}).apply(data)
    for options in ({}, {"alpha": 0.1, "lossless": True}):
        with pytest.raises(InvalidInput, match="alpha, or lossless"):
            gcodec.UpdateSender(now, **options)


def test_the_example_runs():
    run = subprocess.run([sys.executable, EXAMPLE, "--steps", "3"], capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    assert run.stdout.count("same bits") == 2
