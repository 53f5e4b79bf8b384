"""`gcodec inspect`: sections that have all bits of a payload, the paper's counts, and arrays."""

import json
import math
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from checks import call_cli
from vectors import gcz

import gcodec
from gcodec.compressors import registry
from gcodec.compressors.contract import Section
from gcodec.compressors.sparse_dithering.anatomy import FILLING
from gcodec.container.reader import RandomAccess
from gcodec.theory import sparse_dithering as theory
from gcodec.verification.inspection import arrays_of, inspect_record

CORPORA = Path(__file__).parent.parent / "corpora"
RNG = np.random.default_rng(0)
MATRIX = (np.exp(RNG.normal(size=(60, 1))) * RNG.standard_t(4, size=(60, 50))).astype(np.float32)
CASES = [(entry.name, kind) for entry in registry.ENTRIES for kind in entry.load().kinds]


def record(x, method, **options):
    data = gcodec.encode(x, method, **options)
    return RandomAccess(BytesIO(data), len(data)).record("")


def bounded(kind, bound):
    return {"lossless": True} if kind == "exact" else {kind: bound} | ({"seed": 5} if kind == "omega" else {})


def section(found, name) -> Section:
    (one,) = [part for part in found.sections if part.name == name]
    return one


@pytest.mark.parametrize(("method", "kind"), CASES)
@pytest.mark.parametrize("bound", [0.5, 0.1, 1e-4])
def test_sections_have_all_bits_of_the_payload(method, kind, bound):
    for x in (MATRIX, MATRIX[:7, :5], MATRIX.astype(np.float64)):
        found = inspect_record(record(x, method, **bounded(kind, bound)))
        assert math.fsum(part.bits for part in found.sections) == pytest.approx(found.bits, abs=1e-6)
        assert len({part.name for part in found.sections}) == len(found.sections) >= 2
        assert all(part.bits >= 0 or part.name == FILLING for part in found.sections)


@pytest.mark.parametrize(("method", "options"), [("sd", {"alpha": 0.1}), ("rsd", {"omega": 0.25, "seed": 1})])
def test_sections_of_a_gradient_are_the_paper_s(method, options):
    """Each within a bit of the formula, but the levels' code, which may be shorter."""
    x = np.load(CORPORA / "lm_up.npy")
    one = record(x, method, **options)
    found = inspect_record(one)
    for name in ("scale", "number of zeros", "zero bitmap", "signs"):
        part = section(found, name)
        assert abs(part.bits - part.formula) <= 1
    levels = section(found, "levels")
    assert levels.bits <= levels.formula and section(found, "level code").bits < 0.1
    assert -40 <= section(found, FILLING).bits < 8
    counted = dict(found.yardsticks)["the paper's count of these levels"]
    assert counted == pytest.approx(math.fsum(part.formula or 0.0 for part in found.sections))
    assert abs(found.bits - counted) <= 11.2
    arrays = arrays_of(one)
    assert arrays["levels"].shape == x.shape and int((arrays["levels"] == 0).sum()) == int(arrays["zeros"].sum())
    assert np.array_equal(arrays["signs"], np.sign(arrays["levels"]))
    decoded = gcodec.decode(gcodec.encode(x, method, **options))
    assert np.array_equal(decoded, (arrays["levels"] * arrays["scale"]).astype(np.float32))


def test_yardsticks_of_sd_are_those_of_theory():
    d = MATRIX.size
    found = dict(inspect_record(record(MATRIX, "sd", alpha=0.1)).yardsticks)
    assert found["30 + log2 d + 3.35 d"] == theory.published_bits(d)
    assert found["the exact count of the worst vector"] == theory.exact_bits(0.1, d)
    gap = found["1.69 d above the optimum"] - found["the optimum up to a constant, at least"]
    assert (
        gap == pytest.approx(1.69 * d)
        and found["the optimum up to a constant, at least"] < found["the optimum up to a constant, at most"]
    )
    assert "30 + log2 d + 3.35 d" not in dict(inspect_record(record(MATRIX, "sd", alpha=0.2)).yardsticks)


def test_one_block_of_sc():
    x = RNG.standard_normal(10).astype(np.float32)
    one = record(x, "sc", alpha=0.15)
    found, arrays = inspect_record(one), arrays_of(one)
    assert section(found, "index").formula == pytest.approx(15.17 + 1.3, abs=0.3)
    assert section(found, "norm").formula == 31 and section(found, "seed").bits == 0
    assert arrays["norms"] == pytest.approx([np.linalg.norm(x) * math.sqrt(0.85)], rel=0.01)
    decoded = gcodec.decode(gcodec.encode(x, "sc", alpha=0.15)).astype(float)
    assert np.linalg.norm(decoded) == pytest.approx(arrays["norms"][0], rel=1e-6)


