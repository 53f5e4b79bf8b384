"""The paper's experiment and those that go on from it: they are what they say, and show it."""

import json

import numpy as np
import pytest
from checks import call_cli

from gcodec.baselines.sparsification import TopK
from gcodec.experiments import catalogue, panels, problems
from gcodec.experiments.descent import best, descend
from gcodec.experiments.messages import Constants, Method, Operator, Plain
from gcodec.experiments.problems import Logistic, Ridge, Setting, make
from gcodec.experiments.studies import both_ways, network, paper, sweep, workers
from gcodec.theory import sparse_dithering as sd


def quiet(done, total):
    assert 0 <= done <= total


@pytest.fixture
def tiny(monkeypatch):
    """The generated problems in few dimensions."""
    monkeypatch.setattr(problems, "GENERATED_ROWS", 90)
    monkeypatch.setattr(problems, "GENERATED_DIMENSION", 24)


def generated(count=1, condition=20.0):
    return make(Setting("ridge", "generated", count, condition, 0))


def test_exact_descent_is_the_closed_form(tiny):
    found = generated()
    curve = descend(found, Plain(), "basic", rounds=40, goal=1e-12)
    hessian = sum(part.T @ part for part in found.features) * found.weight + found.penalty * np.eye(24)
    shrink = np.linalg.matrix_power(np.eye(24) - hessian / found.smoothness, 40)
    away = shrink @ -found.solution
    assert curve.distances[40] == pytest.approx(away @ away / (found.solution @ found.solution), rel=1e-4)
    assert curve.bits == tuple(32.0 * 24 * t for t in range(41))


@pytest.mark.parametrize(
    "coder", [Method("sd", "alpha"), Method("sc", "alpha", Constants(alpha=0.5)), Operator("top-k")]
)
def test_contractive_messages_keep_the_rate_of_theory(tiny, coder):
    """f(x_t) − f* ≤ (1 − (1 − α)γμ)^t·(f(x_0) − f*) with γ = 1/L."""
    found, x = generated(), np.zeros(24)
    rate = 1 - (1 - coder.constant(24)) * found.convexity / found.smoothness
    start = found.gap(x)
    for t in range(60):
        x = x - coder.decode(coder.encode(found.gradient(0, x).astype(np.float32), (0, t)).data) / found.smoothness
        assert found.gap(x) <= rate ** (t + 1) * start * (1 + 1e-6)


def test_the_paper_on_diabetes():
    """The paper's compressors need at least 4.5 times fewer bytes to 1e-4, and fewer than Top-k."""
    pytest.importorskip("sklearn", reason="its data needs the extra gcodec[experiments]")
    (found, _) = paper.problems(None, None)
    rows = {line.method: line for line in paper.lines(found, paper.run(found, 20_000, 0, (), quiet))}
    top = next(line for name, line in rows.items() if name.startswith("best Top-k"))
    for name in ("sc, α = 0.15", "sd, α = 0.1", "rsd, ω = 0.25"):
        assert rows[name].fewer >= 4.5 and rows[name].kilobytes < top.kilobytes
        assert rows[name].measured == pytest.approx(rows[name].predicted, rel=0.15)
    assert rows["sc, α = 0.15"].bits < rows["sd, α = 0.1"].bits - 5


def test_the_best_top_k_is_the_best_of_all(tiny):
    found = generated()
    curves = [descend(found, Operator("top-k", TopK(k / 24)), str(k), rounds=2000, goal=1e-3) for k in range(1, 25)]
    chosen = best(iter(curves), 1e-3)
    assert chosen.bits_at(1e-3) == min(curve.bits_at(1e-3) for curve in curves if curve.bits_at(1e-3))
    assert paper._counts(24) == list(range(1, 25))
    assert len(paper._counts(10_000)) <= 48 and paper._counts(10_000)[-1] == 10_000


@pytest.mark.parametrize(("alpha", "most"), [(0.1, 52), (0.15, 50), (0.2, 46)])
def test_sc_is_one_block_wherever_it_can_be_searched(alpha, most):
    """Ten values take the index and the scale, some six bytes; `sd` takes about 60 bits."""
    rng = np.random.default_rng(0)
    coders = Method("sc", "alpha", Constants(alpha=alpha)), Method("sd", "alpha", Constants(alpha=alpha))
    vectors = rng.standard_normal((60, 10)).astype(np.float32)
    bits = [np.mean([coder.encode(x, (0, i)).bits for i, x in enumerate(vectors)]) for coder in coders]
    assert bits[0] <= most and bits[0] < bits[1]


