"""The numbers of `gcodec bounds` and of the baselines, by formulas that are written here anew."""

import math

import numpy as np
import pytest

from gcodec.baselines import FAMILIES, PowerSgd, ScaledSign
from gcodec.theory import report


def lloyd_max_error(bits: int) -> float:
    """The least mean squared error of 2^bits centroids on a normal number, by Lloyd's iteration."""
    centroids = np.linspace(-1, 1, 1 << bits) * (bits + 1) / 1.5
    for _ in range(2000):
        ends = np.concatenate([[-np.inf], (centroids[1:] + centroids[:-1]) / 2, [np.inf]])
        densities = np.exp(-(ends**2) / 2) / math.sqrt(2 * math.pi)
        shares = np.diff([math.erf(end / math.sqrt(2)) / 2 for end in ends])
        centroids = -np.diff(densities) / shares
    return 1 - float(np.sum(shares * centroids**2))


LLOYD_MAX = tuple(lloyd_max_error(bits) for bits in range(1, 6))


def table(d: int, **bound: float) -> dict[str, report.BoundsRow]:
    return {row.name: row for row in report.rows(d, **bound)}


def cap_bits(alpha: float, d: int) -> float:
    """For d = 2 the share of an angle, for d = 3 that of a height."""
    if d == 2:
        return -math.log2(math.asin(math.sqrt(alpha)) / math.pi)
    return -math.log2((1 - math.sqrt(1 - alpha)) / 2)


