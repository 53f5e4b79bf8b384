"""`gcodec compare`: its numbers are those of codec and theory. Its page, and its refusals."""

import json
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from checks import call_cli

import gcodec
from gcodec.baselines import FAMILIES
from gcodec.comparison import pictures
from gcodec.comparison.advice import INCOMPLETE, advice
from gcodec.comparison.compare import compare
from gcodec.comparison.measure import measure
from gcodec.comparison.picture import rate_distortion
from gcodec.comparison.summary import Comparison, Curve
from gcodec.compressors.registry import ENTRIES
from gcodec.errors import InvalidInput
from gcodec.source import ArraySource
from gcodec.theory import shannon, sphere

CORPORA = Path(__file__).parent.parent / "corpora"
QUICK = "sd,rsd,lossless,top-k,drive,eden,scaled-sign"
BEYOND_THE_PAPER = ["ecsq", "tcq", "klt"]


@pytest.fixture(scope="module")
def gradient(tmp_path_factory):
    path = tmp_path_factory.mktemp("compare") / "grads.npy"
    np.save(path, np.random.default_rng(0).standard_normal((40, 50)).astype(np.float32))
    return path


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("compare") / "model.npz"
    rng = np.random.default_rng(1)
    np.savez(
        path,
        large=rng.standard_normal((30, 70)).astype(np.float32),
        small=0.01 * rng.standard_normal(1500),
        bias=rng.standard_normal(8).astype(np.float32),
        step=np.arange(2000),
        broken=np.full(2000, np.nan),
        zero=np.zeros(2000),
    )
    return path


def answer(path, *args):
    code, out, err = call_cli("compare", path, "--json", *args)
    assert (code, err) == (0, ""), err
    return json.loads(out)


def fails(*args, words):
    code, out, err = call_cli("compare", *args)
    assert (code, out) == (2, "") and words in err and "Traceback" not in err, (code, err)


def only(rows, name, kind="alpha"):
    return [row for row in rows if (row["name"], row["kind"]) == (name, kind)]


def test_the_numbers_are_those_of_encode(gradient, tmp_path):
    x = np.load(gradient)
    result = answer(gradient, "--alpha", 0.05, "--alpha", 0.3, "--methods", "sd,rsd,drive")
    assert result["alphas"] == [0.3, 0.05] and result["tensors"] == [["", "float32", [40, 50]]]
    for row in only(result["totals"], "sd"):
        coded = tmp_path / f"{row['alpha']}.gcz"
        gcodec.save(coded, {"": x}, method="sd", alpha=row["alpha"])
        (info,) = json.loads(call_cli("info", coded, "--json")[1])["tensors"]
        assert row["rate"] == info["payload_bits"] / x.size and row["distortion"] == info["distortion"]
        assert row["reaches"] and row["reached"] == row["distortion"] <= row["alpha"]
        assert row["gap"] == pytest.approx(row["rate"] - shannon.contractive_rate(row["reached"]))
        assert row["bounds"]["cap"] == pytest.approx(sphere.cap_bits(row["reached"], x.size) / x.size)
        assert row["encode_speed"] > 0 and row["decode_speed"] > 0
    for row in only(result["totals"], "rsd", "omega"):
        assert row["reached"] == pytest.approx(shannon.alpha_of_omega(row["distortion"])) and row["reaches"]
        assert row["reached"] <= row["alpha"] * (1 + 1e-9)


def test_a_known_operator_is_taken_with_its_fewest_bits_that_reach_alpha(gradient):
    result = answer(gradient, "--alpha", 0.5, "--alpha", 0.1, "--alpha", 0.001, "--methods", "drive,top-k")
    drive = only(result["totals"], "drive")
    assert [row["parameters"] for row in drive] == ["bits 1", "bits 3", "bits 6"]
    assert [row["rate"] for row in drive] == pytest.approx([1, 3, 6], abs=0.02)
    assert all(row["reaches"] == (row["distortion"] <= row["alpha"]) for row in result["totals"])
    assert not any(row["reaches"] for row in only(result["totals"], "top-k") if row["alpha"] < 0.1)


