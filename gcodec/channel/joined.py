"""Small tensors as one vector: each divided by a scale of its own, so that all are of one size."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import ml_dtypes
import numpy as np

from .message import Parcel
from .target import Target

if TYPE_CHECKING:
    from .coder import Coder

# How much finer a tensor of n values is coded, as a factor 1 + _FEW/n + _SPREAD/√n of its error.
_FEW, _SPREAD = 48.0, 4.0
_LEAST, _LARGEST = float(np.finfo(np.float32).tiny), float(ml_dtypes.finfo(ml_dtypes.bfloat16).max)


def encode_joined(
    coder: "Coder", tensors: Sequence[np.ndarray], targets: Sequence[Target]
) -> tuple[np.ndarray, Parcel, list[np.ndarray]]:
    """(scales, parcel, decoded values) of float32 tensors; the bound holds for each of them.

    targets: of each tensor, all with one bound. scales: the bits of bfloat16 numbers, uint16; 0 for
    a tensor that is zero throughout.
    """
    shapes = [x.shape for x in tensors]
    bits = np.array(list(map(_scale, tensors)), ml_dtypes.bfloat16).view(np.uint16)
    divisors = np.where(bits == 0, np.float32(1), _numbers(bits))
    vector = np.concatenate([x.reshape(-1) / divisor for x, divisor in zip(tensors, divisors, strict=True)])

    def worst(back: np.ndarray) -> float:
        parts = split(back, bits, shapes)
        return max(target.measure(part) for target, part in zip(targets, parts, strict=True))

    parcel, back = coder.encode(vector, Target(targets[0].bound, worst))
    return bits, parcel, split(back, bits, shapes)


def split(values: np.ndarray, bits: np.ndarray, shapes: Sequence[tuple[int, ...]]) -> list[np.ndarray]:
    """The joined values as tensors of these shapes, times their scales."""
    parts = np.split(values, np.cumsum([math.prod(shape) for shape in shapes])[:-1])
    with np.errstate(over="ignore"):
        return [(part * scale).reshape(shape) for part, scale, shape in zip(parts, _numbers(bits), shapes, strict=True)]


def _numbers(bits: np.ndarray) -> np.ndarray:
    """float32 numbers of the bits of bfloat16 ones."""
    return (bits.astype(np.uint32) << np.uint32(16)).view(np.float32)


def _scale(x: np.ndarray) -> float:
    """The scale of a tensor; 0 if all of it is zero.

    It is the root of the mean square, divided by a number that is larger for few values: their
    relative error is further from the mean of all, and one of them would make all others finer.
    """
    wide = x.reshape(-1).astype(np.float64)
    square = float(np.dot(wide, wide))
    finer = 1 + _FEW / wide.size + _SPREAD / wide.size**0.5
    return min(max((square / wide.size / finer) ** 0.5, _LEAST), _LARGEST) if square else 0.0
