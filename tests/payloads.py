"""A compressor used through its contract, without a container.

The tests of `ecsq`, `dither` and `geometric` share this.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from gcodec import dtypes
from gcodec.compressors.contract import Compressor, Guarantee, Payload, TensorSpec
from gcodec.errors import Corrupt
from gcodec.source import ArraySource, spans


def encode(compressor: Compressor, x: np.ndarray, bound: float) -> tuple[Payload, list[bytes]]:
    payload = compressor.encode(ArraySource(x), Guarantee(compressor.kinds[0], bound))
    return payload, [payload.code(start, stop) for start, stop in spans(x.size, payload.chunk)]


def decode(cls: type[Compressor], x: np.ndarray, payload: Payload, chunks: list[bytes]) -> np.ndarray:
    decoder = cls.decoder(payload.head, TensorSpec(x.dtype, x.shape))
    parts = [decoder(data, a, b - a) for data, (a, b) in zip(chunks, spans(x.size, payload.chunk), strict=True)]
    return dtypes.narrow(np.concatenate(parts), x.dtype).reshape(x.shape)


def bits(payload: Payload, chunks: list[bytes]) -> int:
    return 8 * (len(payload.head) + sum(map(len, chunks)))


def check_damage(compressor: Compressor, x: np.ndarray, bound: float, tries: int) -> None:
    """Every prefix, and a chunk with a byte too many, raise Corrupt.

    Other damage does too, or gives an array of the right size. `x` must fit one chunk.
    """
    payload, (chunk,) = encode(compressor, x, bound)
    cls, spec = type(compressor), TensorSpec(x.dtype, x.shape)

    def survives(head: bytes, data: bytes) -> bool:
        try:
            values = cls.decoder(head, spec)(data, 0, x.size)
        except Corrupt:
            return False
        assert values.shape == (x.size,)
        return True

    assert survives(payload.head, chunk)
    assert not any(survives(payload.head, chunk[:length]) for length in range(len(chunk)))
    assert not any(survives(payload.head[:length], chunk) for length in range(len(payload.head)))
    assert not survives(payload.head, chunk + b"\0") and not survives(payload.head + b"\0", chunk)
    rng = np.random.default_rng(7)
    for _ in range(tries):
        parts = [bytearray(payload.head), bytearray(chunk)]
        for _ in range(rng.integers(1, 4)):
            part = parts[int(rng.random() < 0.8)]
            at = rng.integers(min(len(part), 50) if rng.random() < 0.7 else len(part))
            part[at] = rng.integers(256)
        survives(*map(bytes, parts))


def run_plain(code: str) -> str:
    """What a script, which may import test modules, prints when all kernels run as plain Python."""
    here = Path(__file__).parent
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": os.pathsep.join(map(str, (here, here.parent)))}
    command = [sys.executable, "-W", "error", "-c", code]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