@pytest.mark.parametrize("d", [14, 30])
def test_sc_takes_part_or_the_command_says_why_not(tmp_path, d):
    pytest.importorskip("sklearn", reason="its reader is that of the extra gcodec[experiments]")
    rng = np.random.default_rng(0)
    rows = [" ".join(f"{i + 1}:{x:.3f}" for i, x in enumerate(row)) for row in rng.standard_normal((40, d))]
    text = "".join(f"{(-1) ** n} {row}\n" for n, row in enumerate(rows))
    (tmp_path / "two.txt").write_text(text)
    options = ("--data", tmp_path / "two.txt", "--rounds", 2, "--json")
    code, out, err = call_cli("experiment", "paper", *options)
    assert code == 0, err
    found = json.loads(out)
    assert any(row["method"].startswith("sc") for row in found["paper"]) == (d == 14)
    assert found.get("warnings", []) == [] if d == 14 else "sc at α = 0.2 is left out" in found["warnings"][0]


@pytest.mark.filterwarnings("error")
def test_data_of_any_size(tmp_path):
    """Only the ratios of a column's values count."""
    pytest.importorskip("sklearn", reason="its reader is that of the extra gcodec[experiments]")
    found = []
    for scale in (1.0, 2.0**1000, 2.0**-1000):
        rows = ((1, 1, -2), (2, 0.5, 3), (7, -0.25, 1), (5, 2, 0.75))
        text = "".join(f"{label * scale!r} 1:{a * scale!r} 2:{b * scale!r}\n" for label, a, b in rows)
        (tmp_path / "x.txt").write_text(text)
        found.append(paper.from_file(str(tmp_path / "x.txt"), None).solution.tolist())
    assert found[0] == found[1] == found[2]


def test_options_of_the_paper_s_experiment(tmp_path):
    pytest.importorskip("sklearn", reason="its reader is that of the extra gcodec[experiments]")
    (tmp_path / "x.txt").write_text(LIBSVM)
    options = ("experiment", "paper", "--data", tmp_path / "x.txt", "--rounds", 2, "--json")
    for value in (0, 1, -3):
        code, out, _ = call_cli(*options, "--condition", value)
        assert code == 2 and f"condition number must be above 1, not {value}" in out
    for name in ("nope", "top-k"):
        code, out, _ = call_cli(*options, "--methods", name)
        assert code == 2 and f"method '{name}' is unknown here" in out and "top-k," not in out
    code, out, err = call_cli(*options, "--methods", "tcq, sd,tcq", "--seed", -1)
    assert code == 0, err
    assert [row["method"] for row in json.loads(out)["paper"]][-2:] == ["tcq, α = 0.1", "sd, α = 0.1"]


LIBSVM = "1 1:0.5 3:2\n-1 2:1.5\n1 1:1 2:0.25 3:1\n-1 1:-1 3:-2\n"


def test_files_in_libsvm_s_format(tmp_path):
    pytest.importorskip("sklearn", reason="its reader is that of the extra gcodec[experiments]")
    (tmp_path / "two.txt").write_text(LIBSVM)
    found = paper.from_file(str(tmp_path / "two.txt"), None)
    assert isinstance(found, Logistic) and found.dimension == 3 and found.data == "two"
    assert np.concatenate(found.targets).tolist() == [1, -1, 1, -1]
    (tmp_path / "many.txt").write_text(LIBSVM.replace("-1 2", "7.5 2"))
    found = paper.from_file(str(tmp_path / "many.txt"), 9.0)
    assert isinstance(found, Ridge) and found.condition == pytest.approx(9)
    code, out, err = call_cli("experiment", "paper", "--data", tmp_path / "two.txt", "--rounds", 30, "--json")
    assert code == 0, err
    assert {row["data"] for row in json.loads(out)["paper"]} == {"two"}
    for text, words in (
        ("a b c\n", "LibSVM"),
        ("1 1:1\n", "2 to 2\\^26 values"),
        ("1 1:1\n1 1:2\n", "all equal"),
        ("1 1:1\n2 1:1\n", "all equal"),
        ("1 1:nan\n2 1:1\n", "NaN"),
        ("", "is empty"),
        ("\n# nothing\n", "is empty"),
        ("1 1:1\n2 99999999:1\n", "2 to 2\\^26 values"),
        ("\0\1\2\n", "LibSVM"),
    ):
        (tmp_path / "bad.txt").write_text(text)
        with pytest.raises(catalogue.InvalidInput, match=words):
            paper.from_file(str(tmp_path / "bad.txt"), None)


def test_noise_averages_out_over_workers(tiny, monkeypatch):
    monkeypatch.setattr(workers, "COUNTS", (1, 4, 16))
    monkeypatch.setattr(workers, "METHODS", ("rsd",))
    rows = workers.measure(generated(), 4.0, 3000, 0, quiet)
    assert [row.predicted for row in rows] == [5, 2, 1.25]
    assert all(row.measured == pytest.approx(row.predicted, rel=0.35) for row in rows)
    assert rows[0].kilobytes > 1.7 * rows[1].kilobytes > 2 * rows[2].kilobytes


