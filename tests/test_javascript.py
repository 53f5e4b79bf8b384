"""The decoder in JavaScript, written from the specification alone, agrees with the vectors."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from vectors import vectors

import gcodec

FOLDER = Path(__file__).parents[1] / "examples" / "javascript"
METHODS = {"lossless", "sd", "rsd", "ecsq", "tcq"}
RECORDS = {"2-48-values", "shape-beyond-table", "attributes-array", "attributes-cut", "base-of-lossless"}

node = shutil.which("node")
if node:
    major = int(subprocess.run([node, "--version"], capture_output=True, text=True).stdout[1:].split(".")[0])
if not node or major < 20:
    pytest.skip("there is no node of version 20 or later", allow_module_level=True)


def decoded(paths: list[Path]) -> list[dict]:
    command = [node, str(FOLDER / "decode.mjs"), *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_good_vectors():
    good = [v for v in vectors("good") if {tensor["method"] for tensor in v.about["tensors"]} <= METHODS]
    good = [v for v in good if not v.path.stem.startswith("joined")]  # it has no block JOIN
    assert len(good) > 80
    skipped = 0
    for vector, found in zip(good, decoded([v.path for v in good]), strict=True):
        if found.get("error") == "no-zstd":  # before Node 22.15
            skipped += 1
            continue
        keys = ("name", "dtype", "shape", "method", "values")
        assert found == {"tensors": [{key: one[key] for key in keys} for one in vector.about["tensors"]]}, vector
    assert skipped < 10


def test_bad_vectors_are_refused_by_name():
    bad = [v for v in vectors("bad") if v.path.stem.partition("-")[0] in METHODS]
    assert len(bad) > 100
    wrong = {}
    for vector, found in zip(bad, decoded([v.path for v in bad]), strict=True):
        if found.get("error") not in (vector.about["error"], "no-zstd"):
            wrong[vector.path.stem] = found
    assert wrong == {}


def test_bad_records_are_corrupt():
    paths = [v.path for v in vectors("bad") if v.path.stem.removeprefix("record-") in RECORDS]
    assert len(paths) == len(RECORDS)
    assert [found.get("error") for found in decoded(paths)] == ["corrupt"] * len(paths)


def test_no_bad_vector_breaks_the_program():
    bad = vectors("bad")
    assert len(decoded([v.path for v in bad])) == len(bad)


def test_a_base_is_missed_by_name(tmp_path):
    base, change = np.random.default_rng(5).normal(size=(2, 4000)).astype(np.float32)
    path = tmp_path / "with-base.gcz"
    path.write_bytes(gcodec.encode(base + change, "ecsq", alpha=0.1, base=base))
    assert decoded([path])[0]["error"] == "missing-base"


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_a_larger_tensor(tmp_path, dtype):
    """Rows and columns of other sizes, several chunks, several lanes, raw bits."""
    rng = np.random.default_rng(5)
    x = (rng.standard_t(3, size=(300, 200)) * np.exp(rng.normal(size=(300, 1)))).astype(dtype)
    asked = [(method, alpha) for method in ("sd", "ecsq", "tcq") for alpha in (0.1, 1e-5)]
    paths = []
    for method, alpha in asked:
        paths.append(tmp_path / f"{method}-{alpha}.gcz")
        paths[-1].write_bytes(gcodec.encode(x, method, alpha=alpha))
    for path, found in zip(paths, decoded(paths), strict=True):
        assert found["tensors"][0]["values"] == gcodec.decode(path.read_bytes()).tobytes().hex(), path.name
