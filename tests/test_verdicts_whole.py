"""The checks of a file as a whole: each has a file that must fail it, and one next to it."""

import json
import math

import h5py
import numpy as np
import pytest
from checks import call_cli, run_cli
from safetensors.numpy import save_file
from vectors import gcz
from verdicts import MEASURED, X, only_failing, scoped, sd

import gcodec
from gcodec.errors import InvalidInput


def test_both_sides_have_the_same_tensors(tmp_path):
    """A tensor of one side alone is a broken promise: the file is not a copy of the original."""
    data = gcz.container(sd(name="a"), sd(name="b"))
    assert only_failing(data, {"b": X, "a": X}) == []
    for names, words in (
        ("a", "only in the file: 'b'"),
        ("abc", "only in the original: 'c'"),
        ("ac", "only in the file: 'b'; only in the original: 'c'"),
        ("abcdefg", "only in the original: 'c', 'd', 'e' and 2 more"),
    ):
        originals = dict.fromkeys(names, X)
        assert only_failing(data, originals) == ["tensors"]
        assert gcodec.verify(data, originals).failures[0].detail == words
    np.savez(tmp_path / "x.npz", a=X, c=X)
    (tmp_path / "x.gcz").write_bytes(data)
    code, out, _ = call_cli("verify", tmp_path / "x.gcz", "--against", tmp_path / "x.npz")
    assert code == 1 and "only in the file: 'b'; only in the original: 'c'" in out
    code, out, _ = call_cli("verify", tmp_path / "x.gcz", "--against", tmp_path / "x.npz", "--json")
    assert code == 1 and json.loads(out)["measured"] is False


def test_what_is_around_tensors_does_not_count_as_one(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["a"], file["b"] = X, X
        file.attrs["step"] = 7
    assert call_cli("encode", tmp_path / "x.h5", "--lossless")[0] == 0
    code, out, _ = call_cli("verify", tmp_path / "x.h5.gcz", "--against", tmp_path / "x.h5")
    assert code == 0 and "those of the original, 2 in all" in out, out


def test_an_original_of_another_format_has_no_frame(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["a"] = X
    np.savez(tmp_path / "x.npz", a=X)
    np.savez(tmp_path / "y.npz", a=X, b=X)
    assert call_cli("encode", tmp_path / "x.h5", "--lossless")[0] == 0
    code, out, _ = call_cli("verify", tmp_path / "x.h5.gcz", "--against", tmp_path / "x.npz")
    assert code == 0 and "not compared: the original is of another format" in out and "every promise holds" in out
    code, out, _ = call_cli("verify", tmp_path / "x.h5.gcz", "--against", tmp_path / "y.npz")
    assert code == 1 and "only in the original: 'b'" in out and "//hdf5'" not in out


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ({"step": "7", "by": "me"}, None),
        ({"step": "8", "by": "me"}, "of another value: 'step'"),
        ({"step": "7"}, "only in the file: 'by'"),
        ({"step": "7", "by": "me", "more": ""}, "only in the original: 'more'"),
        (None, "only in the file: 'by', 'step'"),
    ],
)
def test_both_sides_have_the_same_metadata(tmp_path, metadata, words):
    path, other = tmp_path / "x.safetensors", tmp_path / "y.safetensors"
    save_file({"a": X}, path, {"step": "7", "by": "me"})
    save_file({"a": X}, other, metadata)
    assert call_cli("encode", path, "--lossless")[0] == 0
    code, out, _ = call_cli("verify", f"{path}.gcz", "--against", other)
    assert code == (words is not None) and (words or "those of the original, 2 in all") in out, out
    gcodec.save(f"{path}.gcz", {"a": X}, lossless=True)
    code, out, _ = call_cli("verify", f"{path}.gcz", "--against", other)
    assert code == 0 and ("not compared" in out) == (metadata is not None)


def test_the_verdict_says_whether_the_error_was_measured(tmp_path):
    np.save(tmp_path / "x.npy", X)
    for method in ("sd", "lossless"):
        record = gcz.record("", X, method, 0.1)
        (tmp_path / "x.gcz").write_bytes(gcz.container(record))
        assert gcodec.verify(tmp_path / "x.gcz", X).measured and not gcodec.verify(tmp_path / "x.gcz").measured
        _, out, _ = call_cli("verify", tmp_path / "x.gcz")
        assert out.endswith("x.gcz: consistent; the error was not measured (give --against)\n")
        _, out, _ = call_cli("verify", tmp_path / "x.gcz", "--against", tmp_path / "x.npy")
        assert out.endswith("x.gcz: every promise holds\n")
    (tmp_path / "x.gcz").write_bytes(gcz.container(sd(distortion=0.2)))
    assert call_cli("verify", tmp_path / "x.gcz")[1].endswith("x.gcz: 1 check FAILS\n")


def test_the_error_of_all_tensors_is_within_the_bound_of_the_file():
    """(3·2⁻⁴ + 2⁻⁵ + 12·0) / 16 = 0.013671875, from the stored distortions."""
    a, b = sd(name="a", distortion=0.0625), sd(name="b", distortion=0.03125)
    c = gcz.record("c", X, "lossless")
    for alpha, failing in ((0.013671875, []), (math.nextafter(0.013671875, 0), ["scope"])):
        assert only_failing(scoped(alpha, {"a": 3, "b": 1, "c": 12}, a, b, c)) == failing
    assert only_failing(scoped(1e-9, {"a": 3, "b": 1, "c": 12}, a, b, c)) == ["scope"]