def test_blocks_of_sc():
    one = record(MATRIX, "sc", omega=1.0, seed=3)
    found, arrays = inspect_record(one), arrays_of(one)
    indices = section(found, "indices")
    assert indices.bits == pytest.approx(indices.formula, rel=0.1)
    assert arrays["lengths"].sum() >= MATRIX.size and arrays["norms"].min() == 0
    assert section(found, "seed").bits <= 32
    starts = np.cumsum(arrays["lengths"]) - arrays["lengths"]
    decoded = gcodec.decode(gcodec.encode(MATRIX, "sc", omega=1.0, seed=3)).ravel().astype(float)
    norms = np.sqrt(np.add.reduceat(decoded**2, starts))[:-1]  # the last block may be filled up
    assert np.allclose(norms, (arrays["norms"] * arrays["scales"])[:-1], rtol=1e-5)
    assert found.yardsticks[0][0].startswith("the least mean") and 0 < found.yardsticks[0][1] < found.bits


def test_arrays_of_levels_give_the_values():
    """By the formulas of docs/inspect.md."""
    for bound in (0.5, 0.01):
        for method in ("ecsq", "tcq"):
            arrays = arrays_of(record(MATRIX, method, alpha=bound))
            levels = np.abs(arrays["levels"])
            values = np.sign(arrays["levels"]) * (levels + arrays["offsets"][np.minimum(levels, 5)]) * arrays["step"]
            decoded = gcodec.decode(gcodec.encode(MATRIX, method, alpha=bound))
            assert np.allclose(values, decoded, rtol=1e-6, atol=0) and arrays["classes"].shape == MATRIX.shape
        arrays = arrays_of(record(MATRIX, "sd", alpha=bound))
        decoded = gcodec.decode(gcodec.encode(MATRIX, "sd", alpha=bound))
        assert np.array_equal((arrays["levels"] * arrays["scale"]).astype(np.float32), decoded)
    arrays = arrays_of(record(MATRIX, "dither", omega=0.1, seed=2))
    values = (arrays["levels"] + arrays["dither"]) * arrays["step"]
    decoded = gcodec.decode(gcodec.encode(MATRIX, "dither", omega=0.1, seed=2))
    assert np.allclose(values, decoded, rtol=1e-6, atol=0)
    arrays = arrays_of(record(MATRIX, "klt", alpha=0.01))
    product = arrays["coefficients"] @ arrays["vectors"].T
    decoded = gcodec.decode(gcodec.encode(MATRIX, "klt", alpha=0.01))
    assert min(np.abs(one - decoded).max() for one in (product, product.T) if one.shape == decoded.shape) < 1e-4


def test_the_command(tmp_path):
    gcodec.save(tmp_path / "x.gcz", {"a/b": MATRIX, "../c": MATRIX[:2], "n": np.arange(5)}, "sd", alpha=0.1, small=0)
    code, out, err = call_cli("inspect", tmp_path / "x.gcz")
    assert code == 0, err
    assert "zero bitmap" in out and "the paper's count of these levels" in out and "plane 0" in out
    code, out, _ = call_cli("inspect", tmp_path / "x.gcz", "--tensor", "a/b", "--json", "--dump", tmp_path / "d")
    (tensor,) = json.loads(out)["tensors"]
    assert tensor["name"] == "a/b"
    assert sum(part["bits"] for part in tensor["sections"]) == pytest.approx(tensor["payload_bits"])
    assert sum(part["share"] for part in tensor["sections"]) == pytest.approx(1)
    assert [p.name for p in (tmp_path / "d").iterdir()] == ["000_a_b"]
    assert sorted(p.name for p in (tmp_path / "d" / "000_a_b").iterdir()) == [
        "levels.npy", "scale.npy", "signs.npy", "zeros.npy",
    ]  # fmt: skip
    assert np.load(tmp_path / "d" / "000_a_b" / "levels.npy").shape == MATRIX.shape
    code, _, err = call_cli("inspect", tmp_path / "x.gcz", "--dump", tmp_path / "d")
    assert code == 2 and "not empty" in err
    code, _, err = call_cli("inspect", tmp_path / "x.gcz", "--dump", tmp_path / "d", "-f")
    assert code == 0, err
    assert {p.name for p in (tmp_path / "d").iterdir()} == {"000_a_b", "001____c"}  # n has no arrays
    code, _, err = call_cli("inspect", tmp_path / "x.gcz", "--tensor", "none")
    assert code == 2 and "no tensor named 'none'" in err
    code, _, err = call_cli("inspect", tmp_path / "x.gcz", "--dump", tmp_path / "no" / "such")
    assert code == 2 and "no such directory" in err


