"""`gcodec experiment`: problems and messages are what they claim.

Methods converge as theory says. The command's files and refusals are tested too.
"""

import csv
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from checks import call_cli

from gcodec.baselines import BASELINES
from gcodec.compressors import registry
from gcodec.experiments import methods, problems
from gcodec.experiments.messages import Method, Operator, Plain, coders
from gcodec.experiments.problems import Setting, make
from gcodec.experiments.run import Job, Threads, run
from gcodec.experiments.studies import beside_theory
from gcodec.theory import sparse_dithering as sd

KINDS = ("ridge", "logistic")
DOCS = Path(__file__).parent.parent / "docs"
NAMES = [
    entry.name for entry in registry.ENTRIES if "pointwise" not in entry.load().kinds
]  # a norm is what descent needs


@pytest.fixture
def tiny(monkeypatch):
    """The generated problems in few dimensions."""
    monkeypatch.setattr(problems, "GENERATED_ROWS", 90)
    monkeypatch.setattr(problems, "GENERATED_DIMENSION", 24)


def generated(kind, workers=8):
    return make(Setting(kind, "generated", workers, 20.0, 0))


def trace(problem, coder, rounds=1000, scheme=0):
    job = Job(Setting("", "", problem.workers, 20.0, 0), coder, methods.schemes(problem, coder)[scheme])
    return run(job, problem, Threads(2), rounds)


