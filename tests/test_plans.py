"""Plans: what `auto` leaves out could not have won."""

from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

import gcodec
from gcodec.compressors import registry
from gcodec.compressors.contract import Guarantee, TooFine
from gcodec.compressors.klt import compressor as klt
from gcodec.compressors.klt import look
from gcodec.errors import InvalidInput
from gcodec.source import ArraySource

CORPORA = Path(__file__).parent.parent / "corpora"
ALPHAS = (0.5, 0.1, 0.01)
CONTAINER = 200  # bytes around a payload, at most
NAMES = ["cnn_conv", "cnn_delta", "lm_qkv", "lm_up", "lm_up_weights", "mlp", "mlp_f16", "mlp_outliers", "logistic_f64"]


def load(name: str) -> np.ndarray:
    return np.load(CORPORA / f"{name}.npy")


def made() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(7)
    noise = rng.standard_normal((512, 512)).astype(np.float32)
    rows = np.exp(3 * rng.standard_normal((512, 1))).astype(np.float32)
    low_rank = rng.standard_normal((512, 5)) @ rng.standard_normal((5, 512))
    return {
        "noise": noise,
        "bfloat16": noise.astype(ml_dtypes.bfloat16),
        "rows of many scales": rows * noise,
        "low rank": (low_rank + 0.1 * noise).astype(np.float32),
        "rows of zeros": noise * (rng.random((512, 1)) < 0.03),
        "few values": noise * (rng.random((512, 512)) < 1e-3),
        "half of the columns": noise * (np.arange(512) % 128 < 64),
    }


def check(x: np.ndarray, alpha: float) -> None:
    """No method takes more than its plan says, and none that may win takes less.

    Zeros that are frequent may cost 5 %.
    """
    found = []
    for entry in registry.ENTRIES:
        compressor = entry.load()()
        kind = compressor.kinds[0]
        if kind == "omega" or not entry.efforts or (entry.matrix and x.ndim < 2):
            continue
        bound = {"lossless": True} if kind == "exact" else {"alpha": alpha}
        try:
            plan = compressor.plan(ArraySource(x), Guarantee(kind, alpha))
            found.append((plan, len(gcodec.encode(x, entry.name, threads=1, **bound))))
        except InvalidInput:
            continue
    smallest = min(size for _, size in found)
    for plan, size in found:
        assert 8 * (size - CONTAINER) <= plan.most
        assert plan.least <= 8 * size or size > 1.1 * smallest
        assert plan.closer is None or plan.closer() <= 8 * size or size > 1.1 * smallest
    most = 1.06 if (x == 0).mean() > 0.05 else 1.01
    assert len(gcodec.encode(x, alpha=alpha, threads=1)) <= most * smallest + 8


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("name", NAMES)
def test_real_tensors(name, alpha):
    check(load(name), alpha)


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("name", made())
def test_made_tensors(name, alpha):
    check(made()[name], alpha)


def test_what_cannot_win_is_not_coded(monkeypatch):
    """klt is for low ranks: its sketch alone tells that weights are none."""
    coded = []
    true = klt.Klt._payload
    monkeypatch.setattr(klt.Klt, "_payload", lambda self, *found: coded.append(found) or true(self, *found))
    gcodec.encode(load("lm_up_weights"), alpha=0.1)
    assert not coded
    gcodec.encode(load("lm_up"), alpha=0.1)
    assert len(coded) == 1


def test_a_closer_look_leaves_klt_out(monkeypatch):
    """The sketch hopes for a tenth of the bits, but the settings that are learned do not."""
    monkeypatch.setattr(look, "_LEAST", 0.1)
    monkeypatch.setattr(klt.Klt, "_payload", lambda self, *found: pytest.fail("it was coded"))
    x = load("lm_up_weights")
    assert klt.Klt().plan(ArraySource(x), Guarantee("alpha", 0.1)).least < 8 * len(gcodec.encode(x, alpha=0.1)) / 4


def test_factors_that_memory_has_no_room_for_are_not_planned(monkeypatch):
    monkeypatch.setattr(look, "_IN_MEMORY", 10_000)
    x = load("lm_up")
    assert klt.Klt().plan(ArraySource(x), Guarantee("alpha", 0.1)).least == np.inf
    assert len(gcodec.encode(x, alpha=0.1)) == len(gcodec.encode(x, "tcq", alpha=0.1))


@pytest.mark.parametrize("error", [InvalidInput("not this one"), TooFine()])
def test_a_method_that_refuses_after_its_plan_leaves_the_others(monkeypatch, error):
    """The plan of klt alone would win on this gradient."""

    def refuse(self, *found):
        raise error

    x = load("lm_up")
    monkeypatch.setattr(klt.Klt, "_payload", refuse)
    assert len(gcodec.encode(x, alpha=0.1)) == len(gcodec.encode(x, "tcq", alpha=0.1))
