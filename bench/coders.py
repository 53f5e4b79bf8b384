"""gcodec's methods and other compressors, each as a pair of functions.

Lossy peers are compared at the same measured error: each gets the loosest setting with which the
relative squared L2 error of what it decodes is at most alpha. A peer that is not installed raises
ImportError; `python bench/run.py --help` says what to install.
"""

import math
import os
import pickle
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import ml_dtypes
import numpy as np
import zstandard

import gcodec

STEPS, CLOSE = 40, 0.98  # the most steps of a search for a setting; a share of alpha that ends it
PLAIN = (np.float16, np.float32, np.float64)
OMEGA = 0.25


@dataclass
class Coder:
    """One way to code an array.

    name, version: of the coder. promise: what holds for what it decodes, such as `alpha 0.1`.
    encode: an array to bytes. decode: the bytes to an array or to bytes. size: of what is stored,
    in bytes, of a coder that encodes and decodes in one go; its `encode` gives what is decoded.
    clock: the processor time so far, in seconds, of the process that codes.
    """

    name: str
    version: str
    promise: str
    encode: Callable[[np.ndarray], bytes]
    decode: Callable[[bytes], object]
    size: int | None = None
    clock: Callable[[], float] = time.process_time


def error_of(x: np.ndarray, decoded: object) -> float:
    """‖x̂ − x‖²/‖x‖² of what a coder decodes."""
    back = decoded if isinstance(decoded, np.ndarray) else np.frombuffer(bytes(decoded), x.dtype)
    gaps = back.astype(np.float64).reshape(x.shape) - x.astype(np.float64)
    return float(np.sum(gaps**2) / np.sum(x.astype(np.float64) ** 2))


def of_gcodec(alpha: float) -> Iterator[Coder]:
    """Each method with one of its guarantees; bounds that do not depend on alpha once, at 0.1."""
    asked = [(method, {"alpha": alpha}) for method in ("sd", "ecsq", "tcq", "klt", "auto")]
    if alpha == 0.1:
        asked += [(method, {"omega": OMEGA}) for method in ("rsd", "dither")]
        asked += [("geometric", {"pointwise": 0.01}), ("lossless", {"lossless": True})]
    for method, bound in asked:
        ((kind, value),) = bound.items()
        seed = {"seed": 1} if kind == "omega" else {}
        yield Coder(
            f"gcodec {method}", gcodec.__version__, "exact" if kind == "lossless" else f"{kind} {value:g}",
            lambda x, method=method, bound=bound | seed: gcodec.encode(x, method, threads=1, **bound),
            lambda data: gcodec.decode(data, threads=1),
        )  # fmt: skip


def of_zstandard() -> Iterator[Coder]:
    for level in (1, 9):
        compress = zstandard.ZstdCompressor(level=level).compress
        unpack = zstandard.ZstdDecompressor().decompress
        yield Coder(f"zstd -{level}", version("zstandard"), "exact", lambda x, c=compress: c(x.tobytes()), unpack)


def of_pcodec(x: np.ndarray) -> Iterator[Coder]:
    """pcodec knows no bfloat16: it gets the bits as integers."""
    from pcodec import ChunkConfig, standalone

    plain = x.dtype if x.dtype in PLAIN else np.dtype(f"u{x.dtype.itemsize}")
    config = ChunkConfig()
    yield Coder(
        "pcodec", version("pcodec"), "exact",
        lambda x: standalone.simple_compress(x.reshape(-1).view(plain), config),
        lambda data: standalone.simple_decompress(data).view(x.dtype),
    )  # fmt: skip


def of_zipnn(x: np.ndarray) -> Iterator[Coder]:
    from zipnn import ZipNN

    names = {np.dtype(np.float32): "float32", np.dtype(ml_dtypes.bfloat16): "bfloat16", np.dtype(np.float16): "float16"}
    if x.dtype in names:
        packer = ZipNN(input_format="byte", bytearray_dtype=names[x.dtype], threads=1)
        encode = lambda x: bytes(packer.compress(x.tobytes()))  # noqa: E731
        yield Coder("ZipNN", version("zipnn"), "exact", encode, packer.decompress)


def of_blosc2(x: np.ndarray) -> Iterator[Coder]:
    import blosc2

    def encode(x: np.ndarray) -> bytes:
        flat = np.ascontiguousarray(x).view(f"u{x.dtype.itemsize}")
        return blosc2.compress2(
            flat, codec=blosc2.Codec.ZSTD, clevel=5, filters=[blosc2.Filter.BITSHUFFLE], typesize=x.itemsize, nthreads=1
        )

    yield Coder("blosc2", version("blosc2"), "exact", encode, blosc2.decompress2)


def of_sz3(x: np.ndarray, alpha: float) -> Iterator[Coder]:
    """SZ3 takes float32 at least, so narrower dtypes are widened: its time counts that, too."""
    import pysz

    wide = np.float64 if x.dtype == np.float64 else np.float32

    def coder(bound: float) -> Coder:
        config = pysz.szConfig()
        config.errorBoundMode = pysz.szErrorBoundMode.ABS
        config.absErrorBound = bound

        def encode(x: np.ndarray) -> bytes:
            return pysz.sz.compress(np.ascontiguousarray(x.astype(wide)), config)[0].tobytes()

        def decode(data: bytes) -> np.ndarray:
            return pysz.sz.decompress(np.frombuffer(data, np.uint8), wide, x.shape)[0].astype(x.dtype)

        return Coder("SZ3", version("pysz"), f"alpha {alpha:g}", encode, decode)

    yield loosest(x, alpha, coder)


