"""`gcodec info`: what a container says of itself, without decoding anything."""

import os
from typing import TYPE_CHECKING, Any, BinaryIO

from . import options as opt
from .files import container_file
from .output import show, table

if TYPE_CHECKING:
    from ..container.layout import FileHeader, TensorHeader


def info(file: opt.FileArg, json: opt.JsonOpt = False) -> None:
    """List the tensors of FILE: method, guarantee, certificate, bytes."""
    from ..describe import describe, original_bytes

    with container_file(file) as source:
        version, headers, meta, length = _read(source)
    result: dict[str, Any] = {"format": {"major": version.major, "minor": version.minor}, "bytes": length, "meta": meta}
    result["tensors"] = [describe(header) for header in headers]
    original = sum(map(original_bytes, headers))
    rows = [("name", "dtype", "shape", "method", "guarantee", "distortion", "bytes", "bits/coordinate")]
    rows += [_row(tensor) for tensor in result["tensors"]]
    times = f", {original / result['bytes']:.1f} times fewer than the {original:,} decoded ones" if original else ""
    head = f"{file}: gcodec format {version.major}.{version.minor}, {len(headers)} tensors, {result['bytes']:,} bytes{times}"
    show(result, f"{head}\n\n{table(rows, right=(5, 6, 7))}", as_json=json)


def _read(file: BinaryIO) -> "tuple[FileHeader, list[TensorHeader], dict, int]":
    """Version, headers, metadata and length of a container; of a seekable file only the headers are read."""
    from ..container.reader import RandomAccess, Stream

    if file.seekable():
        access = RandomAccess(file, length := file.seek(0, os.SEEK_END))
        return access.version, [access.record(name).header for name in access.offsets], access.meta, length
    stream = Stream(file)
    return stream.version, [record.header for record in stream], stream.meta, stream.position


def _row(tensor: dict) -> tuple:
    guarantee = tensor["guarantee"]
    promise = "exact" if guarantee["class"] == "exact" else f"{guarantee['class']} ≤ {guarantee['bound']:g}"
    shape = "×".join(map(str, tensor["shape"])) or "scalar"
    name = tensor["name"].encode("unicode_escape").decode("ascii") or "(array)"
    return (name, tensor["dtype"], shape, tensor["method"], promise, f"{tensor['distortion']:.4g}", f"{tensor['bytes']:,}",
            f"{tensor['rate']:.4f}")  # fmt: skip
