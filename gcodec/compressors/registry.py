"""The compressors of the format: one line each. Ids are never reused; 128 and above are free for private use."""

from dataclasses import dataclass, fields
from importlib import import_module

from ..errors import InvalidInput, UnsupportedFeature
from .contract import Compressor

KINDS = ("alpha", "omega", "exact")  # of auto, as are its options
OPTIONS = ("seed", "effort")


@dataclass(frozen=True)
class Entry:
    id: int
    name: str
    path: str  # "module:Class" below gcodec.compressors, imported on first use
    summary: str

    def load(self) -> type[Compressor]:
        module, cls = self.path.split(":")
        return getattr(import_module(f"gcodec.compressors.{module}"), cls)


ENTRIES = (
    Entry(1, "lossless", "lossless:Lossless", "byte planes and zstd; bit for bit"),
    Entry(2, "sd", "sparse_dithering.compressor:SparseDithering", "deterministic sparse dithering, the paper's code"),
    Entry(
        3,
        "rsd",
        "sparse_dithering.compressor:RandomSparseDithering",
        "randomised sparse dithering, unbiased, the paper's code",
    ),
    Entry(4, "sc", "spherical.compressor:Spherical", "spherical compression: one block, or blocks and their norms"),
    Entry(5, "ecsq", "ecsq.compressor:Ecsq", "uniform quantiser, scale classes, lanes of rANS: the fast one"),
    Entry(
        6,
        "tcq",
        "tcq.compressor:Tcq",
        "trellis-coded quantisation in lanes, scale classes, rANS; the small one",
    ),
    Entry(
        7,
        "klt",
        "klt.compressor:Klt",
        "low-rank transform of a matrix, its factors trellis-coded; smallest on gradients",
    ),
    Entry(8, "dither", "dither.compressor:Dither", "subtractive dither with a shared seed, entropy coded; unbiased"),
)


def by_id(number: int) -> Entry:
    """The entry with this id; raises UnsupportedFeature when there is none."""
    for entry in ENTRIES:
        if entry.id == number:
            return entry
    raise UnsupportedFeature(f"compressor {number} is unknown to this version of gcodec; a newer one may read it")


def by_name(name: str) -> Entry:
    """The entry with this name; raises InvalidInput when there is none."""
    for entry in ENTRIES:
        if entry.name == name:
            return entry
    raise InvalidInput(f"method {name!r} is unknown; known are auto, {', '.join(entry.name for entry in ENTRIES)}")


def option_names(method: str) -> tuple[str, ...]:
    """The names of a method's options: the fields of its class."""
    return tuple(f.name for f in fields(by_name(method).load()))  # type: ignore[arg-type] # a dataclass
