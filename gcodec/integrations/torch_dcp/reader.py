"""Loading: only the records, and of them only the rows, that a rank needs."""

import io
import os
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, cast

import numpy as np
import torch
from torch.distributed.checkpoint.filesystem import FileSystemReader
from torch.distributed.checkpoint.metadata import Metadata, StorageMeta
from torch.distributed.checkpoint.planner import LoadItemType, LoadPlan, LoadPlanner, ReadItem
from torch.futures import Future

import gcodec
from gcodec.errors import Corrupt, GcodecError, MissingTensor

from ..torch_tensors import tensor_of
from .metadata import Unreadable, reading, unpickled
from .places import Place, file_system, mark, place, within
from .writer import shared_out

Items = list[tuple[ReadItem, Place]]


class Reader(FileSystemReader):
    """A FileSystemReader for what `Writer` has saved, on any number of ranks.

    path: a folder, or a URL that fsspec knows. threads: that decode the items of this rank; None as
    for `Writer`. limit: as for `gcodec.open`. trust: whether `.metadata` and objects that are no
    tensors may be any pickles, which Python runs. Without it, `.metadata` may name nothing but
    torch's own classes, and objects only what `torch.load(weights_only=True)` takes.

    When it loads, torch raises its CheckpointException on all ranks; its `failures` have the error
    of each rank that failed: one of the FormatError family for what is damaged, does not fit
    together or is not trusted, which names the file and the item, LimitExceeded, or OSError.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        threads: int | None = None,
        limit: int | None = None,
        trust: bool = False,
    ) -> None:
        super().__init__(path)
        self._threads, self._limit, self._trust = shared_out(threads), limit, trust
        self.reset(path)

    def reset(self, checkpoint_id: str | os.PathLike[str] | None = None) -> None:
        """Read from another folder, or from the same one again; torch calls it before it loads."""
        if checkpoint_id:
            self.fs = file_system(checkpoint_id)
        super().reset(checkpoint_id)

    def read_metadata(self, *args: Any, **kwargs: Any) -> Metadata:
        """What the checkpoint holds; torch calls it.

        torch has words of its own for whatever this raises. So of a `.metadata` that is damaged or
        missing it gives a Metadata that raises Corrupt when it is first used.
        """
        try:
            return self._metadata(*args, **kwargs)
        except FileNotFoundError:
            if "rank" not in kwargs and self._has_metadata_of_ranks():  # for which torch asks next
                raise
            return Unreadable(Corrupt(f"{self.path} has no .metadata; it is no checkpoint, or its save did not end"))
        except Corrupt as error:
            return Unreadable(error)

    def _has_metadata_of_ranks(self) -> bool:
        """Whether a rank has metadata of its own. Without any, torch would log what it misses."""
        return self.fs.exists(self.path) and any(str(path).endswith(".metadata") for path in self.fs.ls(self.path))

    def _metadata(self, *args: Any, **kwargs: Any) -> Metadata:
        """Raises Corrupt and OSError."""
        if self._trust:
            with reading():
                trusted: Metadata = super().read_metadata(*args, **kwargs)
                return trusted
        with self.fs.create_stream(self._get_metadata_path(kwargs.get("rank")), "rb") as file:
            found: Metadata = unpickled(io.BytesIO(cast(BinaryIO, file).read()))
        found.storage_meta = found.storage_meta or StorageMeta()
        found.storage_meta.load_id = self.load_id
        return found

    def read_data(self, plan: LoadPlan, planner: LoadPlanner) -> "Future[None]":
        """Decode what the items of the plan ask for; torch calls it."""
        files: dict[str, Items] = defaultdict(list)
        for item in plan.items:
            where = place(self.storage_data.get(item.storage_index), item.storage_index.fqn)
            files[where.file].append((item, where))
        for file, items in files.items():
            with self._archive(file) as archive:
                _check_marks(archive, items)
                self._load_objects(archive, [pair for pair in items if pair[0].type == LoadItemType.BYTE_IO], planner)
                _load_tensors(archive, [pair for pair in items if pair[0].type != LoadItemType.BYTE_IO], planner)
        future: Future[None] = Future()
        future.set_result(None)
        return future

    @classmethod
    def validate_checkpoint_id(cls, checkpoint_id: str | os.PathLike[str]) -> bool:
        """Whether it is a path, or a URL that fsspec knows."""
        return bool(file_system(checkpoint_id).validate_checkpoint_id(checkpoint_id))

    @contextmanager
    def _archive(self, file: str) -> Iterator[gcodec.Archive]:
        """The container of a rank; errors name it."""
        try:
            with (
                self.fs.create_stream(self.fs.concat_path(self.path, file), "rb") as stream,
                gcodec.open(cast(BinaryIO, stream), threads=self._threads, limit=self._limit) as archive,
            ):
                yield archive
        except FileNotFoundError:
            raise Corrupt(f"{file} is missing; .metadata says that the checkpoint has it") from None
        except MissingTensor as error:
            raise Corrupt(f"{file}: {error}; it is not the file that .metadata speaks of") from None
        except GcodecError as error:
            error.args = (f"{file}: {error}",)
            raise

    def _load_objects(self, archive: gcodec.Archive, items: Items, planner: LoadPlanner) -> None:
        """Give the planner the objects that are no tensors."""
        records: dict[str, memoryview] = {}
        for item, where in items:
            name = item.storage_index.fqn
            if where.record not in records:
                records[where.record] = memoryview(archive[where.record].tobytes())
            if not within((where.start,), (where.length,), (len(records[where.record]),)):
                raise Corrupt(f"{where.record!r} has not the bytes of {name!r} that .metadata speaks of")
            data = bytes(records[where.record][where.start : where.start + where.length])
            if not self._trust:
                _check_object(name, data)
            planner.load_bytes(item, io.BytesIO(data))


def _check_marks(archive: gcodec.Archive, items: Items) -> None:
    """Raise Corrupt unless the records are those that were there when `.metadata` was written."""
    for _, where in items:
        if mark(archive.header(where.record)) != where.mark:
            raise Corrupt(f"{where.record!r} is not the record that .metadata speaks of; another save wrote over it")


def _load_tensors(archive: gcodec.Archive, items: Items, planner: LoadPlanner) -> None:
    """Give the planner tensors, or parts of them."""
    for item, where in items:
        target = planner.resolve_tensor(item).detach()
        target.copy_(tensor_of(_box(archive, where.record, item)).reshape(target.shape))
        planner.commit_tensor(item, target)


def _box(archive: gcodec.Archive, record: str, item: ReadItem) -> np.ndarray:
    """The values of a record that an item asks for, and no other rows than it needs."""
    offsets, lengths, shape = item.storage_offsets, item.lengths, archive.header(record).spec.shape
    if not within(offsets, lengths, shape):
        raise Corrupt(f"{record!r} has the shape {shape}, and .metadata says another one")
    if not shape:
        return archive[record]
    first, rows = offsets[0], lengths[0]
    values = archive[record] if rows == shape[0] else archive.rows(record, first, first + rows)
    return values[(slice(None), *(slice(o, o + n) for o, n in zip(offsets[1:], lengths[1:], strict=True)))]


def _check_object(name: str, data: bytes) -> None:
    """Raise Corrupt for an object that only a pickle with full power could give back."""
    try:
        torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # whatever torch refuses it with
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise Corrupt(
            f"{name!r} is an object that torch does not load safely ({reason:.200}); if you trust whoever saved "
            "the checkpoint, give Reader(…, trust=True)"
        ) from None
