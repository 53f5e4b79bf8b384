"""Files that need bases, and what is wrong with some (spec/format.md §3.6).

The bases stand alone in `good/bases.gcz`. A file of `based/` may be the base of another.
"""

import io
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, partial
from zlib import crc32

import ml_dtypes
import numpy as np
from cases import Good
from gcz import Record, container, join, joined_index, record
from joined import HEADER
from joined import file as joined_file

from gcodec.container.fields import pack_text
from gcodec.container.reader import RandomAccess
from gcodec.pipeline.bases.bases import Bases
from gcodec.pipeline.bases.places import Container
from gcodec.pipeline.convert import encode_tensors
from gcodec.request.choice import choose
from gcodec.request.on_base import OnBases
from gcodec.source import ArraySource

SEED = 17
Tensors = dict[str, np.ndarray]


@dataclass(frozen=True)
class Based:
    """A file that needs bases. bases: the files that they are in, of which each may need the last.

    error, message: as in Bad; empty for a file that decodes.
    """

    name: str
    about: str
    data: Callable[[], bytes]
    bases: tuple[str, ...] = ("good/bases",)
    error: str = ""
    message: str = ""

    @property
    def path(self) -> str:
        return f"based/{self.name}"


def first() -> Tensors:
    """Tensors of several dtypes, among them small ones that are neighbours."""
    rng = np.random.default_rng(SEED)
    found = {"w": rng.normal(size=(6, 20)).astype(ml_dtypes.bfloat16), "b": rng.normal(size=30).astype(np.float32)}
    found |= {"count": np.array([5, -3], np.int16), "nan": np.array([1, np.nan], np.float32)}
    return found | {f"n{i}": rng.normal(size=(i + 2, 3)).astype(ml_dtypes.bfloat16) for i in range(3)}


@cache
def step(number: int) -> Tensors:
    """The tensors after so many steps, each of which moves few values by one unit."""
    if number == 0:
        return first()
    rng, found = np.random.default_rng(SEED + number), {}
    for name, array in step(number - 1).items():
        words = array.view(f"i{array.dtype.itemsize}")
        moved = words + (rng.random(array.shape) < 0.1) * rng.choice([-1, 1], array.shape)
        found[name] = moved.astype(words.dtype).view(array.dtype)
    return found


def moved() -> Tensors:
    """The floating tensors after a large step."""
    rng = np.random.default_rng(SEED)
    tensors = {name: array for name, array in first().items() if name in ("w", "b")}
    return {
        name: (x.astype(np.float64) + 0.05 * rng.normal(size=x.shape)).astype(x.dtype) for name, x in tensors.items()
    }


def only(tensors: Tensors, letters: str) -> Tensors:
    return {name: array for name, array in tensors.items() if name[0] in letters and name != "nan"}


@cache
def alone() -> bytes:
    return container(*(record(name, array, "lossless") for name, array in first().items()))


def places(*files: bytes) -> Bases:
    return Bases([Container(RandomAccess(io.BytesIO(data), len(data)), len(data), "bases") for data in files], 1)


def coded(tensors: Tensors, *files: bytes, **promise: object) -> bytes:
    """A file of tensors, each coded against the one of its name in the first of the files."""
    find = partial(places(*files).to_encode, alpha_of="change")
    out, sources = io.BytesIO(), ((name, ArraySource(array)) for name, array in tensors.items())
    for _ in encode_tensors(sources, {}, out, OnBases(lambda *_: choose(**promise), find), 1):
        pass
    return out.getvalue()


@cache
def exact() -> bytes:
    return coded(only(step(1), "wbc"), alone(), lossless=True)


@cache
def joined() -> bytes:
    return coded(only(step(1), "n"), alone(), lossless=True)


def named(values: bytes, **more: object) -> bytes:
    """Attributes that name these values as the base."""
    return pack_text(json.dumps({"base": {"crc": crc32(values)} | more}))


def same(name: str, array: np.ndarray, values: bytes) -> Record:
    """A record of an array that says that it is as the base, of these values."""
    zeros = record(name, np.zeros_like(array), "delta").holding(b"", [b""])
    right = Record(zeros.fields, zeros.head, zeros.chunks, (crc32(array.tobytes()),))
    return right.holding().but(attributes=named(values))


def wrong_crc() -> bytes:
    array = step(0)["w"]
    return container(same("w", step(1)["w"], array.tobytes()))


def not_finite() -> bytes:
    """A change of a tensor with NaN."""
    change = record("nan", np.array([1, 2], np.float32), "ecsq", 0.5)
    return container(change.but(attributes=named(first()["nan"].tobytes())))


def lone(**more: object) -> bytes:
    return container(same("w", step(0)["w"], b"").but(attributes=named(b"", **more)))


def block(tensors: Tensors, **more: object) -> bytes:
    """A file of joined tensors that say that they are as their bases are."""
    values = b"".join(array.tobytes() for array in tensors.values())
    vector = np.frombuffer(values, next(iter(tensors.values())).dtype)
    inner = same("", vector, values).but(attributes=named(values, **more))
    return joined_file(join(tensors, inner), index=joined_index([(name, HEADER) for name in tensors]))


def join_of_lossless() -> bytes:
    tensors = only(first(), "n")
    values = b"".join(array.tobytes() for array in tensors.values())
    inner = record("", np.frombuffer(values, ml_dtypes.bfloat16), "lossless").but(attributes=named(values))
    return joined_file(join(tensors, inner), index=joined_index([(name, HEADER) for name in tensors]))


def fault(name: str, about: str, message: str, data: Callable[[], bytes], error: str = "corrupt") -> Based:
    return Based(name, about, data, error=error, message=message)


BASES = Good("bases", "Tensors that the files of based/ are coded against.", alone)
BASED: Iterable[Based] = (
    Based("exact", "Exact changes of three dtypes.", exact),
    Based("chain", "The step after based/exact, coded against that.", lambda: coded(only(step(2), "wbc"), exact(), alone(), lossless=True), ("good/bases", "based/exact")),
    Based("change", "Changes under a bound, in float32 and bfloat16.", lambda: coded(moved(), alone(), alpha=0.1)),
    Based("same", "Records without bytes: the bases themselves.", lambda: coded(only(step(0), "wb"), alone(), alpha=0.1)),
    Based("joined", "Joined tensors with bases.", joined),
    Based("joined-chain", "The step after based/joined, coded against that.", lambda: coded(only(step(2), "n"), joined(), alone(), lossless=True), ("good/bases", "based/joined")),
    Based("joined-same", "Joined tensors that are as their bases are.", lambda: block(only(first(), "n"))),
    fault("missing", "No tensor has the crc that is named.", "was coded against a base", lone, "missing-base"),
    fault("missing-joined", "Joined tensors, of which the bases lack one.", "was coded against a base", lambda: block(only(first(), "n") | {"z": first()["n0"]}), "missing-base"),
    fault("other-values", "The sum has another crc.", "other values", wrong_crc, "checksum"),
    fault("not-finite", "A change of a base with NaN.", "NaN or infinity", not_finite),
    fault("joined-named", "The base of joined tensors has a name.", "a name or a bound", lambda: block(only(first(), "n"), name="n0")),
    fault("joined-alpha", "The base of joined tensors has a bound of the change.", "a name or a bound", lambda: block(only(first(), "n"), alpha=0.5)),
    fault("joined-lossless", "Joined tensors with a base, coded by lossless.", "has no base", join_of_lossless),
)  # fmt: skip
