"""The programs of examples/ run as they stand, each in an empty folder."""

import os
import re
import subprocess
import sys

import numpy as np
import pages
import pytest
from pages import ROOT

EXAMPLES = ROOT / "examples"
PROGRAMS = {  # what each prints, and which modules it needs
    "file.py": (r"0\.00(?:09\d\d|1000) of at most 0\.001; step 7", ()),
    "checkpoint_roles.py": (r"exp_avg_sq +pointwise 0\.05\n.*step +exact", ()),
    "stream.py": (r"layer 3 \(256, 128\) float32", ()),
    "zarr_dask.py": (r"bits per value; error 0\.00(?:09\d\d|1000); means of 4096 rows", ("zarr", "dask.array")),
}


def run(folder, *command: str, **more: str) -> subprocess.CompletedProcess:
    environment = pages.furnish(folder) | more
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600)


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs(name, tmp_path):
    says, modules = PROGRAMS[name]
    for module in modules:
        pytest.importorskip(module)
    done = run(tmp_path, sys.executable, str(EXAMPLES / name))
    assert done.returncode == 0, done.stderr
    assert re.search(says, done.stdout), done.stdout


def test_every_example_is_tested():
    tests = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").glob("test_*.py"))
    assert [path.name for path in EXAMPLES.glob("*.*") if path.stem not in tests and path.suffix != ".md"] == []


def test_ddp(tmp_path):
    """Two processes, as torchrun starts them."""
    pytest.importorskip("torch")
    environment = pages.furnish(tmp_path) | {"WORLD_SIZE": "2"}
    command = [sys.executable, str(EXAMPLES / "ddp.py")]
    ranks = [
        subprocess.Popen(command, cwd=tmp_path, env=environment | {"RANK": rank}, stdout=subprocess.PIPE, text=True)
        for rank in "01"
    ]
    texts = [process.communicate(timeout=600)[0] for process in ranks]
    assert [process.returncode for process in ranks] == [0, 0]
    for text in texts:
        losses = [float(loss) for loss in re.findall(r"loss ([\d.]+)", text)]
        assert losses[-1] < 0.5 * losses[0]
        assert float(re.search(r"([\d.]+) times fewer", text)[1]) > 5


def test_the_check_for_ci(tmp_path):
    script = str(EXAMPLES / "verify_in_ci.sh")
    done = run(tmp_path, "sh", script, "model.h5", "1e-4", "90")
    assert done.returncode == 0 and re.search(r"model\.h5: \d+ % of \d+ bytes, alpha 1e-4 holds", done.stdout), done
    assert '"ok": true' in (tmp_path / "model.h5.gcz.json").read_text()
    environment = os.environ | {"PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    (tmp_path / "Llama" / "more").mkdir()
    (tmp_path / "Llama" / "more" / "config.json").write_text("{}")
    size = (tmp_path / "Llama" / "model.safetensors").stat().st_size + 2
    command = ["sh", script, "Llama/", "1e-4", "90"]
    said = subprocess.run(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout
    assert re.search(rf"^Llama: \d+ % of +{size} bytes, alpha 1e-4 holds", said), said
    assert '"ok": true' in (tmp_path / "Llama.gcz.json").read_text()
    for arguments, prepared in ((("model.h5", "1e-4", "1"), None), (("x.npy", "1e-4"), "verify")):
        if prepared:  # a gcodec whose files are not within the bound
            x = np.random.default_rng(0).normal(size=5000)
            np.save(tmp_path / "x.npy", x)
            np.save(tmp_path / "other.npy", x + 1)
            line = f'[ "$1" = encode ] && set -- encode -f other.npy --alpha 1e-4 -o x.npy.gcz\nexec {sys.executable} -m gcodec "$@"'
            (tmp_path / "bin" / "gcodec").write_text(f"#!/bin/sh\n{line}\n")
        done = subprocess.run(["sh", script, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 1, done.stderr
