"""Statistical tests of an unbiased compressor on one tensor: over many seeds, is the mean right and the error in bounds?

With errors e₁ … e_N over N seeds, B = Σ_{s≠t} ⟨e_s, e_t⟩ / (N(N−1)) estimates ‖bias‖² without bias. Under E e = 0 the
N(N−1)/2 products ⟨e_s, e_t⟩ are uncorrelated with mean 0, so B's standard deviation is that of their mean; both come from one
Gram matrix. This holds whatever the correlation between coordinates is. Bounds are one-sided at 99.9 %.
"""

import math

import numpy as np

from ..compressors.contract import CHUNK, Compressor, Payload, TensorSpec
from ..container.describe import method_name
from ..container.reader import Record
from ..distortion import scan_source
from ..dtypes import narrow
from ..parallel import ordered
from ..pipeline.decompress import compressor_of
from ..source import Source, spans

Z = 3.0902  # the 99.9 % quantile of the normal distribution
KEPT = 1 << 26  # errors held at a time for the test of unbiasedness: of longer chunks, every so manyth coordinate


def try_seeds(original: Source, record: Record, trials: int, threads: int) -> list[tuple[str, bool, str]]:
    """Rows (name, ok, detail): unbiasedness, and the expected distortion against the bound, over so many seeds."""
    header = record.header
    scan = scan_source(header.name, original, "refuse")
    assert scan is not None
    unit = math.ldexp(1.0, math.frexp(math.sqrt(scan.norm2))[1])  # so that the squares of errors fit float32
    norm2 = scan.norm2 / unit**2
    gram = np.zeros((trials, trials))
    distortions = np.zeros(trials)
    stride = -(-trials * min(CHUNK, original.size) // KEPT)
    bound = header.guarantee.bound
    coders = [_coder(original, record, seed) for seed in range(1, trials + 1)]
    runs, chunk = [run for run, _ in coders], coders[0][1]
    for start, stop in spans(original.size, min(chunk, CHUNK)):
        values = original.read(start, stop).astype(np.float64)
        kept = np.empty((trials, -(-values.size // stride)), np.float32)
        for i, decoded in enumerate(ordered(lambda run: run(start, stop), runs, threads)):  # noqa: B023 (used at once)
            error = (decoded.astype(np.float64) - values) / scan.scale / unit
            distortions[i] += np.dot(error, error) / norm2
            kept[i] = error[::stride]
        gram += (kept @ kept.T).astype(np.float64) / norm2
    return [_unbiased(gram), _within(distortions, bound)]


def _coder(source: Source, record: Record, seed: int):
    """A function (start, stop) → decoded work values for one seed, and the chunk length."""
    cls = compressor_of(record.header)
    payload = _payload(cls, source, record, seed)
    decode = cls.decoder(payload.head, TensorSpec(source.dtype, source.shape))

    def run(start: int, stop: int) -> np.ndarray:
        return narrow(decode(payload.code(start, stop), start, stop - start), source.dtype)

    return run, payload.chunk


def _payload(cls: type[Compressor], source: Source, record: Record, seed: int) -> Payload:
    """By the defaults of the method's options; for sc by the record's own blocks and caps, so that it is they that are tried."""
    guarantee = record.header.guarantee
    if method_name(record.header) == "sc":
        from ..compressors.spherical.compressor import with_seed

        return with_seed(record.head(), source, guarantee, seed)
    return cls(seed=seed).encode(source, guarantee)  # type: ignore[call-arg]


def _unbiased(gram: np.ndarray) -> tuple[str, bool, str]:
    n = len(gram)
    pairs = gram[np.triu_indices(n, 1)]
    bias2, sd = float(pairs.mean()), float(pairs.std(ddof=1) / np.sqrt(pairs.size))
    limit = Z * sd
    return (
        "unbiased",
        bias2 <= limit,
        f"over {n} seeds ‖bias‖²/‖x‖² is estimated as {bias2:.3g}; without bias it stays below {limit:.3g} with 99.9 % confidence",
    )


def _within(distortions: np.ndarray, omega: float) -> tuple[str, bool, str]:
    n = distortions.size
    mean, half = float(distortions.mean()), Z * float(distortions.std(ddof=1) / np.sqrt(n))
    return (
        "expected distortion",
        mean - half <= omega,
        f"over {n} seeds {mean:.6g} ± {half:.2g} (99.9 %), bound {omega:g}",
    )
