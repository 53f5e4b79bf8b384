"""Messages as containers: their tensors and promises, by Python and by the command line."""

import io
import json

import ml_dtypes
import numpy as np
import pytest
from checks import call_cli

import gcodec
from gcodec.channel.manifest import Manifest
from gcodec.errors import InvalidInput

TENSORS = {
    "weight": ((70, 90), "f4"), "half": ((80, 90), "f2"), "brain": ((64, 80), ml_dtypes.bfloat16),
    "double": ((50,), "f8"), "bias": ((90,), "f4"), "none": ((0, 3), "f4"), "steps": ((2,), "i8"), "ü": ((), "f4"),
    "zero": ((90, 60), "f4"),
}  # fmt: skip


def arrays(seed: int, dtype: object = None) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    found = [np.asarray(3 * rng.standard_normal(shape)).astype(dtype or own) for shape, own in TENSORS.values()]
    found[-1][...] = 0
    return found


def channel(**options) -> gcodec.Channel:
    return gcodec.Channel(TENSORS, **options)


@pytest.mark.parametrize(
    "options",
    [{"alpha": 0.1, "method": "klt"}, {"alpha": 0.02, "method": "ecsq"}, {"alpha": 0.1, "scope": "message"},
     {"pointwise": 0.01}, {"lossless": True}, {"omega": 0.5, "method": "rsd", "seed": 1}],
    ids=str,
)  # fmt: skip
def test_a_container_has_the_tensors_of_the_message(options):
    sender = channel(**options)
    for step in range(2):
        message = sender.encode(arrays(step))
    data = sender.container(message)
    found = gcodec.load(io.BytesIO(data))
    assert list(found) == list(TENSORS)
    for x, y in zip(sender.decoded, found.values(), strict=True):
        assert y.dtype == x.dtype and y.shape == x.shape and y.tobytes() == x.tobytes()
    assert gcodec.verify(data).ok


def test_records_promise_what_the_message_does():
    """A float32 tensor of its own keeps its payload, also a rounded one; joined ones are exact."""
    sender = channel(alpha=0.1, method="ecsq", feedback=False)
    given = arrays(3)
    data = sender.container(sender.encode(given))
    headers = {tensor.name: tensor.header for tensor in gcodec.verify(data).tensors}
    for name in ("weight", "half", "brain", "double"):
        assert headers[name].guarantee == gcodec.Guarantee("alpha", 0.1)
        x, y = given[list(TENSORS).index(name)].astype(float), sender.decoded[list(TENSORS).index(name)].astype(float)
        error = ((x - y) ** 2).sum() / (x**2).sum()
        assert error <= headers[name].distortion <= min(0.1, error * 1.01 + 1e-12)
    assert all(headers[name].guarantee.kind == "exact" for name in ("bias", "ü", "zero", "none", "steps"))


@pytest.mark.parametrize("dtype", ["f2", ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2], ids=str)
def test_narrow_tensors_whose_bytes_are_coded_for_float32(dtype):
    """All methods that `auto` chooses for signs, few values, zeros and noise."""
    noise = np.random.default_rng(0).standard_normal((64, 64))
    for given in (np.sign(noise), np.round(noise), np.where(noise > 2.5, noise, 0), np.ones((64, 64)), noise):
        sender = gcodec.Channel({"x": ((64, 64), dtype)}, alpha=0.1)
        data = sender.container(sender.encode([given.astype(dtype)]))
        assert gcodec.load(io.BytesIO(data))["x"].tobytes() == sender.decoded[0].tobytes()
        assert gcodec.verify(data).ok


def test_the_command_line_takes_messages(tmp_path):
    sender = channel(alpha=0.1, method="ecsq")
    message, specs, out = tmp_path / "m.gcm", tmp_path / "specs.json", tmp_path / "out.safetensors"
    message.write_bytes(sender.encode(arrays(0)))
    specs.write_text(sender.specs, encoding="utf-8")
    assert call_cli("decode", message, "--specs", specs, "-o", out)[0] == 0
    assert call_cli("decode", message, "--specs", specs, "--tensor", "weight", "-o", tmp_path / "w.npy")[0] == 0
    assert np.array_equal(np.load(tmp_path / "w.npy"), sender.decoded[0])
    code, text, _ = call_cli("verify", message, "--specs", specs)
    assert code == 0 and "consistent" in text
    code, _, error = call_cli("verify", message, "--specs", specs, "--against", out)
    assert code == 2 and "what earlier ones left out" in error


def test_what_the_command_line_refuses(tmp_path):
    sender = channel(alpha=0.1, method="ecsq")
    message, specs = tmp_path / "m.gcm", tmp_path / "specs.json"
    message.write_bytes(sender.encode(arrays(0)))
    specs.write_text(sender.specs, encoding="utf-8")
    code, _, error = call_cli("decode", message)
    assert code == 3 and "message of a channel" in error and "--specs" in error
    code, _, error = call_cli("info", message)  # which has no --specs
    assert code == 3 and "`gcodec decode` and `gcodec verify`" in error
    damaged = bytearray(message.read_bytes())
    damaged[40] ^= 1
    (tmp_path / "bad.gcm").write_bytes(damaged)
    assert call_cli("verify", tmp_path / "bad.gcm", "--specs", specs)[0] == 3
    specs.write_text('[["w","float32",[3]]]')
    code, _, error = call_cli("verify", message, "--specs", specs)
    assert code == 3 and "other names, shapes or dtypes" in error
    for bad, words in ((b"\xff\xfe", "is no text"), (b'[["a","float32",[1e400]]]', "not inf"), (b"{}", "a JSON list")):
        specs.write_bytes(bad)
        code, _, error = call_cli("verify", message, "--specs", specs)
        assert code == 2 and f"{specs}: " in error and words in error
    assert call_cli("verify", message, "--specs", tmp_path / "missing.json")[0] != 0


def test_specs_say_what_the_channel_was_made_of():
    sender = channel(alpha=0.1)
    assert gcodec.Channel(sender.specs).manifest == sender.manifest
    assert json.loads(sender.specs)[0] == ["weight", "float32", [70, 90]]


@pytest.mark.parametrize(
    "text",
    ["", "{}x", "[3]", '[["a","float32"]]', '[["a","f99",[1]]]', '[["a","float32",["x"]]]', '[["a","float32",3]]',
     "{}", '{"3":1}', '[["a","float32",[1e400]]]', '[["a","float32",[3.7]]]', '[["a","float32",["3"]]]',
     '[["a","float32",[true]]]', '[["a","float32","12"]]', '[["a","float32",{"3":1}]]', '["abc"]', "[[]]",
     '[["\\ud800","float32",[1]]]', '[["a","float32",[0,1e30]]]', '[["a","float32",[0,' + "9" * 30 + "]]]",
     '[["a","float32",[' + "1," * 64 + "1]]]", '[["a","float32",[null]]]', '[["a","float32",[[1]]]]',
     '[[1,"float32",[1]]]', '[["a","float32",[1]],["a","float32",[2]]]', '[["a",3,[1]]]', "7", '[["a","float32",[-1]]]'],
)  # fmt: skip
def test_specs_that_are_none(text):
    with pytest.raises(InvalidInput):
        Manifest.of(text)
