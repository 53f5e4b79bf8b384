"""Files that lie about themselves in a consistent way: `verify` finds each with the original."""

import math
import re
from dataclasses import replace

import numpy as np
import pytest
from checks import call_cli, header_of
from forging import SHORT, X, coded, failing
from vectors import gcz
from verdicts import rows

import gcodec
from gcodec.compressors import registry
from gcodec.compressors.contract import CodedTensor, Guarantee, TensorSpec
from gcodec.compressors.dither import compressor as dither
from gcodec.compressors.sparse_dithering import compressor as sparse
from gcodec.compressors.sparse_dithering.checks import CHANCE, Deviation
from gcodec.compressors.spherical import compressor as spherical
from gcodec.compressors.spherical import one_block, plan
from gcodec.source import ArraySource


@pytest.mark.parametrize(("method", "omega"), [("rsd", 0.25), ("dither", 0.25), ("sc", 1.0)])
def test_a_smaller_bound_or_noise_than_there_is(method, omega):
    payload, record = coded(method, X, omega)
    assert failing(record(payload)) == []
    assert failing(record(replace(payload, expected=omega / 5), omega / 5)) == ["noise"]
    assert failing(record(replace(payload, expected=1e-4))) == ["noise"]
    assert failing(record(replace(payload, expected=payload.expected * (1 - 1e-6)))) == ["noise"]
    assert failing(record(replace(payload, expected=omega))) == []


def test_a_pointwise_error_that_is_larger_than_stated():
    record = gcz.record("", X, "geometric", 0.1)
    assert failing(record) == []
    assert failing(record.but(distortion=gcz.f64(0.05))) == ["stored distortion"]
    assert failing(record.but(bound=gcz.f64(0.05), distortion=gcz.f64(0.04))) == ["stored distortion", "original"]
    assert not gcodec.verify(gcz.container(record.but(bound=gcz.f64(0.05)))).ok
    other = X.copy()
    other[7] *= 1.3
    assert failing(record, other) == ["stored distortion", "original"]
    for zero in (0.0, -0.0):
        other[7] = zero
        assert failing(record, other) == ["stored distortion", "original"]


def test_levels_that_are_all_rounded_up(monkeypatch):
    def up(values, lows, highs, seed, start, levels):
        levels += 1
        levels[values < 0] *= -1

    monkeypatch.setattr(sparse.kernels, "draw_levels", up)
    payload, record = coded("rsd", X, 0.25)
    assert "roundings" in failing(record(payload))


def test_levels_that_are_rounded_to_the_nearest(monkeypatch):
    def nearest(values, lows, highs, seed, start, levels):
        levels += np.abs(values) - lows > highs - np.abs(values)
        levels[values < 0] *= -1

    monkeypatch.setattr(sparse.kernels, "draw_levels", nearest)
    payload, record = coded("rsd", X, 0.25)
    assert "roundings by fraction" in failing(record(payload))


def test_a_level_that_is_no_neighbour(monkeypatch):
    true = sparse.kernels.draw_levels

    def draw(values, lows, highs, seed, start, levels):
        true(values, lows, highs, seed, start, levels)
        levels[1234] += 2

    monkeypatch.setattr(sparse.kernels, "draw_levels", draw)
    payload, record = coded("rsd", X, 0.25)
    assert failing(record(payload)) == ["neighbours"]


def test_sd_as_rsd():
    """Its levels are the nearest ones, and its scale is larger than the step."""
    payload = registry.by_name("sd").load()().encode(ArraySource(X), Guarantee("alpha", 0.1))
    _, record = coded("rsd", X, 0.3)
    found = failing(record(replace(payload, expected=0.3)))
    assert "roundings by fraction" in found


def test_sd_as_rsd_of_few_values():
    """Of ten values no roundings are too unlikely, and the check says so. Of 100 all are found."""
    for size, name in ((10, None), (100, "roundings by fraction"), (300, "roundings by fraction")):
        for seed in range(5):
            x = np.random.default_rng(seed).standard_normal(size).astype(np.float32)
            payload = registry.by_name("sd").load()().encode(ArraySource(x), Guarantee("alpha", 0.1))
            _, record = coded("rsd", x, 0.3)
            found = rows(gcz.container(record(replace(payload, expected=0.3))), x)
            assert found["roundings by fraction"].ok == (name is None)
            unseen = "too few values to tell if it is too low" in found["roundings by fraction"].detail
            assert unseen == (size == 10)


def test_levels_that_lean_to_one_sign(monkeypatch):
    """Positive values are rounded up more often, and negative ones down."""

    def lean(values, lows, highs, seed, start, levels):
        p = (np.abs(values) - lows) / (highs - lows)
        p = np.clip(p + 0.25 * np.sign(values) * np.minimum(p, 1 - p), 0, 1)
        levels += np.random.default_rng(1).random(levels.size) < p
        levels[values < 0] *= -1

    monkeypatch.setattr(sparse.kernels, "draw_levels", lean)
    payload, record = coded("rsd", np.tile(X, 4), 0.25)
    assert "roundings by sign" in failing(record(payload), np.tile(X, 4))


