"""One policy: the command line, `save` and `Writer` make the same records by the same rules."""

import inspect
from dataclasses import fields
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from checks import call_cli

import gcodec
from gcodec.cli.commands.encode import encode as encode_command
from gcodec.container.layout import Frame
from gcodec.container.reader import RandomAccess
from gcodec.errors import InvalidInput

X = np.random.default_rng(0).normal(size=(64, 48)).astype(np.float32)


def test_save_takes_the_fields_of_a_policy_by_name():
    by_name = inspect.signature(gcodec.save).parameters
    for field in fields(gcodec.Policy):
        empty = field.default_factory is dict
        assert by_name[field.name].default == (None if empty else field.default)
    assert set(by_name) == {field.name for field in fields(gcodec.Policy)} | {
        *("path", "tensors", "policy", "threads", "base", "alpha_of")
    }


def test_the_command_line_has_the_fields_of_a_policy_with_their_defaults():
    options = inspect.signature(encode_command).parameters
    # GLOB=VALUE of the same option; the axes are parts of the values of --alpha
    rules = {"methods": "method", "alphas": "alpha", "axes": "alpha", "fills": "fill", "pointwises": "pointwise"}
    for field in fields(gcodec.Policy):
        if field.name != "options":
            default = options[rules.get(field.name, field.name)].default
            assert default in (None, field.default)


MODEL = {
    "embed.weight": X,
    "layer.weight": X[::-1] * 3,
    "layer.norm": X[:30] + 1,
    "head.bias": X[0],
    "lr": np.float32(1e-3),
    "step": np.arange(5),
    "bad": np.where(X > 3, np.nan, X),
}


@pytest.mark.parametrize(
    ("arguments", "policy"),
    [
        (["--alpha", "1e-2", "--method", "sd"], {"alpha": 1e-2, "method": "sd"}),
        (["--lossless"], {"lossless": True}),
        (["--method", "rsd", "--omega", "0.5", "--seed", "7"], {"method": "rsd", "omega": 0.5, "seed": 7}),
        (
            [
                "--method",
                "sd",
                "--alpha",
                "0.1",
                "--alpha",
                "*embed*=0.5",
                "--exact",
                "*norm",
                "--method",
                "layer*=ecsq",
            ],
            {
                "method": "sd",
                "alpha": 0.1,
                "alphas": {"*embed*": 0.5},
                "exact": ["*norm"],
                "methods": {"layer*": "ecsq"},
            },
        ),
        (
            ["--alpha", "*layer*=1e-2", "--alpha", "1e-2@rows"],
            {"alpha": 1e-2, "alphas": {"*layer*": 1e-2}, "axes": {"*": "rows", "*layer*": None}},
        ),
        (["--method", "sd", "--small", "0"], {"method": "sd", "small": 0}),
        (["--method", "sd", "--alpha", "0.2", "--scope", "file"], {"method": "sd", "alpha": 0.2, "scope": "file"}),
        (["--alpha", "0.2", "--effort", "fast"], {"alpha": 0.2, "effort": "fast"}),
        (
            ["--method", "sc", "--omega", "2", "--block", "3", "--max-draws", "256", "--seed", "4"],
            {"method": "sc", "omega": 2.0, "block": 3, "max_draws": 256, "seed": 4},
        ),
        (
            ["--method", "dither", "--omega", "0.5", "--states", "1", "--seed", "-4"],
            {"method": "dither", "omega": 0.5, "states": 1, "seed": -4},
        ),
    ],
)
def test_equal_rules_give_equal_records(tmp_path, arguments, policy):
    """The same rules give the same choices by every way in.

    These are the command line, `save` with names, a Policy, a lazy mapping and, without a scope, a
    Writer.
    """
    np.savez(tmp_path / "m.npz", **MODEL)
    code, _, err = call_cli(
        "encode", tmp_path / "m.npz", "-o", tmp_path / "cli.gcz", "--nonfinite", "lossless", *arguments
    )
    assert code == 0, err
    gcodec.save(tmp_path / "names.gcz", MODEL, nonfinite="lossless", **policy)
    made = gcodec.Policy(nonfinite="lossless", **policy)
    gcodec.save(tmp_path / "policy.gcz", MODEL, policy=made, threads=1)
    with np.load(tmp_path / "m.npz") as lazy:
        gcodec.save(tmp_path / "lazy.gcz", lazy, policy=made, threads=2)
    if "scope" not in policy:
        with (tmp_path / "writer.gcz").open("wb") as file, gcodec.Writer(file, made) as writer:
            for name, array in MODEL.items():
                writer.add(name, array)
    files = [records(path) for path in sorted(tmp_path.glob("*.gcz"))]
    assert len(files) >= 4 and list(files[0]) == list(MODEL) and all(file == files[0] for file in files)