def test_norms_whose_sum_is_beyond_float64():
    """They may be stated in a forged file. The error is (1·2⁻⁴ + 1.7·2⁻⁵)/2.7 = 0.04282."""
    a, b = sd(name="a", distortion=0.0625), sd(name="b", distortion=0.03125)
    for alpha, failing in ((0.0429, []), (0.0427, ["scope"])):
        assert only_failing(scoped(alpha, {"a": 1e308, "b": 1.7e308}, a, b)) == failing
    assert only_failing(scoped(0.05, {"a": 1e308, "b": 1.7e308}, a, b), {"a": X, "b": X}) != []


def test_with_originals_it_is_the_measured_error():
    for factor, failing in ((1 + 1e-9, []), (1 - 1e-9, ["scope"])):
        data = scoped(MEASURED * factor, {"a": 10.25}, sd(name="a"))
        assert only_failing(data, {"a": X}) == failing
    lied = scoped(MEASURED / 2, {"a": 10.25}, sd(name="a", distortion=MEASURED / 4))
    assert only_failing(lied) == []
    assert only_failing(lied, {"a": X}) == ["stored distortion", "scope"]
    assert "scope" in only_failing(scoped(0.5, {"a": 10.25}, sd(name="a")), {"a": 0 * X})


def test_a_tensor_whose_norm_is_not_given():
    a, b = sd(name="a"), sd(name="b")
    assert only_failing(scoped(0.5, {"a": 3, "b": 1}, a, b)) == []
    assert only_failing(scoped(0.5, {"a": 3}, a, b)) == ["scope"]
    assert only_failing(scoped(0.5, {"a": 3, "b": 1, "c": 1e9}, a, b)) == ["scope"]
    assert only_failing(scoped(0.0, {}, gcz.record("a", X, "lossless"))) == []


@pytest.mark.parametrize("lie", [{"a": 10.26}, {"b": 0.5}, {"n": 1e9}, {"nan": 1e9}, {"b": 0.0}])
def test_norms_that_are_not_those_of_the_originals(lie):
    """They make the bound over all tensors looser. What is not of finite numbers has no norm."""
    x, n, nan = np.array([0.5, 0, 0, 0], np.float32), np.arange(4), np.full(4, np.nan)
    originals = {"a": X, "b": x, "n": n, "nan": nan}
    records = [
        sd(name="a"),
        gcz.record("b", x, "lossless"),
        *(gcz.record(k, originals[k], "lossless") for k in ("n", "nan")),
    ]
    true = {"a": 10.25, "b": 0.25}
    assert only_failing(scoped(0.1, true, *records), originals) == []
    assert only_failing(scoped(0.1, true | lie, *records)) == []
    assert only_failing(scoped(0.1, true | lie, *records), originals) == ["scope"]
    (check,) = gcodec.verify(scoped(0.1, true | lie, *records), originals).failures
    assert f"‖x‖² is not as given for '{min(lie)}'" in check.detail


@pytest.mark.parametrize("sizes", [(1.0, 1e-148), (1e148, 1.0), (1e-148, 1e-147), (1e147, 1e148), (1.0, 1e-149)])
def test_a_scope_over_tensors_of_very_different_sizes(tmp_path, sizes):
    random = np.random.default_rng(0)
    tensors = {str(size): size * random.normal(size=(40, 30)) for size in sizes}
    gcodec.save(tmp_path / "x.gcz", tensors, alpha=0.1, scope="file", small=0)
    assert gcodec.verify(tmp_path / "x.gcz", tensors).ok
    decoded = gcodec.load(tmp_path / "x.gcz")
    largest = max(tensors, key=float)
    assert 0.05 < np.mean((decoded[largest] - tensors[largest]) ** 2) / np.mean(tensors[largest] ** 2) <= 0.1


@pytest.mark.parametrize("size", [1e-170, 1e160])
def test_a_scope_has_norms_that_float64_has_room_for(tmp_path, size):
    with pytest.raises(InvalidInput, match="^b: a squared norm beyond 1e±300"):
        gcodec.save(tmp_path / "x.gcz", {"a": X, "b": np.full(4, size)}, alpha=0.1, scope="file", small=0)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("lossless", [True, False])
def test_what_stands_around_the_tensors_is_named_where_it_differs(tmp_path, lossless):
    path, back = tmp_path / "x.h5", tmp_path / "back.h5"
    with h5py.File(path, "w") as file:
        values = np.random.default_rng(0).normal(size=(200, 150))
        file.create_dataset("w", data=values, chunks=(64, 64), compression="gzip")
        file["of"] = [1.0, 2.0]
    run_cli("encode", path, *(["--lossless"] if lossless else ["--alpha", "1e-2"]))
    run_cli("decode", f"{path}.gcz", "-o", back)
    code, said, _ = call_cli("verify", f"{path}.gcz", "--against", back)
    assert code == 1 and "'//hdf5': around the tensors, the original has other bytes" in said
    assert "so compare with the file that was encoded" in said and "not equal to the original" not in said
    assert ("was decoded from it, not encoded" in said) != lossless
    assert said.count("FAILS ") == 2 - lossless
    with h5py.File(path, "a") as file:
        file.attrs["much"] = "x" * 9000
    code, said, error = call_cli("verify", f"{path}.gcz", "--against", path)
    assert code == 1 and error == "" and "FAILS  frame" in said and said.count("FAILS ") == 1
