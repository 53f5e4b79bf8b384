"""`gcodec info`: what a container says of itself, without decoding anything."""

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from ...errors import InvalidInput
from .. import options as opt
from ..files import container_file
from ..output import label, plural, printable, promise_words, show, table, times
from . import datasets
from .bases import open_bases

if TYPE_CHECKING:
    from ...container.layout import FileHeader
    from ...container.reader import Record
    from ...pipeline.bases.links import Link

LONGEST_NAME = 72  # characters of a name that are shown


def info(
    file: opt.FileArg,
    time: Annotated[
        bool, typer.Option("--time", help="Decode all tensors, encode them again, and print each method's speed.")
    ] = False,
    base: opt.BasesOpt = None,
    base_dir: opt.BaseDirOpt = None,
    limit: opt.LimitOpt = None,
    json: opt.JsonOpt = False,
) -> None:
    """List the tensors of FILE: method, guarantee, certificate, bytes.

    Of an HDF5 file, these are the datasets that gcodec's filter coded.
    """
    if datasets.is_hdf5(file):
        datasets.refuse(file, {"--time": time, "--limit": limit})
        datasets.show_info(file, as_json=json)
        return
    from ...container.describe import describe, original_bytes
    from ...io.skeleton import is_skeleton
    from ...io.uncoded import uncoded

    with container_file(file) as source:
        if time and not source.seekable():
            raise InvalidInput(f"{label(file)}: --time reads tensors several times, which a pipe does not allow")
        version, records, meta, length = _read(source)
        headers = [record.header for record in records]
        timed = _speeds(source, length, limit) if time else []
        with open_bases(base, base_dir, 1) as bases:
            chains = {one.header.name: bases.chain(one.named) for one in records if bases and one.header.base}
    result: dict[str, Any] = {"format": {"major": version.major, "minor": version.minor}, "bytes": length, "meta": meta}
    result["tensors"] = [describe(header) | _chain(chains.get(header.name)) for header in headers]
    original = sum(map(original_bytes, headers))
    rows: list[tuple[str, ...]] = [
        ("name", "dtype", "shape", "method", "guarantee", "distortion", "bytes", "bits/coordinate")
    ]
    rows += [_row(tensor) for tensor in result["tensors"]]
    if any("effects" in tensor for tensor in result["tensors"]):
        rows = [(*row, *_effects(tensor)) for row, tensor in zip(rows, [None, *result["tensors"]], strict=True)]
    if any("base" in tensor for tensor in result["tensors"]):
        rows = [(*row, _base(tensor)) for row, tensor in zip(rows, [None, *result["tensors"]], strict=True)]
    beside = f", {times(original, length)} than the {original:,} decoded ones" if original else ""
    own = [header for header in headers if not is_skeleton(header.name)]
    count = plural(len(own), "tensor")
    head = f"{label(file)}: gcodec format {version.major}.{version.minor}, {count}, {result['bytes']:,} bytes{beside}"
    if "scope" in meta:
        head += f"\nalpha ≤ {meta['scope']['alpha']:g} over all floating tensors as one vector (--scope file)"
    if len(own) < len(headers):
        head += "\nrecords whose names begin with // are files around the tensors: attributes, links, text, …"
    text = f"{head}\n\n{table(rows, right=(5, 6, 7, 8, 9, 10))}"
    parts = uncoded(meta)
    if parts:
        lines = [("not coded, but kept bit for bit", "bytes", "what it is")]
        lines += [(_short(printable(part.name)), f"{part.nbytes:,}", part.why) for part in parts]
        text += f"\n\n{table(lines, right=(1,))}"
    text += "".join(f"\n\n{words}" for words in _chain_words(result["tensors"]))
    if time:
        result["speeds"] = timed
        text += f"\n\n{_speed_table(timed)}"
    show(result, text, as_json=json)


