"""The reduce-scatter of fully_shard by messages."""

from collections.abc import Mapping, Sequence
from typing import Any
from weakref import WeakSet

import torch
import torch.distributed as dist

import gcodec

from ..torch_ddp.options import check_dense, checked
from ..torch_ddp.schemes import Channels, decoded, mean_of
from ..torch_ddp.state import Memory, check_memory, check_origin, packed, unpacked
from ..torch_ddp.statistics import Statistics
from ..torch_ddp.wire import Wire, digest
from .shards import Shard, parts_of

_COMPRESSED: WeakSet[torch.nn.Module] = WeakSet()


def compress(model: torch.nn.Module, *, start: int = 1, timeout: float | None = None, **options: Any) -> "Compression":
    """Have a model, to which fully_shard was applied, send its gradients through channels.

    start: how many steps are sent plainly before. timeout: after so many seconds without a word
    from a rank the others raise an error. options: those of `gcodec.Channel`. All ranks call it,
    before the first backward pass. Of a mesh of two dimensions, the reduce-scatter alone is coded.

    Raises InvalidInput for a model without sharded modules, for one that is compressed already, for
    options that no channel takes, at the first step on ranks that differ, and for a torch that does
    not let the reduce-scatter be replaced.
    """
    return Compression(model, start=start, timeout=timeout, **options)


