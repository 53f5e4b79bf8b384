"""The vectors of spec/vectors, as the tests use them. Nothing here writes."""

import importlib
import json
import sys
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path

from gcodec.container.budget import Budget
from gcodec.container.reader import Stream
from gcodec.pipeline.archive import read_tensor
from gcodec.pipeline.bases.bases import Bases

FOLDER = Path(__file__).parents[1] / "spec" / "vectors"
sys.path.append(str(FOLDER))
gcz = importlib.import_module("gcz")  # containers in pieces


@dataclass(frozen=True)
class Vector:
    """A file and what its JSON says, in good, bad, unsupported, based or messages."""

    path: Path
    about: dict

    @property
    def data(self) -> bytes:
        return self.path.read_bytes()

    def __str__(self) -> str:
        return f"{self.path.parent.name}/{self.path.stem}"


@cache
def vectors(folder: str) -> tuple[Vector, ...]:
    paths = sorted((FOLDER / folder).glob("*.gc[zm]"))
    return tuple(Vector(path, json.loads(path.with_suffix(".json").read_text())) for path in paths)


def tensors(
    data: bytes, threads: int = 1, limit: int | None = None, bases: Bases | None = None
) -> list[tuple[str, str, tuple[int, ...], bytes]]:
    """(name, dtype, shape, little-endian bytes) of each tensor of a container.

    It is read from the start to the end.
    """
    found, budget = [], Budget(limit, len(data))
    records = Stream(BytesIO(data))
    for record in records if bases is None else bases.on(records):
        array = read_tensor(record, threads, budget)
        little = array.astype(array.dtype.newbyteorder("<"), copy=False)
        found.append((record.header.name, array.dtype.name, array.shape, little.tobytes()))
    return found


def stated(about: dict) -> list[tuple[str, str, tuple[int, ...], bytes]]:
    """The same as a JSON says it."""
    return [(t["name"], t["dtype"], tuple(t["shape"]), bytes.fromhex(t["values"])) for t in about["tensors"]]
