"""The header of safetensors files: parsed with every check that the format asks for, and laid out
as its library does.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np

from ...container import strict_json
from ...errors import InvalidInput
from ..skeleton import is_skeleton

MAX_NDIM = 64
METADATA = "__metadata__"
DTYPES = {
    "BOOL": np.dtype(bool),
    "U8": np.dtype(np.uint8),
    "I8": np.dtype(np.int8),
    "F8_E5M2": np.dtype(ml_dtypes.float8_e5m2),
    "F8_E4M3": np.dtype(ml_dtypes.float8_e4m3fn),
    "F8_E8M0": np.dtype(ml_dtypes.float8_e8m0fnu),
    "I16": np.dtype(np.int16),
    "U16": np.dtype(np.uint16),
    "F16": np.dtype(np.float16),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "I32": np.dtype(np.int32),
    "U32": np.dtype(np.uint32),
    "F32": np.dtype(np.float32),
    "C64": np.dtype(np.complex64),
    "F64": np.dtype(np.float64),
    "I64": np.dtype(np.int64),
    "U64": np.dtype(np.uint64),
}  # in the order in which the library lays tensors out, from the last to the first
CODES = {dtype: code for code, dtype in DTYPES.items()}
_RANK = {code: rank for rank, code in enumerate(DTYPES)}  # the least of all is that of other codes


@dataclass(frozen=True)
class Entry:
    """A tensor of the header; begin and end count from the header's end."""

    name: str
    code: str
    shape: tuple[int, ...]
    begin: int
    end: int

    @property
    def why_uncoded(self) -> str | None:
        """Why it has no record as a tensor; None if it has one."""
        if self.code not in DTYPES:
            return f"numbers of the dtype {self.code}"
        return "a tensor whose name begins with //" if is_skeleton(self.name) else None


def parse_header(header: bytes, room: int | None, what: str) -> list[Entry]:
    """The tensors in the order of their bytes, those of dtypes that gcodec does not know too.

    Raises InvalidInput unless the tensors fill `room` bytes, or if it is None any number of them,
    without a hole or an overlap.
    """
    try:
        fields = strict_json.loads(header)
        if not isinstance(fields, dict) or not header.startswith(b"{"):
            raise ValueError("it does not begin with {")
        _check_metadata(fields.pop(METADATA, None) or {})
        entries = [_entry(name, value) for name, value in fields.items()]
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{what}: in the safetensors header: {error}; fetch or write the file again") from None
    entries.sort(key=lambda entry: (entry.begin, entry.end))
    end = 0
    for entry in entries:
        if entry.begin != end:
            raise InvalidInput(
                f"{what}: tensor {entry.name!r} begins at {entry.begin}, not where the one before ends, {end}; "
                "write the file again with the safetensors library"
            )
        end = entry.end
    if room is not None and end != room:
        raise InvalidInput(
            f"{what}: the tensors end at byte {end} of {room}; the file was cut or has other data behind them: "
            "fetch or write it again"
        )
    return entries


def _check_metadata(metadata: object) -> None:
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise ValueError(f"{METADATA} is not a map of strings")
    for text in (*metadata, *metadata.values()):
        text.encode()  # a lone surrogate is a ValueError


def _entry(name: str, fields: Any) -> Entry:
    name.encode()  # a lone surrogate is a ValueError
    if not isinstance(fields, dict) or not {"dtype", "shape", "data_offsets"} <= set(fields):
        raise ValueError(f"tensor {name!r} needs dtype, shape and data_offsets")
    code, shape, offsets = fields["dtype"], fields["shape"], fields["data_offsets"]
    if not isinstance(code, str):
        raise ValueError(f"tensor {name!r}: the dtype {code!r} is not a name")
    if not _is_lengths(shape) or len(shape) > MAX_NDIM:
        raise ValueError(f"tensor {name!r}: the shape is not a list of at most {MAX_NDIM} lengths")
    if not _is_lengths(offsets) or len(offsets) != 2:
        raise ValueError(f"tensor {name!r}: data_offsets are not two positions")
    if code not in DTYPES:
        return Entry(name, code, tuple(shape), offsets[0], max(offsets))
    nbytes = DTYPES[code].itemsize
    for n in shape:
        nbytes *= n
    if nbytes >= 2**63 or offsets[1] - offsets[0] != nbytes:
        raise ValueError(f"tensor {name!r}: {code} of shape {shape} has not {offsets[1] - offsets[0]} bytes")
    return Entry(name, code, tuple(shape), *offsets)


def _is_lengths(value: object) -> bool:
    return isinstance(value, list) and all(type(n) is int and 0 <= n < 2**63 for n in value)


def metadata_of(header: bytes | None) -> dict[str, str]:
    """The `__metadata__` of a header; nothing when the header is malformed."""
    try:
        fields = json.loads(header or b"{}")
        return as_metadata(fields.get(METADATA))
    except (ValueError, AttributeError, RecursionError):
        return {}


def as_metadata(found: object) -> dict[str, str]:
    """A map of strings; nothing for anything else."""
    try:
        _check_metadata(found or {})
    except ValueError:
        return {}
    return dict(found) if isinstance(found, dict) else {}


def arrange(entries: Iterable[Entry], metadata: dict[str, str]) -> tuple[bytes, list[Entry]]:
    """(header, entries in their new order) in the library's layout, which keeps tensors aligned."""
    order = sorted(entries, key=lambda entry: (-_RANK.get(entry.code, -1), entry.name.encode()))
    fields: dict[str, object] = {METADATA: metadata} if metadata else {}
    position = 0
    for entry in order:
        length = entry.end - entry.begin
        fields[entry.name] = {
            "dtype": entry.code,
            "shape": entry.shape,
            "data_offsets": (position, position + length),
        }
        position += length
    header = json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()
    return header + b" " * (-len(header) % 8), order
