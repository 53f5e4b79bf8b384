"""Trials of unbiased codes, and what `verify` says of `sc`, next to their thresholds."""

import math
import re
import struct
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from checks import NIGHTLY, header_of
from vectors import gcz
from verdicts import f64, rows

import gcodec
from gcodec.compressors import registry
from gcodec.compressors.contract import Check, Compressor, Payload
from gcodec.errors import InvalidInput
from gcodec.verification.trials import judge

TRIALS = 20
CHANCE = 5e-4
STUDENT = 3.8834  # Student's t with 19 degrees of freedom exceeds it with this chance


@dataclass(frozen=True)
class Known(Compressor):
    """Decodes to x and an error that is known for each seed. It takes the place of rsd."""

    seed: int = 0
    kinds = ("omega",)
    work_per_value = 1
    x = np.ones(64)
    errors: ClassVar[dict[int, np.ndarray]] = {}  # there is none for other seeds
    expected: ClassVar[float] = 0.0

    def encode(self, source, guarantee):
        return Payload(struct.pack("<q", self.seed), source.size, lambda start, stop: b"", self.expected)

    @classmethod
    def decoder(cls, head, spec):
        (seed,) = struct.unpack("<q", head)
        return lambda data, start, count: cls.x + cls.errors.get(seed, 0.0)


@pytest.fixture
def known(monkeypatch):
    """A function from the errors of all seeds, a bound and the stored noise to a file's checks."""
    load = registry.Entry.load
    monkeypatch.setattr(registry.Entry, "load", lambda entry: Known if entry.name == "rsd" else load(entry))

    def run(errors: np.ndarray, omega: float, expected: float) -> dict[str, Check]:
        monkeypatch.setattr(Known, "errors", dict(enumerate(errors, 1)))
        monkeypatch.setattr(Known, "expected", expected)
        data = gcodec.encode(Known.x, "rsd", omega=omega)
        return rows(data, Known.x, trials=len(errors))

    return run


def noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(TRIALS, 64)) / 4


SQUARES = np.random.default_rng(5).standard_normal((1 << 20, TRIALS), np.float32) ** 2


def excess(errors: np.ndarray) -> float:
    """Σ ⟨e_s, e_t⟩ over s ≠ t, beside what Σ z_s z_t ⟨e_s, e_t⟩ seldom exceeds for normal z."""
    products = errors @ errors.T
    np.fill_diagonal(products, 0)
    drawn = SQUARES @ np.linalg.eigvalsh(products).astype(np.float32)
    return float(products.sum() / np.quantile(drawn, 1 - CHANCE))


def biased(wanted: float, errors: np.ndarray) -> np.ndarray:
    """The errors and a bias, for which the excess is as wanted."""
    low, high = 0.0, 1.0
    for _ in range(16):
        middle = (low + high) / 2
        low, high = (middle, high) if excess(errors + middle) < wanted else (low, middle)
    return errors + low


@pytest.mark.parametrize(("seed", "rank"), [(1, 64), (2, 64), (3, 1), (4, 2)])
def test_a_bias_fails_beyond_what_chance_gives(known, seed, rank):
    """With errors in all directions, in one, and in two. Drawing the quantile misses by 1 %."""
    errors = np.zeros((TRIALS, 64))
    errors[:, :rank] = noise(seed)[:, :rank]
    errors[:, :rank] -= errors[:, :rank].mean(axis=0)
    assert excess(errors) < 0
    for factor, ok in ((0.95, True), (1.05, False)):
        moved = np.zeros_like(errors)
        moved[:, :rank] = biased(factor, errors[:, :rank])
        checks = known(moved, 10.0, 0.0)
        assert checks["unbiased"].ok == ok and checks["expected distortion"].ok


def test_noise_that_was_not_seen_may_hide_a_rare_error(known):
    """All errors are equal, and have a 30th of the noise; one of 31 times it would be 30 times."""
    errors = np.full((TRIALS, 64), -1 / 31)
    seen = 1 / 31**2
    assert not known(errors, 10.0, seen)["unbiased"].ok
    assert known(errors, 10.0, 31 * seen)["unbiased"].ok


