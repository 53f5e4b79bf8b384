"""What a bound did to a tensor: measured, stored beside the certificate, shown, and warned of."""

import json
import warnings
from dataclasses import asdict
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from checks import call_cli, header_of, run_cli
from vectors import gcz
from verdicts import X, only_failing, sd, text

import gcodec
from gcodec.compressors.contract import Guarantee, TensorSpec
from gcodec.container.effects import Effects, percent
from gcodec.pipeline.effects.found import Found, warn_of_losses
from gcodec.pipeline.effects.measuring import combine, measure
from gcodec.source import matricise, spans

CORPORA = Path(__file__).parent.parent / "corpora"
RNG = np.random.default_rng(0)
GRADIENT = (RNG.normal(size=(256, 256)) * np.exp(1.5 * RNG.normal(size=(256, 1)))).astype(np.float32)
MOMENT = GRADIENT**2


def found_of(x: np.ndarray, y: np.ndarray, chunk: int, scale: float = 1.0) -> Found:
    spec = TensorSpec(x.dtype, x.shape)
    flat, back = x.reshape(-1), y.reshape(-1)
    parts = [measure(flat[a:b], back[a:b], spec, a, scale) for a, b in spans(x.size, chunk)]
    return combine(parts, spec)


def by_definition(x: np.ndarray, y: np.ndarray) -> Effects:
    """The effects of finite values far from the ends of float64, as spec/format.md defines them."""
    x, y = x.astype(np.float64), y.astype(np.float64)
    some, none = x != 0, x == 0
    rows = x.reshape(matricise(x.shape))
    errors, norms = ((y - x).reshape(rows.shape) ** 2).sum(1), (rows**2).sum(1)
    return Effects(
        zeroed=(some & (y == 0)).sum() / max(some.sum(), 1),
        filled=(none & (y != 0)).sum() / max(none.sum(), 1),
        flipped=(some & (np.sign(x) == -np.sign(y))).sum() / max(some.sum(), 1),
        lost=(some & (abs(y - x) > abs(x) / 2)).sum() / max(some.sum(), 1),
        row=max([e / n for e, n in zip(errors, norms, strict=True) if n], default=0.0) if len(rows) > 1 else 0.0,
        cosine=float((x * y).sum() / np.linalg.norm(x) / np.linalg.norm(y)),
    )


def close(a: Effects, b: Effects) -> bool:
    return all(value == pytest.approx(asdict(b)[name], rel=1e-9, abs=1e-12) for name, value in asdict(a).items())


@pytest.mark.parametrize("shape", [(1,), (37,), (5, 7), (300, 2), (3, 1, 5000), (9, 4, 3, 3), (2, 4111)])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_they_are_what_the_definition_says_however_chunks_cut_the_rows(shape, dtype):
    x = (RNG.normal(size=shape) * (RNG.random(shape) < 0.7)).astype(dtype)
    x.flat[0] = 1
    y = np.where(RNG.random(shape) < 0.3, 0, x + RNG.normal(size=shape) * (RNG.random(shape) < 0.5)).astype(dtype)
    y.flat[0] = 2
    for chunk in (1, 3, 16, 1000, x.size):
        assert close(found_of(x, y, chunk).effects, by_definition(x, y))


def test_rows_of_zeros_and_decoded_zeros_have_no_ratio():
    x = np.array([[0.0, 0.0], [3.0, 4.0]])
    assert found_of(x, np.array([[1.0, 0.0], [3.0, 5.0]]), 4).effects.row == pytest.approx(1 / 25)
    assert found_of(x, np.zeros((2, 2)), 4).effects == Effects(zeroed=1, lost=1, row=1, cosine=0)


@pytest.mark.parametrize("scale", [1e-300, 1e300])
def test_values_whose_squares_have_no_float64(scale):
    x, y = GRADIENT.astype(np.float64) * scale, np.rint(GRADIENT).astype(np.float64) * scale
    power = 2.0 ** np.rint(np.log2(scale))
    assert close(found_of(x, y, 1000, power).effects, by_definition(GRADIENT, np.rint(GRADIENT)))


def test_the_record_has_them_where_they_take_a_256th_of_the_body():
    header = header_of(gcodec.encode(GRADIENT, "tcq", alpha=1e-3))
    y = gcodec.decode(gcodec.encode(GRADIENT, "tcq", alpha=1e-3))
    stated = Effects.of(header.attributes)
    assert stated == by_definition(GRADIENT, y).rounded(header.distortion) and stated.lost > stated.zeroed > 0.1
    assert len(json.dumps(header.attributes)) <= header.body_length / 256
    small = header_of(gcodec.encode(GRADIENT[:20], "tcq", alpha=1e-3))
    assert small.attributes == {}
    assert header_of(gcodec.encode(GRADIENT, lossless=True)).attributes == {}


