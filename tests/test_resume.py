"""`gcodec experiment resume`: training that goes on from coded checkpoints."""

import csv
import json
import math
import sys
from functools import partial

import numpy as np
import pytest
from checks import call_cli

torch = pytest.importorskip("torch")

from gcodec.errors import InvalidInput  # noqa: E402 (what follows needs torch)
from gcodec.experiments import training  # noqa: E402
from gcodec.experiments.studies import resume  # noqa: E402
from gcodec.experiments.training import Training, embedding_model, transformer  # noqa: E402

SMALL = {
    "zipf": partial(embedding_model, 300, 16),
    "transformer": partial(transformer, 60, 16, 2, 16),
    "momentum": partial(embedding_model, 300, 16),
    "federated": partial(embedding_model, 300, 16),
}
QUIET = lambda done, total: None  # noqa: E731 (shorter than a function)


@pytest.fixture
def small(monkeypatch):
    """The tasks with small models."""
    for name, model in SMALL.items():
        task = resume.TASKS[name]
        monkeypatch.setitem(resume.TASKS, name, resume.Task(model, *list(vars(task).values())[1:]))


def weights(model: training.Model) -> dict:
    return {f"model.{name}": array for name, array in model.start(np.random.default_rng(0)).items()}


@pytest.mark.parametrize(("name", "optimizer"), [("zipf", "adamw"), ("transformer", "adamw"), ("zipf", "momentum")])
def test_a_checkpoint_has_all_that_training_needs(name, optimizer):
    model = SMALL[name]()
    first = Training(model, optimizer, 1e-2, weights(model))
    for number in range(5):
        first.step(model.tokens(0, number))
    saved = first.checkpoint()
    again = Training(model, optimizer, 1e-2, saved)
    for number in range(5, 10):
        assert first.step(model.tokens(0, number)) == again.step(model.tokens(0, number))
    assert all((saved[key] != array).any() for key, array in first.checkpoint().items())
    bare = Training(model, optimizer, 1e-2, {key: array for key, array in saved.items() if key.startswith("model")})
    assert bare.loss(model.tokens(0, 5)) == Training(model, optimizer, 1e-2, saved).loss(model.tokens(0, 5))


def test_the_transformer_has_a_million_weights_and_learns():
    assert 0.9e6 < sum(array.size for array in weights(transformer()).values()) < 1.1e6
    model = SMALL["transformer"]()
    found = Training(model, "adamw", 1e-2, weights(model))
    losses = [found.step(model.tokens(0, number)) for number in range(60)]
    assert losses[0] == pytest.approx(math.log(60), rel=0.05) and sum(losses[-5:]) < 4.6 * losses[0]


def test_tokens_follow_zipf_s_law_and_depend_on_seed_and_number_alone():
    model = embedding_model()
    tokens = np.concatenate([model.tokens(0, number) for number in range(20)])
    assert (model.tokens(0, 3) == model.tokens(0, 3)).all() and (model.tokens(0, 3) != model.tokens(0, 4)).any()
    assert 0.05 < (tokens == 0).mean() < 0.25 and len(np.unique(tokens)) < model.vocabulary / 2


@pytest.mark.parametrize("name", SMALL)
def test_runs_go_on_near_the_exact_one_or_warn(small, name):
    runs = resume.measure(resume.tasks([name]), 10, 0, QUIET)
    lines = {line.setting: line for line in resume.lines(runs)}
    assert list(lines) == [resume.EXACT, *resume.TASKS[name].settings]
    assert lines[resume.EXACT].first == lines[resume.EXACT].furthest == 0
    for setting, line in lines.items():
        if setting in resume.RUINOUS:
            assert line.warnings
        else:
            assert abs(line.furthest) < 5 and not line.warnings and line.share <= lines[resume.EXACT].share
        assert abs(line.first) < 5


def test_the_command_writes_a_table_and_pictures(small, tmp_path):
    pytest.importorskip("matplotlib")
    code, out, err = call_cli(
        "experiment", "resume", "--data", "momentum,federated", "--rounds", 5, "--out", tmp_path / "o"
    )
    assert (code, err) == (0, "") and "weights exact, --alpha 0.01" in out
    assert {path.name for path in (tmp_path / "o").iterdir()} == {"table.csv", "losses.png", "apart.png"}
    with (tmp_path / "o" / "table.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["task"] for row in rows} == {"momentum", "federated"} and all(float(row["share"]) > 0 for row in rows)
    code, out, _ = call_cli("experiment", "resume", "--data", "federated", "--rounds", 5, "--json")
    assert code == 0 and len(json.loads(out)["resume"]) == 1 + len(resume.UPDATES)


def test_refusals(monkeypatch):
    with pytest.raises(InvalidInput, match="the task 'other' is unknown; known are zipf, transformer"):
        resume.tasks(["zipf", "other"])
    monkeypatch.setitem(sys.modules, "torch", None)
    code, _, err = call_cli("experiment", "resume")
    assert code == 2 and "experiment resume needs torch: pip install 'gcodec[experiments,gloo]'" in err
