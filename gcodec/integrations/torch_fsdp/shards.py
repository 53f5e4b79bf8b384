"""How fully_shard lays the gradients of a module's parameters out for its reduce-scatter."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True)
class Shard:
    """The part of a parameter's gradient that each rank owns, as an array of rows.

    name: of the parameter. shape: of the part, padded with zero rows to be of one size everywhere.
    """

    name: str
    shape: tuple[int, ...]

    @classmethod
    def of(cls, name: str, parameter: Any, count: int) -> "Shard":
        """parameter: a DTensor that is sharded over `count` ranks."""
        dim, shape = parameter.placements[-1].dim, list(parameter.shape)
        if dim:  # then the blocks along it lie one after the other
            shape[0], shape[dim] = shape[0] * count, shape[dim] // count
        return cls(name, (-(-shape[0] // count), *shape[1:]))

    @property
    def size(self) -> int:
        return math.prod(self.shape)


def parts_of(gradients: torch.Tensor, shards: Sequence[Shard], count: int) -> list[dict[str, torch.Tensor]]:
    """For each rank, the shards by name. gradients: the vector that fully_shard wants reduced.

    Raises RuntimeError where it is not the vector of these shards.
    """
    if gradients.numel() != count * sum(shard.size for shard in shards):
        raise RuntimeError(
            "the gradients are not those of all parameters; call set_reduce_scatter_unused_params(True), or leave "
            "modules with unused parameters out of the compression"
        )
    rows = gradients.detach().cpu().view(count, -1)
    parts: list[dict[str, torch.Tensor]] = []
    for row in rows:
        found, at = {}, 0
        for shard in shards:
            found[shard.name] = row[at : at + shard.size].view(shard.shape)
            at += shard.size
        parts.append(found)
    return parts
