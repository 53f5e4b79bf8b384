"""What tests of verdicts share: containers made by hand, and what gcodec says of them.

No number here is taken from the code under test.
"""

import json
import struct
from io import BytesIO
from zlib import crc32

import numpy as np
from vectors import gcz

import gcodec
from gcodec.api import read_tensor
from gcodec.compressors.contract import Check
from gcodec.container.budget import Budget
from gcodec.container.reader import Stream
from gcodec.errors import GcodecError

X = np.array([3, -1, 0, 0.5], np.float32)
# The error of X by sd at 0.1, which gives 3, −1, 0, 0 (spec/compressors/02-sparse-dithering.md).
MEASURED = 0.25 / 10.25


def varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def text(data: bytes | str) -> bytes:
    data = data.encode() if isinstance(data, str) else data
    return varint(len(data)) + data


def block(kind: bytes, header: bytes, body: int = 0) -> bytes:
    """A block with the right checksum; body: the length that it declares."""
    data = struct.pack("<4sIQ", kind, len(header), body) + header
    return data + struct.pack("<I", crc32(data))


def exact(array: np.ndarray = X, name: str = "a") -> gcz.Record:
    return gcz.record(name, array, "lossless")


def streamed(data: bytes) -> str:
    """The code of the error that reading from the start raises, or "values"."""
    try:
        gcodec.decode(data, limit=1 << 30)
    except GcodecError as error:
        return error.code
    return "values"


def sought(data: bytes) -> str:
    """The same of reading by the index."""
    try:
        with gcodec.Archive(BytesIO(data), limit=1 << 30) as archive:
            for name in archive:
                archive[name]
    except GcodecError as error:
        return error.code
    return "values"


def rows(data: bytes, against: object = None, **options: int) -> dict[str, Check]:
    """The checks that `verify` makes of the only tensor, by name."""
    (tensor,) = gcodec.verify(data, against, threads=1, **options).tensors
    return {check.name: check for check in tensor.checks}


def f64(value: float) -> bytes:
    return struct.pack("<d", value)


def work_of(record: gcz.Record) -> tuple[int, int]:
    """(work, decoded bytes) that decoding a record is counted as."""
    budget = Budget(length=1 << 40)
    for found in Stream(BytesIO(gcz.container(record))):
        read_tensor(found, 1, budget)
    return budget.work, budget.decoded


def sd(array: np.ndarray = X, name: str = "", **fields: float) -> gcz.Record:
    """A record of sd at 0.1 with other numbers in its header."""
    return gcz.record(name, array, "sd", 0.1).but(**{key: f64(value) for key, value in fields.items()})


def only_failing(data: bytes, against: object = None) -> list[str]:
    """The names of the checks that fail; the verdict on the file is no other than theirs."""
    found = gcodec.verify(data, against, threads=1)
    failing = [check.name for tensor in found.tensors for check in tensor.checks if not check.ok]
    failing += [check.name for check in found.checks if not check.ok]
    assert found.ok == (not failing)
    return failing


def scoped(alpha: float, norm2: dict[str, float], *records: gcz.Record) -> bytes:
    about = {"scope": {"alpha": alpha, "norm2": norm2}}
    return gcz.container(block(b"META", json.dumps(about).encode()), *records)
