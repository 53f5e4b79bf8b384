"""How ranks find the mean of their gradients by messages."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol
from weakref import WeakKeyDictionary

import numpy as np
import torch

import gcodec

from .state import Memory, Shapes, packed, unpacked
from .wire import Made, Wire

Arrays = list[np.ndarray]


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

    def encode(self, tensors: Mapping[str, torch.Tensor], step: int) -> Callable[[], Arrays]:
        """Encode these tensors; gives the function that sends them.

        That gives the mean over all ranks of what they sent, float32 or float64. It raises what
        encoding raised, and RuntimeError where another rank failed. Another thread may call it
        while this one encodes other tensors.
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
        self._wire, self._channels, self._means = wire, Channels(wire.rank, options), Means()
        self._shapes = shapes
        self.error = 0.0

    def encode(self, tensors: Mapping[str, torch.Tensor], step: int) -> Callable[[], Arrays]:
        used: list[gcodec.Channel] = []

        def make() -> list[bytes]:
            used.append(self._channels.channel(tensors, step))
            return [used[0].encode(tensors)]

        made = self._wire.made(make)
        self.error = max((channel.error for channel in used), default=0.0)
        return lambda: self._mean(used, made)

    def _mean(self, used: Sequence[gcodec.Channel], made: Made) -> Arrays:
        messages = self._wire.gather(made)
        return self._wire.decoded(lambda: self._means.of(used[0], messages, self._wire.rank))

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
        self._wire = wire
        self._senders = [Channels(wire.rank, options) for _ in range(wire.count)]
        self._means, self._recoders = Means(), Channels(wire.count + wire.rank, options)
        self._receivers: dict[tuple[str, ...], gcodec.Channel] = {}
        self._owners = owners({name: math.prod(shape) for name, shape in shapes.items()}, wire.count)
        self._shapes = shapes
        self.error = 0.0

    def encode(self, tensors: Mapping[str, torch.Tensor], step: int) -> Callable[[], Arrays]:
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

        def mean() -> Arrays:
            messages = self._wire.exchange(made)
            own = parts[self._wire.rank]
            made_again = self._wire.made(lambda: [self._recoded(channels, own, messages, step)])
            means = self._wire.gather(made_again)
            found = self._wire.decoded(lambda: self._all_decoded(means, parts, step))
            return [found[name] for name in tensors]

        return mean

    def _recoded(
        self,
        channels: Sequence[gcodec.Channel | None],
        own: Mapping[str, torch.Tensor],
        messages: Sequence[bytes],
        step: int,
    ) -> bytes:
        """The message of the means of the tensors that this rank owns."""
        channel = channels[self._wire.rank]
        if channel is None:
            return b""
        means = self._means.of(channel, messages, self._wire.rank)
        return self._recoder(own, step).encode(means)

    def _recoder(self, own: Mapping[str, torch.Tensor], step: int) -> gcodec.Channel:
        """The channel of the means of the tensors that this rank owns."""
        return self._recoders.channel(_specs_of_means(own), step)

    def _all_decoded(
        self, messages: Sequence[bytes], parts: Sequence[Mapping[str, torch.Tensor]], step: int
    ) -> dict[str, np.ndarray]:
        """The means by name. messages: of each rank, with the means of its tensors."""
        found: dict[str, np.ndarray] = {}
        for rank, (data, part) in enumerate(zip(messages, parts, strict=True)):
            found |= zip(part, self._decoded(data, part, rank, step) if data else (), strict=True)
        return found

    def _decoded(self, data: bytes, part: Mapping[str, torch.Tensor], rank: int, step: int) -> Arrays:
        """The means that a rank has sent, which owns them."""
        if rank == self._wire.rank:
            return self._recoder(part, step).decoded
        if tuple(part) not in self._receivers:
            self._receivers = {key: one for key, one in self._receivers.items() if not set(key) & set(part)}
            self._receivers[tuple(part)] = gcodec.Channel(_specs_of_means(part))
        return self._receivers[tuple(part)].decode(data)

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


class Means:
    """Means of what messages decode to.

    Their arrays are used again for the next means of a channel.
    """

    def __init__(self) -> None:
        self._rooms: WeakKeyDictionary[gcodec.Channel, Arrays] = WeakKeyDictionary()

    def of(self, channel: gcodec.Channel, messages: Sequence[bytes], own: int) -> Arrays:
        """The mean of messages, added in their order: the same bits on every rank.

        own: the number of the message that the channel has just encoded.
        """
        if channel not in self._rooms:
            self._rooms[channel] = [np.empty(array.shape, _wide(array.dtype)) for array in channel.decoded]
        totals = self._rooms[channel]
        for rank, data in enumerate(messages):
            arrays = channel.decoded if rank == own else channel.decode(data)
            for total, array in zip(totals, arrays, strict=True):
                if rank == 0:
                    total[...] = array
                else:
                    total += array.astype(total.dtype, copy=False)
        for total in totals:
            total /= total.dtype.type(len(messages))
        return totals


def _specs_of_means(tensors: Mapping[str, torch.Tensor]) -> dict[str, tuple[tuple[int, ...], type]]:
    """Shapes and dtypes of the means of tensors."""
    wide = {name: np.float64 if tensor.dtype == torch.float64 else np.float32 for name, tensor in tensors.items()}
    return {name: (tuple(tensor.shape), wide[name]) for name, tensor in tensors.items()}


def _wide(dtype: np.dtype) -> np.dtype:
    """The dtype of sums: float64 of float64, float32 of all others."""
    return dtype if dtype == np.float64 else np.dtype(np.float32)