@pytest.mark.parametrize("kind", KINDS)
def test_the_problem_is_what_it_says(kind, tiny):
    found, rng = generated(kind, workers=7), np.random.default_rng(1)
    assert found.condition == pytest.approx(20) and found.dimension == 24
    assert sum(map(len, found.features)) == 90 and len(found.local_smoothness) == 7

    def gradient(x):
        return np.mean([found.gradient(i, x) for i in range(7)], axis=0)

    assert np.linalg.norm(gradient(found.solution)) < 1e-12 and found.gap(found.solution) == 0
    for _ in range(20):
        x, y = rng.standard_normal((2, 24))
        slope, away = gradient(x) - gradient(y), x - y
        assert np.linalg.norm(slope) <= found.smoothness * np.linalg.norm(away) * (1 + 1e-9)
        assert slope @ away >= found.convexity * (away @ away) * (1 - 1e-9)
        for i in range(7):
            local = found.gradient(i, x) - found.gradient(i, y)
            assert np.linalg.norm(local) <= found.local_smoothness[i] * np.linalg.norm(away) * (1 + 1e-9)
        # The gap is the integral of the gradient from the solution to x. Gauss–Legendre takes it
        # on 20 points.
        at, weights = np.polynomial.legendre.leggauss(20)
        path = [gradient(found.solution + (t + 1) / 2 * (x - found.solution)) @ (x - found.solution) for t in at]
        assert found.gap(x) == pytest.approx(np.dot(weights, path) / 2, rel=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_messages_of_methods_keep_their_bound_and_count_their_bits(name):
    x = np.random.default_rng(2).standard_normal(48).astype(np.float32)
    for kind in registry.by_name(name).load().kinds:
        coder = Method(name, kind)
        message = coder.encode(x, (0, 1, 2))
        assert message == coder.encode(x, (0, 1, 2)) and 0 < message.bits < 8 * len(message.data)
        decoded = coder.decode(message.data)
        error = np.sum((decoded - x) ** 2.0) / np.sum(x**2.0)
        assert error <= {"exact": 0, "alpha": coder.constant(48), "omega": 4 * coder.constant(48)}[kind]
        zero = coder.encode(np.zeros(48, np.float32), (0, 0, 0))
        assert not coder.decode(zero.data).any()
        if kind == "omega":
            assert message.data != coder.encode(x, (0, 1, 3)).data


def test_other_messages():
    x = np.arange(5, dtype=np.float32)
    assert Plain().encode(x, (0,)) == (x.tobytes(), 160)
    message = Operator("terngrad").encode(x, (3, 4))
    assert message == Operator("terngrad").encode(x, (3, 4)) and message.bits == 31 + 8
    assert Operator("terngrad").decode(message.data).shape == (5,)


def test_which_coders_run():
    names = [coder.name for coder in coders(100)]
    assert names[0] == "uncompressed" and {"sd", "rsd", "sc", "eden", "top-k"} <= set(names)
    assert "powersgd" not in names and "klt" not in names  # they are for matrices
    assert [coder.name for coder in coders(100, ["rsd"])] == ["uncompressed", "rsd"]
    assert not {"drive", "eden", "turboquant"} & {coder.name for coder in coders(31)}  # no constant is known there


@pytest.mark.parametrize("kind", KINDS)
def test_ef21_converges_at_the_rate_of_its_theorem(kind, tiny):
    """f(x_k) − f* ≤ (1 − γμ)^k·(f(x_0) − f* + (γ/θ)·mean‖∇f_i(x_0)‖²)."""
    coder = Method("sd", "alpha")
    found = generated(kind)
    scheme, result = methods.schemes(found, coder)[0], trace(found, coder, 150)
    start = np.mean([np.sum(found.gradient(i, np.zeros(24)) ** 2) for i in range(8)])
    whole = result.gaps[0] + scheme.step / (1 - np.sqrt(coder.constant(24))) * start
    rate = 1 - scheme.step * found.convexity
    assert all(gap <= rate**k * whole for k, gap in enumerate(result.gaps))


@pytest.mark.parametrize("kind", KINDS)
def test_errors_that_are_not_remembered_stay(kind, tiny):
    """DIANA and EF21 reach the solution.

    DCGD stops at the noise of the workers' own gradients there.
    """
    found = generated(kind, workers=4)
    for name, constant in (("sd", "alpha"), ("rsd", "omega")):
        assert trace(found, Method(name, constant)).gaps[-1] <= 1e-9
    assert trace(found, Method("rsd", "omega"), 300, scheme=1).gaps[-1] > 1e-6


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_gap_with_fewer_bits(kind, monkeypatch):
    """The paper's compressors need at least 5 times fewer bits to 1e-8 than uncompressed descent.

    d is 512.
    """
    monkeypatch.setattr(problems, "GENERATED_ROWS", 600)
    found = generated(kind, workers=4)
    plain = trace(found, Plain()).bits_to(1e-8)
    for name, constant in (("sd", "alpha"), ("rsd", "omega")):
        sent = trace(found, Method(name, constant)).bits_to(1e-8)
        assert sent is not None and plain is not None and plain / sent >= 5


@pytest.mark.parametrize("better, paper, kind", [("tcq", "sd", "alpha"), ("dither", "rsd", "omega")])
def test_a_message_has_fewer_bits_than_the_papers(better, paper, kind, monkeypatch):
    """At d = 512 and the same constant, so at the same step size."""
    if better not in NAMES:
        pytest.skip(f"{better} is not there")
    monkeypatch.setattr(problems, "GENERATED_ROWS", 600)
    found = generated("ridge")
    rates = [trace(found, Method(name, kind), 8).bits[-1] for name in (better, paper)]
    assert rates[1] / rates[0] >= 1.3


def test_nothing_but_the_seed_matters(tiny):
    setting = Setting("ridge", "generated", 5, 20.0, 0)
    found, coder = make(setting), Method("rsd", "omega")
    job = Job(setting, coder, methods.schemes(found, coder)[0])
    first = run(job, found, Threads(1), 30)
    assert run(job, found, Threads(3), 30) == first
    again = Job(Setting("ridge", "generated", 5, 20.0, 1), coder, job.scheme)
    assert run(again, found, Threads(1), 30) != first


def test_processes_send_what_threads_do():
    pytest.importorskip("torch", reason="workers as processes need the extra gcodec[gloo]")
    pytest.importorskip("sklearn", reason="its data needs the extra gcodec[experiments]")
    args = (
        "experiment",
        "ridge",
        "--data",
        "diabetes",
        "--methods",
        "rsd,top-k",
        "--rounds",
        5,
        "--workers",
        2,
        "--json",
    )
    code, out, err = call_cli(*args, "--backend", "gloo")
    assert code == 0, err
    assert json.loads(out) == json.loads(call_cli(*args)[1])


def test_the_files(tmp_path):
    pytest.importorskip("sklearn", reason="its data needs the extra gcodec[experiments]")
    pytest.importorskip("matplotlib", reason="pictures need the extra gcodec[experiments]")
    args = ("experiment", "logistic", "--data", "breast_cancer", "--methods", "sd,rsd,top-k", "--rounds", 40, "--json")
    code, out, err = call_cli(*args, "--out", tmp_path / "a")
    assert (code, err) == (0, ""), err
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == [
        "breast_cancer.png",
        "curves.csv",
        "table.csv",
        "table.md",
    ]
    assert call_cli(*args, "--out", tmp_path / "b", "-T", 1)[1] == out
    for file in (tmp_path / "a").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()
        assert file.suffix != ".png" or file.stat().st_size < 150_000
    with open(tmp_path / "a" / "table.csv", newline="") as file:
        table = list(csv.DictReader(file))
    assert [(row["method"], row["scheme"]) for row in table] == [
        ("uncompressed", "GD"),
        ("sd", "EF21"),
        ("sd", "EC"),
        ("rsd", "DIANA"),
        ("rsd", "DCGD"),
        ("top-k", "EF21"),
    ]
    assert [row["gap"] for row in json.loads(out)["logistic"]] == [float(row["gap"]) for row in table]
    shown = (tmp_path / "a" / "table.md").read_text(encoding="utf-8").splitlines()
    assert shown[0] == "| method | scheme | logistic: breast_cancer, d = 30 |" and len(shown) == 2 + len(table)
    with open(tmp_path / "a" / "curves.csv", newline="") as file:
        curves = [row for row in csv.DictReader(file) if row["method"] == "uncompressed"]
    assert len(curves) == 41 and float(curves[-1]["bits_per_worker"]) == 40 * 32 * 30
    code, _, err = call_cli(*args, "--out", tmp_path / "a")
    assert code == 2 and "not empty" in err


def test_theory_beside_measurement(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib", reason="pictures need the extra gcodec[plot]")
    monkeypatch.setattr(beside_theory, "SIZE", 1 << 10)
    monkeypatch.setattr(beside_theory, "ALPHAS", (0.5, 0.1))
    monkeypatch.setattr(beside_theory, "OMEGAS", (0.25, 1.0))
    code, out, err = call_cli("experiment", "theory", "--out", tmp_path / "t", "--json")
    assert code == 0, err
    points = json.loads(out)["theory"]
    assert {point["method"] for point in points} >= {"sd", "rsd", "sc"}
    for point in points:
        assert point["guarantee"] == "omega" or point["distortion"] <= point["bound"]
        if point["method"] == "sd":
            assert point["rate"] <= sd.exact_bits(point["bound"], 1 << 10) / (1 << 10) + 0.02
    assert sorted(p.name for p in (tmp_path / "t").iterdir()) == ["slow_down.png", "table.csv", "trade_off.png"]


def test_every_plan_is_checked_before_the_first_one_runs():
    pytest.importorskip("sklearn", reason="its data needs the extra gcodec[experiments]")
    code, out, err = call_cli("experiment", "all", "--data", "diabetes")
    assert (code, out) == (2, "") and "logistic has" in err and "Traceback" not in err, (code, err)


def test_what_is_refused(tmp_path, monkeypatch, tiny):
    def fails(*args, words):
        code, out, err = call_cli("experiment", *args)
        assert (code, out) == (2, "") and words in err and "Traceback" not in err, (code, err)

    quick = ("ridge", "--data", "generated")
    fails("lasso", words="'lasso' is unknown")
    fails("ridge", "--data", "iris", words="'iris' is unknown")
    fails(*quick, "--methods", "sd,zip", words="'zip' is unknown")
    fails(*quick, "--methods", "", words="'' is unknown")
    fails("theory", "--workers", 4, words="--workers would change nothing: theory has no such option")
    fails("sweep", "--alpha", 0.2, words="--alpha would change nothing: sweep has --rounds, --condition")
    fails(*quick, "--workers", 0, words="workers must be between 1 and")
    fails(*quick, "--workers", 10**6, words="workers must be between 1 and")
    fails(*quick, "--rounds", 0, words="rounds must be at least 1")
    fails(*quick, "--condition", 1, words="condition number")
    fails(*quick, "--alpha", 1, words="alpha must be between 0 and 1")
    fails(*quick, "--omega", 0, words="omega must be a positive number")
    for name in ("paper", "workers", "sweep", "both", "network"):
        fails(name, "--rounds", 0, words="rounds must be at least 1")
    fails("both", "--alpha", 1, words="alpha must be between 0 and 1")
    fails("paper", "--methods", "zip", words="'zip' is unknown")
    fails("paper", "--data", tmp_path / "none.txt", words="there is no such file")
    fails(*quick, "--backend", "mpi", words="threads or gloo")
    fails(*quick, "--threads", 0, words="number of threads")
    pytest.importorskip("matplotlib", reason="pictures need the extra gcodec[plot]")
    fails(*quick, "--out", tmp_path / "no" / "such", words="no such directory")
    (tmp_path / "file").write_text("mine")
    fails(*quick, "--out", tmp_path / "file", words="is a file")
    monkeypatch.setitem(sys.modules, "sklearn", None)
    fails("ridge", "--data", "digits", words="pip install 'gcodec[experiments]'")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    fails(*quick, "--out", tmp_path / "out", words="pip install 'gcodec[experiments]'")
    assert not (tmp_path / "out").exists()


def test_the_page_shows_the_tables_beside_it():
    """docs/experiments.md holds table.md word for word, which says what both table.csv do."""
    shown = (DOCS / "experiments" / "table.md").read_text(encoding="utf-8")
    assert shown in (DOCS / "experiments.md").read_text(encoding="utf-8")
    rows = [line.split(" | ") for line in shown.splitlines()]
    for kind in KINDS:
        with open(DOCS / "experiments" / kind / "table.csv", newline="") as file:
            for row in csv.DictReader(file):
                (column,) = (i for i, title in enumerate(rows[0]) if title.startswith(f"{kind}: {row['data']},"))
                (cells,) = (cells for cells in rows if cells[:2] == [f"| {row['method']}", row["scheme"]])
                kbit = f"{float(row['bits_1e_6']) / 1000:,.1f} · " if row["bits_1e_6"] else "never"
                assert cells[column].startswith(kbit)


def test_every_baseline_has_a_constant():
    assert all(Operator(name).constant(100) > 0 for name in BASELINES)
