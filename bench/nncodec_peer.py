"""NNCodec's coder as a program of its own, which bench/run.py starts with `--nncodec PYTHON`.

It reads pickled requests from the standard input until that ends: ("encode", values in float32,
shape, step) or ("decode", bytes). It answers each with (bytes, seconds of processor time that
NNCodec took), and writes nothing else. What NNCodec imports for pictures and networks may be
missing.
"""

import contextlib
import os
import pickle
import sys
import time
from math import floor, log2
from unittest.mock import MagicMock

for name in ("torchvision", "torchvision.models", "torchvision.transforms", "cv2", "ptflops", "torchmetrics", "wandb"):
    try:
        __import__(name)
    except ImportError:
        sys.modules[name] = MagicMock()

import numpy as np  # noqa: E402
import torch  # noqa: E402
from nncodec import nnc  # noqa: E402

DENSITY = 5  # a step is a power of two, times 1 + i/2^5


def quantisation_parameter(step: float) -> int:
    """The number that NNCodec has for the largest of its steps that is at most this one."""
    power = floor(log2(step))
    return (power << DENSITY) + floor((step / 2.0**power - 1) * 2**DENSITY)


def encode(values: bytes, shape: tuple[int, ...], step: float) -> bytes:
    """A bitstream with dependent quantisation (a trellis), which takes fewer bits than without."""
    x = np.frombuffer(values, np.float32).reshape(shape)
    qp = quantisation_parameter(step)
    steps = {"qp": qp, "nonweight_qp": qp, "qp_density": DENSITY}  # the second is that of vectors
    return bytes(nnc.compress({"x": x}, None, use_dq=True, row_skipping=True, return_bitstream=True, **steps))


def decode(data: bytes) -> bytes:
    return np.ascontiguousarray(nnc.decompress(bytearray(data))["x"], np.float32).tobytes()


def main() -> None:
    torch.set_num_threads(1)
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what NNCodec prints is no answer
    with contextlib.suppress(EOFError):
        while True:
            what, *given = pickle.load(requests)
            start = time.process_time()
            result = {"encode": encode, "decode": decode}[what](*given)
            pickle.dump((result, time.process_time() - start), answers)
            answers.flush()


if __name__ == "__main__":
    main()