def test_a_checkpoint_tensor_by_tensor_and_in_all(checkpoint):
    result = answer(checkpoint, "--alpha", 0.1, "--methods", QUICK)
    assert [name for name, _, _ in result["tensors"]] == ["large", "small"]
    reasons = dict(result["left_out"])
    assert set(reasons) == {"bias", "step", "broken", "zero"}
    assert "fewer than 1024" in reasons["bias"] and "exactly" in reasons["step"] and "NaN" in reasons["broken"]
    (total,) = only(result["totals"], "sd")
    by_tensor = {row["tensor"]: row for row in only(result["rows"], "sd")}
    assert total["rate"] * 3600 == pytest.approx(by_tensor["large"]["rate"] * 2100 + by_tensor["small"]["rate"] * 1500)
    # ‖x‖² of the large tensor is nearly all of it
    assert total["distortion"] == pytest.approx(by_tensor["large"]["distortion"], rel=1e-3)
    assert "bias" not in dict(answer(checkpoint, "--alpha", 0.1, "--methods", "sd", "--small", 0)["left_out"])


def test_the_text(gradient, checkpoint):
    code, out, _ = call_cli("compare", gradient, "--methods", QUICK, "--alpha", 0.1)
    assert code == 0 and "alpha = 0.1" in out and "baseline" in out and "above cap: the same above" in out
    *_, head, biased, unbiased, empty, note = out.splitlines()
    assert head.startswith("promise") and biased.startswith("alpha 0.1") and biased.split()[2] == "sd"
    assert unbiased.startswith("unbiased, omega 0.1111") and empty == "" and note == INCOMPLETE
    assert unbiased.endswith(f"gcodec encode {gradient} --method rsd --omega {0.1 / (1 - 0.1)!r}")
    code, out, _ = call_cli("compare", checkpoint, "--methods", "sd", "--alpha", 0.1, "--tensors")
    assert code == 0 and "large (30×70), alpha = 0.1" in out and "left out:" in out
    assert call_cli("compare", gradient, "--methods", "sd", "-q")[1] == ""
    assert json.loads(call_cli("compare", gradient, "--methods", "sd", "-q", "--json")[1])["ok"]


def test_all_methods_are_measured_unless_some_are_named(gradient):
    found = answer(gradient, "--alpha", 0.25, "--pointwise", 0.1)
    names = {row["name"] for row in found["totals"] + found["pointwise"]}
    assert names == {entry.name for entry in ENTRIES} | set(FAMILIES)


def test_the_command_asks_what_was_measured(gradient):
    lines = answer(gradient, "--alpha", 0.123456, "--alpha", 0.999999999, "--methods", "sd,scaled-sign")
    commands = [line["command"] for line in lines["recommendation"]]
    assert [command.rpartition(" ")[2] for command in commands] == ["0.999999999", "0.123456"]
    first, second = lines["recommendation"]
    assert first["known"] == "scaled-sign" and first["fewer"] < 1 and second["known"] == ""


def test_every_operator_was_compared_or_it_says_so():
    x = [("", ArraySource(np.random.default_rng(0).standard_normal((40, 50)).astype(np.float32)))]
    known = [name for name, members in FAMILIES.items() if members[0].kind == "alpha"]
    for names, complete in ((known, True), (known[1:], False)):
        (line,) = advice(compare(x, [0.3], ["sd", *names]))
        assert line.complete == complete and line.cells[3].endswith(" *") != complete


def test_where_methods_differ_auto_is_advised():
    rng = np.random.default_rng(0)
    matrix = np.outer(rng.standard_normal(64), rng.standard_normal(64)).astype(np.float32)
    sources = [("low-rank", ArraySource(matrix)), ("dense", ArraySource(rng.standard_normal((64, 64))))]
    (line,) = advice(compare(sources, [0.05], ["klt", "tcq"]))
    assert line.use == "auto" and line.winners == ("klt", "tcq") and "--method" not in line.command


def test_the_running_best_of_a_curve_that_turns_back():
    curve = Curve("x", "baseline", "alpha", ((1.0, 0.5), (2.0, 0.4), (3.0, 0.9), (4.0, 0.4), (5.0, 0.1)))
    assert curve.running_best == ((1.0, 0.5), (2.0, 0.4), (5.0, 0.1))


