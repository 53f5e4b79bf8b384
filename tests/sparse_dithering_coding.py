"""Encoding and decoding through the contract alone, for the tests of sparse dithering."""

import numpy as np

from gcodec.compressors.contract import Guarantee, Payload, TensorSpec
from gcodec.compressors.sparse_dithering.compressor import RandomSparseDithering, SparseDithering
from gcodec.dtypes import narrow
from gcodec.source import ArraySource, spans

NORMAL_999 = 3.291  # two-sided 99.9 % of the normal distribution


def encode(
    compressor: SparseDithering | RandomSparseDithering, x: np.ndarray, bound: float
) -> tuple[Payload, list[bytes]]:
    payload = compressor.encode(ArraySource(x), Guarantee(compressor.kinds[0], bound))
    return payload, [payload.code(start, stop) for start, stop in spans(x.size, payload.chunk)]


def decode(x: np.ndarray, payload: Payload, chunks: list[bytes]) -> np.ndarray:
    decoder = SparseDithering.decoder(payload.head, TensorSpec(x.dtype, x.shape))
    parts = [decoder(data, a, b - a) for data, (a, b) in zip(chunks, spans(x.size, payload.chunk), strict=True)]
    return narrow(np.concatenate(parts), x.dtype).reshape(x.shape)


def payload_bits(payload: Payload, chunks: list[bytes]) -> int:
    return 8 * (len(payload.head) + sum(map(len, chunks)))
