"""Where in a file of `torch.save` its tensors are: the zip format and the legacy one."""

import math
import zlib
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any, BinaryIO, Literal

from ...errors import InvalidInput
from ..places import Pay, Place, Survey, View, read_whole
from ..raw import raw_dtype
from ..sniff import TORCH_MAGIC
from ..uncoded import Uncoded
from .kinds import Mapping, Storage, Tensor
from .machine import load
from .names import tensors_in
from .zipped import members

MAX_PICKLE = 1 << 26  # bytes
Order = Literal["<", ">"]
Extents = dict[str, tuple[int, int]]  # (offset, length) in the file of the bytes of each storage, by key


def survey(file: BinaryIO, size: int, what: str, pay: Pay) -> Survey:
    """The tensors of an open file of `size` bytes. Raises InvalidInput for what is not read.

    A tensor gets a place when its dtype is known and its values lie side by side, in any order of
    the axes, apart from those of the other places. Of tensors that share bytes, the longest one
    wins, then one in C order, then the first. One that is the same view as another is tied to it;
    every other one is kept.
    """
    if read_whole(file, 0, min(size, len(TORCH_MAGIC))) == TORCH_MAGIC:
        value, length, extents, order = _legacy(file, size, what, pay)
        checked: list[tuple[int, int, tuple[int, ...]]] = []
    else:
        value, length, extents, order, checked = _zipped(file, size, what, pay)
    with _about(what, "save its tensors in a plain dictionary, such as a state_dict()"):
        tensors, others = tensors_in(value, length)
    with _about(what, _AGAIN):
        found = _placed(tensors, extents, order)
    found.kept += others
    found.checked = checked
    return found


@contextmanager
def _about(what: str, remedy: str) -> Iterator[None]:
    """Errors of the content of a file name it, and say what to do."""
    try:
        yield
    except InvalidInput as error:
        raise InvalidInput(f"{what}: {error}; {remedy}") from None


_AGAIN = "fetch or write it again"
_SCRIPT = "is a TorchScript archive, which holds code; save its state_dict() instead"


def _zipped(file: BinaryIO, size: int, what: str, pay: Pay) -> tuple[Any, int, Extents, Order, Any]:
    """The pickle's value and length, the storages' bytes and order, and members with a CRC-32."""
    try:
        found = members(file, size, pay)
    except InvalidInput as error:
        if "/code/" in str(error):  # which TorchScript packs
            raise InvalidInput(f"{what}: {_SCRIPT}") from None
        raise InvalidInput(f"{what}: is no sound file of torch.save: {error}; {_AGAIN}") from None
    pickle = next((member for name, member in found.items() if name.partition("/")[2] == "data.pkl"), None)
    if pickle is None or pickle.size > MAX_PICKLE:
        fault = "has no data.pkl" if pickle is None else f"has a data.pkl of more than {MAX_PICKLE} bytes"
        raise InvalidInput(f"{what}: is no sound file of torch.save: it {fault}; {_AGAIN}")
    root = pickle.name.removesuffix("data.pkl")
    if f"{root}constants.pkl" in found:
        raise InvalidInput(f"{what}: {_SCRIPT}")
    value = load(BytesIO(read_whole(file, pickle.offset, pickle.size)), what, pay)
    order = found.get(f"{root}byteorder")
    big = order is not None and read_whole(file, order.offset, min(order.size, 3)) == b"big"
    data = {name: member for name, member in found.items() if name.startswith(f"{root}data/")}
    extents = {name.removeprefix(f"{root}data/"): (member.offset, member.size) for name, member in data.items()}
    checked = [(member.offset, member.size, member.crc_offsets) for member in data.values() if member.size]
    return value, pickle.size, extents, ">" if big else "<", checked


def has_checksums(file: BinaryIO, found: Survey) -> bool:
    """Whether the CRC-32 of the shortest storage is right; torch can be made to write others."""
    if not found.checked:
        return False
    offset, length, places = min(found.checked, key=lambda part: part[1])
    return zlib.crc32(read_whole(file, offset, length)).to_bytes(4, "little") == read_whole(file, places[0], 4)


def _legacy(file: BinaryIO, size: int, what: str, pay: Pay) -> tuple[Any, int, Extents, Order]:
    """As `_zipped`: five pickles, then each storage's length and bytes."""
    start = BytesIO(read_whole(file, 0, min(size, MAX_PICKLE)))
    storages: list[Storage] = []
    _, protocol, system, value, keys = [load(start, what, pay, storages) for _ in range(5)]
    if protocol != 1001 or not isinstance(system, Mapping) or not isinstance(keys, list):
        raise InvalidInput(f"{what}: is a file of torch.save of an unknown version; load it and save it again")
    order: Order = ">" if ("little_endian", False) in system.items else "<"
    widths = {storage.key: storage.itemsize for storage in storages}
    extents: Extents = {}
    at = start.tell()
    for key in keys:
        if key not in widths or at + 8 > size:
            raise InvalidInput(f"{what}: lists a storage that is not there; the file was cut: fetch it again")
        count = int.from_bytes(read_whole(file, at, 8), "little" if order == "<" else "big")
        extents[key] = at + 8, count * widths[key]
        at += 8 + count * widths[key]
    if at > size:
        raise InvalidInput(f"{what}: its storages lie beyond its end; the file was cut: fetch it again")
    return value, start.tell(), extents, order