@pytest.mark.parametrize("size", [3, 20, 300])
def test_the_range_of_roundings(size):
    """It is near that of the sum itself: nearer than Bernstein's, and never too near."""
    random = np.random.default_rng(0)
    p, weights = random.random(size), random.uniform(-1, 1, size)
    deviation = Deviation()
    deviation.add(weights, (random.random(size) < p).astype(float), p)
    low, high = deviation._range()
    sums = (weights * ((random.random((100_000, size)) < p) - p)).sum(axis=1)
    assert low < sums.min() and sums.max() < high
    log = math.log(2 / CHANCE)
    assert high - low < 2 * (log / 3 + math.sqrt(log * log / 9 + 2 * deviation.variance * log))
    if size == 300:  # nearly normal: 1e-6/2 is beyond 4.9 standard deviations
        assert 4.9 < high / math.sqrt(deviation.variance) < 1.15 * 4.9


@pytest.mark.parametrize("states", [1, 8, 32])
def test_a_path_of_dither_that_is_not_the_nearest(monkeypatch, states):
    """One level of 3,000 is moved to the next point of its trellis."""
    true = dither.nearest_path

    def moved(targets, firsts, states):
        levels, books = true(targets, firsts, states)
        levels[1234] += 4
        return levels, books

    payload, record = coded("dither", X, 0.25, states=states)
    assert failing(record(payload)) == []
    monkeypatch.setattr(dither, "nearest_path", moved)
    payload, record = coded("dither", X, 0.25, states=states)
    assert failing(record(payload)) == ["nearest path"]


def test_a_step_of_dither_that_no_original_has():
    payload, record = coded("dither", X, 0.25)
    for factor in (1e-30, 1e30):
        assert failing(record(payload), X * np.float32(factor)) != []


@pytest.mark.parametrize("method", ["rsd", "dither"])
@pytest.mark.parametrize("factor", [1e-30, 1e-3, 1e3, 1e30])
def test_trials_of_a_step_that_no_original_has(method, factor):
    """They are run with a step that can be coded, whatever the record says."""
    payload, record = coded(method, X[:300], 0.25)
    data = gcz.container(record(payload))
    assert not gcodec.verify(data, X[:300] * np.float32(factor), trials=10).ok


@pytest.mark.parametrize("method", ["rsd", "dither", "sc"])
@pytest.mark.parametrize("omega", [1e19, 1e21, 1e300])
def test_an_omega_that_asks_for_nothing(method, omega):
    """It is encoded with a smaller one, and verify must hold the file to that."""
    for x in (X[:3], X.astype(np.float64)):
        report = gcodec.verify(gcodec.encode(x, method, omega=omega, seed=5), x, trials=10)
        assert report.ok, report.failures


@pytest.mark.parametrize("method", ["rsd", "dither", "sc", "sd"])
@pytest.mark.parametrize("value", [0.0, math.inf, math.nan])
def test_an_original_that_is_stored_exactly(method, value):
    """It is zero or not finite, so a record with an error is not of it. Nothing else is tested."""
    options = {"alpha": 0.1} if method == "sd" else {"omega": 1.0}
    for size in (12, 300):
        x = X[:size].copy()
        data = gcodec.encode(x, method, **options)
        x[2:] = value
        report = gcodec.verify(data, x if value else 0 * x, trials=0 if method == "sd" else 10)
        assert [check.name for check in report.failures] == ["stored distortion", "original"]


@pytest.mark.parametrize("options", [{"states": 1}, {"states": 32}, {}])
def test_trials_have_the_parameters_of_the_file(options):
    """The bound of the record is larger than that which the payload was made for."""
    for method in ("dither", "rsd"):
        x = X[:300]
        payload, record = coded(method, x, 0.25, **(options if method == "dither" else {}))
        whole = CodedTensor(TensorSpec(x.dtype, x.shape), Guarantee("omega", 4.0), payload)
        again = registry.by_name(method).load().encode_again(whole, ArraySource(x), 1)
        assert again.head == payload.head and again.code(0, 300) == payload.code(0, 300)


