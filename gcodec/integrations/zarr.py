"""zarr v3: chunks of arrays as containers of gcodec.

    import zarr
    from gcodec.integrations.zarr import encoding
    array = zarr.create_array("w.zarr", shape=x.shape, dtype=x.dtype, **encoding(alpha=0.1))

zarr finds the codec by its entry point, so whoever reads needs no import. Rows are read by ranges.
A part of a lossy chunk is never decoded, changed and coded again, which would add up errors.
"""

import asyncio
import io
import json
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, BinaryIO, Self, cast
from weakref import WeakValueDictionary

import numpy as np

import gcodec
from gcodec.errors import FormatError, InvalidInput

from . import zarr_bfloat16  # noqa: F401 (registers the data type)
from .chunks import Chunk, Settings, exact, missing
from .decoded import keep
from .ranges import BLOCK, Ranges
from .selections import about, corner, rows_of

try:
    from zarr.abc.codec import ArrayBytesCodec, ArrayBytesCodecPartialDecodeMixin, ArrayBytesCodecPartialEncodeMixin
    from zarr.abc.store import RangeByteRequest, Store
    from zarr.core.common import concurrent_map
    from zarr.core.config import config as zarr_config
    from zarr.registry import register_codec
    from zarr.storage import StorePath
except ImportError as error:
    raise missing("zarr 3.1 or newer", "zarr") from error


SMALL = 8 * BLOCK  # bytes: a chunk up to this size is read whole
_LOCKS: WeakValueDictionary[tuple[int, str], asyncio.Lock] = WeakValueDictionary()  # by event loop and chunk


class PartRefused(InvalidInput):
    """A part of a chunk would be changed, and the rest of it would not have its bound any more."""


def encoding(**settings: Any) -> dict[str, Any]:
    """The arguments of `zarr.create_array`, and the encoding of a variable of xarray.

    settings: method, alpha, omega, lossless, effort and nonfinite, as for `gcodec.encode`; a bound
    or lossless=True is needed. The shape of chunks is given beside it (`chunks=…`). zarr's own
    compressors are left out: they would gain nothing, and hide from the codec which part of a chunk
    is written. Raises InvalidInput.
    """
    return {"serializer": GcodecCodec.parse(settings), "compressors": None, "filters": None}