def golomb_bits(bits: float) -> float:
    """The mean length of the best Golomb code of a geometric number with success 2^−bits."""
    p = 2.0**-bits
    numbers = np.arange(int(60 / p))
    chances = p * (1 - p) ** numbers

    def mean(m: int) -> float:
        width = (m - 1).bit_length()
        short = numbers % m < (1 << width) - m
        return float(np.sum(chances * (numbers // m + 1 + width - short)))

    return min(mean(m) for m in range(1, int(2 / p) + 2))


def binomial_bits(d: int, k: int) -> float:
    return math.log2(math.comb(d, k))


@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("alpha", [0.01, 0.1, 0.25, 0.7])
def test_rows_of_alpha(d, alpha):
    found = table(d, alpha=alpha)
    cap = cap_bits(alpha, d)
    arcs = math.log2(math.ceil(math.pi / math.asin(math.sqrt(alpha))))  # that cover the circle
    kappas = np.linspace(1e-9, 1 - 1e-9, 200_001)
    entropies = -kappas * np.log2(kappas) - (1 - kappas) * np.log2(1 - kappas)
    rate = float(np.max(entropies + kappas + (kappas + np.sqrt(kappas / alpha)) / 2))
    worst = max(binomial_bits(d, m) + m + (m + math.sqrt(m * d / alpha)) // 2 for m in range(1, d + 1))
    wanted = {
        "uncertainty": d / 2 * math.log2(1 / alpha),
        "cap": cap,
        "low end": cap + math.log2(3) if d == 3 else arcs,
        "high end": cap + math.log2(3) + math.log2(math.log2(3)) if d == 3 else arcs,
        "sd exact": 31 + math.log2(d) + worst,
        "sd closed": 31 + math.log2(d) + d * rate,
        "sc": 31 + golomb_bits(cap),
        "ecsq": d / 2 * math.log2(1 / alpha) + d / 2 * math.log2(2 * math.pi * math.e / 12),
    }
    if alpha == 0.1 and d == 3:
        wanted["sd published"] = 30 + math.log2(d) + 3.35 * d
    bits = {name: row.bits for name, row in found.items() if row.group != report.BASELINE and row.bits is not None}
    assert bits == pytest.approx(wanted, rel=1e-6)
    assert all(found[name].constant == alpha and found[name].reaches for name in wanted)


@pytest.mark.parametrize(("d", "alpha"), [(100, 0.1), (3, 0.75)])
def test_rounds_of_gradient_descent(d, alpha):
    """1/(1 − α) times as many steps, or 1 + ω times; nothing is said about bounds."""
    for found in (table(d, alpha=alpha), table(d, omega=alpha)):
        assert found["descent"].bits is found["descent"].rate is None
        for row in found.values():
            if row.name in ("uncertainty", "cap", "low end", "high end"):
                assert row.rounds is None
            else:
                wanted = 1 + row.constant if row.kind == "omega" else 1 / (1 - row.constant)
                assert row.rounds == pytest.approx(wanted, rel=1e-12)


def test_where_the_optimum_lies():
    """It is 1 bit for one coordinate, and ten arcs cover the circle at α = 0.1."""
    for d, low, high in (
        (1, 1, 1),
        (2, math.log2(10), math.log2(10)),
        (100, 169.005091514 + 6.643856190, 169.005091514 + 6.643856190 + 2.732020845),
    ):
        found = table(d, alpha=0.1)
        assert (found["low end"].bits, found["high end"].bits) == pytest.approx((low, high), abs=1e-8)
    for arcs in range(3, 30):
        alpha = math.sin(math.pi / arcs) ** 2
        assert table(2, alpha=alpha * (1 + 1e-9))["low end"].bits == pytest.approx(math.log2(arcs), abs=1e-12)
        assert table(2, alpha=alpha * (1 - 1e-9))["low end"].bits == pytest.approx(math.log2(arcs + 1), abs=1e-12)


@pytest.mark.parametrize(("d", "alpha"), [(100, 0.1), (100, 0.3), (10, 0.05), (10, 0.95), (1000, 0.5), (7, 0.003)])
def test_baselines_of_alpha(d, alpha):
    found = table(d, alpha=alpha)
    k = math.ceil(d * (1 - alpha))
    b = next(i for i, error in enumerate(LLOYD_MAX, 1) if error <= alpha)
    t = next(i for i in range(1, 9) if math.sqrt(3) * math.pi / 2 / 4**i <= alpha)
    wanted = {
        "top-k": (1 - k / d, 32 * k + binomial_bits(d, k), True),
        "scaled sign": (1 - 1 / d, 31 + d, 1 - 1 / d <= alpha),
        "drive/eden": (LLOYD_MAX[b - 1], 32 + b * d, True),
        "turboquant": (math.sqrt(3) * math.pi / 2 / 4**t, 32 + t * d, True),
    }
    assert set(ROTATED).isdisjoint(found) == (d < 32)
    for name, (constant, bits, reaches) in within(d, wanted).items():
        row = found[name]
        assert (row.kind, row.reaches) == ("alpha", reaches), name
        assert row.constant == pytest.approx(constant, rel=1e-9), name
        assert row.bits == pytest.approx(bits, rel=1e-12) and row.rate == row.bits / d, name


ROTATED = ("drive/eden", "turboquant", "eden")


def within(d: int, wanted: dict) -> dict:
    """Without operators that rotate, in few dimensions: there no coordinates are nearly normal."""
    return {name: row for name, row in wanted.items() if d >= 32 or name not in ROTATED}


def unbiased(d: int, omega: float) -> dict[str, tuple[float, float]]:
    """Constant and bits of the unbiased operators, with the fewest bits that reach ω."""
    k = min(d, math.ceil(d / (1 + omega)))
    s = max(1, math.ceil(min(math.sqrt(d / omega), math.sqrt(d) / omega)))
    errors = [error / (1 - error) for error in LLOYD_MAX]
    b = next(i for i, error in enumerate(errors, 1) if error <= omega)

    def natural(levels: int) -> float:
        return 1 / 8 + min(math.sqrt(d) / 2 ** (levels - 1), d / 4 ** (levels - 1))

    n = next(levels for levels in range(1, 99) if natural(levels) <= max(omega, 1.01 / 8))
    return {
        "rand-k": (d / k - 1, 32 * k + binomial_bits(d, k)),
        "terngrad": ((math.sqrt(d) - 1) / 2, 31 + d * math.log2(3)),
        "qsgd": (
            min(d / s**2, math.sqrt(d) / s),
            33 + d + 2 * d * math.log2(1 + s / math.sqrt(d)) + min(d, s * math.sqrt(d)),
        ),
        "natural compression": (0.125, 9 * d),
        "natural dithering": (natural(n), 31 + d * math.log2(2 * n + 1)),
        "eden": (errors[b - 1], 32 + b * d),
    }


@pytest.mark.parametrize(
    ("d", "omega"), [(100, 1.0), (100, 0.3), (100, 5.0), (1000, 0.01), (36, 0.0625), (10, 0.125), (3, 50.0)]
)
def test_rows_of_omega(d, omega):
    """The same baselines are in the table of the α that belongs to ω."""
    wanted = unbiased(d, omega)
    found = table(d, omega=omega)
    assert found["uncertainty"].bits == pytest.approx(d / 2 * math.log2((1 + omega) / omega))
    assert found["rsd"].bits == pytest.approx(30 + math.log2(d) + d * (math.log2(3) + 1 / (2 * math.sqrt(omega))))
    assert found["uncertainty"].constant == found["rsd"].constant == omega
    for rows in (found, table(d, alpha=omega / (1 + omega))):
        assert ("eden" in rows) == (d >= 32)
        for name, (constant, bits) in within(d, wanted).items():
            assert rows[name].kind == "omega" and rows[name].bits == pytest.approx(bits, rel=1e-9), name
            assert rows[name].constant == pytest.approx(constant, rel=1e-9), name
            assert rows[name].reaches == (rows[name].constant <= omega * (1 + 1e-12)), name


def test_the_unbiased_cap_of_three_coordinates():
    """Its mean cosine is (1 + √(1 − α)) / 2, and ω = 1/c̄² − 1."""
    for omega in (0.01, 0.25, 1.0):
        cap = 1 - (2 / math.sqrt(1 + omega) - 1) ** 2
        row = table(3, omega=omega)["sc"]
        assert row.bits == pytest.approx(31 + golomb_bits(cap_bits(cap, 3)), rel=1e-6)
        assert row.constant == pytest.approx(omega, rel=1e-9) and row.reaches


def test_a_guarantee_is_reached_at_its_value():
    assert table(100, omega=9.0)["rand-k"].constant == 9 and table(100, omega=9.0)["rand-k"].reaches
    for omega, reaches in ((0.125, True), (0.125 * (1 - 1e-11), False)):
        assert table(100, omega=omega)["natural compression"].reaches == reaches
    for omega, reaches in ((4.5, True), (4.5 * (1 - 1e-11), False)):
        assert table(100, omega=omega)["terngrad"].reaches == reaches
    for alpha, reaches in ((0.99, True), (0.99 * (1 - 1e-11), False)):
        assert table(100, alpha=alpha)["scaled sign"].reaches == reaches


def constants() -> list[tuple[str, int, dict, float, int | None]]:
    """(class, coordinates, its parameters, its constant, its bits where they are fixed)."""
    found: list[tuple[str, int, dict, float, int | None]] = [
        ("top-k", 100, {"fraction": 0.1}, 0.9, 320 + 44),  # log2 C(100, 10) = 43.98
        ("top-k", 4, {"fraction": 0.1}, 0.75, 32 + 2),
        ("rand-k", 100, {"fraction": 0.1}, 9.0, 320),
        ("rand-k", 4, {"fraction": 0.1}, 3.0, 32),
        ("qsgd", 100, {"resolution": 1.0}, 1.0, None),
        ("qsgd", 100, {"resolution": 0.5}, 2.0, None),
        ("qsgd", 100, {"resolution": 2.0}, 0.25, None),
        ("qsgd", 101, {"resolution": 1.0}, 101 / 121, None),
        ("natural-dithering", 64, {"levels": 2}, 4.125, 31 + 149),
        ("natural-dithering", 64, {"levels": 8}, 0.125 + 64 / 2**14, 31 + 262),
        ("terngrad", 100, {}, 4.5, 31 + 159),
        ("natural-compression", 100, {}, 0.125, 900),
        ("scaled-sign", 100, {}, 0.99, 131),
    ]
    for bits, error in enumerate(LLOYD_MAX, 1):
        found += [("drive", 32, {"bits": bits}, error, 32 + 32 * bits)]
        found += [("eden", 32, {"bits": bits}, error / (1 - error), 32 + 32 * bits)]
        found += [("turboquant", 32, {"bits": bits}, math.sqrt(3) * math.pi / 2 / 4**bits, 32 + 32 * bits)]
    return found


def test_constants_of_the_operators():
    kinds = {name: type(members[0]) for name, members in FAMILIES.items()}
    for name, d, parameters, constant, bits in constants():
        operator = kinds[name](**parameters)
        assert operator.constant(d) == pytest.approx(constant, rel=1e-9), (name, parameters)
        if bits is not None:
            x = np.random.default_rng(d).normal(size=d)
            assert operator.compress(x, np.random.default_rng(0))[1] == bits, (name, parameters)
        if name in ("drive", "eden", "turboquant"):
            assert operator.constant(31) == math.inf


def test_constants_of_a_given_vector():
    x = np.array([3.0, -4.0, 0.0, 12.0])
    assert ScaledSign().constant(4, x) == pytest.approx(1 - 19**2 / (4 * 169))
    assert ScaledSign().constant(4, 0 * x) == 0.75
    matrix = np.diag([8.0, 4.0, 2.0, 1.0, 0.5, 0.25])
    energy = np.diag(matrix) ** 2
    wanted = min((1 + j / (3 - j)) * energy[j:].sum() / energy.sum() for j in range(3))
    assert PowerSgd(4).constant(36, matrix) == pytest.approx(min(wanted, 1.0))
    assert PowerSgd(4).constant(36) == PowerSgd(4).constant(36, 0 * matrix) == PowerSgd(1).constant(36, matrix) == 1


def test_factors_are_sent_where_they_are_fewer_numbers():
    """4·(8 + 9) < 8·9, but 4·(8 + 8) = 8·8."""
    for shape, bits in (((8, 9), 32 * 4 * 17), ((8, 8), 32 * 64)):
        x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
        coded, sent = PowerSgd(4).compress(x, np.random.default_rng(0))
        assert sent == bits and np.array_equal(coded, x) == (shape == (8, 8))
