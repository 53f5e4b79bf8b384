"""What the encoder decides: which bounds it tries, which are met, and what `auto` may look at."""

import math
from dataclasses import dataclass
from io import BytesIO

import numpy as np
import pytest

import gcodec
from gcodec.compressors import registry
from gcodec.compressors.contract import Compressor, Payload
from gcodec.errors import InvalidInput


def header(data: bytes):
    return gcodec.Archive(BytesIO(data)).header("")


@pytest.mark.parametrize(
    ("dtype", "finest"), [("float16", 2.0**-50), ("float32", 2.0**-50), ("float64", 2.0**-100)], ids=str
)
def test_the_finest_bound_that_is_tried(dtype, finest):
    """At it, levels still meet the bound; below, the tensor is its own shortest description."""
    x = np.random.default_rng(0).normal(size=10).astype(dtype)
    for alpha in (2.0**-19, 2.0**-21, 2.0**-30, finest):
        assert header(gcodec.encode(x, "sd", alpha=alpha)).guarantee.bound == alpha
    below = gcodec.encode(x, "sd", alpha=math.nextafter(finest, 0))
    assert header(below).guarantee.kind == "exact" and np.array_equal(gcodec.decode(below), x)


@dataclass(frozen=True)
class Answering(Compressor):
    """Decodes to one number, and states an expectation. It takes the place of sd."""

    kinds = ("alpha", "omega")
    work_per_value = 1
    answers = (0.0,)  # one for each call; the last one is for all others
    expected = 0.0
    asked = ()

    def encode(self, source, guarantee):
        cls = type(self)
        answer = self.answers[min(len(self.asked), len(self.answers) - 1)]
        cls.asked = (*self.asked, guarantee.bound)
        expected = self.expected if guarantee.kind == "omega" else None
        return Payload(np.float64(answer).tobytes(), source.size, lambda start, stop: b"", expected)

    @classmethod
    def decoder(cls, head, spec):
        return lambda data, start, count: np.full(count, np.frombuffer(head)[0])


@pytest.fixture
def answering(monkeypatch):
    """A function that prepares the compressor. As x is all ones, 1 + e has the distortion e²."""
    load = registry.Entry.load
    monkeypatch.setattr(registry.Entry, "load", lambda entry: Answering if entry.name == "sd" else load(entry))

    def prepare(*answers: float, expected: float = 0.0) -> None:
        for name, value in (("answers", answers), ("expected", expected), ("asked", ())):
            monkeypatch.setattr(Answering, name, value)

    return prepare


def kind_of(**bound: float) -> str:
    return header(gcodec.encode(np.ones(7), "sd", **bound)).guarantee.kind


def test_a_bound_is_met_where_no_rounding_can_hide_a_miss(answering):
    """The distortion is 1/4; 2⁻⁴⁰ of it is set aside for the roundings of the sums."""
    for part, kind in ((1.2, "alpha"), (0.8, "exact"), (0.0, "exact"), (-1.0, "exact")):
        answering(1.5)
        assert kind_of(alpha=0.25 * (1 + part * 2.0**-40)) == kind


def test_an_expectation_is_met_at_its_value(answering):
    answering(1.0, expected=0.25)
    assert kind_of(omega=0.25) == "omega"
    answering(1.0, expected=math.nextafter(0.25, 1))
    assert kind_of(omega=0.25) == "exact"


def test_one_result_may_be_16_times_as_far_as_expected(answering):
    answering(3.0 * (1 - 2.0**-40))
    assert kind_of(omega=0.25) == "omega"
    answering(3.0)
    assert kind_of(omega=0.25) == "exact"


def test_a_bound_is_tightened_three_times(answering):
    """By what it was missed by, and 2⁻²⁰, 2⁻¹⁴ and 2⁻⁸ more; the promise stays as it was."""
    answering(2.0, 1.8, 1.6, 1.49)
    assert kind_of(alpha=0.25) == "alpha" and len(Answering.asked) == 4
    wanted = [0.25, 0.25**2, 0.25**3 / 0.64, 0.25**4 / 0.64 / 0.36]
    closer = np.cumprod([1, 1 - 2.0**-20, 1 - 2.0**-14, 1 - 2.0**-8])
    assert Answering.asked == pytest.approx(closer * wanted, rel=1e-11)
    answering(2.0, 1.8, 1.6, 1.51, 1.0)
    assert kind_of(alpha=0.25) == "exact" and len(Answering.asked) == 4
    answering(1.5 + 2.0**-25, 1.0)
    assert kind_of(alpha=0.25) == "alpha" and Answering.asked[1] < 0.25 * (1 - 2.0**-20)


def test_the_stored_distortion_does_not_depend_on_the_unit():
    """Some of these values have squares that over- or underflow. A power of two changes nothing."""
    x = np.random.default_rng(0).normal(size=300)
    found = {
        power: header(gcodec.encode(np.ldexp(x, power), "sd", alpha=1e-13)).distortion
        for power in (-1000, -600, -470, -460, -400, 0, 400, 460, 470, 600, 1000)
    }
    assert list(found.values()) == pytest.approx([found[0]] * 11, rel=1e-14) and 0 < found[0] <= 1e-13


def test_norms_of_very_large_and_small_values_are_exact():
    """The error of one value is the whole error, whatever else is there."""
    for unit in (1e-300, 1e-180, 1e-160, 1e-120, 1.0, 1e120, 1e160, 1e180, 1e300):
        x, y = np.array([3 * unit, 4 * unit]), np.array([3 * unit, 4.5 * unit])
        (tensor,) = gcodec.verify(gcodec.encode(y, lossless=True), x).tensors
        assert tensor.measured_distortion == pytest.approx(0.01, rel=1e-12), unit


def test_bools_are_0_or_1():
    raw = np.array([0, 1, 2], np.uint8).view(np.bool_)
    with pytest.raises(InvalidInput, match="neither 0 nor 1"):
        gcodec.encode(raw)
    assert gcodec.decode(gcodec.encode(raw[:2])).tolist() == [False, True]


def shortest(x: np.ndarray, seed: int) -> str:
    """Which of the unbiased methods has the shorter code for one seed."""
    return min(("rsd", "dither"), key=lambda method: len(gcodec.encode(x, method, omega=3.0, seed=seed)))


def test_the_seed_that_is_sent_has_no_part_in_the_choice_of_a_method():
    """Which method is the shorter one may depend on the seed. `auto` takes one for all seeds."""
    seeds, torn = range(12), []
    for d in range(60, 160, 4):
        x = np.random.default_rng(d).normal(size=d).astype(np.float32)
        if len(torn) < 3 and 3 <= [shortest(x, seed) for seed in seeds].count("rsd") <= 9:
            torn.append(x)
    assert torn
    for x in torn:
        assert len({header(gcodec.encode(x, omega=3.0, seed=seed)).compressor for seed in seeds}) == 1