def test_a_task_is_tried_on_each_kind_of_tensor_before_it_is_timed(monkeypatch):
    seen = []

    def spy(subject, task):
        seen.append((subject.name, subject.array.shape))
        return measure(subject, task)

    monkeypatch.setattr("gcodec.comparison.compare.measure", spy)
    monkeypatch.setattr("gcodec.comparison.compare.CHUNK", 400)
    x = np.random.default_rng(0).standard_normal((40, 50))
    result = compare(
        [("a", ArraySource(x)), ("b", ArraySource(-x)), ("c", ArraySource(x[:2]))], [0.1], ["sd"], small=0, threads=1
    )
    assert seen == [("", (8, 50)), ("a", (40, 50)), ("b", (40, 50)), ("c", (2, 50)), ("c", (2, 50))]
    assert len(result.rows) == 3


def test_numbers_that_are_not_finite(tmp_path):
    np.save(tmp_path / "x.npy", np.array([1e200, -1e200, 1.0]))
    out = call_cli("compare", tmp_path / "x.npy", "--alpha", 0.1, "--methods", "sd,top-k", "--json")[1]
    assert None in [row["distortion"] for row in json.loads(out, parse_constant=pytest.fail)["totals"]]
    assert "inf" not in call_cli("compare", tmp_path / "x.npy", "--alpha", 0.1, "--methods", "sd,top-k")[1]


def test_it_says_when_the_data_is_compressible():
    x = np.zeros((64, 64), np.float32)
    x[3] = np.random.default_rng(0).standard_normal(64)
    (line,) = advice(compare([("", ArraySource(x))], [0.1], ["sd"]))
    assert line.compressible and "compressible" in line.cells[4]


@pytest.mark.parametrize("name", ["lm_up.npy", "mlp.npy"])
@pytest.mark.skipif(len(BEYOND_THE_PAPER) < 3, reason="ecsq, tcq and klt are not all there")
def test_gcodec_is_left_of_every_known_operator(name):
    """At the error of a known operator, and at most ½, gcodec's best method needs fewer bits."""
    source = [("", ArraySource(np.load(CORPORA / name)[:256]))]
    known = [curve for curve in compare(source, [0.5], list(FAMILIES)).curves if curve.kind == "alpha"]
    points = [(rate, alpha) for curve in known for rate, alpha in curve.points if 0.004 < alpha <= 0.5]
    ours = compare(source, [alpha for _, alpha in points], BEYOND_THE_PAPER)
    for rate, alpha in points:
        assert min(row.rate for row in ours.totals if row.alpha == alpha and row.reaches) < rate


