"""Saving: each rank's items as records of one container."""

import io
import os
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from itertools import accumulate
from typing import Any, BinaryIO, cast

import numpy as np
from torch.distributed.checkpoint.filesystem import FileSystemWriter
from torch.distributed.checkpoint.planner import SavePlan, SavePlanner, WriteItem, WriteItemType
from torch.distributed.checkpoint.storage import WriteResult
from torch.futures import Future

import gcodec
from gcodec.errors import InvalidInput

from .places import OBJECTS, file_system, mark, named

SUFFIX = ".gcz"


class Writer(FileSystemWriter):
    """A FileSystemWriter that codes tensors as a policy says.

    path: a folder, or a URL that fsspec knows. policy: says how each tensor is coded, by its name
    in the state (`optim.state.0.exp_avg_sq`) and by its role, as `gcodec encode` does; of it,
    `scope="file"` is not taken. What is decided for a tensor holds for all parts of it. A bound
    holds for each part, and so for the whole tensor. Objects that are no tensors are kept exactly.

    threads: that code the items of this rank. None shares out the machine's cores among its ranks,
    by the LOCAL_WORLD_SIZE that torchrun sets. sync_files, overwrite, cache_staged_state_dict: as
    for FileSystemWriter.

    Raises InvalidInput for a policy that cannot hold. When it saves, torch raises its
    CheckpointException on all ranks; its `failures` have the error of each rank that failed:
    NonFinite or InvalidInput, which name the tensor, or OSError.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        policy: gcodec.Policy,
        *,
        threads: int | None = None,
        sync_files: bool = True,
        overwrite: bool = True,
        cache_staged_state_dict: bool = False,
    ) -> None:
        super().__init__(
            path, sync_files=sync_files, overwrite=overwrite, cache_staged_state_dict=cache_staged_state_dict
        )
        self._policy, self._threads = policy, shared_out(threads)
        self._known: set[str] = set()
        self.reset(path)
        gcodec.Writer(io.BytesIO(), policy, threads=self._threads)  # which checks the policy

    def reset(self, checkpoint_id: str | os.PathLike[str] | None = None) -> None:
        """Write to another folder, or to the same one again; torch calls it before it saves."""
        if checkpoint_id:
            self.fs = file_system(checkpoint_id)
        super().reset(checkpoint_id)

    def prepare_local_plan(self, plan: SavePlan) -> SavePlan:
        """Note the names of this rank's state, which roles look at; torch calls it."""
        self._known |= {item.index.fqn for item in plan.items}
        return super().prepare_local_plan(plan)

    def prepare_global_plan(self, plans: list[SavePlan]) -> list[SavePlan]:
        """Refuse globs of the policy that match nothing of any rank; torch calls it on one rank."""
        if all(getattr(plan, "usable", True) for plan in plans):
            _check_globs(self._policy, {item.index.fqn for plan in plans for item in plan.items})
        return super().prepare_global_plan(plans)

    def write_data(self, plan: SavePlan, planner: SavePlanner) -> "Future[list[WriteResult]]":
        """Write the container of this rank; torch calls it. A rank without items writes none."""
        file = f"{plan.storage_data.prefix}0{SUFFIX}"
        results: list[WriteResult] = []
        if plan.items:
            with self.fs.create_stream(self.fs.concat_path(self.path, file), "wb") as opened:
                stream = cast(BinaryIO, opened)
                with gcodec.Writer(stream, self._policy, threads=self._threads, beside=self._known) as container:
                    results = [*_objects(container, plan, planner, file), *_tensors(container, plan, planner, file)]
                if self.sync_files:
                    _sync(stream)
        future: Future[list[WriteResult]] = Future()
        future.set_result(results)
        return future

    @classmethod
    def validate_checkpoint_id(cls, checkpoint_id: str | os.PathLike[str]) -> bool:
        """Whether it is a path, or a URL that fsspec knows."""
        return bool(file_system(checkpoint_id).validate_checkpoint_id(checkpoint_id))


def _tensors(container: gcodec.Writer, plan: SavePlan, planner: SavePlanner, file: str) -> Iterator[WriteResult]:
    """Write each tensor, or part of a tensor."""
    items = [item for item in plan.items if item.type != WriteItemType.BYTE_IO]
    names = [named(item) for item in items]
    arrays = ((name, _values(planner, item), part_of) for item, (name, part_of) in zip(items, names, strict=True))
    for item, (name, _), header in zip(items, names, container.add_all(arrays), strict=True):
        yield WriteResult(item.index, header.body_length, (file, name, mark(header)))


def _values(planner: SavePlanner, item: WriteItem) -> Any:
    """The tensor of an item, on the CPU."""
    data: Any = planner.resolve_data(item)
    return data.detach().cpu()


def _objects(container: gcodec.Writer, plan: SavePlan, planner: SavePlanner, file: str) -> Iterator[WriteResult]:
    """Write one record of all objects that are no tensors: most are small, and much alike."""
    items = [item for item in plan.items if item.type == WriteItemType.BYTE_IO]
    if items:
        found: list[Any] = [planner.resolve_data(item) for item in items]
        parts = [data.getvalue() for data in found]
        header = container.add(OBJECTS, np.frombuffer(b"".join(parts), np.uint8))
        starts = accumulate(map(len, parts), initial=0)
        for item, start, part in zip(items, starts, parts, strict=False):
            yield WriteResult(item.index, len(part), (file, OBJECTS, mark(header), start, len(part)))


def _check_globs(policy: gcodec.Policy, names: set[str]) -> None:
    """Raise InvalidInput for a glob that matches no name: most likely it was mistyped."""
    globs: Iterable[str] = (
        *policy.exact, *policy.methods, *policy.alphas, *policy.pointwises, *policy.axes, *policy.fills,
    )  # fmt: skip
    for glob in globs:
        if not any(fnmatchcase(name, glob) for name in names):
            shown = ", ".join(map(repr, sorted(names)[:8]))
            raise InvalidInput(f"the rule {glob!r} matches nothing of the state; there are {shown} …")


def shared_out(threads: int | None) -> int:
    """The threads of this rank: as given, or its share of the machine's cores."""
    if threads is not None:
        return threads
    return max((os.cpu_count() or 1) // max(int(os.environ.get("LOCAL_WORLD_SIZE", "1")), 1), 1)


def _sync(stream: BinaryIO) -> None:
    """Have the bytes on the disk. Files of object stores are there once they are closed."""
    stream.flush()
    try:
        number = stream.fileno()
    except (AttributeError, OSError):  # the file has no descriptor
        return
    os.fsync(number)
