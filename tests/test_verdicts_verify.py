"""Each check of `verify` has a file that must fail it, and one next to it that must not."""

import json
import math
import re
from dataclasses import replace
from fractions import Fraction
from zlib import crc32

import numpy as np
import pytest
import zstandard
from checks import call_cli
from vectors import gcz
from verdicts import MEASURED, X, f64, only_failing, rows, scoped, sd

import gcodec
from gcodec.errors import InvalidInput


def rsd(**fields: float) -> gcz.Record:
    return gcz.record("", X, "rsd", 0.5).but(**{key: f64(value) for key, value in fields.items()})


def test_a_certificate_is_within_its_bound():
    above, below = math.nextafter(0.1, 1), math.nextafter(0.1, 0)
    assert only_failing(gcz.container(sd(distortion=0.1))) == []
    assert only_failing(gcz.container(sd(distortion=above))) == ["certificate"]
    assert only_failing(gcz.container(sd(distortion=0.1, bound=below))) == ["certificate"]
    assert only_failing(gcz.container(rsd(expected=0.5, distortion=7.0))) == []
    assert only_failing(gcz.container(rsd(expected=math.nextafter(0.5, 1), distortion=0.0))) == ["certificate"]


def test_results_that_no_unbiased_encoder_keeps():
    """An error beyond 16 times the bound is false, and so is one where none is expected."""
    assert only_failing(gcz.container(rsd(expected=0.5, distortion=8.0))) == []
    assert only_failing(gcz.container(rsd(expected=0.5, distortion=math.nextafter(8, 9)))) == ["certificate"]
    assert only_failing(gcz.container(rsd(expected=0.0, distortion=0.0))) == []
    assert only_failing(gcz.container(rsd(expected=0.0, distortion=1e-9))) == ["certificate"]


@pytest.mark.parametrize("off", [1e-6, -1e-6])
def test_the_stored_distortion_is_the_measured_one_within_a_millionth(off):
    for part, failing in ((0.98, []), (1.02, ["stored distortion"])):
        data = gcz.container(sd(distortion=MEASURED * (1 + part * off)))
        assert only_failing(data, X) == failing
        assert only_failing(data) == []


@pytest.mark.parametrize(("square", "failing"), [(0.95e-30, []), (1.05e-30, ["stored distortion"])])
def test_a_stored_distortion_of_0_is_less_than_1e_30(square, failing):
    """1 and a tiny number, which becomes 0: the distortion is its square."""
    x = np.array([1.0, math.sqrt(square)])
    record = sd(x, distortion=0.0)
    assert np.array_equal(gcodec.decode(gcz.container(record)), [1.0, 0.0])
    assert only_failing(gcz.container(record), x) == failing


def test_the_distortion_of_an_unbiased_code_is_compared_too():
    error = gcodec.decode(gcz.container(rsd())) - X
    measured = float(error @ error / (X @ X))
    assert only_failing(gcz.container(rsd(distortion=measured)), X) == []
    assert only_failing(gcz.container(rsd(distortion=measured * 1.001)), X) == ["stored distortion"]


@pytest.mark.parametrize("x", [(4, 0), (3, 0), (2, -1), (2, -2), (5, -2), (4, -2), (4, 1)])
def test_the_measured_distortion_is_within_the_bound_as_a_real_number(x):
    """What is decoded is 3, −1, 0, 0. Most of the distortions lie between two floats."""
    ratio = Fraction((3 - x[0]) ** 2 + (-1 - x[1]) ** 2, x[0] ** 2 + x[1] ** 2)
    near = float(ratio)
    above = near if Fraction(near) >= ratio else math.nextafter(near, 1)
    original = np.array([*x, 0, 0], np.float32)
    assert only_failing(gcz.container(sd(bound=above, distortion=above)), original) == []
    for bound in (math.nextafter(above, 0), near * (1 - 1e-12), near * (1 - 1e-11)):
        assert only_failing(gcz.container(sd(bound=bound, distortion=bound)), original) == ["original"]
        assert only_failing(gcz.container(sd(bound=bound, distortion=bound))) == []