class Outline(HTMLParser):
    """Tags that stay open, and everything that a page would load."""

    def __init__(self):
        super().__init__()
        self.open, self.loaded = [], []

    def handle_starttag(self, tag, attrs):
        self.loaded += [value for key, value in attrs if key in ("src", "href", "xlink:href") and value[0] != "#"]
        if tag not in ("meta", "br", "img", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_page_and_picture(checkpoint, tmp_path):
    pytest.importorskip("matplotlib", reason="pictures need the extra gcodec[plot]")
    page, picture = tmp_path / "page.html", tmp_path / "picture.png"
    args = ["compare", checkpoint, "--methods", QUICK, "--html", page, "--plot", picture, "-q"]
    assert call_cli(*args) == (0, "", "")
    text, first = page.read_text(encoding="utf-8"), picture.read_bytes()
    outline = Outline()
    outline.feed(text)
    assert outline.open == [] and outline.loaded == []  # self-contained
    assert "prefers-color-scheme: dark" in text and "<svg" in text and "model.npz" in text
    assert '<div class="advice scroll"><table>' in text and "gcodec encode" in text
    assert "#2a6fd6" not in text.partition("</style>")[2]  # colours are variables, so that they follow the scheme
    upper = tmp_path / "OTHER.PNG"
    assert call_cli("compare", checkpoint, "--methods", QUICK, "--plot", upper, "-q")[0] == 0
    assert upper.read_bytes() == first
    assert first.startswith(b"\x89PNG") and len(first) < 150_000
    assert call_cli(*args)[0] == 2 and page.read_text(encoding="utf-8") == text
    assert call_cli(*args, "-f")[0] == 0 and picture.read_bytes() == first


def test_the_picture_shows_all_points_of_gcodec_and_names_the_best_of_the_others():
    pytest.importorskip("matplotlib", reason="pictures need the extra gcodec[plot]")
    curves = (
        Curve("sd", "method", "alpha", ((2.0, 0.1), (4.0, 1e-4))),
        Curve("rsd", "method", "omega", ((1.0, 0.5), (14.0, 0.01))),
        Curve("eden", "baseline", "omega", ((1.0, 0.4), (3.0, 0.02))),
        Curve("top-k", "baseline", "alpha", ((2.0, 0.45), (30.0, 0.005))),
        Curve("rand-k", "baseline", "omega", ((9.0, 0.9), (40.0, 0.2))),
    )
    (axes,) = rate_distortion(Comparison((0.5, 0.1), (), (), (), (), curves)).axes
    for rate, error in (*curves[0].points, *curves[1].points):
        assert axes.get_xlim()[0] <= rate < axes.get_xlim()[1] < 20
        assert axes.get_ylim()[0] < error < axes.get_ylim()[1]
    assert {text.get_text() for text in axes.texts} == {"eden", "top-k"}
    assert {line.get_marker() for line in axes.lines if line.get_color() == pictures.BASE} <= {"", "None"}


def test_names_are_escaped(tmp_path):
    pytest.importorskip("matplotlib", reason="pictures need the extra gcodec[plot]")
    np.savez(tmp_path / "x.npz", **{"<b>&": np.ones((40, 50)) + np.eye(40, 50), "c": np.eye(40, 50)})
    assert call_cli("compare", tmp_path / "x.npz", "--methods", "sd", "--html", tmp_path / "x.html", "-q")[0] == 0
    assert "&lt;b&gt;&amp;" in (tmp_path / "x.html").read_text(encoding="utf-8")


def test_what_is_refused(gradient, tmp_path):
    fails(gradient, "--methods", "sd,zip", words="'zip' is unknown")
    for alpha in ("0", "1", "-0.5", "nan"):
        fails(gradient, "--alpha", alpha, words="alpha must be between 0 and 1")
    fails(gradient, "-T", "0", words="number of threads")
    assert call_cli("compare", gradient, "--small", -5)[0] == 2
    np.save(tmp_path / "nan.npy", np.array([1.0, np.nan]))
    fails(tmp_path / "nan.npy", words="NaN or infinite")
    np.save(tmp_path / "empty.npy", np.zeros((0, 3)))
    fails(tmp_path / "empty.npy", words="no values")
    np.save(tmp_path / "int.npy", np.arange(9))
    fails(tmp_path / "int.npy", words="int64 is always stored exactly")
    np.save(tmp_path / "zero.npy", np.zeros(9))
    fails(tmp_path / "zero.npy", words="all zero")
    (tmp_path / "void.npy").write_bytes(b"")
    assert call_cli("compare", tmp_path / "void.npy")[0] in (2, 3)
    assert call_cli("compare", tmp_path / "missing.npy")[0] == 5
    with pytest.raises(InvalidInput, match="holds no tensor"):
        compare([], [0.1])


def test_outputs_are_checked_before_the_work(gradient, tmp_path, monkeypatch):
    pytest.importorskip("matplotlib", reason="pictures need the extra gcodec[plot]")
    fails(gradient, "--plot", tmp_path / "x.txt", words="must end in")
    fails(gradient, "--html", tmp_path / "x.npy", words="must end in")
    fails(gradient, "--html", tmp_path / "none" / "x.html", words="no such directory")
    (tmp_path / "x.html").write_text("mine")
    fails(gradient, "--html", tmp_path / "x.html", words="exists; choose another name with --html")
    assert (tmp_path / "x.html").read_text() == "mine"
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    fails(gradient, "--plot", tmp_path / "x.png", words="pip install 'gcodec[plot]'")


@pytest.mark.parametrize(
    "x", [np.float64(3.0), np.array([1e300, -2e300, 1.0]), np.array([2.0], np.float16), np.full(7, 1e-310)]
)
def test_odd_arrays(x, tmp_path):
    np.save(tmp_path / "x.npy", x)
    result = answer(tmp_path / "x.npy", "--alpha", 0.1)
    assert all(row["reaches"] for row in only(result["totals"], "sd"))
