"""Files pass between this gcodec and an earlier one, in both directions, bit for bit.

The earlier one is the commit after which no payload was replaced in place. It is taken from the
repository's history and run in a process of its own. What it wrote is also among the vectors, which
decode for
ever (test_vectors.py).
"""

import os
import subprocess
import sys
import tarfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from checks import BOUNDS, NIGHTLY

import gcodec
from gcodec.compressors import registry

ROOT = Path(__file__).parent.parent
EARLIER = "8b724757267d6c3e09b0923cd42014b07b8c6e05"
DECODE = """
import sys, gcodec, numpy as np
from pathlib import Path
for path in sorted(Path(sys.argv[1]).glob("*.gcz")):
    np.save(path.with_suffix(".npy"), gcodec.decode(path.read_bytes()))
"""
ENCODE = """
import sys, gcodec, numpy as np
from pathlib import Path
for path in sorted(Path(sys.argv[1]).glob("*.npy")):
    name, method, kind, bound = path.stem.split(",")
    data = gcodec.encode(np.load(path), method, **({"lossless": True} if kind == "exact" else {kind: float(bound)}))
    path.with_suffix(".gcz").write_bytes(data)
    np.save(path, gcodec.decode(data))
"""
CASES = [
    (entry.name, kind, bound)
    for entry in registry.ENTRIES
    for kind in entry.load().kinds
    for bound in BOUNDS[kind]
]  # fmt: skip


@pytest.fixture(scope="module")
def earlier(tmp_path_factory):
    """Runs a script with the earlier gcodec."""
    archive = subprocess.run(["git", "-C", ROOT, "archive", EARLIER, "gcodec"], capture_output=True, check=False)
    if archive.returncode:
        pytest.skip("the repository's history is not here, so no earlier gcodec either")
    tree = tmp_path_factory.mktemp("earlier")
    with tarfile.open(fileobj=BytesIO(archive.stdout)) as tar:
        tar.extractall(tree, filter="data")

    def run(script: str, folder: Path) -> None:
        environment = os.environ | {"PYTHONPATH": str(tree)}
        command = [sys.executable, "-c", f"import gcodec; assert {str(tree)!r} in gcodec.__file__{script}", str(folder)]
        subprocess.run(command, env=environment, cwd=folder, check=True, timeout=900)

    return run


def arrays():
    rng = np.random.default_rng(6)
    return {
        "matrix": np.outer(rng.normal(size=40), rng.normal(size=30)) + 0.1 * rng.normal(size=(40, 30)),
        "vector": rng.standard_t(3, size=1000).astype(np.float32),
    }


def test_an_earlier_gcodec_decodes_what_this_one_writes(earlier, tmp_path):
    expected = {}
    for name, x in arrays().items():
        for method, kind, bound in CASES:
            data = gcodec.encode(x, method, **({"lossless": True} if kind == "exact" else {kind: bound}))
            path = tmp_path / f"{name},{method},{kind},{bound}.gcz"
            path.write_bytes(data)
            expected[path] = gcodec.decode(data)
    earlier(DECODE, tmp_path)
    for path, y in expected.items():
        assert np.load(path.with_suffix(".npy")).tobytes() == y.tobytes(), path.stem


@pytest.mark.skipif(not NIGHTLY, reason="compiles every encoder anew; HYPOTHESIS_PROFILE=nightly runs it")
def test_this_gcodec_decodes_what_an_earlier_one_wrote(earlier, tmp_path):
    for name, x in arrays().items():
        for method, kind, bound in CASES:
            np.save(tmp_path / f"{name},{method},{kind},{bound}.npy", x)
    earlier(ENCODE, tmp_path)
    for path in sorted(tmp_path.glob("*.gcz")):
        y = gcodec.decode(path.read_bytes())
        assert y.tobytes() == np.load(path.with_suffix(".npy")).tobytes(), path.stem