def test_a_dump_has_the_arrays_of_one_file(tmp_path):
    gcodec.save(tmp_path / "x.gcz", {"a": MATRIX}, "sd", alpha=0.1, small=0)
    (tmp_path / "y.gcz").write_bytes(gcodec.encode(MATRIX, "dither", omega=0.1))
    (tmp_path / "z.gcz").write_bytes(gcodec.encode(MATRIX, "ecsq", alpha=0.1))
    for name, *found in (
        ("x", "000_a"),
        ("y", "classes", "dither", "levels", "step"),
        ("z", "classes", "levels", "offsets", "step"),
    ):
        assert call_cli("inspect", tmp_path / f"{name}.gcz", "--dump", tmp_path / "d", "-f")[0] == 0
        assert sorted(path.stem for path in (tmp_path / "d").iterdir()) == found
    code, _, err = call_cli("inspect", tmp_path / "x.gcz", "--dump", "")
    assert code == 2 and "--dump" in err


def test_damage_and_greed_are_refused(tmp_path):
    data = bytearray(gcodec.encode(MATRIX, "sd", alpha=0.1))
    data[-60] ^= 1
    (tmp_path / "bad.gcz").write_bytes(data)
    assert call_cli("inspect", tmp_path / "bad.gcz")[0] == 3
    gcodec.save(tmp_path / "wide.gcz", {str(i): MATRIX for i in range(3)}, "sd", alpha=0.1)
    code, _, err = call_cli("inspect", tmp_path / "wide.gcz", "--limit", "20000")
    assert code == 5 and "--limit" in err


@pytest.mark.parametrize("head", [b"", b"\x01"])
@pytest.mark.parametrize(("method", "kind"), CASES)
def test_a_head_that_is_no_head(tmp_path, method, kind, head):
    """The checksums are right, so only the method can refuse it."""
    one = gcz.record("", MATRIX[:3, :4].copy(), f"{method}:{kind}", 0.5)
    (tmp_path / "x.gcz").write_bytes(gcz.container(one.holding(head=head)))
    code, out, err = call_cli("inspect", tmp_path / "x.gcz", "--dump", tmp_path / "d")
    valid = (method, head) in (("lossless", b""), ("delta", b""), ("sc", b"\x01"))
    assert code == (0 if valid else 3) and ("head" in err) == (not valid), (out, err)


def test_norms_beyond_float64(tmp_path):
    """Decoded values are within it, the norms of blocks and of the whole are not."""
    for bound, options in ((0.1, {}), (0.9, {"block": 64})):
        one = gcz.record("", np.full(64, 1.7e308), "sc:alpha", bound, **options)
        (tmp_path / "x.gcz").write_bytes(gcz.container(one))
        code, _, err = call_cli("inspect", tmp_path / "x.gcz", "--dump", tmp_path / str(bound))
        assert code == 0, err
        assert np.isposinf(np.load(tmp_path / str(bound) / "norms.npy")).any()


def test_an_empty_tensor(tmp_path):
    gcodec.save(tmp_path / "e.gcz", {"e": np.zeros((0, 3), np.float32)}, lossless=True)
    code, out, err = call_cli("inspect", tmp_path / "e.gcz", "--json")
    assert code == 0, err
    assert sum(part["bits"] for part in json.loads(out)["tensors"][0]["sections"]) == 0


def test_verify_gives_the_same_numbers(tmp_path):
    gcodec.save(tmp_path / "x.gcz", {"a": MATRIX, "b": MATRIX[:3]}, "rsd", omega=0.25, seed=1)
    found = [json.loads(call_cli(command, tmp_path / "x.gcz", "--json")[1]) for command in ("inspect", "verify")]
    for key in ("sections", "yardsticks"):
        one, other = ([tensor[key] for tensor in tensors["tensors"]] for tensors in found)
        assert one == other and one
    assert gcodec.verify(tmp_path / "x.gcz").tensors[0].inspection is None


@pytest.mark.parametrize("shape", [(7, 60), (60, 7), (16, 1 << 17)])
def test_both_factors_of_klt(shape):
    """A wide matrix is transposed, and the head of a large one has both factors."""
    x = (RNG.standard_normal((shape[0], 1)) * RNG.standard_normal((1, shape[1]))).astype(np.float32)
    one = record(x, "klt", alpha=0.1)
    found, factors = inspect_record(one), arrays_of(one)
    assert math.fsum(part.bits for part in found.sections) == pytest.approx(found.bits, abs=1e-6)
    assert section(found, "second factor: symbols").bits >= 0
    product = factors["coefficients"] @ factors["vectors"].T
    decoded = gcodec.decode(gcodec.encode(x, "klt", alpha=0.1))
    assert np.allclose(product if shape[0] > shape[1] else product.T, decoded, atol=1e-4)