def test_the_cheapest_omega_is_near_that_of_theory(monkeypatch):
    monkeypatch.setattr(problems, "GENERATED_ROWS", 400)
    monkeypatch.setattr(problems, "GENERATED_DIMENSION", 200)
    monkeypatch.setattr(sweep, "METHODS", {"alpha": ("sd",), "omega": ("rsd",)})
    monkeypatch.setattr(sweep, "ALPHAS", (0.01, 0.3, 0.9))
    monkeypatch.setattr(sweep, "OMEGAS", (0.02, 0.08, 0.25, 0.8, 3.0))
    rows = sweep.measure(generated(), 3000, 0, quiet)
    rsd = {row.bound: row.bits for row in rows if row.method == "rsd"}
    assert min(rsd, key=rsd.get) == 0.25 and sd.best_omega() == pytest.approx(0.243, abs=1e-3)
    for row in rows:
        allowed = (1 + row.bound) * sd.expected_rate(row.bound) * row.plain_rounds
        assert row.method == "sd" or row.bits <= 1.35 * allowed + 40 / 200 * row.rounds


def test_both_directions(tiny):
    found = generated(4)
    assert both_ways.step_of(found, 0.0, 0.0) == pytest.approx(1 / found.smoothness)
    assert both_ways.step_of(found, 0.1, 0.1) < both_ways.step_of(found, 0.1, 0.0) < 1 / found.smoothness
    runs = both_ways.measure(found, 0.1, 2000, 0, quiet)
    rows = {(line.workers, line.server): line for line in both_ways.lines(runs)}
    assert all(line.total is not None for line in rows.values())
    assert rows["sd", "sd"].total < rows["basic", "basic"].total / 2
    for run in runs:  # the proven rate, with the slack of the terms that are no gap
        assert run.gaps[-1] <= 10 * (1 - run.step * found.convexity) ** (len(run.gaps) - 1)


def test_the_network_s_gradient_is_that_of_its_loss():
    rng = np.random.default_rng(0)
    weights = [tensor + 0.1 * rng.standard_normal(tensor.shape) for tensor in network._start(6, rng)]
    rows, classes = rng.standard_normal((20, 6)), rng.integers(0, 10, 20)
    gradient = network._gradient(weights, rows, classes)
    for t in range(4):
        step = rng.standard_normal(weights[t].shape)
        ends = []
        for sign in (1, -1):
            moved = [tensor + sign * 1e-6 * step if i == t else tensor for i, tensor in enumerate(weights)]
            ends.append(network._loss(moved, rows, classes))
        assert (ends[0] - ends[1]) / 2e-6 == pytest.approx(float((gradient[t] * step).sum()), rel=1e-4)


def test_the_network_learns_from_compressed_messages(monkeypatch):
    pytest.importorskip("sklearn", reason="its data needs the extra gcodec[experiments]")
    monkeypatch.setattr(network, "METHODS", ("sd", "klt"))
    monkeypatch.setattr(network, "COARSE_METHODS", ())
    monkeypatch.setattr(network, "KNOWN", ("sparseloco",))
    runs = network.measure(0.1, 40, 0, quiet)
    for run, line in zip(runs, network.lines(runs), strict=True):
        assert line.loss < 0.5 * run.losses[0] and line.accuracy > 0.8
        assert line.fewer > 5 or line.method == "basic"


def test_every_picture_is_drawn(tiny, tmp_path, monkeypatch):
    pytest.importorskip("matplotlib", reason="pictures need the extra gcodec[plot]")
    pytest.importorskip("sklearn", reason="its data needs the extra gcodec[experiments]")
    monkeypatch.setattr(workers, "COUNTS", (1, 2))
    monkeypatch.setattr(sweep, "ALPHAS", (0.1, 0.5))
    monkeypatch.setattr(sweep, "OMEGAS", (0.1, 0.5))
    monkeypatch.setattr(network, "METHODS", ("sd",))
    monkeypatch.setattr(network, "COARSE_METHODS", ())
    monkeypatch.setattr(network, "KNOWN", ("scaled-sign",))
    for name in ("paper", "workers", "sweep", "both", "network"):
        rounds = 10 if name in ("paper", "network") else 400
        code, out, err = call_cli("experiment", name, "--rounds", rounds, "--out", tmp_path / name, "--json")
        assert code == 0, err
        assert json.loads(out)[name]
        assert {p.name for p in (tmp_path / name).iterdir()} == {f"{name}.png", "table.csv"}
        assert (tmp_path / name / f"{name}.png").stat().st_size < 150_000


def test_no_two_lines_of_a_picture_look_alike():
    """Without colour: a marker, a dash or the width tells them apart."""
    names = ["basic", "top-k", "sd", "rsd", "sc", "tcq", "klt", "dither", *network.KNOWN]
    looks = [{k: v for k, v in panels._style(name).items() if k != "zorder"} for name in names]
    without_colour = [tuple(sorted((k, v) for k, v in look.items() if k != "color")) for look in looks]
    assert len(set(without_colour)) == len(names)
