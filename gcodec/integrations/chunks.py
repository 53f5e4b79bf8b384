"""What all array stores share: how their chunks are coded, and containers back to chunks.

A chunk is an ordinary container with one tensor. Its shape is that of the chunk, or of a smaller
box at the chunk's origin: whatever lies outside of the box has the store's fill value.
"""

import io
import math
import warnings
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, BinaryIO, Literal, Self

import numpy as np

import gcodec
from gcodec.errors import Corrupt, InvalidInput

from .decoded import LINE, container_of, keep, lost_before, remember

Shape = tuple[int, ...]
SAMPLE = 1000  # values
SLACK = 0.02  # which part of a chunk's energy a part write may take away
BOUNDS = ("alpha", "omega", "pointwise")
KEPT = "kept"  # ends the tensor's name in a chunk that is exact because its values may have lost something before


def missing(host: str, extra: str) -> ImportError:
    """The error for a host that is not installed."""
    return ImportError(f"{host} is not installed; install it with: pip install 'gcodec[{extra}]'")


@dataclass(frozen=True, kw_only=True, repr=False)
class Settings:
    """How chunks are coded: the arguments of `gcodec.encode` that a store keeps in its metadata.

    One of alpha, omega, pointwise and lossless is needed: nobody's values are degraded silently.
    The guarantee holds for each chunk, and so for the whole array: Σ‖x̂ − x‖² ≤ alpha·Σ‖x‖².

    Raises InvalidInput for what `gcodec.encode` would refuse.
    """

    method: str = "auto"
    alpha: float | None = None
    omega: float | None = None
    pointwise: float | None = None
    lossless: bool = False
    effort: Literal["best", "fast"] = "best"
    nonfinite: Literal["refuse", "lossless"] = "refuse"

    def __post_init__(self) -> None:
        for name in BOUNDS:
            if isinstance(getattr(self, name), int) and abs(getattr(self, name)) > 1 << 53:
                raise InvalidInput(f"{name} must be a number of ordinary size, not one of more than 53 bits")
        if not isinstance(self.method, str):
            raise InvalidInput(f"method must be a string, not {self.method!r:.200}")
        if not isinstance(self.lossless, bool):
            raise InvalidInput(f"lossless must be True or False, not {self.lossless!r:.200}")
        if all(getattr(self, name) is None for name in BOUNDS) and self.lossless is False:
            raise InvalidInput(
                "a store needs a bound: give alpha, such as alpha=1e-3, or omega, or pointwise, or lossless=True"
            )
        gcodec.Writer(io.BytesIO(), gcodec.Policy(**self.given()))  # which checks all of them
        for name in BOUNDS:
            if getattr(self, name) is not None:
                object.__setattr__(self, name, float(getattr(self, name)))

    @classmethod
    def parse(cls, given: object) -> Self:
        """The settings of keywords, or of what `given()` gave before. Raises InvalidInput."""
        known = [field.name for field in fields(cls)]
        if not isinstance(given, Mapping):
            raise InvalidInput(f"the configuration of gcodec must be an object with keys, not {given!r:.200}")
        for name in given:
            if name not in known:
                raise InvalidInput(f"gcodec has no setting {name!r:.200}; it has {', '.join(known)}")
        return cls(**given)

    def given(self) -> dict[str, Any]:
        """What differs from the defaults, by name and in a fixed order, ready for JSON."""
        values = {field.name: getattr(self, field.name) for field in fields(Settings)}
        defaults = {field.name: field.default for field in fields(Settings) if field.default is not MISSING}
        return {name: value for name, value in values.items() if value != defaults[name]}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.given().items())})"

    def coded(self, values: np.ndarray, fill: object = None) -> bytes:
        """A chunk as a container. It uses one thread, as stores code many chunks at a time.

        A chunk that this process decoded lately, and that comes back as it was, gets the same bytes
        again, so that a copy loses nothing. A chunk in which a value that stands for nothing, such
        as a large fill value, would use up the error that the bound allows is stored exactly.

        fill: the store's fill value, if the container may hold a smaller box.
        """
        return self._as_before(values, fill=fill) or self._anew(values)

    def coded_once(self, values: np.ndarray, name: str = "") -> bytes:
        """A chunk as a container, exactly where it holds values that were decoded before.

        For stores that decode a chunk, change a part and code the whole: errors do not add up. A
        chunk of fewer than 64 values is always exact: a part of it is too little to be known again,
        and its container is mostly header. name: of the tensor in the container.

        Warns when the chunk's energy ‖x‖² has become smaller by more than 2 %: if a part of it was
        written, what the others had lost may be more than the bound allows for what is there now.
        """
        if before := self._as_before(values, name):
            return before
        lost = lost_before(values)
        if lost is None and values.size >= LINE:
            return self._anew(values, name)
        self.check(values)
        if lost and lost > (1 + SLACK) * (self.alpha or self.omega or math.inf) * _energy(values):
            warnings.warn(
                "gcodec: a chunk holds values that were decoded before, and smaller ones now. It is stored exactly; "
                "but if only a part of it was written, the rest may have more error than the bound allows for what it "
                "holds now: write whole chunks",
                stacklevel=2,
            )
        return exact(values, kept(name))

    def decoded(self, values: np.ndarray, container: bytes, header: Any) -> None:
        """Remember a decoded chunk for `coded` and `coded_once`. header: of its tensor."""
        if self.lossless:
            return
        keep(values, container)
        if not can_lose(values.dtype):
            return
        bound, is_kept = self.alpha or self.omega or 0.0, header.name.endswith(KEPT)
        if header.distortion == 0 and not is_kept:
            return  # nothing was lost
        if is_kept and bound and _is_drowned(values, bound):
            bound = 0.0  # what was lost is that of the other values
        lost = (bound if is_kept else header.distortion) * _energy(values) if bound else 0.0
        remember(values, lost / max(values.size, 1) if math.isfinite(lost) else 0.0)

    def _anew(self, values: np.ndarray, name: str = "") -> bytes:
        bound = self.alpha or self.omega
        if bound and _is_drowned(values, bound):
            return exact(values, name)
        return _container(values, name, self.given())

    def _as_before(self, values: np.ndarray, name: str = "", fill: object = None) -> bytes | None:
        """The container that these values were decoded from, if it is as good as these settings.

        Where its tensor has another name, the values are stored exactly.
        """
        data = None if self.lossless else container_of(values)
        if data is None:
            return None
        chunk = Chunk(io.BytesIO(data), values.dtype, values.shape)
        fits = self.allows(chunk.guarantee) and (fill is not None or chunk.box == values.shape)
        if not fits or not _equal(chunk.values(0 if fill is None else fill), values):
            return None
        self.check(values)
        return data if chunk.name in (name, kept(name)) else exact(values, kept(name))

    def check(self, values: np.ndarray) -> None:
        """Raise NonFinite for values that would be refused, whatever they are stored with."""
        if self.nonfinite == "refuse" and not self.lossless and not np.isfinite(values).all():
            self.coded(values)

    def accept(self, guarantee: Any) -> None:
        """Raise Corrupt for a chunk whose guarantee is weaker than what the store promises."""
        if not self.allows(guarantee):
            promise = f"{guarantee.kind} {guarantee.bound}"
            raise Corrupt(f"the chunk promises {promise}, which is less than the array promises: {self.promise}")

    @property
    def promise(self) -> str:
        """The bound, as errors name it."""
        given = {name: getattr(self, name) for name in BOUNDS if getattr(self, name) is not None}
        return ", ".join(f"{name} {bound}" for name, bound in given.items()) or "lossless"

    def allows(self, guarantee: Any) -> bool:
        """Whether a chunk with this guarantee is as good as these settings promise."""
        bound = getattr(self, guarantee.kind, None)
        return guarantee.kind == "exact" or (bound is not None and guarantee.bound <= bound)


