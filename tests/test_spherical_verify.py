"""What `verify`, the command line and the documentation say of `sc`."""

import importlib.util
import math
import struct
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from checks import run_cli
from spherical_coding import encode, random_vectors, spec_of

import gcodec
from gcodec.compressors.contract import Check, Guarantee, TensorSpec
from gcodec.compressors.spherical import golomb, report
from gcodec.compressors.spherical import one_block as single
from gcodec.compressors.spherical.blocks import Leaves
from gcodec.compressors.spherical.checks import index_check
from gcodec.compressors.spherical.report import ClassReport, Coding
from gcodec.errors import InvalidInput
from gcodec.theory.sphere import cap_bits
from gcodec.verification.report import TensorReport

ROOT = Path(__file__).parents[1]
GRADIENT = np.load(ROOT / "corpora" / "lm_up.npy")


def verified(x: np.ndarray, trials: int = 0, **options) -> tuple[TensorReport, dict[str, Check]]:
    """What verify says of an array against its encoding, and its checks by name."""
    (tensor,) = gcodec.verify(gcodec.encode(x, "sc", **options), x, trials=trials).tensors
    return tensor, {check.name: check for check in tensor.checks}


def test_random_vectors():
    x = random_vectors(24, 1)[0]
    payload, _ = encode(x, "alpha", 0.5)
    coding = Coding.of(payload.head, spec_of(x), Guarantee("alpha", 0.5))
    tried = report.try_vectors(coding, 100)
    assert coding.one_block and tried.blocks == 100
    assert tried.cap_bits == pytest.approx(cap_bits(0.5, 24), abs=0.01)
    assert tried.index_bits <= 100 * (tried.cap_bits + 3)
    assert abs(tried.index_bits / 100 - tried.expected_bits) < 0.6


def test_random_vectors_that_are_not_found():
    """A modulus of 1 has no code for index 256.

    Half of the directions take longer, and no search may look short.
    """
    tried = report.try_vectors(Coding.of(b"\0", TensorSpec(np.dtype(np.float32), (24,)), Guarantee("alpha", 0.5)), 50)
    assert tried.index_bits > 50 * 240


@pytest.mark.parametrize("value", [2.0, -2.0])
@pytest.mark.parametrize("bound", [{"alpha": 0.1}, {"omega": 1.0}], ids=["alpha", "omega"])
def test_one_value(value, bound):
    """Of its two directions one is in the cap: P = ½."""
    _, checks = verified(np.array([value], np.float32), trials=20, **bound)
    assert all(check.ok for check in checks.values())
    assert checks["caps"].detail.startswith("0 of 1 block outside")
    assert "expected is 2.000, the paper allows 4.000" in checks["index"].detail


def test_trials_of_any_magnitude():
    """The errors of huge and tiny tensors have squares that float32 has not."""
    x = random_vectors(300, 1)[0]
    details = []
    for power in (0, 85, -85):
        _, checks = verified(np.ldexp(x, power), trials=20, omega=1.0, block=8)
        assert checks["unbiased"].ok and "8 values" in checks["trials"].detail
        details.append(checks["unbiased"].detail)
    assert details[0] == details[1] == details[2]


def test_trials_without_use_are_refused():
    """A tensor in blocks with alpha is tested on its own blocks."""
    with pytest.raises(InvalidInput, match="no tensor has such a promise"):
        verified(GRADIENT[:16], trials=20, alpha=0.1)


@pytest.mark.parametrize("bound", [{"alpha": 0.1}, {"omega": 1.0}], ids=["alpha", "omega"])
def test_a_tensor_in_blocks(bound):
    tensor, checks = verified(GRADIENT[:128], **bound)
    assert all(check.ok for check in checks.values())
    assert "; expected is " in checks["index"].detail and ", the paper allows " in checks["index"].detail
    assert all(len(checks[name].detail) <= 120 for name in ("index", "average case"))
    gap = (8 * tensor.header.body_length - tensor.lower_bound_bits) / GRADIENT[:128].size
    assert f"{gap:.4f} bits per coordinate above" in checks["average case"].detail
    assert checks["caps"].detail.startswith("0 of ")
    assert tensor.upper_bound_bits is None


@pytest.mark.parametrize("bound", [{"alpha": 0.5}, {"omega": 1.0}], ids=["alpha", "omega"])
def test_one_block_and_trials(bound):
    x = random_vectors(20, 1)[0]
    tensor, checks = verified(x, trials=200, seed=5, **bound)
    assert all(check.ok for check in checks.values())
    assert "200 blocks" in checks["index, random vectors"].detail
    if "alpha" in bound:
        assert tensor.upper_bound_bits == pytest.approx(31 + cap_bits(0.5, 20) + 3 + 16, abs=0.01)  # 16: a seed
    else:
        assert "unbiased" in checks and "expected distortion" in checks


def test_trials_of_a_block_beyond_the_default_budget():
    _, checks = verified(random_vectors(20, 1)[0], trials=20, alpha=0.4, block=20, max_draws=1 << 28)
    assert all(check.ok for check in checks.values())


def test_copies_of_a_block_are_no_evidence():
    """All blocks have one index, here a very long one.

    The luck of its search says nothing about the mean.
    """
    block = np.random.default_rng(38).normal(size=8).astype(np.float32)
    x = np.tile(block, 100)
    payload, chunks = encode(x, "alpha", 0.1, block=8, max_draws=1 << 19, seed=38)
    classes = report.index_report(Coding.of(payload.head, spec_of(x), Guarantee("alpha", 0.1)), [(chunks[0], x.size)])
    (one,) = (one for one in classes if one.blocks)
    assert one.index_bits > one.blocks * (one.cap_bits + 4)
    check = index_check("index", classes)
    assert check.ok and "not enough independent blocks to tell" in check.detail