def _placed(tensors: list[tuple[str, Tensor]], extents: Extents, order: Order) -> Survey:
    found = Survey()
    shared: dict[str, list[Place]] = {}
    for name, tensor in tensors:
        storage = tensor.storage
        whose = f"the storage of {name!r:.100}" if name else "the storage of the only tensor"
        if storage.key not in extents:
            raise InvalidInput(f"{whose} is missing")
        offset, length = extents[storage.key]
        if storage.nbytes > length:
            raise InvalidInput(f"{whose} should have {storage.nbytes} bytes, and has {length}")
        place = _place(name, tensor, offset, order)
        if place is None:
            found.keep(Uncoded(name, math.prod(tensor.shape) * tensor.itemsize, _why(tensor)))
        else:
            shared.setdefault(storage.key, []).append(place)
    for places in shared.values():
        _share(places, found)
    found.places.sort(key=lambda place: place.offset)
    return found


def _place(name: str, tensor: Tensor, base: int, order: Order) -> Place | None:
    """The place of a tensor whose values fill it; None for others."""
    if tensor.dtype is None or not tensor.plain:
        return None
    axes = [(n, step) for n, step in zip(tensor.shape, tensor.strides, strict=True) if n != 1]
    strides = (
        None
        if 0 in tensor.shape or _fills(axes[::-1])
        else tuple(0 if n == 1 else step for n, step in zip(tensor.shape, tensor.strides, strict=True))
    )
    if strides is not None and not _fills(sorted(axes, key=lambda axis: axis[1])):
        return None
    stored = raw_dtype(tensor.dtype).newbyteorder(order)
    return Place(name, tensor.dtype, stored, tensor.shape, base + tensor.offset * tensor.itemsize, strides)


def _why(tensor: Tensor) -> str:
    """Why a tensor has no place."""
    if tensor.dtype is None:
        return "numbers of a dtype that gcodec does not know"
    return "values with gaps, or repeated ones" if tensor.plain else "a view that conjugates or negates"


def _fills(axes: list[tuple[int, int]]) -> bool:
    """Whether axes (length, stride), from the fastest one, leave no gap and no overlap."""
    step = 1
    for n, stride in axes:
        if stride != step:
            return False
        step *= n
    return True


def _share(places: list[Place], found: Survey) -> None:
    """Give the bytes of one storage to places that do not overlap."""
    taken: dict[int, Place] = {}
    starts: list[int] = []  # where bytes begin that are taken; sorted
    for place in sorted(places, key=lambda place: (-place.range[1], place.strides is not None)):
        start, length = place.range
        if not length:
            found.places.append(place)
            continue
        i = bisect_left(starts, start)
        if i < len(starts) and starts[i] == start and _is_same(taken[start], place):
            found.tied[place.name] = taken[start].name
        elif (i < len(starts) and starts[i] < start + length) or (i and sum(taken[starts[i - 1]].range) > start):
            under = taken[starts[max(bisect_right(starts, start) - 1, 0)]]
            _see(place, under, found)
        else:
            starts.insert(i, start)
            taken[start] = place
            found.places.append(place)


def _see(place: Place, under: Place, found: Survey) -> None:
    """Note a tensor as a view of the one that has its bytes, if that has all and is in C order."""
    start, length = place.range
    inside = under.offset <= start and start + length <= sum(under.range)
    if not inside or under.strides is not None or under.dtype != place.dtype:
        found.keep(Uncoded(place.name, length, "a view of bytes that another tensor has"))
        return
    strides = place.strides or tuple(math.prod(place.shape[axis + 1 :]) for axis in range(len(place.shape)))
    found.views[place.name] = View(under.name, (start - under.offset) // place.stored.itemsize, place.shape, strides)


def _is_same(a: Place, b: Place) -> bool:
    return (a.shape, a.strides, a.dtype) == (b.shape, b.strides, b.dtype)


def refresh_checksums(file: BinaryIO, found: Survey) -> None:
    """Write the CRC-32 of each member's data, which may be other data now."""
    for offset, length, places in found.checked:
        crc = 0
        for start in range(offset, offset + length, 1 << 20):
            crc = zlib.crc32(read_whole(file, start, min(1 << 20, offset + length - start)), crc)
        for place in places:
            file.seek(place)
            file.write(crc.to_bytes(4, "little"))
    file.flush()
