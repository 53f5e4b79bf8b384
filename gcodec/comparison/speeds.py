"""How fast the methods of a container decode its tensors, and encode what was decoded again."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

import numpy as np

from ..container.budget import Budget
from ..container.describe import method_name, original_bytes
from ..container.reader import Record
from ..errors import InvalidInput
from ..pipeline import auto
from ..pipeline.archive import read_tensor
from ..request.choice import Choice
from ..source import ArraySource
from .break_even import break_even

_RUNS = 2  # the fastest counts; the first one may compile kernels
_UNLIMITED = 1 << 62  # for what the budget has accepted before


@dataclass
class Speed:
    """What the tensors of one method take together, on one thread.

    original, coded: bytes. encode_seconds, decode_seconds: of processor time. refused: how many
    tensors the method does not encode again; their time and bytes do not count.
    """

    method: str
    tensors: int = 0
    refused: int = 0
    original: int = 0
    coded: int = 0
    encode_seconds: float = 0.0
    decode_seconds: float = 0.0

    def as_dict(self) -> dict[str, str | int | float | None]:
        return {
            "method": self.method,
            "tensors": self.tensors,
            "refused": self.refused,
            "original": self.original,
            "coded": self.coded,
            "encode_speed": self.original / max(self.encode_seconds, 1e-9) / 1e6,
            "decode_speed": self.original / max(self.decode_seconds, 1e-9) / 1e6,
            "break_even": break_even(8 * self.original, 8 * self.coded, self.encode_seconds + self.decode_seconds),
        }


def speeds(records: Iterable[Record], budget: Budget) -> list[Speed]:
    """The speed of each method, in the order in which they are met.

    Each record is decoded, and what it decodes to is encoded again by the same method and bound:
    the original is not at hand. Raises what decoding raises.
    """
    found: dict[str, Speed] = {}
    for record in records:
        header = record.header
        speed = found.setdefault(method_name(header), Speed(method_name(header)))
        array = read_tensor(record, 1, budget)
        decoding = _fastest(partial(read_tensor, record, 1, Budget(_UNLIMITED)))
        choice = Choice(speed.method, header.guarantee, nonfinite="lossless")
        try:
            encoding = _fastest(partial(_encode, array, choice))
        except InvalidInput:
            speed.refused += 1
            continue
        speed.tensors += 1
        speed.original += original_bytes(header)
        speed.coded += header.body_length
        speed.encode_seconds += encoding
        speed.decode_seconds += decoding
    return list(found.values())


def _fastest(work: Callable[[], object]) -> float:
    """Seconds of processor time of the fastest of some runs."""
    times = []
    for _ in range(_RUNS):
        start = time.thread_time()
        work()
        times.append(time.thread_time() - start)
    return min(times)


def _encode(array: np.ndarray, choice: Choice) -> None:
    auto.compress("", ArraySource(array), choice).close()
