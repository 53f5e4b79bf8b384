"""The reference decoder of messages agrees with the channel; the example of the page is right."""

import importlib
import io
import json
import re
import subprocess
import sys
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from vectors import vectors

import gcodec
from gcodec.channel.manifest import Manifest
from gcodec.errors import GcodecError

SPEC = Path(__file__).parent.parent / "spec"
TENSORS = {
    "weight": ((12, 20), "f4"), "bias": ((20,), ml_dtypes.bfloat16), "half": ((7,), "f2"), "double": ((9,), "f8"),
    "large": ((64, 65), ml_dtypes.bfloat16), "none": ((0,), "f4"), "steps": ((2,), "i8"), "zero": ((3,), "f4"),
}  # fmt: skip


@pytest.fixture(scope="module")
def reference():
    sys.path.insert(0, str(SPEC / "reference"))
    try:
        return importlib.import_module("message")
    finally:
        sys.path.pop(0)


def manifest_of(tensors: dict) -> list:
    manifest = Manifest.of(tensors)
    return [
        [name, spec.dtype.name, list(spec.shape)] for name, spec in zip(manifest.names, manifest.specs, strict=True)
    ]


def arrays(rng: np.random.Generator) -> list[np.ndarray]:
    found = [(rng.standard_normal(shape) * 3).astype(dtype) for shape, dtype in TENSORS.values()]
    found[-1][:] = 0
    return found


@pytest.mark.parametrize(
    "options",
    [{"alpha": 0.1}, {"alpha": 0.01, "method": "tcq"}, {"alpha": 0.3, "method": "klt"}, {"alpha": 1e-3, "method": "ecsq"},
     {"alpha": 0.2, "scope": "message"}, {"pointwise": 0.02}, {"lossless": True}, {"omega": 0.5, "method": "rsd", "seed": 3}],
    ids=str,
)  # fmt: skip
def test_equals_the_channel(reference, options):
    rng = np.random.default_rng(1)
    tensors = TENSORS if "omega" not in options else {name: TENSORS[name] for name in ("weight", "double", "steps")}
    sender = gcodec.Channel(tensors, **options)
    for _ in range(2):
        given = [x for x, name in zip(arrays(rng), TENSORS, strict=True) if name in tensors]
        message = sender.encode(given)
        found = reference.decode_message(message, manifest_of(tensors))
        assert found == [x.tobytes() for x in sender.decoded]


def test_damage_is_judged_alike(reference):
    sender = gcodec.Channel(TENSORS, "ecsq", alpha=0.1)
    message, rng = sender.encode(arrays(np.random.default_rng(2))), np.random.default_rng(3)
    for _ in range(150):
        body = bytearray(message[:-4])
        body[8 + int(rng.integers(min(len(body) - 8, 80)))] = int(rng.integers(256))
        data = bytes(body) + reference.zlib.crc32(bytes(body)).to_bytes(4, "little")
        try:
            expected = [x.tobytes() for x in sender.decode(data)]
        except GcodecError:
            with pytest.raises(reference.FormatError):
                reference.decode_message(data, manifest_of(TENSORS))
        else:
            assert reference.decode_message(data, manifest_of(TENSORS)) == expected


@pytest.mark.parametrize("vector", vectors("messages"), ids=str)
def test_vectors(reference, vector):
    """Both decoders find the values that a good message has, and refuse a bad one by name."""
    manifest, error = vector.about["manifest"], vector.about.get("error")
    channel = gcodec.Channel(json.dumps(manifest))
    if error is None:
        values = [bytes.fromhex(tensor["values"]) for tensor in vector.about["tensors"]]
        assert reference.decode_message(vector.data, manifest) == values
        assert [array.tobytes() for array in channel.decode(vector.data)] == values
        container = channel.container(vector.data)
        assert gcodec.verify(container).ok and list(gcodec.load(io.BytesIO(container))) == [
            name for name, *_ in manifest
        ]
        return
    with pytest.raises(GcodecError) as ours:
        channel.decode(vector.data)
    with pytest.raises(reference.FormatError) as theirs:
        reference.decode_message(vector.data, manifest)
    assert ours.value.code == theirs.value.code == error


def test_the_example_of_the_page(tmp_path):
    page = (SPEC / "message.md").read_text(encoding="utf-8")
    printed = bytes.fromhex("".join(re.findall(r"^\| [0-9A-F]{2} \| `([0-9A-F ]+)`", page, re.MULTILINE)))
    x = np.array([3, -1, 0, 0.5], np.float32)
    assert gcodec.Channel({"w": x}, "sd", alpha=0.1).encode([x]) == printed
    (tmp_path / "m").write_bytes(printed)
    (tmp_path / "manifest.json").write_text(json.dumps([["w", "float32", [4]]]))
    command = [
        sys.executable,
        SPEC / "reference" / "message.py",
        tmp_path / "manifest.json",
        tmp_path / "m",
        "--raw",
        tmp_path,
    ]
    subprocess.run(command, check=True)
    assert (tmp_path / "0.raw").read_bytes() == np.array([3, -1, 0, 0], np.float32).tobytes()