@dataclass(frozen=True, kw_only=True, repr=False)
class GcodecCodec(Settings, ArrayBytesCodec, ArrayBytesCodecPartialDecodeMixin, ArrayBytesCodecPartialEncodeMixin):
    """The codec `gcodec` of zarr v3: a chunk of an array to bytes, and back.

    A write to a part of a chunk is taken when the chunk stays as good as its guarantee says: when
    nothing was stored there before, or all of what was stored is replaced, or what was stored is
    exact. Else it raises InvalidInput.
    """

    is_fixed_size = False

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """The codec of its metadata. Raises InvalidInput for a configuration that is none."""
        return cls.parse(data.get("configuration", {}))

    def to_dict(self) -> dict[str, Any]:
        """Its metadata: what differs from the defaults, in a fixed order."""
        return {"name": "gcodec", "configuration": self.given()}

    def compute_encoded_size(self, input_byte_length: int, chunk_spec: Any) -> int:
        raise NotImplementedError("the bytes of a chunk of gcodec are not known before it is coded")

    def validate(self, *, shape: tuple[int, ...], dtype: Any, chunk_grid: Any) -> None:
        """Raise InvalidInput for a data type that cannot be stored."""
        gcodec.encode(np.empty(0, dtype.to_native_dtype()), lossless=True)

    async def _decode_single(self, chunk_data: Any, chunk_spec: Any) -> Any:
        return await asyncio.to_thread(self._decoded, io.BytesIO(chunk_data.to_bytes()), (...,), chunk_spec)

    def _decoded(self, file: BinaryIO, selection: Any, spec: Any) -> Any:
        """A selection of a chunk, as a buffer of zarr."""
        chunk = Chunk(file, spec.dtype.to_native_dtype(), spec.shape)
        self.accept(chunk.guarantee)
        start, stop = rows_of(selection, spec.shape)
        if not spec.shape or (start == 0 and stop >= chunk.box[0]):
            values = chunk.values(_fill(spec))
            if not self.lossless:
                file.seek(0)
                data = file.read()
                keep(values[tuple(map(slice, chunk.box))], data)
                if chunk.box != spec.shape:
                    keep(values, data)
            found = values[selection]
        else:
            first, *others = selection
            inner = slice(None, None, first.step) if isinstance(first, slice) else first - start
            found = chunk.rows(start, stop, _fill(spec))[(inner, *others)]
        return spec.prototype.nd_buffer.from_numpy_array(np.asarray(found))

    async def _encode_single(self, chunk_data: Any, chunk_spec: Any) -> Any:
        """Code a chunk without knowing which part was written, as happens beside other codecs."""
        values = np.asarray(chunk_data.as_numpy_array(), order="C")
        data = await asyncio.to_thread(self.coded, values, _fill(chunk_spec))
        if not Chunk(io.BytesIO(data), values.dtype, values.shape).is_exact:
            raise InvalidInput(
                "with other codecs beside it, gcodec cannot see which part of a chunk is written, and its guarantee "
                "would not hold; create the array with compressors=None and filters=None, or with lossless=True"
            )
        return chunk_spec.prototype.buffer.from_bytes(data)

    async def _decode_partial_single(self, byte_getter: Any, selection: Any, chunk_spec: Any) -> Any:
        start, stop = rows_of(selection, chunk_spec.shape)
        with about(_name(byte_getter)):
            share = (stop - start) / max(chunk_spec.shape[0], 1) if chunk_spec.shape else 1.0
            file = await _opened(byte_getter, chunk_spec.prototype, share)
            if file is None:
                return None
            run = asyncio.to_thread if isinstance(file, io.BytesIO) else _in_own_thread
            try:
                return await run(lambda: self._decoded(file, selection, chunk_spec))
            except FormatError:  # as when the chunk was replaced between two ranges
                if not isinstance(byte_getter, StorePath):
                    raise
            whole = await byte_getter.get(chunk_spec.prototype)
            if whole is None:
                return None
            return await asyncio.to_thread(self._decoded, io.BytesIO(whole.to_bytes()), selection, chunk_spec)

    async def encode_partial(self, batch_info: Any) -> None:
        """Write parts of several chunks: all of them or, when one is refused, none.

        zarr gives as many chunks at a time as its setting `codec_pipeline.batch_size` says.
        What it gives in other calls of the same write goes on after this one was refused, because
        zarr does not cancel them.
        """
        batch, most = list(batch_info), zarr_config.get("async.concurrency")
        async with AsyncExitStack() as stack:
            for _, lock in sorted({_name(setter): _lock(setter) for setter, *_ in batch}.items()):
                await stack.enter_async_context(lock)
            changes = await concurrent_map(batch, self._changed, most)
            await concurrent_map(changes, _written, most)

    async def _changed(self, setter: Any, chunk_array: Any, selection: Any, spec: Any) -> tuple[Any, Any]:
        """Where the new bytes of a chunk go, and these bytes; None to delete the chunk."""
        with about(_name(setter)):
            box, is_filled = corner(selection, spec.shape)
            old = None
            if not is_filled or box != spec.shape:
                old = await setter.get(spec.prototype)
            values = chunk_array.as_numpy_array()
            try:
                data = await asyncio.to_thread(self._replacement, old, values, selection, spec)
            except PartRefused:  # as when the chunk has rows that the array lost when it shrank
                if not is_filled or not await _reaches_edges(setter, box, spec):
                    raise
                data = await asyncio.to_thread(self._replacement, None, values, selection, spec)
            return setter, None if data is None else spec.prototype.buffer.from_bytes(data)

    def _replacement(self, old: Any, values: np.ndarray, selection: Any, spec: Any) -> bytes | None:
        """The new bytes of a chunk; None when it has the fill value alone, and is not stored."""
        merged, is_whole = _merged(old, values, selection, spec)
        if not spec.config.write_empty_chunks and _is_empty(merged, spec):
            return None
        if is_whole or not np.any(np.asarray(_fill(spec), merged.dtype)):
            return self.coded(merged, _fill(spec))
        self.check(values)
        return exact(merged)  # the bound would be spent on the fill value, where nothing was written


async def _reaches_edges(setter: Any, box: tuple[int, ...], spec: Any) -> bool:
    """Whether a box at a chunk's origin holds all of the chunk that lies in the array.

    The array's shape is read from its metadata, as a codec does not see it; of a chunk in a shard
    nothing is known.
    """
    if not isinstance(setter, StorePath):
        return False
    place = re.search(r"(^|/)(?:c[/.])?(\d+(?:[/.]\d+)*)$", setter.path)
    root = setter.path[: place.start()] if place else ""
    found = await setter.store.get(f"{root}/zarr.json".lstrip("/"), spec.prototype)
    if place is None or found is None:
        return False
    shape = json.loads(found.to_bytes()).get("shape", ())
    numbers = [int(number) for number in re.split("[/.]", place[2])]
    if not len(shape) == len(numbers) == len(box):
        return False
    starts = [number * side for number, side in zip(numbers, spec.shape, strict=True)]
    return all(
        start + n >= min(start + side, end) for start, n, side, end in zip(starts, box, spec.shape, shape, strict=True)
    )