def test_the_mean_error_fails_beyond_student_s_quantile(known):
    """The mean lies above the bound; by how much it may, its own scatter tells."""
    errors = noise(3) * np.random.default_rng(3).uniform(0.5, 1.5, (TRIALS, 1))
    distortions = np.sum(errors**2, axis=1) / 64
    least = distortions.mean() - STUDENT * distortions.std(ddof=1) / math.sqrt(TRIALS)
    assert least > 0
    for factor, ok in ((1.001, True), (0.999, False), (0.5, False)):
        checks = known(errors, factor * least, 0.0)
        assert checks["expected distortion"].ok == ok
        assert checks["unbiased"].ok and checks["certificate"].ok


@pytest.mark.parametrize(("trials", "files"), [(10, 300), (200, 2000 if NIGHTLY else 200)])
def test_honest_noise_seldom_fails(trials, files):
    """Randomised roundings of 1 to 1000 values. Both tests fail once in 1,000 together."""
    random = np.random.default_rng(trials)
    failed = 0
    for _ in range(files):
        size = int(10 ** random.uniform(0, 3))
        x = random.standard_t(3, size)
        step = 2 * math.sqrt(10 ** random.uniform(-3, 1) / size) * math.sqrt(x @ x)
        up = np.abs(x) / step % 1
        errors = step * ((random.random((trials, size)) < up) - up)
        gram = errors @ errors.T / (x @ x)
        expected = step * step * float((up * (1 - up)).sum() / (x @ x))
        checks = judge(gram, np.diag(gram), expected, expected * (1 + 1e-9), 1.0)
        failed += not all(check.ok for check in checks)
    assert failed <= 2