class Compression:
    """`compress` makes it. `statistics` has bytes and times, `state_dict` what was not sent yet."""

    def __init__(self, model: torch.nn.Module, *, start: int, timeout: float | None, **options: Any) -> None:
        found = checked(start, timeout, options)
        check_dense(model)
        groups = _groups(model)
        if any(module in _COMPRESSED for _, module, _ in groups):
            raise gcodec.errors.InvalidInput("the model is compressed already; call compress once")
        self.statistics = Statistics()
        self._scatters: dict[str, ReduceScatter] = {}
        wires: dict[Any, Wire] = {}
        for name, module, parameters in groups:
            group = next(iter(parameters.values())).device_mesh.get_group(-1)
            if group not in wires:
                wires[group] = Wire(group, self.statistics, timeout)
            wire = wires[group]
            shards = [Shard.of(one, parameter, wire.count) for one, parameter in parameters.items()]
            scatter = ReduceScatter(wire, shards, self.statistics, start, found)
            module.set_custom_reduce_scatter(scatter)
            self._scatters[name] = scatter
            _COMPRESSED.add(module)
        self._options = found
        self._wide = {
            name for *_, parameters in groups for name, one in parameters.items() if one.dtype == torch.float64
        }
        self._origin = {"rank": wire.rank, "ranks": wire.count}
        self._counted = next(iter(self._scatters.values()))
        self._counted.is_counted = True

    def state_dict(self) -> dict[str, Any]:
        """What a training checkpoint needs of this rank: steps, and memory by module and rank."""
        memory = {name: scatter.state() for name, scatter in self._scatters.items()}
        return {"steps": self._counted.steps, **self._origin, "memory": memory}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where `state_dict` was taken, on the same rank of as many.

        Raises InvalidInput for a state of another rank or model, and for a memory that channels
        with these options would not take; then nothing has changed.
        """
        steps, given = check_origin(state, self._origin), state["memory"]
        if not isinstance(given, Mapping) or set(given) != set(self._scatters):
            raise gcodec.errors.InvalidInput("the state is of a model with other sharded modules")
        memory = {name: scatter.memory_of(given[name]) for name, scatter in self._scatters.items()}
        for part in (part for parts in memory.values() for part in parts):
            check_memory(part, self._wide, self._options)
        for name, scatter in self._scatters.items():
            scatter.go_on(steps, memory[name])


class ReduceScatter:
    """What fully_shard calls for a module's gradients; see torch's class of the same name.

    steps: how many calls there were. is_counted: whether its calls count as steps of the model.
    """

    def __init__(
        self,
        wire: Wire,
        shards: Sequence[Shard],
        statistics: Statistics,
        start: int,
        options: Mapping[str, Any],
    ) -> None:
        self._wire, self._shards, self._statistics, self._start = wire, shards, statistics, start
        self._channels = [Channels(wire.rank, options) for _ in range(wire.count)]
        self.steps, self.is_counted, self._agreed = 0, False, False

    def state(self) -> list[dict[str, torch.Tensor]]:
        """What each rank was not sent yet."""
        return [packed(channels.memory) for channels in self._channels]

    def memory_of(self, state: Any) -> list[Memory]:
        """The memory of a state. Raises InvalidInput for that of another module."""
        if not isinstance(state, Sequence) or len(state) != len(self._channels):
            raise gcodec.errors.InvalidInput("the state's memory must be a list of one dict for each rank")
        return [unpacked(one, {shard.name: shard.shape for shard in self._shards}) for one in state]

    def go_on(self, steps: int, memory: Sequence[Memory]) -> None:
        """Go on from a step with this memory."""
        self.steps = steps
        for channels, one in zip(self._channels, memory, strict=True):
            channels.memory = one

    def allocate(self, size: Sequence[int], *, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
        return torch.empty(*size, dtype=dtype, device=device)

    def __call__(
        self,
        output_tensor: torch.Tensor,
        input_tensor: torch.Tensor,
        group: dist.ProcessGroup,
        op: Any,
        async_op: bool = False,
    ) -> Any:
        """Put the sum or the mean of this rank's rows into `output_tensor`."""
        step = self.steps
        if not self._agreed:
            tensors = digest({shard.name: shard.shape for shard in self._shards})
            self._wire.agree({"steps": step, "start": self._start, "tensors": tensors})
            self._agreed = True
        self.steps += 1
        self._statistics.steps += self.is_counted
        plain = output_tensor.numel() * output_tensor.element_size() * (self._wire.count - 1)
        self._statistics.plain += plain
        if step < self._start:
            self._statistics.sent += plain
            return dist.reduce_scatter_tensor(output_tensor, input_tensor, op=op, group=group, async_op=async_op)
        if op not in (dist.ReduceOp.AVG, dist.ReduceOp.SUM):
            raise RuntimeError("gradients are compressed with the operations AVG and SUM only: set no divide factor")
        means = self._means(input_tensor, step)
        factor = 1 if op == dist.ReduceOp.AVG else self._wire.count
        output_tensor.copy_(torch.cat([torch.from_numpy(mean).flatten() for mean in means]) * factor)
        return None

    def _means(self, gradients: torch.Tensor, step: int) -> list[Any]:
        channels: list[gcodec.Channel] = []

        def make() -> list[bytes]:
            parts = parts_of(gradients, self._shards, self._wire.count)
            channels.extend(one.channel(part, step) for one, part in zip(self._channels, parts, strict=True))
            return [channel.encode(part) for channel, part in zip(channels, parts, strict=True)]

        messages = self._wire.exchange(self._wire.made(make))
        self._statistics.left_out(max(channel.error for channel in channels), step)
        own = self._wire.rank
        every = self._wire.decoded(lambda: decoded(channels[own], messages, own))
        return [mean_of(arrays) for arrays in zip(*every, strict=True)]


def _groups(model: torch.nn.Module) -> list[tuple[str, Any, dict[str, Any]]]:
    """Name, module and parameters of each module that fully_shard was applied to.

    A parameter belongs to the innermost of them. Raises InvalidInput where there is none.
    """
    try:
        from torch.distributed.fsdp import FSDPModule
    except ImportError:
        raise gcodec.errors.InvalidInput("this torch has no fully_shard; take a newer one") from None
    if not hasattr(FSDPModule, "set_custom_reduce_scatter"):
        raise gcodec.errors.InvalidInput(
            f"torch {torch.__version__} does not let the reduce-scatter be replaced; take a newer one"
        )
    modules = {name: module for name, module in model.named_modules() if isinstance(module, FSDPModule)}
    found: dict[str, dict[str, Any]] = {name: {} for name in modules}
    for name, parameter in model.named_parameters():
        homes = [home for home in modules if not home or name.startswith(home + ".")]
        if homes and parameter.requires_grad:
            found[max(homes, key=len)][name] = parameter
    if not any(found.values()):
        raise gcodec.errors.InvalidInput("no module of the model is sharded; call fully_shard first")
    return [(name, modules[name], parameters) for name, parameters in found.items() if parameters]
