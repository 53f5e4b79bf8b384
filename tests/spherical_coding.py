"""Encoding and decoding through the contract alone, for the tests of spherical compression."""

import numpy as np

from gcodec.compressors.contract import Guarantee, Payload, TensorSpec
from gcodec.compressors.spherical.compressor import Spherical
from gcodec.dtypes import narrow
from gcodec.source import ArraySource, spans


def encode(x: np.ndarray, kind: str, bound: float, **options: int) -> tuple[Payload, list[bytes]]:
    payload = Spherical(**options).encode(ArraySource(x), Guarantee(kind, bound))
    return payload, [payload.code(start, stop) for start, stop in spans(x.size, payload.chunk)]


def decode(x: np.ndarray, payload: Payload, chunks: list[bytes]) -> np.ndarray:
    decoder = Spherical.decoder(payload.head, TensorSpec(x.dtype, x.shape))
    parts = [decoder(data, a, b - a) for data, (a, b) in zip(chunks, spans(x.size, payload.chunk), strict=True)]
    return narrow(np.concatenate(parts), x.dtype).reshape(x.shape)


def spec_of(x: np.ndarray) -> TensorSpec:
    return TensorSpec(x.dtype, x.shape)


def payload_bits(payload: Payload, chunks: list[bytes]) -> int:
    return 8 * (len(payload.head) + sum(map(len, chunks)))


def random_vectors(d: int, count: int) -> np.ndarray:
    return np.random.default_rng(d).normal(size=(count, d)).astype(np.float32)
