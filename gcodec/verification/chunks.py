"""Checks of an HDF5 dataset whose chunks are containers, one chunk after the other."""

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from ..compressors.contract import Check
from ..container.describe import method_name
from ..distortion import SLACK, exceeds, part_error, scan_source, whole_error
from ..dtypes import is_float
from ..errors import InvalidInput
from ..io.hdf5.coded.source import CodedSource
from ..source import ArraySource, Source
from .tensors import FURTHEST
from .verify import verify


@dataclass(frozen=True)
class DatasetReport:
    """What a dataset promises, how its chunks are coded, and which of their checks fail.

    chunks, raw: how many are stored, and how many of these without the filter. nbytes: of what is
    stored. methods: of the chunks, in alphabetical order. checks: of all chunks together, and those
    that fail. error: the largest of a chunk against an original, measured as the promise says; None
    where none was given, or no chunk is lossy.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    guarantee: tuple[str, float]
    methods: tuple[str, ...]
    chunks: int
    raw: int
    nbytes: int
    checks: tuple[Check, ...] = ()
    error: float | None = None

    @property
    def ok(self) -> bool:
        return all(check.ok for check in self.checks)

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        kind, bound = self.guarantee
        data: dict[str, Any] = {
            "name": self.name, "dtype": self.dtype, "shape": list(self.shape),
            "guarantee": {"class": kind, "bound": bound}, "methods": list(self.methods),
            "chunks": self.chunks, "raw_chunks": self.raw, "bytes": self.nbytes,
        }  # fmt: skip
        data |= {"checks": [asdict(check) for check in self.checks]} if self.checks else {}
        known = self.error if self.error is not None and math.isfinite(self.error) else None
        return data | ({} if self.error is None else {"error": known})


def describe_dataset(name: str, source: CodedSource) -> DatasetReport:
    """What a dataset and the headers of its chunks say; nothing is decoded.

    Raises Corrupt for a chunk that is not what the dataset says.
    """
    methods, raw, nbytes = set[str](), 0, 0
    for number, data in source.containers():
        if data is None:
            raw, nbytes = raw + 1, nbytes + source.about.chunk_bytes
        else:
            methods.add(method_name(source.header(number, data)))
            nbytes += len(data)
    promise, count = (source.coded.kind, source.coded.bound), len(source.coded.numbers)
    dtype, ways = str(source.dtype), tuple(sorted(methods))
    return DatasetReport(name, dtype, source.shape, promise, ways, count, raw, nbytes)


def verify_dataset(name: str, source: CodedSource, original: Source | None, threads: int | None) -> DatasetReport:
    """The checks of each chunk, and whether it is as near to its part of the original as promised.

    Raises InvalidInput for an original of another dtype or shape, and what decoding raises.
    """
    if original is not None and (original.shape, original.dtype) != (source.shape, source.dtype):
        raise InvalidInput(
            f"dataset {name!r} is {source.dtype} of shape {source.shape}, "
            f"but the original is {original.dtype} of shape {original.shape}"
        )
    about, failures, errors = describe_dataset(name, source), list[Check](), list[float]()
    array = None if original is None else original.read(0, original.size).reshape(original.shape)
    for number, data in source.containers():
        with source.naming(number):
            failed = [] if data is None else _failed(data, threads)
        if array is not None:
            error, broken = _against(source, number, array)
            failed += broken
            errors += [] if error is None else [error]
        failures += [Check(f"chunk at {source.origin(number)}: {check.name}", False, check.detail) for check in failed]
    wrong = len({check.name.partition(":")[0] for check in failures})
    said = f"{about.chunks - wrong} of {about.chunks} keep what the dataset promises"
    largest = max(errors, default=None)
    if largest is not None:
        said += f"; the largest error of a chunk is {source.coded.kind} {largest:.6g}"
    return replace(about, checks=(Check("chunks", not wrong, said), *failures), error=largest)


def _failed(container: bytes, threads: int | None) -> list[Check]:
    """The checks that fail of a container by itself."""
    return [check for tensor in verify(container, threads=threads).tensors for check in tensor.checks if not check.ok]


def _against(source: CodedSource, number: int, array: np.ndarray[Any, Any]) -> tuple[float | None, list[Check]]:
    """A chunk's error against its part of the original array, and what it breaks of the promise.

    The error is None where the dataset or its dtype is exact, or the original is not finite there.
    """
    assert source.about.chunks
    place = tuple(slice(at, at + n) for at, n in zip(source.origin(number), source.about.chunks, strict=True))
    values = np.ascontiguousarray(array[place]).reshape(-1)
    decoded = source.values(number)[tuple(map(slice, array[place].shape))].reshape(-1)
    kind, bound = source.coded.kind, source.coded.bound
    is_lossy = is_float(values.dtype) and kind != "exact"
    if values.tobytes() == decoded.tobytes():
        return (0.0 if is_lossy else None), []
    most = FURTHEST * bound if kind == "omega" else bound  # omega bounds the mean over seeds
    scan = scan_source("", ArraySource(values), "lossless") if is_lossy else None
    if scan is None:
        return None, [Check("values", False, "they are not those of the original")]
    error = whole_error(kind, [part_error(kind, values, decoded, scan)], scan)
    near = kind == "alpha" and bound < error <= bound * (1 + 4 * SLACK)
    if error <= most or (near and not exceeds([(values, decoded)], bound)):
        return error, []
    return error, [Check("error", False, f"{kind} {error:.6g}, where the dataset promises {bound:g}")]
