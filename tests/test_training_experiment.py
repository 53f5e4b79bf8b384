"""`gcodec experiment training`, and the ways to send gradients that it compares."""

import json

import numpy as np
import pytest
from checks import call_cli

pytest.importorskip("torch")

from gcodec.errors import InvalidInput
from gcodec.experiments.gradients import Channels, Plain, PowerSGD, Remembered, int8, top_k
from gcodec.experiments.studies import training
from gcodec.experiments.training import transformer

LIKE = {"w": np.zeros((40, 30), np.float32), "b": np.zeros(30, np.float32)}


def gradients(seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {name: rng.standard_normal(array.shape).astype(np.float32) for name, array in LIKE.items()}


@pytest.mark.parametrize(
    ("make", "bits"),
    [(lambda: Remembered(LIKE, 2, int8), 8 * 1230 + 64), (lambda: PowerSGD(LIKE, 2, 2), 32 * (2 * 70 + 30)),
     (lambda: Channels(LIKE, 2, "ecsq", 0.3), None), (lambda: Remembered(LIKE, 2, top_k(0.1)), None),
     (Plain, 32 * 1230)],
)  # fmt: skip
def test_what_is_left_out_arrives_later(make, bits):
    """The same gradients again and again: what arrived in all comes near their sum."""
    way, given = make(), [gradients(0), gradients(1)]
    total = {name: np.zeros(array.shape) for name, array in LIKE.items()}
    for _ in range(60):
        mean, found = way.mean(given)
        assert found == (bits or found) and found < (33 * 1230)
        total = {name: array + mean[name] for name, array in total.items()}
    for name, array in total.items():
        expected = 30 * (given[0][name] + given[1][name])
        assert np.linalg.norm(array - expected) < 0.25 * np.linalg.norm(expected)


def test_power_iterations_find_a_matrix_of_low_rank():
    rng = np.random.default_rng(0)
    low = (rng.standard_normal((40, 2)) @ rng.standard_normal((2, 30))).astype(np.float32)
    mean, _ = PowerSGD(LIKE, 1, 2).mean([{"w": low, "b": LIKE["b"]}])
    np.testing.assert_allclose(mean["w"], low, atol=1e-4)


def test_top_k_keeps_the_largest():
    x = np.zeros(5000, np.float32)
    x[[3, 4, 5, 6, 4990]] = 9, 9, -2, 2, -7
    back, bits = top_k(0.001)(x)
    assert np.array_equal(back, x) and bits == 4 * (12 + 2) + (np.log2(904) + 2) + 128


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(training, "small_transformer", lambda: transformer(64, 32, 1, 16))
    monkeypatch.setattr(training, "SEEDS", 1)


def test_channels_learn_with_few_bits(small):
    settings = training.chosen(["klt", "ecsq", "int8"])
    rows = training.measure(settings, (2,), 30, 0, lambda done, total: None)
    assert [(row.method, row.setting) for row in rows][:2] == [("plain", ""), ("klt", "alpha 0.1")] and len(rows) == 8
    assert rows[0].bits == 32 and rows[0].above == 0
    for row in rows[1:]:
        assert row.bits < 9 and abs(row.above) < 0.3 and row.loss == pytest.approx(rows[0].loss + row.above)


def test_the_command_writes_table_and_picture(small, tmp_path):
    args = (
        "experiment",
        "training",
        "--methods",
        "int8",
        "--rounds",
        7,
        "--workers",
        2,
        "--out",
        tmp_path / "o",
        "--json",
    )
    code, out, _ = call_cli(*args)
    assert code == 0 and [row["method"] for row in json.loads(out)["training"]] == ["plain", "int8"]
    assert {path.name for path in (tmp_path / "o").iterdir()} == {"table.csv", "training.png"}


def test_unknown_methods_are_refused():
    with pytest.raises(InvalidInput, match="'lattice' is unknown here; known are klt; ecsq; PowerSGD"):
        training.chosen(["lattice"])
    assert call_cli("experiment", "training", "--workers", 0)[0] == 2
