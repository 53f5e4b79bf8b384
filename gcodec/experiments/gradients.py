"""Ways to send the gradients of several workers, step after step, with error feedback.

A way is asked for the mean over the workers of what arrives, and for the bits that one of them
sent. Everything is done in this process.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np

from ..channel.channel import Channel
from .training import Arrays

BLOCK = 4096  # the values of which Top-k keeps a share
_SIZES = 32  # bits of each of the two sizes that a block has
Coder = Callable[[np.ndarray], tuple[np.ndarray, float]]  # an array → what arrives of it, and its bits


class Way(Protocol):
    def mean(self, gradients: Sequence[Arrays]) -> tuple[Arrays, float]:
        """The mean of what arrives of each worker's gradients, and the bits of one worker."""


class Plain:
    """As float32."""

    def mean(self, gradients: Sequence[Arrays]) -> tuple[Arrays, float]:
        return _mean(gradients), 32.0 * sum(array.size for array in gradients[0].values())


class Channels:
    """A channel for each worker."""

    def __init__(self, like: Arrays, workers: int, method: str, alpha: float) -> None:
        self._channels = [
            Channel(like, method, alpha=alpha, effort="fast", rank=rank, threads=1) for rank in range(workers)
        ]

    def mean(self, gradients: Sequence[Arrays]) -> tuple[Arrays, float]:
        sizes = [len(one.encode(own)) for one, own in zip(self._channels, gradients, strict=True)]
        arrived = [dict(zip(gradients[0], one.decoded, strict=True)) for one in self._channels]
        return _mean(arrived), 8 * sum(sizes) / len(sizes)


class Remembered:
    """Each array by a coder of its own accord; what it leaves out is added to the next one."""

    def __init__(self, like: Arrays, workers: int, code: Coder) -> None:
        self._memory = [{name: np.zeros_like(array) for name, array in like.items()} for _ in range(workers)]
        self._code = code

    def mean(self, gradients: Sequence[Arrays]) -> tuple[Arrays, float]:
        arrived: list[Arrays] = []
        bits = 0.0
        for memory, own in zip(self._memory, gradients, strict=True):
            sums = {name: array + memory[name] for name, array in own.items()}
            coded = {name: self._code(array) for name, array in sums.items()}
            memory.update({name: array - coded[name][0] for name, array in sums.items()})
            arrived.append({name: back for name, (back, _) in coded.items()})
            bits += sum(one for _, one in coded.values())
        return _mean(arrived), bits / len(gradients)


class PowerSGD:
    """Low-rank factors of the mean, by one power iteration from those of before (Vogels, 2019).

    Vectors, and matrices that would take no fewer bits, are sent as float32.
    """

    def __init__(self, like: Arrays, workers: int, rank: int) -> None:
        rng = np.random.default_rng(0)
        low = [name for name, array in like.items() if array.ndim == 2 and rank * sum(array.shape) < array.size]
        self._right = {name: rng.standard_normal((like[name].shape[1], rank)).astype(np.float32) for name in low}
        self._memory = [{name: np.zeros_like(like[name]) for name in low} for _ in range(workers)]
        self._bits = 32.0 * sum(
            rank * sum(array.shape) if name in self._right else array.size for name, array in like.items()
        )

    def mean(self, gradients: Sequence[Arrays]) -> tuple[Arrays, float]:
        found = _mean(gradients)
        for name, right in self._right.items():
            sums = [own[name] + memory[name] for own, memory in zip(gradients, self._memory, strict=True)]
            whole = sum(sums) / np.float32(len(sums))
            left, _ = np.linalg.qr(whole @ right)
            self._right[name] = np.asarray(whole.T @ left, np.float32)
            found[name] = left @ self._right[name].T
            for memory, own in zip(self._memory, sums, strict=True):
                memory[name] = own - found[name]
        return found, self._bits


def int8(array: np.ndarray) -> tuple[np.ndarray, float]:
    """Multiples of 1/127 of the largest magnitude."""
    scale = np.float32(max(float(np.abs(array).max()), 1e-30) / 127)
    return np.rint(array / scale) * scale, 8.0 * array.size + 32


def top_k(share: float) -> Coder:
    """The largest values of each block: their places, signs, and which of two sizes each has."""

    def code(array: np.ndarray) -> tuple[np.ndarray, float]:
        flat, back, bits = array.reshape(-1), np.zeros(array.size, np.float32), 0.0
        for start in range(0, flat.size, BLOCK):
            block = flat[start : start + BLOCK]
            count = max(1, round(share * block.size))
            kept = np.argpartition(-np.abs(block), count - 1)[:count]
            sizes = np.abs(block[kept])
            large = sizes >= np.median(sizes)
            means = np.where(large, sizes[large].mean(), 0 if large.all() else sizes[~large].mean())
            back[start + kept] = np.sign(block[kept]) * means
            bits += count * (math.log2(max(block.size, 2)) + 2) + 2 * _SIZES
        return back.reshape(array.shape), bits

    return code


def _mean(gradients: Sequence[Mapping[str, np.ndarray]]) -> Arrays:
    count = np.float32(len(gradients))
    return {name: np.asarray(sum(own[name] for own in gradients) / count) for name in gradients[0]}
