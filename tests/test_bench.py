"""The programs of bench/: measuring what is installed, and filling pages with what was measured.

NNCodec is measured by an interpreter of its own.
"""

import csv
import re
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
# A stand-in for NNCodec that rounds to multiples of the step, and prints as NNCodec does.
STAND_IN = """
import numpy as np

def compress(tensors, path, qp, nonweight_qp, qp_density, use_dq, row_skipping, return_bitstream):
    assert qp == nonweight_qp and return_bitstream and path is None
    print("ENCODING...")
    k = 1 << qp_density
    step = (k + (qp & (k - 1))) * 2.0 ** ((qp >> qp_density) - qp_density)
    return bytearray(np.float32(np.round(tensors["x"] / step) * step).tobytes())

def decompress(data):
    print("DECODING...")
    return {"x": np.frombuffer(data, np.float32)}
"""


@pytest.fixture
def bench(monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.syspath_prepend(ROOT / "bench")
    import run

    return run


def rows_of(bench, monkeypatch, folder: Path, *arguments: object) -> dict[str, dict[str, str]]:
    monkeypatch.setattr(sys, "argv", ["run.py", *map(str, arguments), "--out", str(folder)])
    bench.main()
    (table,) = folder.glob("*.csv")
    with table.open(encoding="utf-8") as file:
        return {row["coder"]: row for row in csv.DictReader(file)}


def test_what_is_not_there_is_left_out_and_named(bench, monkeypatch, tmp_path, capsys):
    rows = rows_of(bench, monkeypatch, tmp_path, ROOT / "corpora" / "logistic_f64.npy")
    assert {"gcodec ecsq", "gcodec lossless", "zstd -9"} <= set(rows) and "NNCodec" not in rows
    assert float(rows["gcodec ecsq"]["error"]) <= 0.1 and float(rows["gcodec lossless"]["error"]) == 0
    (left_out,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("not installed: ")]
    assert "nncodec" in left_out


def test_nncodec_gets_the_largest_step_within_alpha(bench, monkeypatch, tmp_path):
    package = tmp_path / "site" / "nncodec"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "nnc.py").write_text(STAND_IN)
    (tmp_path / "site" / "torch.py").write_text("def set_num_threads(number): pass\n")
    (tmp_path / "site" / "nncodec-9.8.dist-info").mkdir()
    (tmp_path / "site" / "nncodec-9.8.dist-info" / "METADATA").write_text("Name: nncodec\nVersion: 9.8\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    x = np.random.default_rng(0).uniform(-1, 1, (30, 40)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    row = rows_of(bench, monkeypatch, tmp_path, tmp_path / "x.npy", "--nncodec", sys.executable)["NNCodec"]
    assert row["version"] == "9.8" and row["promise"] == "alpha 0.1" and float(row["bits"]) == 32
    assert 0.08 < float(row["error"]) <= 0.1 and float(row["encode"]) > 0 and float(row["decode"]) > 0


def test_a_coder_that_misses_its_promise_is_no_row(bench):
    assert bench.allowed("exact") == 0 and bench.allowed("alpha 0.25") == 0.25
    assert bench.allowed("omega 0.25") == bench.allowed("none; error at most 0.1") == float("inf")
    liar = bench.coders.Coder("liar", "1", "alpha 0.1", lambda x: x.tobytes(), lambda data: bytes(len(data)))
    with pytest.raises(AssertionError, match="liar"):
        bench.measured("x", np.ones(8, np.float32), liar)


@pytest.fixture
def fill(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "bench")
    import fill

    return fill


@pytest.fixture
def table(fill):
    """The table that README names."""
    (name,) = re.findall(r"bench/results/[^)]*\.csv", (ROOT / "README.md").read_text(encoding="utf-8"))
    return fill.Table(ROOT / name)


def test_pages_have_the_numbers_of_the_table(fill, table):
    for page in fill.PAGES:
        text = (ROOT / page).read_text(encoding="utf-8")
        assert fill.filled(page, text, table) == text, f"run bench/fill.py for {page}"


def test_numbers_that_grew_old_are_filled(fill, table):
    page = "docs/methods/klt.md"
    text = (ROOT / page).read_text(encoding="utf-8")
    for number in ("12,345.6", "–"):
        old = re.sub(r"(?<=against) [\d.]+ (?=of `tcq`)", f"\n{number} ", text)
        assert old != text and fill.filled(page, old, table).split() == text.split()
    link = "see bench/results/0.0.1-a-machine.csv"
    assert fill.filled("docs/benchmarks.md", link, table) == f"see bench/results/{table.name}"
    for lost in (text.replace("`tcq`)", "tcq)"), 2 * text):
        with pytest.raises(SystemExit, match=r"klt\.md: .* is there [02] times and not once"):
            fill.filled(page, lost, table)