@pytest.mark.parametrize(
    ("coded", "other"),
    [
        (np.zeros(3, np.float32), np.array([0, -0.0, 0], np.float32)),
        (np.full(3, np.nan), np.full(3, np.nan).view(np.uint64).__xor__(1).view(np.float64)),
        (np.arange(3), np.array([0, 1, 3])),
    ],
)
def test_exact_is_of_every_bit(coded, other):
    data = gcz.container(gcz.record("", coded, "lossless"))
    assert only_failing(data, coded.copy()) == []
    assert only_failing(data, other) == ["original"]


@pytest.mark.parametrize("place", [0, 5, 11])
def test_every_chunk_is_compared(place):
    x = np.arange(1, 13, dtype=np.float32)
    other = x.copy()
    other[place] *= 1.5
    for method in ("lossless", "sd"):
        data = gcz.container(gcz.record("", x, method, 0.1, chunk=4))
        assert only_failing(data, x) == [] and only_failing(data, other) != []


def test_originals_of_another_kind_are_refused():
    data = gcz.container(sd())
    for other, words in ((X.astype(np.float64), "float64"), (X.reshape(2, 2), r"shape \(2, 2\)")):
        with pytest.raises(InvalidInput, match=words):
            gcodec.verify(data, other)


def worst_of_sd(nu: float, d: int, head: int, chunks: list[int]) -> float:
    """The paper's count of the worst vector, and the coder's constants of its page."""
    worst = max(math.log2(math.comb(d, m)) + m + math.floor((m + math.sqrt(m * d / nu)) / 2) for m in range(1, d + 1))
    return 8 * head + math.log2(d) + worst + 1 + sum(9.2 + math.log2(n) for n in chunks) - math.log2(d)


@pytest.mark.parametrize(("scale", "head", "chunk"), [(1.0, 4, 60), (1.0, 4, 25), (1e-60, 8, 60)])
def test_the_worst_case_of_sd(scale, head, chunk):
    """The header promises less than was coded, until the payload is longer than any should be."""
    x = np.random.default_rng(0).standard_t(3, size=60) * scale
    record = gcz.record("", x, "sd", 1e-3, chunk=chunk)
    assert len(record.head) == head
    bits = 8 * (head + sum(map(len, record.chunks)))
    lengths = [min(chunk, 60 - start) for start in range(0, 60, chunk)]
    low, high = 1e-3, 1 - 1e-9
    while high / low > 1 + 1e-9:
        middle = math.sqrt(low * high)
        low, high = (middle, high) if worst_of_sd(middle, 60, head, lengths) >= bits else (low, middle)
    for bound, failing in ((low * (1 - 1e-9), []), (high * (1 + 1e-9), ["upper bound"])):
        data = gcz.container(record.but(bound=f64(bound)))
        (tensor,) = gcodec.verify(data).tensors
        assert tensor.upper_bound_bits == pytest.approx(worst_of_sd(bound, 60, head, lengths), rel=1e-12)
        assert 8 * tensor.header.body_length == bits and only_failing(data) == failing


def test_the_mean_of_rsd_is_no_bound_of_one_file():
    x = np.random.default_rng(0).normal(size=60).astype(np.float32)
    record = gcz.record("", x, "rsd", 1e-3)
    for omega in (1e-3, 1.0, 1e6):
        (tensor,) = gcodec.verify(gcz.container(record.but(bound=f64(omega)))).tensors
        paper = 30 + math.log2(60) + (math.log2(3) + 1 / (2 * math.sqrt(omega))) * 60
        assert tensor.upper_bound_bits == pytest.approx(paper + 1 + 8 * 4 - 31 + 1 + 9.2, rel=1e-12)
        check = rows(gcz.container(record.but(bound=f64(omega))))["upper bound"]
        assert check.ok and ("above" in check.detail) == (omega > 0.5)