async def _written(setter: Any, data: Any) -> None:
    await (setter.delete() if data is None else setter.set(data))


def _lock(setter: Any) -> asyncio.Lock:
    """What one write to a chunk holds at a time, from reading the chunk to writing it."""
    if not isinstance(setter, StorePath):  # an inner chunk, as a shard is written by one call
        return asyncio.Lock()
    return _LOCKS.setdefault((id(asyncio.get_running_loop()), str(setter)), asyncio.Lock())


async def _opened(getter: Any, prototype: Any, share: float) -> BinaryIO | None:
    """A chunk as a file, of which a share will be read; None when the store has none.

    It is read whole where the store would have to do that to tell its size.
    """
    if share > 0.5 or not isinstance(getter, StorePath) or type(getter.store).getsize is Store.getsize:
        whole = await getter.get(prototype)
        return None if whole is None else io.BytesIO(whole.to_bytes())
    first = await getter.get(prototype, RangeByteRequest(0, BLOCK))
    if first is None or len(first) < BLOCK:
        return None if first is None else io.BytesIO(first.to_bytes())
    loop, size = asyncio.get_running_loop(), await getter.store.getsize(getter.path)
    if size <= SMALL:
        rest = await getter.get(prototype, RangeByteRequest(BLOCK, size)) if size > BLOCK else None
        return io.BytesIO(first.to_bytes() + (b"" if rest is None else rest.to_bytes()))

    def fetch(start: int, stop: int) -> bytes:
        asked = getter.get(prototype, RangeByteRequest(start, stop))
        found = asyncio.run_coroutine_threadsafe(asked, loop).result()
        return b"" if found is None else bytes(found.to_bytes())

    return cast(BinaryIO, Ranges(fetch, size, first.to_bytes(), share))


def _merged(old: Any, values: np.ndarray, selection: Any, spec: Any) -> tuple[np.ndarray, bool]:
    """What is to be coded, in place of `old`, once `values` are written to a selection of a chunk.

    It comes with whether all of it was written just now.

    Raises InvalidInput when values would be coded a second time with a loss.
    """
    box, is_filled = corner(selection, spec.shape)
    dtype = spec.dtype.to_native_dtype()
    chunk = None if old is None else Chunk(io.BytesIO(old.to_bytes()), dtype, spec.shape)
    is_replaced = is_filled and (chunk is None or all(n <= side for n, side in zip(chunk.box, box, strict=True)))
    if chunk is not None and not is_replaced and not chunk.is_exact:
        raise PartRefused(
            f"a part of a chunk of shape {spec.shape} would be changed, and the rest of it coded a second time, beyond "
            "its bound; write whole chunks, choose smaller ones (or shards), or create the array with lossless=True. "
            "zarr may still be writing other chunks of this write: before you write again, see 'After a refusal' in "
            "docs/stores.md"
        )
    if is_replaced and values.shape == box:
        return values, True
    out = np.full(box, _fill(spec), dtype) if chunk is None or is_replaced else chunk.values(_fill(spec)).copy()
    part = out[selection]
    out[selection] = values.reshape(part.shape) if values.size == part.size else values
    return out, is_replaced


def _is_empty(values: np.ndarray, spec: Any) -> bool:
    """Whether all values are the fill value, as the first of them most often shows."""
    parts = values[(slice(1),) * values.ndim], values
    return all(spec.prototype.nd_buffer.from_numpy_array(part).all_equal(_fill(spec)) for part in parts)


def _fill(spec: Any) -> Any:
    return spec.dtype.default_scalar() if spec.fill_value is None else spec.fill_value


async def _in_own_thread(work: Callable[[], Any]) -> Any:
    """The result of `work`, which waits for ranges, from a thread of its own.

    The store may need a thread of the loop to get the ranges, so that `work` must not take one.
    """
    own = ThreadPoolExecutor(1, "gcodec")
    try:
        return await asyncio.get_running_loop().run_in_executor(own, work)
    finally:
        own.shutdown(wait=False)


def _name(where: Any) -> str:
    """What errors call a chunk."""
    return f"chunk {where.path!r}" if isinstance(where, StorePath) else f"chunk {where.chunk_coords} of a shard"


register_codec("gcodec", GcodecCodec)  # for those who import this file where gcodec is not installed