def of_zfp(x: np.ndarray, alpha: float) -> Iterator[Coder]:
    """zfp with a tolerance of each value. Its errors jump by factors of about four."""
    import zfpy

    wide = np.float64 if x.dtype == np.float64 else np.float32

    def coder(bound: float) -> Coder:
        return Coder(
            "zfp", version("zfpy"), f"alpha {alpha:g}",
            lambda x: zfpy.compress_numpy(np.ascontiguousarray(x.astype(wide)), tolerance=bound),
            lambda data: zfpy.decompress_numpy(data).astype(x.dtype),
        )  # fmt: skip

    yield loosest(x, alpha, coder)


class NNCodec:
    """NNCodec in a process of its own (bench/nncodec_peer.py), as it wants an older numpy.

    python: the interpreter of an environment that has it. seconds: what it has taken so far.
    """

    def __init__(self, python: str) -> None:
        program = Path(__file__).with_name("nncodec_peer.py")
        self._peer = subprocess.Popen([python, program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.seconds = 0.0
        asked = "from importlib.metadata import version; print(version('nncodec'))"
        self.version = subprocess.run([python, "-c", asked], check=True, capture_output=True, text=True).stdout.strip()

    def ask(self, *request: object) -> bytes:
        try:
            pickle.dump(request, self._peer.stdin)
            self._peer.stdin.flush()
            result, taken = pickle.load(self._peer.stdout)
        except (BrokenPipeError, EOFError):
            raise SystemExit("NNCodec's process ended; its own words are above") from None
        self.seconds += taken
        return result

    def __enter__(self) -> "NNCodec":
        return self

    def __exit__(self, *_: object) -> None:
        with self._peer:  # waits for the process, whose requests are at their end
            self._peer.stdin.close()


def of_nncodec(x: np.ndarray, alpha: float, peer: NNCodec | None) -> Iterator[Coder]:
    """NNCodec with dependent quantisation; the step is what `loosest` chooses."""
    if peer is None:
        raise ImportError("no interpreter is named that has it", name="nncodec")

    def coder(step: float) -> Coder:
        return Coder(
            "NNCodec", peer.version, f"alpha {alpha:g}",
            lambda x: peer.ask("encode", x.astype(np.float32).tobytes(), x.shape, step),
            lambda data: np.frombuffer(peer.ask("decode", data), np.float32).astype(x.dtype),
            clock=lambda: peer.seconds,
        )  # fmt: skip

    yield loosest(x, alpha, coder)


def loosest(x: np.ndarray, alpha: float, coder: Callable[[float], Coder]) -> Coder:
    """The coder with the largest absolute bound whose measured error is at most alpha."""
    scale = math.sqrt(float(np.mean(x.astype(np.float64) ** 2)))
    low, high = 1e-6 * scale, 100 * scale
    best = coder(low)
    for _ in range(STEPS):
        middle = math.sqrt(low * high)
        trial = coder(middle)
        error = error_of(x, trial.decode(trial.encode(x)))
        if error <= alpha:
            low, best = middle, trial
            if error >= CLOSE * alpha:
                break
        else:
            high = middle
    return best


def of_powersgd(x: np.ndarray, alpha: float) -> Iterator[Coder]:
    """PyTorch's hook in a group of one process, with the least rank that meets alpha.

    The same gradient comes again and again, so that its warm start has settled: the best case.
    """
    import torch
    import torch.distributed as dist

    matrix = x.reshape(x.shape[0], -1)
    if x.ndim < 2 or x.dtype not in (np.float32, np.float64):
        return
    torch.set_num_threads(1)  # as all others; and threads that wait for each other take time
    with tempfile.TemporaryDirectory() as folder:
        dist.init_process_group("gloo", init_method=f"file://{os.path.join(folder, 'group')}", rank=0, world_size=1)
        try:
            for rank in (1, 2, 4, 8, 16, 32, 64, 128):
                size = rank * sum(matrix.shape) * x.itemsize
                if size >= x.nbytes:
                    return
                send = _powersgd(torch.from_numpy(matrix), rank)
                for _ in range(4):
                    decoded = send().numpy()
                if error_of(x, decoded) <= alpha:
                    name, promise = f"PowerSGD, rank {rank}", f"none; error at most {alpha:g}"
                    encode = lambda x, send=send: send().numpy().tobytes()  # noqa: E731
                    yield Coder(name, torch.__version__, promise, encode, bytes, size)
                    return
        finally:
            dist.destroy_process_group()


def _powersgd(gradient: object, rank: int) -> Callable[[], object]:
    """A function that sends the gradient through the hook, and gives what the optimizer sees."""
    import torch
    from torch.distributed.algorithms.ddp_comm_hooks import powerSGD_hook
    from torch.nn.parallel import DistributedDataParallel

    class Given(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros_like(gradient))

        def forward(self) -> object:
            return (self.weight * gradient).sum()

    model = DistributedDataParallel(Given())
    state = powerSGD_hook.PowerSGDState(None, rank, 2, min_compression_rate=0, use_error_feedback=False)
    model.register_comm_hook(state, powerSGD_hook.powerSGD_hook)

    def send() -> object:
        model.zero_grad()
        model().backward()
        return model.module.weight.grad.detach().clone()

    return send
