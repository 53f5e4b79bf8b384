"""The same bytes everywhere.

Decoded values do not depend on the processor, on numba or on threads. Encoded bytes do not depend
on threads.
"""

import os
import subprocess
import sys
from io import BytesIO
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest
from checks import NIGHTLY
from vectors import tensors, vectors

import gcodec
from gcodec.compressors import registry
from gcodec.container.reader import Stream

HERE = Path(__file__).parent
GOOD = vectors("good")
DIGESTS = """
from zlib import crc32
from checks import NIGHTLY
from vectors import tensors, vectors
for vector in vectors("good"):
    print(vector, crc32(repr(tensors(vector.data, threads=2)).encode()))
"""
SMALL_CHUNK = 1 << 12
OPTIONS = {
    "lossless": {},
    "sd": {"alpha": 0.1},
    "rsd": {"omega": 0.5, "seed": 3},
    "dither": {"omega": 0.5, "seed": 3},
    "geometric": {"pointwise": 0.05},
}


def digests(threads: int) -> list[str]:
    return [f"{vector} {crc32(repr(tensors(vector.data, threads)).encode())}" for vector in GOOD]


def test_decoding_does_not_depend_on_threads():
    assert digests(threads=1) == digests(threads=2)


@pytest.mark.parametrize(
    "setting",
    [{"NUMBA_DISABLE_JIT": "1"}, {"NUMBA_CPU_NAME": "generic"}, *([{"NUMBA_OPT": "0"}] if NIGHTLY else [])],
    ids=str,
)
def test_decoding_does_not_depend_on_how_kernels_run(setting):
    """The ways to run: plain Python, machine code for any processor, and without optimisation.

    Machine code without optimisation uses no vectors.
    """
    path = os.pathsep.join(map(str, (HERE, HERE.parent)))
    environment = os.environ | setting | {"PYTHONPATH": path}
    done = subprocess.run([sys.executable, "-c", DIGESTS], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == digests(threads=1)


@pytest.fixture
def small_chunks(monkeypatch):
    """Compressors that cut tensors into chunks of 2¹² values."""
    for entry in registry.ENTRIES:
        entry.load()
    for name, module in list(sys.modules.items()):
        if name.startswith("gcodec.compressors.") and hasattr(module, "CHUNK"):
            monkeypatch.setattr(module, "CHUNK", SMALL_CHUNK)


@pytest.mark.parametrize("method", [entry.name for entry in registry.ENTRIES])
def test_encoding_does_not_depend_on_threads(method, small_chunks):
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(220, 60)) * np.exp(rng.normal(size=(220, 1)))).astype(np.float32)
    options = OPTIONS.get(method, {"alpha": 0.1})
    one, two, again = (gcodec.encode(x, method, threads=threads, **options) for threads in (1, 2, 2))
    assert one == two == again
    assert len(next(iter(Stream(BytesIO(one)))).header.chunks) > 2
    assert np.array_equal(gcodec.decode(one, threads=1), gcodec.decode(one, threads=2))