@pytest.mark.skipif(not NIGHTLY, reason="it takes minutes")
@pytest.mark.parametrize(("method", "files", "largest"), [("rsd", 2000, 1000), ("dither", 200, 1000), ("sc", 300, 16)])
def test_honest_files_of_any_size_seldom_fail(method, files, largest):
    """Encoded and verified with 200 trials each."""
    random, failed = np.random.default_rng(7), []
    for number in range(files):
        x = random.standard_t(3, 1 + number * largest // files).astype(np.float32)
        omega = 10 ** random.uniform(-2, 0.5)
        data = gcodec.encode(x, method, omega=omega, seed=number)
        if header_of(data).guarantee.kind == "omega":  # what a method cannot code is stored exactly
            failed += [(number, check) for check in gcodec.verify(data, x, trials=200).failures]
    assert len(failed) <= 2, failed


def test_the_least_and_the_most_trials():
    data = gcodec.encode(Known.x, "rsd", omega=1.0)
    assert "over 10 seeds" in rows(data, Known.x, trials=10)["unbiased"].detail
    with pytest.raises(InvalidInput, match="at least 10"):
        gcodec.verify(data, Known.x, trials=9)
    with pytest.raises(InvalidInput, match="original"):
        gcodec.verify(data, trials=10)
    assert "over 2000 seeds" in rows(data, Known.x, trials=2000)["unbiased"].detail
    for trials in (2001, 10**11):
        with pytest.raises(InvalidInput, match="too many; 2,000 are possible"):
            gcodec.verify(data, Known.x, trials=trials)


@pytest.mark.parametrize(("method", "options"), [("sd", {"alpha": 0.1}), ("lossless", {"lossless": True})])
def test_trials_that_mean_nothing_are_refused(method, options):
    data = gcodec.encode(Known.x, method, **options)
    with pytest.raises(InvalidInput, match="no tensor has such a promise"):
        gcodec.verify(data, Known.x, trials=10)
    assert not gcodec.verify(data, {"other": Known.x}, trials=10).ok


def arc_bits(alpha: float) -> float:
    """−log2 of the cap's share for d = 2."""
    return -math.log2(math.atan2(math.sqrt(alpha), math.sqrt(1 - alpha)) / math.pi)


def height_bits(alpha: float) -> float:
    """−log2 of the cap's share for d = 3, by Archimedes."""
    return -math.log2((1 - math.sqrt(1 - alpha)) / 2)


@pytest.mark.parametrize("seed", [0, 300])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("bound", [0.3, 0.01])
def test_the_mean_of_one_block_of_sc(bound, dtype, seed):
    """31 bits of norm and −log2 P + 3; a seed, float64 and a small bound take more."""
    more = (3 if dtype == np.float64 else 0) + (2 if bound == 0.01 else 0)
    share = bound * (1 - 2.0**-13)
    mean_cosine = 1 / math.sqrt(1 + share)
    of_omega = 1 - (2 * mean_cosine - 1) ** 2  # for d = 3 the mean cosine is (1 + √(1 − α)) / 2
    for kind, x, bits in (
        ("alpha", np.array([1, 2], dtype), arc_bits(share)),
        ("alpha", np.array([1, 2, -3], dtype), height_bits(share)),
        ("omega", np.array([1, 2, -3], dtype), height_bits(of_omega)),
    ):
        data = gcodec.encode(x, "sc", seed=seed, **{kind: bound})
        (tensor,) = gcodec.verify(data).tensors
        head = tensor.header.head_length  # a byte, and with a seed another one and the seed's
        assert head == 6 if kind == "omega" else head == (4 if seed else 1)
        assert tensor.upper_bound_bits == pytest.approx(31 + bits + 3 + more + 8 * (head - 1), abs=1e-6)


def test_the_mean_of_sc_is_no_bound_of_one_file():
    """The header promises less than was coded, so the index is longer than it should be."""
    x = np.random.default_rng(0).normal(size=6)
    checks = rows(gcz.container(gcz.record("", x, "sc", 0.05).but(bound=f64(0.999))))
    assert "above" in checks["upper bound"].detail and checks["upper bound"].ok


@pytest.mark.parametrize("d", [3, 20])
def test_a_block_is_in_its_cap(d):
    """The originals are next to the edge of the cap, whose α is 0.5·(1 − 2⁻¹³)."""
    record = gcz.record("", np.random.default_rng(d).normal(size=d), "sc", 0.5)
    data = gcz.container(record)
    y = gcodec.decode(data)
    direction = y / math.sqrt(y @ y)
    aside = np.eye(d)[0] - direction[0] * direction
    aside /= math.sqrt(aside @ aside)
    least = math.sqrt(1 - 0.5 * (1 - 2.0**-13))
    for off, ok in ((1e-3, True), (-0.8e-9, True), (-1.2e-9, False), (-1e-3, False)):
        cosine = least + off
        x = cosine * direction + math.sqrt(1 - cosine**2) * aside
        checks = rows(data, x)
        assert checks["caps"].ok == ok
        assert f"{int(not ok)} of 1 block outside" in checks["caps"].detail


def alike(blocks: int) -> gcz.Record:
    """Blocks of 8 values with one norm, and so of one class; hardly any two have the same index."""
    x = np.random.default_rng(blocks).normal(size=(blocks, 8))
    x /= np.sqrt(np.sum(x**2, axis=1, keepdims=True))
    return gcz.record("", x.astype(np.float32), "sc", 0.05, block=8, max_draws=1 << 22)


def exceeds(t: float, n: float) -> float:
    """Chernoff's bound of P(mean of n exponential numbers of mean 1 ≥ 1 + t)."""
    return math.exp(-n * (t - math.log1p(t)))


def slack_of(detail: str) -> float:
    return float(re.search(r"chance may add ([0-9.e+-]+)\)", detail)[1])


@pytest.mark.parametrize("blocks", [40, 200])
def test_what_chance_may_add_to_the_indices_of_sc(blocks):
    """It is exceeded with a probability of 10⁻⁶ at most, but not much less than that."""
    check = rows(gcz.container(alike(blocks)))["index"]
    assert check.ok and f"mean over {blocks:,} blocks" in check.detail
    t = slack_of(check.detail) * math.log(2)
    assert exceeds(t * 1.05, blocks) <= 1e-6  # the detail has two digits
    assert exceeds(t * 0.90, blocks) >= 1e-6


def sparser(record: gcz.Record, spread: float) -> tuple[bytes, str]:
    """The same blocks and indices with the caps of another spread, which want shorter ones."""
    head = record.head
    at = 1 + (head[0] & 15) + 7  # flags and length of the seed, seed, length, exponent, step
    (old,) = struct.unpack_from("<f", head, at)
    changed = head[:at] + struct.pack("<f", old * spread) + head[at + 4 :]
    data = gcz.container(record.holding(head=changed))
    return data, rows(data)["index"].detail


def test_indices_of_sc_that_are_too_long_fail():
    record, verdicts = alike(200), []
    for spread in np.linspace(1, 4, 25):
        data, detail = sparser(record, spread)
        measured, allowed = (float(re.search(words, detail)[1]) for words in (r"^([0-9.]+) bits", r"allows ([0-9.]+)"))
        ok = rows(data)["index"].ok
        assert ok == (measured <= allowed + slack_of(detail)) or abs(measured - allowed - slack_of(detail)) < 0.02
        verdicts.append(ok)
    assert verdicts[0] and not verdicts[-1] and verdicts == sorted(verdicts, reverse=True)