def test_indices_that_are_too_long_fail():
    fair = ClassReport(8, 1, 0.1, 14.0).plus(np.arange(1000) * 20, 1 << 14)
    poor = ClassReport(8, 1, 0.1, 14.0).plus(np.arange(1000) * 200, 1 << 14)
    assert index_check("index", [fair]).ok
    assert not index_check("index", [poor]).ok
    copies = ClassReport(8, 1, 0.1, 14.0).plus(np.full(1000, 100_000), 1 << 14)
    assert copies.deviation == copies.blocks == 1000
    assert index_check("index", [copies]).ok
    assert fair.deviation == pytest.approx(math.sqrt(1000))


def by_class(coding: Coding, chunks: list[tuple[bytes, int]]) -> list[ClassReport]:
    """`index_report` by its definition, one class after the other."""
    found = []
    for one in coding.classes:
        for n, modulus in enumerate(one.moduli):
            row = ClassReport(one.length, n + 1, float(one.caps[n]), float(one.cap_bits[n]))
            for data, count in chunks:
                leaves = coding.leaves(data, count)
                indices = leaves.indices[(leaves.lengths == one.length) & (leaves.levels == n + 1)].tolist()
                row = replace(
                    row,
                    blocks=row.blocks + len(indices),
                    index_bits=row.index_bits + sum(golomb.encode(i, int(modulus))[1] for i in indices),
                    deviation=row.deviation + math.sqrt(sum(copies**2 for copies in Counter(indices).values())),
                )
            found.append(row)
    return [row for row in found if row.blocks]


@pytest.mark.parametrize(("kind", "bound"), [("alpha", 0.5), ("alpha", 0.01), ("omega", 1.0), ("omega", 0.1)])
@pytest.mark.parametrize("size", [1, 9, 4096])
def test_the_report_equals_its_definition(size, kind, bound):
    x = GRADIENT.ravel()[:size].copy()
    x[: size // 4] = np.resize(x[:16], size // 4)  # copies of a block
    for block in (None, 1, 8):
        payload, chunks = encode(x, kind, bound, block=block, max_draws=1 << 12)
        coding = Coding.of(payload.head, spec_of(x), Guarantee(kind, bound))
        pieces = [(chunks[0], size)] * 3
        assert report.index_report(coding, pieces) == by_class(coding, pieces)


def test_classes_without_blocks_cost_nothing(monkeypatch):
    """The 180 classes of a head cost nothing when no block has a direction.

    When one block has a direction, one class is computed.
    """
    head = struct.pack("<BBhff", 128, 127, 0, 1.0, 1.0) + (b"\x0f" + b"\0\xff\xff" * 15) * 12
    spec = TensorSpec(np.dtype(np.float32), (127,))
    coding = Coding.of(head, spec, Guarantee("alpha", 0.1))
    assert sum(map(len, coding.classes)) == 180
    asked = []
    plain, sums = report.cap_bits, report._sums
    monkeypatch.setattr(report, "cap_bits", lambda alpha, d: asked.append("cap") or plain(alpha, d))
    monkeypatch.setattr(report, "_sums", lambda *of: asked.append("sums") or sums(*of))
    for levels, wanted in (([0, 0, 0], []), ([0, 2, 2], ["sums", "cap"])):
        leaves = Leaves(np.full(3, 127), np.array(levels), np.zeros(3, np.int64))
        asked.clear()
        report.index_report(replace(coding, leaves=lambda data, count, leaves=leaves: leaves), [(b"", 381)])
        assert asked == wanted


def test_one_cap_is_searched_for_once_a_record(monkeypatch):
    data = gcodec.encode(random_vectors(20, 1)[0], "sc", omega=1.25)
    asked = []
    plain = single.cap_for_omega
    monkeypatch.setattr(single, "cap_for_omega", lambda omega, d: asked.append(omega) or plain(omega, d))
    single.Cap.of.cache_clear()
    gcodec.verify(data)
    assert len(asked) == 1


def test_a_direction_outside_its_cap_is_seen():
    x = GRADIENT[:16]
    data = gcodec.encode(x, "sc", alpha=0.1)
    (tensor,) = gcodec.verify(data, np.roll(x, 1, axis=1)).tensors
    (caps,) = (check for check in tensor.checks if check.name == "caps")
    assert not caps.ok and not caps.detail.startswith("0 of ")


def test_options_of_the_command_line(tmp_path):
    path = tmp_path / "x.npy"
    np.save(path, random_vectors(24, 1)[0])
    code, _, err = run_cli("encode", path, "--method", "sc", "--alpha", 0.1, "--block", 24, "--max-draws", 1 << 22)
    assert code == 2 and "alpha of 0.437 or more for 24 values, or 9 values at alpha = 0.1" in err
    assert err.count("\n") == 1
    code, _, err = run_cli("encode", path, "--alpha", 0.1, "--max-draws", 1000)
    assert code == 2 and "no option max_draws" in err
    assert run_cli("encode", path, "--method", "sc", "--alpha", 0.437, "--block", 24)[0] == 0
    code, out, _ = run_cli("verify", f"{path}.gcz", "--against", path)
    assert code == 0 and "average case" in out and "every promise holds" in out


def test_the_table_of_draws_in_the_documentation():
    path = ROOT / "tests" / "bench" / "spherical.py"
    spec = importlib.util.spec_from_file_location("bench_spherical", path)
    bench = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bench)
    assert bench.draws() in (ROOT / "docs" / "spherical.md").read_text(encoding="utf-8")