def test_threads_give_the_same_bytes():
    x = np.tile(GRADIENT, (40, 1))
    assert len({gcodec.encode(x, "ecsq", alpha=0.01, threads=count) for count in (1, 2)}) == 1


def warned(call) -> list[str]:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        call()
    return [str(one.message) for one in told]


def test_a_ruined_tensor_is_warned_of_and_says_so_at_any_size(tmp_path):
    (text,) = warned(lambda: gcodec.encode(MOMENT, alpha=1e-3))
    assert text.endswith("though alpha 0.001 holds; use --pointwise 0.05 (pointwise= in Python), or store it exactly")
    assert "% of the values of the array changed by more than half of their size" in text
    (text,) = warned(lambda: gcodec.encode(MOMENT, "sd", alpha=1e-3))
    assert "% of the non-zero values of the array became 0" in text
    (text,) = warned(
        lambda: gcodec.save(tmp_path / "x.gcz", {"power": MOMENT[:2], "m": GRADIENT[:3]}, alpha=1e-3, small=0)
    )
    assert "values of power" in text
    with gcodec.open(tmp_path / "x.gcz") as tensors:
        assert Effects.of(tensors.header("power").attributes).lost > 0.25 and not tensors.header("m").attributes


@pytest.mark.parametrize("alpha", [0.1, 0.01, 1e-4])
def test_gradients_weights_and_gains_are_not_warned_of(alpha):
    gains = 1 + 0.1 * RNG.normal(size=4096)
    for x in (GRADIENT, gains, np.abs(RNG.normal(size=4096)) + 1):
        assert warned(lambda: gcodec.encode(x, "tcq", alpha=alpha)) == []  # noqa: B023 (used at once)
    assert warned(lambda: gcodec.encode(MOMENT, "dither", omega=0.25)) == []


@pytest.mark.parametrize(
    ("effects", "one_sign", "values", "guarantee", "ruins"),
    [
        (Effects(lost=0.25), True, 64, Guarantee("alpha", 0.5), True),
        (Effects(lost=0.24), True, 64, Guarantee("alpha", 0.5), False),
        (Effects(lost=0.9), True, 63, Guarantee("alpha", 0.5), False),
        (Effects(lost=0.05), True, 64, Guarantee("alpha", 1e-4), True),
        (Effects(lost=0.049), True, 64, Guarantee("alpha", 1e-4), False),
        (Effects(lost=0.98), False, 64, Guarantee("alpha", 0.1), True),
        (Effects(lost=0.96), False, 64, Guarantee("alpha", 0.1), False),
        (Effects(lost=0.76), False, 64, Guarantee("alpha", 1e-3), True),
        (Effects(lost=0.74), False, 64, Guarantee("alpha", 1e-3), False),
        (Effects(lost=0.67), False, 64, Guarantee("alpha", 1e-4), True),
        (Effects(lost=0.65), False, 64, Guarantee("alpha", 1e-4), False),
        (Effects(lost=1.0), True, 64, Guarantee("omega", 0.01), False),
    ],
)
def test_what_counts_as_ruined(effects, one_sign, values, guarantee, ruins):
    assert Found(effects, one_sign, values).ruins(guarantee) == ruins


def by_head(axis: int, *shape: int) -> np.ndarray:
    """Heads along an axis, of which every fourth is a thousand times as small as the others."""
    scales = np.where(np.arange(shape[axis]) % 4 == 3, 1e-3, 1.0)
    return (RNG.normal(size=shape) * np.expand_dims(scales, [i for i in range(len(shape)) if i != axis])).astype("f4")


@pytest.mark.parametrize(
    ("x", "lost"),
    [
        (by_head(1, 2, 8, 16, 32), "4 of the 16 slices of the array of the last two axes"),
        (by_head(0, 8, 16, 32), "2 of the 8 slices of the array along axis 0"),
        (by_head(0, 96, 16, 16), "24 of the 96 slices of the array along axis 0"),
        (by_head(1, 60, 8, 32), "2 of the 8 slices of the array along axis 1"),
        (by_head(2, 1, 60, 8, 32), "2 of the 8 slices of the array along axis 2"),
    ],
)
def test_heads_of_which_nothing_is_left_are_warned_of(x, lost, tmp_path):
    (text,) = warned(lambda: gcodec.encode(x, "ecsq", alpha=0.01))
    assert text.startswith(f"nothing is left of {lost}, though alpha 0.01 holds; ")
    if "along" in lost:
        axis = int(lost[-1])
        assert f"--alpha 0.01@{f'axis{axis}' if axis else 'rows'} (axis={axis} in Python)" in text
        assert warned(lambda: gcodec.encode(x, "ecsq", alpha=0.01, axis=axis)) == []
    assert warned(lambda: gcodec.encode(x, "ecsq", alpha=1e-8)) == []
    y = gcodec.decode(gcodec.encode(x, "ecsq", alpha=0.01))
    assert {found_of(x, y, chunk).erased for chunk in (100, 997, 4096)} == {found_of(x, y, x.size).erased}


