"""Statistical tests of an unbiased compressor on one tensor, over many seeds.

Is the mean of the decoded tensors right, and is their mean distortion within the bound?

With errors e₁ … e_N over N seeds, B = Σ_{s≠t} ⟨e_s, e_t⟩ / (N(N−1)) is an unbiased estimate of
‖bias‖². If E e = 0, the N(N−1)/2 products ⟨e_s, e_t⟩ are uncorrelated and have mean 0, so B's
standard deviation is that of their mean. Both come from one Gram matrix. This holds whatever the
correlation between coordinates is. Confidence is one-sided, 99.9 %.
"""

import math
from collections.abc import Callable

import numpy as np

from ..compressors.contract import CHUNK, Check, CodedTensor, Compressor
from ..container.reader import Record
from ..distortion import scan_source
from ..dtypes import narrow
from ..parallel import ordered
from ..pipeline.decompress import compressor_of
from ..source import Source, spans

Z = 3.0902  # the 99.9 % quantile of the normal distribution
KEPT = 1 << 26  # errors held at a time; of more, every n-th coordinate is tested for bias
Run = Callable[[int, int], np.ndarray]


def try_seeds(record: Record, original: Source, trials: int, threads: int) -> list[Check]:
    """Unbiasedness, and the expected distortion against the bound, over seeds 1 … trials."""
    compressor, coded = compressor_of(record.header), record.coded()
    scan = scan_source(record.header.name, original, "refuse")
    assert scan is not None  # NaN or infinity was refused
    unit = math.ldexp(1.0, math.frexp(math.sqrt(scan.norm2))[1])  # so that the squares of errors fit float32
    norm2 = scan.norm2 / unit**2
    gram = np.zeros((trials, trials))
    distortions = np.zeros(trials)
    stride = -(-trials * min(CHUNK, original.size) // KEPT)
    coders = [_coder(compressor, coded, original, seed) for seed in range(1, trials + 1)]
    runs, chunk = [run for run, _ in coders], coders[0][1]
    for start, stop in spans(original.size, min(chunk, CHUNK)):
        values = original.read(start, stop).astype(np.float64)
        kept = np.empty((trials, -(-values.size // stride)), np.float32)
        for i, decoded in enumerate(ordered(lambda run: run(start, stop), runs, threads)):  # noqa: B023 (used at once)
            error = (decoded.astype(np.float64) - values) / scan.scale / unit
            distortions[i] += np.dot(error, error) / norm2
            kept[i] = error[::stride]
        gram += (kept @ kept.T).astype(np.float64) / norm2
    return [unbiased_check(gram), distortion_check(distortions, coded.guarantee.bound)]


def _coder(compressor: type[Compressor], coded: CodedTensor, source: Source, seed: int) -> tuple[Run, int]:
    """A function (start, stop) → decoded values for one seed, and the chunk length."""
    payload = compressor.encode_again(coded, source, seed)
    decode = compressor.decoder(payload.head, coded.spec)

    def run(start: int, stop: int) -> np.ndarray:
        return narrow(decode(payload.code(start, stop), start, stop - start), source.dtype)

    return run, payload.chunk


def unbiased_check(gram: np.ndarray) -> Check:
    """The estimate of ‖bias‖² against what chance gives without bias."""
    n = len(gram)
    pairs = gram[np.triu_indices(n, 1)]
    bias2, sd = float(pairs.mean()), float(pairs.std(ddof=1) / np.sqrt(pairs.size))
    most = Z * sd
    detail = f"over {n} seeds ‖bias‖²/‖x‖² is estimated as {bias2:.3g}; without bias it stays below {most:.3g} with 99.9 % confidence"
    return Check("unbiased", bias2 <= most, detail)


def distortion_check(distortions: np.ndarray, omega: float) -> Check:
    """The mean distortion, less what chance may add to it, against the bound."""
    n = distortions.size
    mean, half = float(distortions.mean()), Z * float(distortions.std(ddof=1) / np.sqrt(n))
    detail = f"over {n} seeds {mean:.6g} ± {half:.2g} (99.9 %), bound {omega:g}"
    return Check("expected distortion", mean - half <= omega, detail)
