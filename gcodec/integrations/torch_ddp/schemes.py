"""How ranks find the mean of their gradients by messages."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch

import gcodec

from .state import Memory, Shapes, packed, unpacked
from .wire import Made, Wire

Arrays = list[np.ndarray]
Put = Callable[[Mapping[str, torch.Tensor]], None]  # puts means into tensors by name
Send = Callable[[], Put]  # sends messages; what it gives decodes those that came

_WIDE = (torch.float32, torch.float64)  # dtypes of sums
_BLOCK = 1 << 16  # values that are added and divided while they are in the cache


class Channels:
    """Channels by the names of their tensors.

    Where torch rearranges its buckets, a tensor's memory goes along to its new channel.
    """

    def __init__(self, rank: int, options: Mapping[str, Any]) -> None:
        self._rank, self._options = rank, options
        self._channels: dict[tuple[str, ...], gcodec.Channel] = {}
        self._memory: Memory = {}

    @property
    def memory(self) -> Memory:
        """What was not sent yet, by name."""
        found = dict(self._memory)
        for channel in self._channels.values():
            found.update(channel.state_dict()["memory"])
        return found

    @memory.setter
    def memory(self, memory: Memory) -> None:
        self._memory = dict(memory)
        self._channels.clear()

    def channel(self, tensors: Mapping[str, Any], step: int) -> gcodec.Channel:
        """The channel of these tensors. step: its number, where it is new."""
        names = tuple(tensors)
        if names not in self._channels:
            channel = gcodec.Channel(tensors, rank=self._rank, **self._options)
            self._retire(names)
            memory = {name: array for name, array in self._memory.items() if name in tensors}
            channel.load_state_dict({"step": step, "memory": memory})
            self._memory = {name: array for name, array in self._memory.items() if name not in memory}
            self._channels[names] = channel
        return self._channels[names]

    def _retire(self, names: Sequence[str]) -> None:
        """Take the memory of the channels that have one of these tensors, and forget them."""
        for key in [key for key in self._channels if set(key) & set(names)]:
            self._memory |= self._channels.pop(key).state_dict()["memory"]


class Scheme(Protocol):
    """error: the share of the energy that the last messages of this rank left out, at most."""

    error: float

    def encode(self, tensors: Mapping[str, torch.Tensor], step: int) -> Send:
        """Encode these tensors; gives the function that sends them, and that gives another one.

        That one puts the mean over all ranks of what they sent into tensors like these. A
        failure of encoding is raised where messages are sent: on this rank as it was, and on the
        others as RuntimeError. One thread may encode while another one sends, and a third one
        decodes, each of them one bucket after the other.
        """

    def state_dict(self) -> dict[str, Any]:
        """What this rank has not sent yet."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Raises InvalidInput for a state of other tensors; then nothing has changed."""