@pytest.mark.parametrize("alpha", [0.1, 0.01, 1e-3])
@pytest.mark.parametrize("path", sorted(CORPORA.glob("*.npy")), ids=lambda path: path.stem)
def test_tensors_of_real_models_are_not_warned_of(path, alpha):
    x = np.load(path)
    told = warned(lambda: gcodec.encode(x.view(ml_dtypes.bfloat16) if "bf16" in path.stem else x, alpha=alpha))
    assert bool(told) == (path.stem == "mlp_outliers")


def test_kernels_of_convolutions_have_no_heads():
    x = by_head(0, 64, 32, 3, 3)
    assert warned(lambda: gcodec.encode(x, "ecsq", alpha=0.01)) == []


def test_rows_that_are_lost_are_named():
    x = GRADIENT.copy()
    x[7] *= 1e5
    (text,) = warned(lambda: gcodec.encode(x, "ecsq", alpha=1e-3))
    assert "became 0" in text and text.endswith("bound each slice by --alpha 0.001@rows (axis=0 in Python)")


def test_values_that_are_lost_without_becoming_zero_are_named_so():
    found = Found(Effects(lost=0.97), True, 1000)
    (text,) = warned(lambda: warn_of_losses("v", found, Guarantee("alpha", 0.01)))
    assert text.startswith("97 % of the values of v changed by more than half of their size, though")


def stating(effects: object) -> bytes:
    """A file of X = (3, −1, 0, 0.5), decoded to (3, −1, 0, 0); its record states these effects."""
    return gcz.container(sd().but(attributes=text(json.dumps({"effects": effects}))))


TRUE = {"zeroed": 0.333, "lost": 0.333, "cosine": 0.988}


@pytest.mark.parametrize("said", [TRUE, TRUE | {"later": [1]}, TRUE | {"zeroed": 1 / 3, "row": 0}])
def test_effects_that_are_the_measured_ones(said):
    assert only_failing(stating(said)) == only_failing(stating(said), X) == []


@pytest.mark.parametrize(
    "said", [{}, TRUE | {"zeroed": 0.32}, TRUE | {"filled": 0.01}, TRUE | {"row": 1}, TRUE | {"cosine": 0.96}]
)
def test_effects_that_are_not_the_measured_ones(said):
    assert only_failing(stating(said)) == []
    assert only_failing(stating(said), X) == ["effects"]


@pytest.mark.parametrize("said", [None, [], "much", {"zeroed": "0.333"}, {"zeroed": None}, {"cosine": True}])
def test_effects_that_are_none(said):
    assert only_failing(stating(said)) == only_failing(stating(said), X) == ["effects"]
    assert "effects" not in gcodec.verify(stating(said)).to_json()["tensors"][0]


def test_the_words():
    assert [percent(share) for share in (1, 0.9999, 0.97, 0.0123456)] == ["100 %", "99.9 %", "97 %", "1.23 %"]
    assert Effects().words() == ""
    assert Effects(0.5, 0.25, 0.125, 0.5, 1, 0.9).words() == (
        "50 % of the non-zero values became 0; 25 % of the zeros became something else; 12.5 % of the non-zero values "
        "changed their sign; 50 % changed by more than half of their size; the worst row has relative squared L2 error "
        "1; cosine 0.9"
    )


def test_the_command_line_says_them(tmp_path):
    np.savez(tmp_path / "x.npz", m=GRADIENT, power=MOMENT[:200], i=np.arange(3), short=GRADIENT[:9])
    path = str(tmp_path / "x.npz")
    code, out, err = run_cli("encode", path, "--alpha", "1e-3")
    assert code == 0 and err.count("warning: ") == 1 and "of the values of power changed" in err
    loss = err.removeprefix("gcodec: warning: ").partition(", though")[0]
    assert run_cli("encode", path, "--alpha", "1e-3", "--plan")[2] == err
    code, out, _ = call_cli("info", path + ".gcz")
    head, m, v, i, short = out.splitlines()[2:]
    assert short.endswith("  not said") and "not said" not in m + v + i
    assert (
        head.split("  ")[-3:] == ["became 0", "off by half", "worst row"] and " %" in m and " %" in v and "%" not in i
    )
    code, out, _ = call_cli("info", path + ".gcz", "--json")
    v = json.loads(out)["tensors"][1]
    assert code == 0 and v["effects"]["lost"] > 0.5 and v["effects"]["row"] >= 1
    code, out, _ = call_cli("verify", path + ".gcz", "--against", path)
    assert code == 0 and out.splitlines()[-1].endswith(f"every promise holds, but {loss}")
    code, out, _ = call_cli("verify", path + ".gcz", "--against", path, "--json")
    assert json.loads(out)["tensors"][1]["measured_effects"] == v["effects"]
    assert "stated: " in call_cli("verify", path + ".gcz")[1]