def test_another_direction_of_sc(monkeypatch):
    """The second one in the cap: a code may choose it, but then its mean need not be x."""
    true = one_block.find

    def second(blocks, norms, caps, limits, seed):
        found, projections = true(blocks, norms, caps, limits, seed)
        direction = np.empty(SHORT.size)
        for index in range(int(found[0]) + 1, int(limits[0])):
            one_block.kernels.fill_direction(one_block.stream(seed, SHORT.size), index, 1.0, np.ones(2), 2.0, direction)
            if blocks[0] @ direction >= np.sqrt(1 - caps[0]) * norms[0]:
                return np.array([index]), projections
        raise AssertionError

    payload, record = coded("sc", SHORT, 2.0)
    assert failing(record(payload), SHORT, trials=10) == []
    monkeypatch.setattr(one_block, "find", second)
    forged, _ = coded("sc", SHORT, 2.0)
    monkeypatch.undo()
    assert failing(record(forged), SHORT) == []
    assert failing(record(forged), SHORT, trials=10) == ["seed"]


def test_scales_of_sc():
    payload, record = coded("sc", X, 1.0)
    assert failing(record(payload), trials=10) == []
    parsed = plan.Plan.unpack(payload.head)
    for scale in (0.99, 1.01):
        classes = tuple(replace(one, scales=one.scales * scale) for one in parsed.classes)
        forged = replace(payload, head=replace(parsed, classes=classes).pack(), expected=1.0)
        assert "scales" in failing(record(forged))


@pytest.mark.parametrize("factor", [0.98, 1.02, 2, 1e30, 1e-30])
def test_the_norm_of_one_block_of_sc(factor):
    payload, record = coded("sc", SHORT, 2.0)
    forged, _ = coded("sc", (SHORT * factor).astype(np.float32), 2.0)
    assert failing(record(payload), SHORT) == []
    found = [check.name for check in gcodec.verify(gcz.container(record(forged)), SHORT).failures]
    assert "norm" in found and ("certificate" in found) == (factor == 1e30)


def test_norms_of_sc_that_are_rounded_to_the_nearest(monkeypatch):
    payload, record = coded("sc", X, 1.0)
    true = spherical.Rules
    monkeypatch.setattr(spherical, "Rules", lambda zero, unbiased, draws: true(zero, False, draws))
    whole = CodedTensor(TensorSpec(X.dtype, X.shape), Guarantee("omega", 1.0), payload)
    forged = registry.by_name("sc").load().encode_again(whole, ArraySource(X), 1)
    chunk = forged.code(0, X.size)
    monkeypatch.undo()
    forged = replace(payload, code=lambda start, stop: chunk)
    assert failing(record(forged), trials=10) == ["seed"]


def test_a_code_with_alpha_as_one_with_omega():
    payload = registry.by_name("sc").load()().encode(ArraySource(X), Guarantee("alpha", 0.5))
    _, record = coded("sc", X, 1.0)
    assert "scales" in failing(record(replace(payload, expected=1.0)))


def test_the_command_says_why(tmp_path):
    payload, record = coded("rsd", X, 0.25)
    (tmp_path / "x.gcz").write_bytes(gcz.container(record(replace(payload, expected=0.05), 0.05)))
    np.save(tmp_path / "x.npy", X)
    code, out, _ = call_cli("verify", tmp_path / "x.gcz", "--against", tmp_path / "x.npy")
    assert code == 1 and re.search(
        r"FAILS +noise +the expected error with this scale is at most 0\.\d+; stored 0\.05, bound 0\.05", out
    )
    code, out, _ = call_cli("verify", tmp_path / "x.gcz")
    assert code == 0 and "the error was not measured (give --against)" in out


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("omega", [1e-9, 1e-7, 1e-6, 1e-5, 1e-3])
def test_the_cap_of_one_block_pays_for_rounding_to_the_dtype(size, omega):
    """Its noise would else be above a small bound, and no reader would know which cap was taken."""
    x = np.array([1, -1, 3][:size], np.float32)
    data = gcodec.encode(x, "sc", omega=omega, seed=1)
    assert header_of(data).guarantee.kind == "omega"
    report = gcodec.verify(data, x, trials=100)
    assert report.ok, report.failures


def test_300_honest_files():
    """All methods, dtypes and sizes, at bounds and seeds of any kind."""
    random = np.random.default_rng(0)
    entries = [(entry.name, kind) for entry in registry.ENTRIES for kind in entry.load().kinds]
    for number in range(300):
        method, kind = entries[number % len(entries)]
        size = int(10 ** random.uniform(0, 3))
        x = random.standard_t(3, size) * 10 ** random.uniform(-30, 30)
        x[random.random(size) < random.choice([0, 0.5])] = 0
        dtype = random.choice([np.float32, np.float64])
        bound = 10 ** random.uniform(-3, 1 if kind == "omega" else -0.1)
        options = {"lossless": True} if kind == "exact" else {kind: bound}
        options |= {"seed": number} if kind == "omega" else {}
        data = gcodec.encode(x.astype(dtype), method, **options)
        report = gcodec.verify(data, x.astype(dtype))
        assert report.ok, (method, options, size, [check.detail for check in report.failures])