def records(path: Path) -> dict[str, bytes]:
    """The bytes of each record, without where they stand."""
    data = path.read_bytes()
    access = RandomAccess(BytesIO(data), len(data))
    return {name: _block(data, offset) for name, offset in access.offsets.items()}


def _block(data: bytes, offset: int) -> bytes:
    frame = Frame.unpack(data[offset : offset + Frame.SIZE])
    return data[offset : offset + Frame.SIZE + frame.header_length + 4 + frame.body_length]


def test_small_tensors_are_exact_by_default(tmp_path):
    gcodec.save(tmp_path / "x.gcz", MODEL, "sd", alpha=0.1, nonfinite="lossless")
    with gcodec.open(tmp_path / "x.gcz") as archive:
        kinds = {name: archive.header(name).guarantee.kind for name in archive}
    lossy = [name for name, kind in kinds.items() if kind == "alpha"]
    assert lossy == ["embed.weight", "layer.weight", "layer.norm"]


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        ({"exact": "*norm*"}, r"exact must be a list, such as \['\*norm\*'\]"),
        ({"exact": [1]}, "each glob of exact must be a string, not 1"),
        ({"methods": ["sd"]}, "methods must be a dict"),
        ({"alphas": {1: 0.5}}, "alphas must be a dict with strings"),
        ({"small": -1}, "small must be a whole number, 0 or more"),
        ({"small": 0.5}, "small must be a whole number, 0 or more"),
        ({"scope": "all"}, 'scope must be "tensor" or "file"'),
    ],
)
def test_fields_of_a_wrong_type(tmp_path, policy, words):
    with pytest.raises(InvalidInput, match=words):
        gcodec.Policy(alpha=0.1, **policy)
    with pytest.raises(InvalidInput, match=words):
        gcodec.save(tmp_path / "x.gcz", {"a": X}, alpha=0.1, **policy)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        ({"alpha": 0.1, "exact": ["b*"]}, "the rule 'b\\*' matches no tensor; there is '[^']*'$"),
        ({"alpha": 0.1, "methods": {"a": "zip"}}, "method 'zip' is unknown"),
        ({"alpha": 0.1, "methods": {"a": "rsd"}}, "the rule method a=rsd: .* cannot guarantee alpha"),
        ({"alpha": 0.1, "alphas": {"a": 7.0}}, "the rule alpha a=7.0: alpha must be between 0 and 1"),
        ({"lossless": True, "methods": {"a": "sd"}}, "such as alpha a=1e-3"),
        ({"omega": 0.1, "scope": "file"}, 'the scope "file" needs one alpha'),
        ({"exact": ["*b"]}, "the rule '.*b' matches no tensor"),
        ({}, "a checkpoint needs a choice"),
        ({"method": "ecsq", "alpha": 0.1, "block": 4}, "method ecsq has no option block"),
    ],
)
def test_policies_that_cannot_hold_write_nothing(tmp_path, policy, words):
    with pytest.raises(InvalidInput, match=words):
        gcodec.save(tmp_path / "x.gcz", {"a": X}, policy=gcodec.Policy(**policy))
    assert not list(tmp_path.iterdir())


def test_a_policy_cannot_be_changed():
    rules = {"a": 0.5}
    policy = gcodec.Policy(alpha=0.1, alphas=rules)
    rules["a"] = 0.9
    assert policy.alphas == {"a": 0.5}
    with pytest.raises(AttributeError):
        policy.alpha = 0.2


def test_a_policy_or_its_fields(tmp_path):
    with pytest.raises(InvalidInput, match="either a policy or its fields"):
        gcodec.save(tmp_path / "x.gcz", {"a": X}, alpha=0.1, policy=gcodec.Policy(alpha=0.1))
    with pytest.raises(InvalidInput, match="save takes a mapping from names to arrays, not ndarray"):
        gcodec.save(tmp_path / "x.gcz", X, alpha=0.1)
    with pytest.raises(InvalidInput, match="for a file object use gcodec.Writer"):
        gcodec.save(BytesIO(), {"a": X}, alpha=0.1)
    with pytest.raises(InvalidInput, match="name of a tensor must be a string, not 3"):
        gcodec.save(tmp_path / "x.gcz", {3: X}, alpha=0.1)
    assert not list(tmp_path.iterdir())
