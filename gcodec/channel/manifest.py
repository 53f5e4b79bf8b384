"""What both ends of a channel agree on before the first message: names, shapes and dtypes."""

import json
import math
from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from .. import dtypes
from ..arguments import whole_number
from ..compressors.contract import TensorSpec
from ..container import strict_json
from ..container.fields import crc32
from ..container.layout import MAX_NDIM
from ..errors import InvalidInput
from ..request.arrays import array_of

JOINED = 4096  # values; smaller tensors, except those of float64, travel joined as one vector
Example = np.ndarray | tuple[Sequence[int], object]  # an array, or its shape and dtype


@dataclass(frozen=True)
class Manifest:
    """The tensors of every message of a channel, in order."""

    names: tuple[str, ...]
    specs: tuple[TensorSpec, ...]

    @classmethod
    def of(cls, tensors: Mapping[str, Example] | str) -> "Manifest":
        """tensors: for each name an array like those to come, or a pair (shape, dtype); or `text`.

        Raises InvalidInput for a dtype that no container can hold, and for a shape that is none.
        """
        if isinstance(tensors, str):
            tensors = _parsed(tensors)
        if not isinstance(tensors, Mapping) or not all(isinstance(name, str) for name in tensors):
            raise InvalidInput("a channel needs a mapping from names to arrays, or to pairs (shape, dtype)")
        return cls(tuple(tensors), tuple(_spec_of(name, example) for name, example in tensors.items()))

    @property
    def text(self) -> str:
        """The manifest as JSON: `[["name","dtype",[shape]],…]`."""
        rows = [[name, spec.dtype.name, spec.shape] for name, spec in zip(self.names, self.specs, strict=True)]
        return json.dumps(rows, ensure_ascii=False, separators=(",", ":"))

    @cached_property
    def digest(self) -> int:
        """The crc by which a message names the manifest that it is for."""
        return crc32(self.text.encode())

    def joined(self, kind: str) -> tuple[int, ...]:
        """The numbers of the tensors that travel joined, which are small, under this guarantee."""
        if kind != "alpha":
            return ()
        floats = [i for i, spec in enumerate(self.specs) if dtypes.is_float(spec.dtype)]
        return tuple(i for i in floats if self.specs[i].dtype != np.float64 and 0 < self.specs[i].size < JOINED)

    def alone(self, kind: str) -> tuple[int, ...]:
        """The numbers of the tensors that are vectors of their own. Empty ones are not coded."""
        joined = set(self.joined(kind))
        return tuple(i for i, spec in enumerate(self.specs) if spec.size and i not in joined)

    def arrays(self, given: Mapping[str, object] | Collection[object]) -> list[np.ndarray]:
        """The arrays of one message, in order. Raises InvalidInput where one is not as agreed."""
        if isinstance(given, Mapping):
            if set(given) != set(self.names):
                raise InvalidInput(f"the channel has the tensors {', '.join(self.names)}; give exactly these")
            given = [given[name] for name in self.names]
        if not isinstance(given, Collection) or isinstance(given, str | bytes | Set):
            raise InvalidInput(
                f"the channel has {len(self.names)} tensors; give a list of arrays or a mapping, not {type(given).__name__}"
            )
        if len(given) != len(self.names):
            raise InvalidInput(f"the channel has {len(self.names)} tensors, not {len(given)}")
        return [self._checked(i, array) for i, array in enumerate(given)]

    def _checked(self, i: int, value: object) -> np.ndarray:
        array, spec = array_of(self.names[i], value), self.specs[i]  # type: ignore[arg-type]  # it is checked there
        if array.dtype.newbyteorder("=") != spec.dtype or array.shape != spec.shape:
            raise InvalidInput(
                f"{self.names[i]}: {array.dtype} of shape {array.shape} is given; the channel has {spec.dtype} of "
                f"shape {spec.shape}"
            )
        return np.ascontiguousarray(array, spec.dtype).reshape(spec.shape)


def _parsed(text: str) -> dict[str, Example]:
    """The tensors of a manifest's text. Raises InvalidInput."""
    try:
        rows = strict_json.loads(text.encode())
    except (ValueError, RecursionError):
        rows = None
    if not isinstance(rows, list) or not all(map(_is_row, rows)):
        raise InvalidInput('specs are a JSON list of ["name", "dtype", [shape]], as `Channel.specs` writes it')
    found: dict[str, Example] = {name: (shape, _dtype_of(name, dtype)) for name, dtype, shape in rows}
    if len(found) < len(rows):
        raise InvalidInput("specs name a tensor twice")
    return found


def _is_row(row: object) -> bool:
    """Whether this is a list of a name, the name of a dtype and a list, which may be a shape."""
    return isinstance(row, list) and list(map(type, row)) == [str, str, list]


def _dtype_of(name: str, dtype: str) -> np.dtype:
    try:
        return dtypes.by_name(dtype)
    except ValueError as error:
        raise InvalidInput(f"{name}: {error}") from None


def _spec_of(name: str, example: Example) -> TensorSpec:
    try:
        name.encode()
    except UnicodeEncodeError:
        raise InvalidInput(f"{name!a}: a name has half of a surrogate pair, which is no letter") from None
    if isinstance(example, tuple):
        found = _of_pair(name, example)
    else:
        array = array_of(name, example)
        found = TensorSpec(array.dtype.newbyteorder("="), array.shape)
    dtypes.code_of(found.dtype)
    if math.prod(filter(None, found.shape)) >= 1 << 48 or len(found.shape) > MAX_NDIM:
        raise InvalidInput(f"{name}: a tensor of 2^48 values or more, or of more than {MAX_NDIM} axes")
    return found


def _of_pair(name: str, pair: tuple[Any, ...]) -> TensorSpec:
    """The tensor of a shape and a dtype. Raises InvalidInput."""
    try:
        shape, dtype = pair
        if dtype is None or isinstance(shape, str | bytes | Mapping | Set):
            raise TypeError
        sizes, found = tuple(shape), np.dtype(dtype).newbyteorder("=")
    except (TypeError, ValueError):
        raise InvalidInput(f"{name}: {pair!r:.200} is not a pair (shape, dtype)") from None
    return TensorSpec(found, tuple(whole_number(f"{name}: each number of a shape", n, 0) for n in sizes))
