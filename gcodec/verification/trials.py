"""Statistical tests of an unbiased compressor on one tensor, over many seeds.

Is the mean of the decoded tensors right, and is their mean distortion within the bound?

With errors e₁ … e_N over N seeds, B = Σ_{s≠t} ⟨e_s, e_t⟩ / (N(N−1)) is an unbiased estimate of
‖bias‖². What chance makes of it depends on how many independent directions the errors have. For one
it has the law of χ² − 1, for many that of a normal variable. So its quantile is taken from its
multipliers: those of Σ_{s≠t} z_s z_t ⟨e_s, e_t⟩ with normal z. That is Σ μ_i z_i², with the
eigenvalues μ of the Gram matrix without its diagonal. It has the variance and the third moment of
B, whatever the correlation between coordinates is. The saddle point gives its tail.

An error that is large but rare may not have occurred in N seeds. Then the others look like a bias,
and the noise that was seen is less than what the record says to expect. Call U the part of the
expected noise that was not seen. An event that N seeds left out, when that is not less likely than
`chance`, has a probability of at most −ln(chance)/N. So B may be larger by −ln(chance)·U/N.

With 100 seeds or more, each of the two tests fails by chance once in 2,000 times at most.
"""

import math
from collections.abc import Callable
from statistics import NormalDist

import numpy as np

from ..compressors import registry
from ..compressors.contract import CHUNK, Check, CodedTensor, Entry
from ..container.reader import Record
from ..distortion import scan_source
from ..parallel import ordered
from ..pipeline.decompress import decoded
from ..source import Source, spans

CHANCE = 5e-4  # that a test fails without a fault
UNSEEN = 0.02  # the share of the expected noise that may be missing, as that is an upper bound
_CONFIDENCE = f"{100 * (1 - CHANCE):g} %"
_NORMAL = NormalDist()
KEPT = 1 << 26  # errors held at a time; of more, every n-th coordinate is tested for bias
FURTHEST = 2.0**80  # no encoder keeps a file whose error is so many times ‖x‖²
Run = Callable[[int, int], np.ndarray]


def try_seeds(record: Record, original: Source, trials: int, threads: int) -> list[Check]:
    """Unbiasedness, and the expected distortion against the bound, over seeds 1 … trials."""
    entry, coded = registry.by_id(record.header.compressor), record.coded()
    scan = scan_source(record.header.name, original, "refuse")
    assert scan is not None  # NaN or infinity was refused
    unit = math.ldexp(1.0, math.frexp(math.sqrt(scan.norm2))[1])  # so that the squares of errors fit float32
    norm2 = scan.norm2 / unit**2
    gram = np.zeros((trials, trials))
    distortions = np.zeros(trials)
    stride = -(-trials * min(CHUNK, original.size) // KEPT)
    coders = [_coder(entry, coded, original, seed) for seed in range(1, trials + 1)]
    runs, chunk = [run for run, _ in coders], coders[0][1]
    for start, stop in spans(original.size, min(chunk, CHUNK)):
        values = original.read(start, stop).astype(np.float64)
        kept = np.empty((trials, -(-values.size // stride)), np.float32)
        for i, back in enumerate(ordered(lambda run: run(start, stop), runs, threads)):  # noqa: B023 (used at once)
            error = (back.astype(np.float64) - values) / scan.scale / unit
            distortions[i] += np.dot(error, error) / norm2
            if not distortions[i] < FURTHEST:
                return [Check("expected distortion", False, f"with one of the seeds it is {distortions[i]:.3g}")]
            kept[i] = error[::stride]
        gram += (kept @ kept.T).astype(np.float64) / norm2
    return judge(gram, distortions, coded.payload.expected or 0.0, coded.guarantee.bound, 1 / stride)


def _coder(entry: Entry, coded: CodedTensor, source: Source, seed: int) -> tuple[Run, int]:
    """A function (start, stop) → decoded values for one seed, and the chunk length."""
    compressor = entry.load()
    payload = compressor.encode_again(coded, source, seed)
    decode = compressor.decoder(payload.head, coded.spec)

    def run(start: int, stop: int) -> np.ndarray:
        return decoded(entry, source.dtype, decode, payload.code(start, stop), (start, stop))

    return run, payload.chunk


def judge(gram: np.ndarray, distortions: np.ndarray, expected: float, omega: float, share: float) -> list[Check]:
    """The two tests. All numbers are beside ‖x‖².

    gram: of the errors. distortions: their squared norms. expected: what the record says that these
    are in the mean, or at most. share: of the coordinates that `gram` was made from.
    """
    unseen = max(0.0, (1 - UNSEEN) * expected - float(distortions.mean()))
    return [unbiased_check(gram, unseen * share), distortion_check(distortions, omega)]


def unbiased_check(gram: np.ndarray, unseen: float) -> Check:
    """The estimate of ‖bias‖² against what chance gives without bias.

    gram: of the errors, beside ‖x‖². unseen: how much of the noise did not occur, also beside it.
    """
    n = len(gram)
    products = gram - np.diag(np.diag(gram))
    bias2 = float(products.sum()) / (n * (n - 1))
    most = (quantile(np.linalg.eigvalsh(products)) - math.log(CHANCE) * unseen * n) / (n * (n - 1))
    detail = f"over {n} seeds ‖bias‖²/‖x‖² is estimated as {bias2:.3g}; "
    detail += f"without bias it stays below {most:.3g} with {_CONFIDENCE} confidence"
    return Check("unbiased", bias2 <= most, detail)


def quantile(multipliers: np.ndarray) -> float:
    """What Σ μ_i z_i² exceeds with probability CHANCE, for multipliers whose sum is 0.

    It is K'(t) where the tail by Lugannani and Rice has that probability, with the cumulants'
    generating function K(t) = −½ Σ log(1 − 2μ_i t).
    """
    largest = float(multipliers.max())
    if largest <= 0:
        return 0.0
    mu, low, high = multipliers / largest, 0.0, 0.5
    for _ in range(50):
        t = (low + high) / 2
        rest = 1 - 2 * t * mu
        point = float((mu / rest).sum())
        root = math.sqrt(2 * max(t * point + float(np.log(rest).sum()) / 2, 1e-300))
        slope = t * math.sqrt(float((2 * (mu / rest) ** 2).sum()))
        tail = 1 - _NORMAL.cdf(root + math.log(slope / root) / root)
        low, high = (t, high) if tail > CHANCE else (low, t)
    return largest * point


def distortion_check(distortions: np.ndarray, omega: float) -> Check:
    """The mean distortion, less what chance may add to it, against the bound."""
    n = distortions.size
    mean, half = float(distortions.mean()), student(n - 1) * float(distortions.std(ddof=1) / np.sqrt(n))
    detail = f"over {n} seeds {mean:.6g} ± {half:.2g} ({_CONFIDENCE}), bound {omega:g}"
    return Check("expected distortion", mean - half <= omega, detail)


def student(freedom: int) -> float:
    """What Student's t exceeds with probability CHANCE, for 9 degrees of freedom or more.

    These are the first terms of the expansion by Cornish and Fisher, good to 1 %.
    """
    z = _NORMAL.inv_cdf(1 - CHANCE)
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / freedom + second / freedom**2 + third / freedom**3
