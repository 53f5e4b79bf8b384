"""Gradients of PyTorch's DistributedDataParallel through a channel.

    state = torch_ddp.compress(model, alpha=0.1)      # model is a DistributedDataParallel

Each rank sends its gradients as messages, and takes the mean of what all ranks sent. All of them
add in the same order, so the replicas stay equal bit for bit.
"""

import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

import gcodec

Bucket = Any  # torch.distributed.GradBucket


@dataclass
class Statistics:
    """Sums over all steps of this rank. plain: the bytes of the gradients themselves."""

    steps: int = 0
    plain: int = 0
    sent: int = 0
    received: int = 0

    @property
    def ratio(self) -> float:
        """How many times fewer bytes were sent than the gradients have."""
        return self.plain / self.sent if self.sent else 1.0


def compress(model: DistributedDataParallel, *, start: int = 2, **options: Any) -> "Compression":
    """Have a model send its gradients through channels from now on.

    start: how many steps are sent plainly before; torch rearranges its buckets after the first one.
    options: those of `gcodec.Channel`, such as alpha, method and effort. Call it once, before the
    first backward pass. Raises what `gcodec.Channel` and torch raise.
    """
    names = {id(parameter): name for name, parameter in model.module.named_parameters()}
    state = Compression(names, model.process_group, start, options)
    model.register_comm_hook(state, hook)
    return state


class Compression:
    """The state of the hook. `compress` makes it. `statistics` has bytes, `state_dict` memory."""

    def __init__(
        self, names: Mapping[int, str], group: dist.ProcessGroup, start: int, options: Mapping[str, Any]
    ) -> None:
        self.statistics = Statistics()
        self._names, self._start = dict(names), start
        self._options = dict[str, Any](method="klt", effort="fast", threads=1) | dict(options)
        gcodec.Channel({}, **self._options)  # refuses what no channel takes
        self._plain = group
        self._group = dist.new_group(dist.get_process_group_ranks(group), backend="gloo")
        self._channels: dict[tuple[str, ...], gcodec.Channel] = {}
        self._memory: dict[str, np.ndarray] = {}
        self._jobs: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        threading.Thread(target=self._work, daemon=True, name="gcodec-ddp").start()

    def state_dict(self) -> dict[str, Any]:
        """What a training checkpoint needs: the steps so far, and the memory by name."""
        return {"steps": self.statistics.steps, "memory": self._all_memory()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where `state_dict` was taken, on the same rank."""
        self.statistics.steps = int(state["steps"])
        self._memory = {name: np.array(array) for name, array in state["memory"].items()}
        self._channels.clear()

    def _all_memory(self) -> dict[str, np.ndarray]:
        found = dict(self._memory)
        for channel in self._channels.values():
            found.update(channel.state_dict()["memory"])
        return found

    def _work(self) -> None:
        while True:
            self._jobs.get()()

    def _channel(self, names: tuple[str, ...], grads: Sequence[torch.Tensor]) -> gcodec.Channel:
        """The channel of a bucket. Where torch rearranged its buckets, memory goes along."""
        if names not in self._channels:
            memory = self._all_memory()
            tensors = {name: _array(grad) for name, grad in zip(names, grads, strict=True)}
            channel = gcodec.Channel(tensors, rank=dist.get_rank(self._group), **self._options)
            channel.load_state_dict(
                {"step": self.statistics.steps, "memory": {name: memory[name] for name in names if name in memory}}
            )
            self._channels = {key: one for key, one in self._channels.items() if not set(key) & set(names)}
            self._channels[names] = channel
        return self._channels[names]

    def exchange(self, bucket: Bucket) -> Any:
        """The mean of a bucket over all ranks, in a while."""
        buffer, count = bucket.buffer(), dist.get_world_size(self._group)
        self.statistics.plain += buffer.numel() * buffer.element_size()
        plainly = self.statistics.steps < self._start
        if bucket.is_last():
            self.statistics.steps += 1
        if plainly:
            self.statistics.sent += buffer.numel() * buffer.element_size()
            reduced = dist.all_reduce(buffer.div_(count), group=self._plain, async_op=True).get_future()
            return reduced.then(lambda future: future.value()[0])
        names = tuple(self._names[id(parameter)] for parameter in bucket.parameters())
        grads = bucket.gradients()
        future: Any = torch.futures.Future()

        def job() -> None:
            try:
                self._mean(self._channel(names, grads), grads)
                future.set_result(buffer)
            except BaseException as error:  # whatever it is, the training must hear of it
                future.set_exception(error)

        self._jobs.put(job)
        return future

    def _mean(self, channel: gcodec.Channel, grads: Sequence[torch.Tensor]) -> None:
        failure: Exception | None = None
        message = b""
        try:
            message = channel.encode([_array(grad) for grad in grads])
        except gcodec.errors.GcodecError as error:
            failure = error  # the other ranks must hear of it, or they would wait for ever
        messages = self._gather(message)
        if failure is not None:
            raise failure
        missing = [rank for rank, data in enumerate(messages) if not data]
        if missing:
            raise RuntimeError(f"rank {missing[0]} could not encode its gradients; its own error says why")
        own = dist.get_rank(self._group)
        sent = [channel.decoded if rank == own else channel.decode(data) for rank, data in enumerate(messages)]
        for i, grad in enumerate(grads):
            total = np.zeros(sent[0][i].shape, np.float32)
            for arrays in sent:  # in the same order on every rank
                total += arrays[i].astype(np.float32)
            grad.copy_(torch.from_numpy(total / np.float32(len(sent))).view_as(grad))

    def _gather(self, message: bytes) -> list[bytes]:
        """The messages of all ranks, in their order; an empty one is that of a rank that failed."""
        count = dist.get_world_size(self._group)
        lengths = [torch.zeros(1, dtype=torch.int64) for _ in range(count)]
        dist.all_gather(lengths, torch.tensor([len(message)]), group=self._group)
        known = [int(length) for length in lengths]
        whole = [torch.zeros(max(known), dtype=torch.uint8) for _ in range(count)]
        if max(known):
            own = torch.frombuffer(bytearray(message.ljust(max(known), b"\0")), dtype=torch.uint8)
            dist.all_gather(whole, own, group=self._group)
        self.statistics.sent += len(message) + 8
        self.statistics.received += sum(known) - len(message)
        return [data[:length].numpy().tobytes() for data, length in zip(whole, known, strict=True)]


def hook(state, bucket):  # type: ignore[no-untyped-def]  # torch looks at annotations
    """The communication hook, for `register_comm_hook`; `compress` registers it."""
    return state.exchange(bucket)


def _array(grad: torch.Tensor) -> Any:
    return grad.detach().cpu()