def _equal(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two arrays of one dtype and shape have the same bits."""
    first, second = (np.ascontiguousarray(array).reshape(-1).view(np.uint8) for array in (one, other))
    return bool(np.array_equal(first, second))


def kept(name: str) -> str:
    """The name of a tensor whose values may have lost something before."""
    return f"{name} {KEPT}".strip()


def exact(values: np.ndarray, name: str = "") -> bytes:
    """A chunk as a container that gives its values back bit for bit."""
    return _container(values, name, {"lossless": True})


def _container(values: np.ndarray, name: str, settings: Mapping[str, Any]) -> bytes:
    """A container with one tensor of this name."""
    if not name:
        return gcodec.encode(values, threads=1, **settings)
    file = io.BytesIO()
    with gcodec.Writer(file, gcodec.Policy(**settings, small=0), threads=1) as writer:
        writer.add(name, values)
    return file.getvalue()


def can_lose(dtype: np.dtype) -> bool:
    """Whether values of a dtype are ever coded with a loss: floats are, and nothing else is."""
    return dtype.kind == "f" or "float" in dtype.name


def _is_drowned(values: np.ndarray, bound: float) -> bool:
    """Whether the error that the bound allows could wipe out all values but the largest one.

    That is, ‖others‖² ≤ bound·‖values‖², where the largest magnitude stands there more than once,
    and 1e-12·‖values‖² where it stands there once. A bound above 0.1 counts as 0.1.
    """
    if values.size < 2 or not can_lose(values.dtype):
        return False
    low, high = float(values.min()), float(values.max())
    largest = high if high >= -low else low
    if not math.isfinite(largest) or largest == 0:
        return False
    is_largest = values == values.dtype.type(largest)
    count = int(np.count_nonzero(is_largest))
    share = min(bound, 0.1) if count > 1 else 1e-12
    some = (slice(None, None, values.size // SAMPLE + 1),)
    if _norm2(values.reshape(-1)[some][~is_largest.reshape(-1)[some]], largest) > share * count / (1 - share):
        return False  # as most often a few of the others show
    return 0 < (others := _norm2(values[~is_largest], largest)) <= share * (count + others)


def _norm2(values: np.ndarray, unit: float) -> float:
    """‖values/unit‖²."""
    return float(np.square(values.astype(np.float64) / unit).sum())


def _energy(values: np.ndarray) -> float:
    """‖values‖²; not finite where one of them is not."""
    wide = values.reshape(-1).astype(np.float64)
    return float(np.vdot(wide, wide))


class Chunk:
    """A container that holds a chunk, with its values read only where they are asked for.

    file: the container, seekable. dtype, shape: what the store says of the chunk; the container may
    hold a smaller box. Raises Corrupt when it holds anything else, and what `gcodec.open` raises.
    """

    def __init__(self, file: BinaryIO, dtype: np.dtype, shape: Shape) -> None:
        self._archive = gcodec.open(file, threads=1)
        if len(self._archive) != 1:
            raise Corrupt(f"a chunk must hold one tensor, not {len(self._archive)}")
        (self.name,) = self._archive
        header = self.header = self._archive.header(self.name)
        self.dtype, self.shape = dtype, shape
        self.box: Shape = header.spec.shape
        self.guarantee = header.guarantee
        self.is_exact = header.guarantee.kind == "exact"
        fits = len(self.box) == len(shape) and all(n <= side for n, side in zip(self.box, shape, strict=True))
        if header.spec.dtype != dtype.newbyteorder("=") or not fits:
            raise Corrupt(
                f"the chunk holds {header.spec.dtype} of shape {self.box}, where the array has {dtype} of {shape}"
            )

    def values(self, fill: object) -> np.ndarray:
        """All values."""
        return self._padded(self._archive[self.name], self.shape, fill)

    def rows(self, start: int, stop: int, fill: object) -> np.ndarray:
        """The values from row `start` to row `stop`; what does not hold them is not read."""
        held = self._archive.rows(self.name, min(start, self.box[0]), min(stop, self.box[0]))
        return self._padded(held, (stop - start, *self.shape[1:]), fill)

    def _padded(self, held: np.ndarray, shape: Shape, fill: object) -> np.ndarray:
        if held.shape == shape:
            return held.astype(self.dtype, copy=False)
        out = np.full(shape, fill, self.dtype)
        out[tuple(slice(0, n) for n in held.shape)] = held
        return out
