"""`gcodec compare --pointwise`: rows, a line of advice and a section of the page."""

import json

import numpy as np
import pytest
from checks import call_cli


@pytest.fixture
def checkpoint(tmp_path):
    rng = np.random.default_rng(1)
    large, small = rng.standard_normal((30, 70)).astype(np.float32), 0.01 * rng.standard_normal(1500)
    np.savez(tmp_path / "model.npz", large=large, small=small)
    return tmp_path / "model.npz"


def answer(path, *args):
    code, out, err = call_cli("compare", path, "--json", *args)
    assert (code, err) == (0, ""), err
    return json.loads(out)


def test_it_changes_nothing_else(checkpoint):
    plain = answer(checkpoint, "--alpha", "0.1", "--methods", "sd,lossless")
    found = answer(checkpoint, "--alpha", "0.1", "--pointwise", "0.1", "--methods", "sd,geometric,lossless")
    assert plain["pointwises"] == plain["pointwise"] == []
    for rows in ("totals", "rows"):
        one, other = ([(row["name"], row["rate"], row["distortion"]) for row in each[rows]] for each in (plain, found))
        assert one == other


def test_rows_advice_and_page(checkpoint, tmp_path):
    page = tmp_path / "page.html"
    bounds = "--pointwise", "0.01", "--pointwise", "0.2"
    found = answer(checkpoint, *bounds, "--alpha", "0.1", "--methods", "geometric,lossless,auto", "--html", page)
    assert found["pointwises"] == [0.2, 0.01]
    rows = {(row["alpha"], row["name"]): row for row in found["pointwise"]}
    assert set(rows) == {(bound, name) for bound in (0.2, 0.01) for name in ("geometric", "lossless", "auto")}
    for bound in (0.2, 0.01):
        row = rows[bound, "geometric"]
        assert row["kind"] == "pointwise" and row["reaches"] and row["gap"] is None
        assert 0.9 * bound < row["distortion"] <= bound
        assert rows[bound, "auto"]["rate"] == row["rate"] < rows[bound, "lossless"]["rate"]
    advised = [line for line in found["recommendation"] if line["kind"] == "pointwise"]
    assert [line["bound"] for line in advised] == [0.2, 0.01]
    assert advised[0]["command"] == f"gcodec encode {checkpoint} --pointwise 0.2"
    assert "Every value within ε = 0.01 of itself" in page.read_text(encoding="utf-8")


def test_the_text(checkpoint):
    code, out, _ = call_cli("compare", checkpoint, "--pointwise", "0.01", "--methods", "geometric,lossless")
    assert code == 0 and "pointwise = 0.01" in out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--methods", "geometric"], "give a bound with --pointwise"),
        (["--methods", "geometric", "--pointwise", "1"], "pointwise must be between 0 and 1"),
        (["--pointwise", "x"], "valid number"),
    ],
)
def test_refusals(checkpoint, options, words):
    code, out, err = call_cli("compare", checkpoint, *options)
    assert (code, out) == (2, "") and words in err
