"""The report of `verify`: what it says of a file, as attributes and as plain data."""

import io
import json
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from checks import call_cli, header_of

import gcodec
from gcodec.compressors.contract import Check
from gcodec.errors import InvalidInput
from gcodec.verification.report import Report, TensorReport

X = np.random.default_rng(0).normal(size=(30, 20)).astype(np.float32)
SAID = {"name", "dtype", "shape", "method", "guarantee", "distortion", "payload_bits", "bytes", "rate"}
BOUNDS = {"lower_bound_bits", "upper_bound_bits"}


def names(tensor: TensorReport) -> list[str]:
    return [check.name for check in tensor.checks]


def test_the_keys_of_its_plain_data():
    data = gcodec.encode(X, "sd", alpha=0.1)
    report = gcodec.verify(data)
    assert set(plain := report.to_json()) == {"ok", "measured", "checks", "tensors"}
    (tensor,) = plain["tensors"]
    assert set(tensor) == SAID | BOUNDS | {"checks"}
    assert {key for check in tensor["checks"] for key in check} == {"name", "ok", "detail"}
    (tensor,) = gcodec.verify(data, X).to_json()["tensors"]
    assert set(tensor) == SAID | BOUNDS | {"measured_distortion", "measured_effects", "checks"}
    (tensor,) = gcodec.verify(gcodec.encode(X, "rsd")).to_json()["tensors"]
    assert set(tensor) == SAID | BOUNDS | {"expected_distortion", "checks"}


def test_its_attributes_are_its_plain_data():
    report = gcodec.verify(gcodec.encode(X, "sd", alpha=0.1), X)
    (tensor,) = report.tensors
    plain = report.to_json()["tensors"][0]
    assert report.ok and plain["name"] == tensor.name == "" and tensor.header.spec.shape == X.shape
    assert plain["lower_bound_bits"] == tensor.lower_bound_bits < plain["upper_bound_bits"] == tensor.upper_bound_bits
    assert plain["measured_distortion"] == tensor.measured_distortion == tensor.distortion
    assert [check["name"] for check in plain["checks"]] == names(tensor)
    with pytest.raises(FrozenInstanceError):
        report.checks = ()


def test_without_an_original_nothing_is_measured():
    data = gcodec.encode(X, "sd", alpha=0.1)
    (tensor,) = gcodec.verify(data).tensors
    assert tensor.measured_distortion is None and tensor.distortion == header_of(data).distortion
    assert names(tensor) == [
        "checksums",
        "decoded values",
        "certificate",
        "upper bound",
        "lower bound",
        "Shannon's bound",
    ]


@pytest.mark.parametrize(
    ("bounds", "failing"), [({"alpha": 0.1}, ["stored distortion", "original"]), ({"lossless": True}, ["original"])]
)
def test_another_original_fails(bounds, failing):
    report = gcodec.verify(gcodec.encode(X, **bounds), X[::-1].copy())
    assert not report.ok and not report.tensors[0].ok and report.to_json()["ok"] is False
    assert [check.name for check in report.failures] == failing


@pytest.mark.parametrize("original", [np.zeros(3), np.full(3, np.nan)])
def test_a_distortion_that_is_not_a_number(original):
    report = gcodec.verify(gcodec.encode(np.ones(3), alpha=0.1, method="sd"), original)
    assert not report.ok and report.tensors[0].measured_distortion == np.inf
    assert report.to_json()["tensors"][0]["measured_distortion"] is None


def test_signs_of_zero_are_bits():
    data = gcodec.encode(np.zeros(3), lossless=True)
    (tensor,) = gcodec.verify(data, -np.zeros(3)).tensors
    assert not tensor.ok and gcodec.verify(data, np.zeros(3)).ok


def test_one_failure_is_enough():
    header = header_of(gcodec.encode(X, alpha=0.1))
    good, bad = Check("a", True, ""), Check("b", False, "")
    for tensor, file, ok in ((good, good, True), (bad, good, False), (good, bad, False)):
        report = Report((TensorReport(header, (good, tensor)),), (file, good))
        assert report.ok == report.to_json()["ok"] == ok and len(report.failures) == (not ok)
    assert Report(()).ok


def test_the_command_prints_it(tmp_path):
    np.save(tmp_path / "x.npy", X)
    coded = tmp_path / "x.npy.gcz"
    coded.write_bytes(gcodec.encode(X, "sd", alpha=0.1))
    code, out, _ = call_cli("verify", coded, "--against", tmp_path / "x.npy", "--json")
    assert code == 0 and json.loads(out) == gcodec.verify(coded, X, sections=True).to_json()
    np.save(tmp_path / "x.npy", -X)
    code, out, _ = call_cli("verify", coded, "--against", tmp_path / "x.npy")
    assert code == 1 and out.count("FAILS") == 2 and out.endswith(f"{coded}: 2 checks FAIL\n")


def test_kinds_of_containers(tmp_path):
    data = gcodec.encode(X, alpha=0.1)
    (tmp_path / "x.gcz").write_bytes(data)
    path = tmp_path / "x.gcz"
    for container in (data, bytearray(data), path, str(path), io.BytesIO(data)):
        assert gcodec.verify(container, X) == gcodec.verify(data, {"": X})


def test_an_original_that_does_not_fit():
    data = gcodec.encode(X, omega=0.5)
    for against, words in ((X[1:], "of shape"), (X.astype(np.float64), "float64")):
        with pytest.raises(InvalidInput, match=words):
            gcodec.verify(data, against)
    (failure,) = gcodec.verify(data, {"a": X}).failures
    assert failure.name == "tensors" and failure.detail == "only in the file: ''; only in the original: 'a'"
    for trials, against, words in ((9, X, "at least 10"), (10, None, "--against")):
        with pytest.raises(InvalidInput, match=words):
            gcodec.verify(data, against, trials=trials)
    assert gcodec.verify(data, X, trials=10).ok