class Gather:
    """Each rank sends its message to all others: few bytes among few ranks.

    Among n ranks each sends n − 1 messages.
    """

    def __init__(self, wire: Wire, shapes: Shapes, options: Mapping[str, Any]) -> None:
        self._wire, self._channels, self._shapes = wire, Channels(wire.rank, options), shapes
        self.error = 0.0

    def encode(self, tensors: Mapping[str, torch.Tensor], step: int) -> Send:
        used: list[gcodec.Channel] = []

        def make() -> list[bytes]:
            used.append(self._channels.channel(tensors, step))
            return [used[0].encode(tensors)]

        made = self._wire.made(make)
        self.error = max((channel.error for channel in used), default=0.0)

        def send() -> Put:
            messages = self._wire.gather(made)

            def put(into: Mapping[str, torch.Tensor]) -> None:
                every = decoded(used[0], messages, self._wire.rank)
                for target, arrays in zip(into.values(), zip(*every, strict=True), strict=True):
                    _put_into(arrays, target)

            return put

        return send

    def state_dict(self) -> dict[str, Any]:
        return {"memory": packed(self._channels.memory)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._channels.memory = unpacked(state["memory"], self._shapes)


class Owner:
    """Each tensor has an owner, which gets it from all ranks and sends the mean: for many ranks.

    Each rank sends about 2(n − 1)/n messages, as in a ring. The owner's message has a bound and a
    memory of its own.
    """

    def __init__(self, wire: Wire, shapes: Shapes, options: Mapping[str, Any]) -> None:
        self._wire, self._shapes = wire, shapes
        self._senders = [Channels(wire.rank, options) for _ in range(wire.count)]
        self._recoders = Channels(wire.count + wire.rank, options)
        self._receivers: dict[tuple[str, ...], gcodec.Channel] = {}
        self._owners = owners({name: math.prod(shape) for name, shape in shapes.items()}, wire.count)
        self.error = 0.0

    def encode(self, tensors: Mapping[str, torch.Tensor], step: int) -> Send:
        parts: list[dict[str, torch.Tensor]] = [{} for _ in self._senders]
        for name, tensor in tensors.items():
            parts[self._owners[name]][name] = tensor
        channels: list[gcodec.Channel | None] = []

        def make() -> list[bytes]:
            pairs = zip(self._senders, parts, strict=True)
            channels.extend(one.channel(part, step) if part else None for one, part in pairs)
            return [c.encode(part) if c else b"" for c, part in zip(channels, parts, strict=True)]

        made = self._wire.made(make)
        self.error = max((channel.error for channel in channels if channel), default=0.0)

        return lambda: self._send(made, channels, parts, step)

    def _send(
        self,
        made: Made,
        channels: Sequence[gcodec.Channel | None],
        parts: Sequence[Mapping[str, torch.Tensor]],
        step: int,
    ) -> Put:
        """Send messages to the owners, and then the means of this rank's tensors to all.

        channels, parts: of each owner's tensors.
        """
        messages, own, recoded = self._wire.exchange(made), self._wire.rank, list[Arrays]()
        channel = channels[own]

        def make() -> list[bytes]:
            if channel is None:
                return [b""]
            recoder = self._recoders.channel(_specs_of_means(parts[own]), step)
            data = recoder.encode([mean_of(arrays) for arrays in zip(*decoded(channel, messages, own), strict=True)])
            recoded.append(recoder.decoded)
            return [data]

        means = self._wire.gather(self._wire.made(make))

        def put(into: Mapping[str, torch.Tensor]) -> None:
            found: dict[str, np.ndarray] = {}
            for rank, (data, part) in enumerate(zip(means, parts, strict=True)):
                if part:
                    arrays = recoded[0] if rank == own else self._receiver(part).decode(data)
                    found |= zip(part, arrays, strict=True)
            for name, target in into.items():
                target.copy_(torch.from_numpy(found[name]).view_as(target))

        return put

    def _receiver(self, part: Mapping[str, torch.Tensor]) -> gcodec.Channel:
        """The channel that decodes the means of these tensors."""
        names = tuple(part)
        if names not in self._receivers:
            self._receivers = {key: one for key, one in self._receivers.items() if not set(key) & set(names)}
            self._receivers[names] = gcodec.Channel(_specs_of_means(part))
        return self._receivers[names]

    def state_dict(self) -> dict[str, Any]:
        memory: Memory = {}
        for channels in self._senders:
            memory |= channels.memory
        return {"memory": packed(memory), "owned": packed(self._recoders.memory)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        own = {name: shape for name, shape in self._shapes.items() if self._owners[name] == self._wire.rank}
        memory, owned = unpacked(state["memory"], self._shapes), unpacked(state.get("owned"), own)
        for rank, channels in enumerate(self._senders):
            channels.memory = {name: array for name, array in memory.items() if self._owners[name] == rank}
        self._recoders.memory = owned


SCHEMES: dict[str, Callable[[Wire, Shapes, Mapping[str, Any]], Scheme]] = {"gather": Gather, "owner": Owner}
MANY = 4  # ranks, from which on owners send fewer bytes in all


def owners(sizes: Mapping[str, int], count: int) -> dict[str, int]:
    """The rank that owns each tensor; all own about as many values. The largest come first."""
    loads, found = [0] * count, {}
    for name in sorted(sizes, key=lambda one: (-sizes[one], one)):
        found[name] = loads.index(min(loads))
        loads[found[name]] += sizes[name]
    return found


def decoded(channel: gcodec.Channel, messages: Sequence[bytes], own: int) -> list[Arrays]:
    """What messages decode to. own: the number of that which the channel has just encoded."""
    return [channel.decoded if rank == own else channel.decode(data) for rank, data in enumerate(messages)]


def mean_of(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """The mean of arrays, of float64 in float64 and of all others in float32."""
    wide = np.float64 if arrays[0].dtype == np.float64 else np.float32
    out = np.empty(arrays[0].shape, wide)
    put_mean(arrays, out)
    return out


def put_mean(arrays: Sequence[np.ndarray], out: np.ndarray) -> None:
    """Put the mean of arrays into another one, in C order, of the dtype of sums.

    They are added in their order, so the bits are the same on every rank.
    """
    flat, total = [array.reshape(-1) for array in arrays], out.reshape(-1)
    for start in range(0, total.size, _BLOCK):
        block = total[start : start + _BLOCK]
        block[...] = flat[0][start : start + _BLOCK]
        for other in flat[1:]:
            block += other[start : start + _BLOCK].astype(out.dtype, copy=False)
        block /= out.dtype.type(len(arrays))


def _put_into(arrays: Sequence[np.ndarray], target: torch.Tensor) -> None:
    """Put the mean of arrays into a tensor, without a copy between where it can be."""
    if target.is_contiguous() and target.device.type == "cpu" and target.dtype in _WIDE:
        put_mean(arrays, target.detach().numpy())
    else:
        target.copy_(torch.from_numpy(mean_of(arrays)))


def _specs_of_means(tensors: Mapping[str, torch.Tensor]) -> dict[str, tuple[tuple[int, ...], type]]:
    """Shapes and dtypes of the means of tensors."""
    wide = {name: np.float64 if tensor.dtype == torch.float64 else np.float32 for name, tensor in tensors.items()}
    return {name: (tuple(tensor.shape), wide[name]) for name, tensor in tensors.items()}