def _read(file: BinaryIO) -> "tuple[FileHeader, list[Record], dict[str, Any], int]":
    """Version, records, metadata and length of a container; where it can seek, it skips bodies."""
    from ...container.reader import RandomAccess, Stream

    if file.seekable():
        access = RandomAccess(file, length := file.seek(0, os.SEEK_END))
        return access.version, [access.record(name) for name in access.offsets], access.meta, length
    stream = Stream(file)
    return stream.version, list(stream), stream.meta, stream.position


def _effects(tensor: dict[str, Any] | None) -> tuple[str, str, str]:
    """The cells that say what the bound did to a tensor; for None, their titles."""
    from ...container.effects import percent

    if tensor is None:
        return ("became 0", "off by half", "worst row")
    effects = tensor.get("effects")
    if effects is None:
        bounded = tensor["guarantee"]["class"] in ("alpha", "omega")
        return ("not said" if bounded else "", "", "")
    return (percent(effects["zeroed"]), percent(effects["lost"]), f"{effects['row']:.3g}" if effects["row"] else "")


def _base(tensor: dict[str, Any] | None) -> str:
    """The cell that names the base of a tensor; for None, its title."""
    if tensor is None:
        return "base"
    base = tensor.get("base")
    return "" if base is None else f"{printable(base['name']) or '(array)'} {base['crc']:08x}, depth {base['depth']}"


def _chain(links: "list[Link] | None") -> dict[str, Any]:
    """What must be decoded before a record, where it was looked for."""
    return {} if links is None else {"chain": [{"file": link.place.label, "name": link.name} for link in links]}


def _chain_words(tensors: list[dict[str, Any]]) -> Iterator[str]:
    """The files of each chain, for all tensors that have it."""
    count: dict[tuple[str, ...], int] = {}
    for tensor in tensors:
        files = tuple(link["file"] for link in tensor.get("chain", ()))
        count[files] = count.get(files, 0) + 1
    for files, tensors_of in count.items():
        if files:
            yield f"bases of {plural(tensors_of, 'tensor')}: {' ← '.join(files)}"


def _speeds(file: BinaryIO, length: int, limit: int | None) -> list[dict[str, Any]]:
    """The speed of each method, as `comparison.speeds` measures it."""
    from ...comparison.speeds import speeds
    from ...container.budget import Budget
    from ...container.reader import RandomAccess
    from ...io.skeleton import is_skeleton

    access = RandomAccess(file, length)
    records = (access.record(name) for name in access.offsets if not is_skeleton(name))
    return [speed.as_dict() for speed in speeds(records, Budget(limit, length))]


def _speed_table(speeds: list[dict[str, Any]]) -> str:
    from ...comparison.break_even import speed_words

    rows: list[tuple[str, ...]] = [("method", "tensors", "encode MB/s", "decode MB/s", "pays below", "")]
    for one in speeds:
        figures = f"{one['encode_speed']:.3g}", f"{one['decode_speed']:.3g}", speed_words(one["break_even"])
        refused = f"{one['refused']} could not be encoded again" if one["refused"] else ""
        rows.append((one["method"], f"{one['tensors']:,}", *figures, refused))
    notes = "Speeds are of one core; what was decoded is encoded again. Compressing makes a transfer faster on links"
    return f"{table(rows, right=(1, 2, 3, 4))}\n{notes} slower than the last figure."


def _short(name: str) -> str:
    """A name, without its middle where it is long."""
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME // 2 - 1]}…{name[-LONGEST_NAME // 2 :]}"


def _row(tensor: dict[str, Any]) -> tuple[str, ...]:
    promise = promise_words(tensor)
    shape = "×".join(map(str, tensor["shape"])) or "scalar"
    name = printable(tensor["name"]) or "(array)"
    return (_short(name), tensor["dtype"], shape, tensor["method"], promise, f"{tensor['distortion']:.4g}", f"{tensor['bytes']:,}",
            f"{tensor['rate']:.4f}")  # fmt: skip
