"""Bounds of slices, by @ on the command line: of what a bound is, and what to type."""

import numpy as np
import pytest
from checks import call_cli
from test_structured import normal

import gcodec


@pytest.mark.parametrize(
    ("rules", "axes"),
    [
        (["1e-2@rows", "w*=1e-2"], [0, None]),
        (["w*=1e-2", "1e-2@rows"], [0, None]),
        (["1e-2", "w*=1e-2@columns"], [None, 1]),
        (["1e-2@rows", "*=1e-2@columns", "w*=1e-2"], [1, None]),
        (["w*=1e-2@rows", "*=1e-2@axis1"], [1, 1]),
        (["*=1e-2@axis1", "w*=1e-2"], [1, None]),
    ],
)
def test_the_rule_that_gives_a_bound_says_of_what_it_is(tmp_path, rules, axes):
    np.savez(tmp_path / "x.npz", a=normal(30, 40), w1=normal(40, 30))
    options = [part for rule in rules for part in ("--alpha", rule)]
    assert call_cli("encode", tmp_path / "x.npz", *options)[0] == 0
    with gcodec.open(tmp_path / "x.npz.gcz") as coded:
        found = [coded.header(name).attributes.get("slices", {}).get("axis") for name in ("a", "w1")]
    assert found == axes


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--alpha", "@rows"], "--alpha @rows: before @ comes a bound, such as --alpha 1e-2@rows"),
        (["--alpha", "x=@rows"], "--alpha x=@rows: before @ comes a bound, such as --alpha x=1e-2@rows"),
        (["--pointwise", "1e-2@rows"], "only a bound --alpha holds for slices, by @"),
        (["--alpha", "1e-2@rows", "--method", "sd"], "the array: method sd cannot keep values or hold a bound"),
        (["--alpha", "1e-2", "--alpha", "1e-3"], "another --alpha without a glob was given before"),
    ],
)
def test_refused_with_what_to_type(tmp_path, options, words):
    np.save(tmp_path / "x.npy", normal(9, 9))
    code, _, err = call_cli("encode", tmp_path / "x.npy", *options)
    assert code == 2 and words in err
