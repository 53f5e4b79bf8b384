"""The compressors of the format, one entry each, and those of installed packages.

The latter have ids from 128 on and are found by plugins.py. An id is never used again for something
else.
"""

import math
from dataclasses import fields
from functools import lru_cache
from typing import Any

from ..errors import InvalidInput, UnsupportedFeature
from .contract import Entry
from .plugins import FIRST_ID, Plugins

EFFORTS = ("best", "fast")  # the efforts of `auto`; its guarantees and options are here too
_ANY_SIZE = dict.fromkeys(EFFORTS, math.inf)
_IN_MEMORY = float(1 << 26)  # the largest size for a method whose memory grows with the tensor
KINDS = ("alpha", "omega", "pointwise", "exact")
OPTIONS = ("seed", "effort")
_HERE = "gcodec.compressors"

ENTRIES = (
    Entry(
        1,
        "lossless",
        f"{_HERE}.lossless.compressor:Lossless",
        "byte planes, coded as suits each; bit for bit",
        _ANY_SIZE,
    ),
    Entry(
        2,
        "sd",
        f"{_HERE}.sparse_dithering.compressor:SparseDithering",
        "deterministic sparse dithering, the paper's code",
        _ANY_SIZE,
    ),
    Entry(
        3,
        "rsd",
        f"{_HERE}.sparse_dithering.compressor:RandomSparseDithering",
        "randomised sparse dithering, unbiased, the paper's code",
        _ANY_SIZE,
    ),
    Entry(
        4,
        "sc",
        f"{_HERE}.spherical.compressor:Spherical",
        "spherical compression: one block, or blocks and their norms",
    ),
    Entry(
        5,
        "ecsq",
        f"{_HERE}.ecsq.compressor:Ecsq",
        "uniform quantiser, scale classes, lanes of rANS: the fast one",
        _ANY_SIZE,
        beaten_by="tcq",
    ),
    Entry(
        6,
        "tcq",
        f"{_HERE}.tcq.compressor:Tcq",
        "trellis-coded quantisation in lanes, scale classes, rANS; the small one",
        {"best": _IN_MEMORY},
    ),
    Entry(
        7,
        "klt",
        f"{_HERE}.klt.compressor:Klt",
        "low-rank transform of a matrix, its factors trellis-coded; smallest on gradients",
        _ANY_SIZE,
        matrix=True,
    ),
    Entry(
        8,
        "dither",
        f"{_HERE}.dither.compressor:Dither",
        "subtractive dither with a shared seed, entropy coded; unbiased",
        _ANY_SIZE,
    ),
    Entry(
        9,
        "geometric",
        f"{_HERE}.geometric.compressor:Geometric",
        "magnitudes in intervals of one relative width, entropy coded; every value within the bound",
        _ANY_SIZE,
    ),
    Entry(
        10,
        "structured",
        f"{_HERE}.structured.compressor:Structured",
        "zeros, fill values, a range, a mean or scales kept around another method's code",
    ),
    Entry(
        11,
        "delta",
        f"{_HERE}.delta.compressor:Delta",
        "changes from a base in units in the last place; bit for bit",
    ),
)
# `structured` leaves the rest to another method, by the kind of guarantee: one of WRAPPED, or where
# values are kept of WRAPPED_WITH_KEPT. FINEST takes the fewest bits, QUICKEST the least time and
# memory.
STRUCTURED, QUICKEST, FINEST = "structured", "ecsq", "tcq"
WRAPPED_WITH_KEPT = {"alpha": (QUICKEST, FINEST), "pointwise": ("geometric",)}
WRAPPED = WRAPPED_WITH_KEPT | {"alpha": (QUICKEST, FINEST, "klt")}
KEEP_ZEROS = ("sd", "ecsq")  # each zero comes back as a zero
# What codes first moments. By the first method each value comes back as 0, or with its sign and at
# most about twice its size. Adam divides a first moment by the root of the second one, so a value
# that comes back many times as large as it was makes a step that is as many times too large. Up to
# the bound FINE_FOR_MOMENTS, the other one is tried too: where a matrix is nearly of low rank, it
# takes far fewer bits, and its errors are then small where gradients are.
FOR_MOMENTS, FOR_FINE_MOMENTS, FINE_FOR_MOMENTS = "ecsq", "klt", 1e-4
LEAVE_RANGE = ("ecsq", "tcq", "klt")  # a value may come back beyond all others, or with the other sign
EXACT = ENTRIES[0]  # stores every tensor that no other compressor can store as promised
_IDS = {entry.id: entry for entry in ENTRIES}
_NAMES = {entry.name: entry for entry in ENTRIES}
_PLUGINS = Plugins(taken=("auto", *_NAMES))


def entries() -> tuple[Entry, ...]:
    """All compressors that can be used: those of the format, then those of installed packages.

    The latter are imported here. One that cannot be used is left out with a warning.
    """
    return ENTRIES + _PLUGINS.usable()


def by_id(number: int) -> Entry:
    """The entry with this id. Raises UnsupportedFeature if there is none or it cannot be used."""
    if number in _IDS:
        return _IDS[number]
    if number < FIRST_ID:
        raise UnsupportedFeature(f"compressor {number} is unknown to this version of gcodec; a newer one may read it")
    return _PLUGINS.by_id(number)


def by_name(name: str) -> Entry:
    """The entry with this name. Raises InvalidInput if there is none or it cannot be used."""
    if name in _NAMES:
        return _NAMES[name]
    found = _PLUGINS.by_name(name)
    if found is None:
        known = ", ".join(["auto", *_NAMES, *(plugin.name for plugin in _PLUGINS.found if not plugin.flaw)])
        raise InvalidInput(f"method {name!r} is unknown; known are {known}")
    return found


def option_names(method: str) -> tuple[str, ...]:
    """The names of a method's options: the fields of its class."""
    return _fields_of(by_name(method).load())


@lru_cache
def _fields_of(cls: Any) -> tuple[str, ...]:
    return tuple(f.name for f in fields(cls))