@pytest.mark.parametrize("chunk", [40, 15])
def test_the_worst_case_of_lossless(chunk):
    """Noise in zstd frames takes more than the noise, though it decodes."""
    x = np.random.default_rng(0).integers(0, 256, 40, np.uint8)
    good = gcz.record("", x, "lossless", chunk=chunk)
    plain = 8 * (40 + len(good.chunks))
    assert gcodec.verify(gcz.container(good)).tensors[0].upper_bound_bits == plain
    assert 8 * sum(map(len, good.chunks)) == plain and only_failing(gcz.container(good)) == []
    frames = [zstandard.ZstdCompressor().compress(chunk[1:]) for chunk in good.chunks]
    framed = good.holding(chunks=[b"\1" + gcz.u32(len(frame)) + frame for frame in frames])
    assert only_failing(gcz.container(framed), x) == ["upper bound"]
    wide = gcz.record("", x.view(np.uint64), "lossless")
    assert gcodec.verify(gcz.container(wide)).tensors[0].upper_bound_bits == 8 * 8 * (5 + 1)


def test_lower_bounds():
    def lower(record: gcz.Record) -> float | None:
        return gcodec.verify(gcz.container(record)).tensors[0].lower_bound_bits

    x = np.random.default_rng(0).normal(size=8).astype(np.float32)
    assert lower(gcz.record("", x, "sd", 0.1)) == pytest.approx(14.3489236693, rel=1e-11)
    assert lower(gcz.record("", x, "rsd", 0.25)) == pytest.approx(4 * math.log2(5))
    assert lower(gcz.record("", x, "lossless")) is None
    zeros = gcz.record("", np.append(np.zeros(8000), 1.0), "sd", 0.1)
    check = rows(gcz.container(zeros))["lower bound"]
    assert check.ok and "below the sphere bound, the data is compressible" in check.detail
    shannon = rows(gcz.container(gcz.record("", x, "sd", 0.25)))["Shannon's bound"]
    assert "above the 1.0000 that independent Gaussian values need" in shannon.detail


def test_the_command_s_verdict(tmp_path):
    """It is 0 if all promises hold, 1 if one does not, and 3 if the bytes are damaged."""
    good, path = gcz.container(sd(name="a")), tmp_path / "x.gcz"
    wrong = replace(sd(name="a"), decoded=(crc32(b"other"),)).holding()
    cases = (
        (good, 0, None),
        (gcz.container(sd(name="a", distortion=0.2)), 1, None),
        (scoped(1e-9, {"a": 1}, sd(name="a")), 1, None),
        (good[:-1], 3, "truncated"),
        (good[:-1] + b"F", 3, "corrupt"),
        (good[:60] + bytes([good[60] ^ 1]) + good[61:], 3, "checksum"),
        (gcz.container(wrong), 3, "checksum"),
        (b"no container", 3, "not-gcodec"),
    )
    for data, status, error in cases:
        path.write_bytes(data)
        code, out, err = call_cli("verify", path, "--json")
        result = json.loads(out)
        assert code == status and result["ok"] == (status == 0)
        assert result.get("error", {}).get("code") == error
        if error:
            assert result["error"]["message"] and f"gcodec: {result['error']['message']}\n" == err
        assert call_cli("verify", path)[0] == status


@pytest.mark.parametrize(
    ("method", "options"), [("sd", {"alpha": 0.1}), ("rsd", {"omega": 0.25}), ("sc", {"omega": 4.0})]
)
def test_the_paper_s_number_stands_apart_from_the_coder_s(method, options):
    """`inspect` has the same number among its yardsticks."""
    x = np.random.default_rng(0).standard_normal(10).astype(np.float32)
    data = gcodec.encode(x, method, **options, **({"seed": 1} if "omega" in options else {}))
    (tensor,) = gcodec.verify(data, sections=True).tensors
    (check,) = (check for check in tensor.checks if check.name == "upper bound")
    theory, own, both = (
        float(n) for n in re.findall(r": ([0-9.]+), and ([0-9.]+) of the coder's own: ([0-9.]+);", check.detail)[0]
    )
    assert theory + own == pytest.approx(both, abs=0.11) and own > 0
    assert any(abs(bits - theory) <= 0.05 for _, bits in tensor.inspection.yardsticks)
