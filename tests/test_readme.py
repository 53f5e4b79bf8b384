"""The Python of the README runs as it stands there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

import gcodec

ROOT = Path(__file__).parents[1]
BLOCKS = re.findall(r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text(encoding="utf-8"), re.M | re.S)
FIRST, STORES = BLOCKS
# What the README leaves to its reader: a model, and arrays that come one by one.
BEFORE = """
import numpy
arrays = [("a", numpy.load("grads.npy")), ("b", numpy.arange(5))]
class model:
    state_dict = staticmethod(lambda: {"embed.weight": numpy.load("grads.npy"), "norm": numpy.ones(2048, "f4")})
print = lambda *values: None if values == (True,) else sys.exit(f"printed {values}")
"""


def test_the_python_of_the_readme_runs(tmp_path):
    x = np.load(ROOT / "corpora" / "mlp.npy")
    np.save(tmp_path / "grads.npy", x)
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    run = subprocess.run(
        [sys.executable, "-c", BEFORE + FIRST],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": paths},
        capture_output=True,
        timeout=600,
    )
    assert run.returncode == 0, run.stderr.decode()
    (tmp_path / "stream.gcz").write_bytes(run.stdout)
    streamed = gcodec.load(tmp_path / "stream.gcz")
    assert list(streamed) == ["a", "b"] and streamed["b"].tolist() == [0, 1, 2, 3, 4]
    model = gcodec.load(tmp_path / "model.gcz")
    assert np.array_equal(model["norm"], np.ones(2048, "f4"))
    energy, error = float((x.astype(float) ** 2).sum()), float(((model["embed.weight"].astype(float) - x) ** 2).sum())
    assert 1e-3 * energy < error <= 1e-2 * energy  # the rule for names gives it the looser bound


def test_the_stores_of_the_readme(tmp_path, monkeypatch):
    zarr = pytest.importorskip("zarr")
    x = np.load(ROOT / "corpora" / "mlp.npy")
    monkeypatch.chdir(tmp_path)
    exec(STORES, {"x": x})
    with h5py.File("w.h5") as file:
        for y in (zarr.open_array("w.zarr", mode="r")[:], file["w"][:]):
            assert 0 < ((y.astype(float) - x) ** 2).sum() <= 0.1 * (x.astype(float) ** 2).sum()
