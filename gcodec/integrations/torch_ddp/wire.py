"""Messages between ranks, over a process group of their own."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar
from zlib import crc32

import torch
import torch.distributed as dist

from gcodec.errors import InvalidInput

from .statistics import Statistics

_FAILED = -1  # in the place of a length: this rank has no message, as encoding or decoding failed
Decoded = TypeVar("Decoded")


@dataclass(frozen=True)
class Made:
    """Messages that are to be sent, or why there are none."""

    messages: Sequence[bytes] = ()
    failure: Exception | None = None


class Wire:
    """Sends messages of any length by gloo, and counts bytes and seconds.

    `exchange`, `gather`, `settle` and `decoded` are collectives: all ranks make the same calls in
    the same order. If the messages of a rank could not be made or decoded, the others hear of it:
    they raise RuntimeError. Other threads may call `made` and `coding` at the same time.
    """

    def __init__(self, group: dist.ProcessGroup, statistics: Statistics, timeout: float | None = None) -> None:
        """timeout: the seconds after which a rank that does not answer ends the others."""
        limit = None if timeout is None else timedelta(seconds=timeout)
        self._group = dist.new_group(  # the other ranks of the world need not call it
            dist.get_process_group_ranks(group), backend="gloo", timeout=limit, use_local_synchronization=True
        )
        self._statistics, self._lock, self._timeout = statistics, threading.Lock(), timeout
        self.rank, self.count = dist.get_rank(self._group), dist.get_world_size(self._group)

    def made(self, make: Callable[[], Sequence[bytes]]) -> Made:
        """The messages that a function makes, or the error that it raises."""
        try:
            with self.coding():
                return Made(make())
        except Exception as error:  # the other ranks must hear of it, or they would wait for ever
            return Made(failure=error)

    def exchange(self, made: Made) -> list[bytes]:
        """What every rank has for this one. made: a message for each rank, which may be empty."""
        messages, start = made.messages, time.perf_counter()
        failed = [_FAILED] * self.count
        lengths = torch.tensor(failed if made.failure else [len(message) for message in messages])
        known = torch.empty_like(lengths)
        with self._words_of_failure():
            dist.all_to_all_single(known, lengths, group=self._group)
        self._check(known.tolist(), made.failure)
        whole, data = torch.empty(int(known.sum()), dtype=torch.uint8), _tensor(b"".join(messages))
        with self._words_of_failure():
            dist.all_to_all_single(whole, data, known.tolist(), lengths.tolist(), group=self._group)
        own = len(messages[self.rank])
        self._count(data.numel() - own, whole.numel() - own, start)
        every, ends = whole.numpy().tobytes(), known.cumsum(0).tolist()
        return [every[start:stop] for start, stop in zip([0, *ends], ends, strict=False)]

    def gather(self, made: Made) -> list[bytes]:
        """The messages of all ranks, in their order. made: the only one of this rank.

        Torch's own all_gather would fill up each message to the length of the longest one.
        """
        return self.exchange(Made([*made.messages] * self.count, made.failure))

    def agree(self, own: Mapping[str, object]) -> None:
        """Raise InvalidInput where the ranks have not the same values. All ranks call it."""
        every = [json.loads(data) for data in self.gather(Made([json.dumps(own).encode()]))]
        for name, value in every[0].items():
            for rank, other in enumerate(every):
                if other.get(name) != value:
                    raise InvalidInput(
                        f"{name}: rank 0 has {value!r:.200}, and rank {rank} has {other.get(name)!r:.200}; "
                        "call compress, and load states, alike on all ranks"
                    )

    def decoded(self, decode: Callable[[], Decoded]) -> Decoded:
        """What a function decodes. All ranks call it, and raise an error if one of them cannot."""
        failure: Exception | None = None
        try:
            with self.coding():
                found = decode()
        except Exception as error:  # as in `made`
            failure = error
        self.settle(failure)
        return found

    def settle(self, failure: Exception | None) -> None:
        """Raise what went wrong in decoding: here, or on another rank. All ranks call it."""
        start = time.perf_counter()
        own = torch.tensor([_FAILED if failure else 0])
        every = [torch.empty_like(own) for _ in range(self.count)]
        with self._words_of_failure():
            dist.all_gather(every, own, group=self._group)
        self._check([int(one) for one in every], failure)
        self._count(0, 0, start)

    @contextmanager
    def coding(self) -> Iterator[None]:
        """What is done within is encoding or decoding, and its time counts as such."""
        start = time.perf_counter()
        try:
            yield
        finally:
            with self._lock:
                self._statistics.coding += time.perf_counter() - start

    @contextmanager
    def _words_of_failure(self) -> Iterator[None]:
        """Say of an error of gloo what it means for the training."""
        try:
            yield
        except RuntimeError as error:
            silent = "" if self._timeout is None else f", or has said nothing for {self._timeout:g} s (timeout)"
            raise RuntimeError(f"gradients were not exchanged: another rank has ended{silent}: {error}") from error

    def _check(self, lengths: Sequence[int], failure: Exception | None) -> None:
        if failure is not None:
            raise failure
        failed = [rank for rank, length in enumerate(lengths) if length == _FAILED]
        if failed:
            raise RuntimeError(f"rank {failed[0]} could not encode or decode gradients; its own error says why")

    def _count(self, sent: int, received: int, start: float) -> None:
        self._statistics.sent += sent + 8 * (self.count - 1)
        self._statistics.received += received
        self._statistics.waiting += time.perf_counter() - start


def digest(shapes: Mapping[str, tuple[int, ...]]) -> str:
    """A short text that other names, shapes or orders of tensors do not have."""
    return f"{len(shapes)} of digest {crc32(repr(list(shapes.items())).encode()):08x}"


def _tensor(data: bytes) -> torch.Tensor:
    return torch.frombuffer(bytearray(data), dtype=torch.uint8) if data else torch.empty(0, dtype=torch.uint8)
