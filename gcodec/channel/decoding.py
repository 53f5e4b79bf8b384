"""Messages back to arrays."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from .. import dtypes, ieee
from ..compressors import registry
from ..compressors.contract import TensorSpec
from ..container.budget import FREE_WORK, WORK_PER_ACCEPTED
from ..container.fields import crc32
from ..dtypes import as_bytes
from ..errors import ChecksumMismatch, LimitExceeded, OutOfMemory
from ..pipeline.decompress import decoded
from ..source import spans
from .joined import split
from .manifest import Manifest
from .message import ZERO, Message, Parcel


@contextmanager
def enough_memory(manifest: Manifest) -> Iterator[None]:
    """Raise OutOfMemory where the system gives too little memory for what is done within."""
    try:
        yield
    except MemoryError as error:
        size = sum(spec.size * spec.dtype.itemsize for spec in manifest.specs)
        raise OutOfMemory(f"message: the system gives too little memory for its tensors, of {size} bytes") from error


@ieee.arithmetic()
def arrays_of(message: Message, manifest: Manifest) -> list[np.ndarray]:
    """The arrays of a message, in the order of the manifest.

    Raises an error of the FormatError family, UnsupportedFeature and LimitExceeded.
    """
    kind, specs = message.guarantee.kind, manifest.specs
    arrays = [np.zeros(() if spec.size else spec.shape, spec.dtype) for spec in specs]
    alone, small = manifest.alone(kind), manifest.joined(kind)
    coded = [as_coded(specs[i], kind) for i in alone]
    if small:
        coded.append(TensorSpec(np.dtype(np.float32), (sum(specs[i].size for i in small),)))
    _check_work(message.parcels, coded)
    vectors = [unpacked(parcel, spec) for parcel, spec in zip(message.parcels, coded, strict=True)]
    if small:
        vectors[-1:] = split(vectors[-1], message.scales, [specs[i].shape for i in small])
    for i, vector in zip((*alone, *small), vectors, strict=True):
        arrays[i] = dtypes.narrow(vector, specs[i].dtype)
    if crc_of(arrays) != message.values:
        raise ChecksumMismatch("message: it decodes to other values than it was encoded from")
    return arrays


def unpacked(parcel: Parcel, spec: TensorSpec) -> np.ndarray:
    """The values of a parcel, of this dtype and shape, without the scales of joined tensors.

    Raises an error of the FormatError family, and UnsupportedFeature.
    """
    if parcel.method == ZERO:
        return np.zeros(spec.shape, spec.dtype)
    entry = registry.by_id(parcel.method)
    decode = entry.load().decoder(parcel.head, spec)
    parts = [
        decoded(entry, spec.dtype, decode, data, span)
        for data, span in zip(parcel.chunks, spans(spec.size, parcel.chunk), strict=True)
    ]
    whole: np.ndarray = parts[0] if len(parts) == 1 else np.concatenate(parts)
    return whole.reshape(spec.shape)


def as_coded(spec: TensorSpec, kind: str) -> TensorSpec:
    """The tensor with the dtype that it is coded in: under alpha, the work dtype."""
    if kind == "alpha" and dtypes.is_float(spec.dtype):
        return TensorSpec(dtypes.work_dtype(spec.dtype), spec.shape)
    return spec


def crc_of(arrays: Sequence[np.ndarray]) -> int:
    """The crc of the arrays' bytes, one after the other."""
    crc = 0
    for array in arrays:
        crc = crc32(as_bytes(array.reshape(-1)), crc)
    return crc


def _check_work(parcels: Sequence[Parcel], specs: Sequence[TensorSpec]) -> None:
    """Raise LimitExceeded for parcels that take more work than tensors of their size may."""
    pairs = [pair for pair in zip(parcels, specs, strict=True) if pair[0].method != ZERO]
    work = sum(registry.by_id(parcel.method).load().work(parcel.head, spec) for parcel, spec in pairs)
    accepted = max(FREE_WORK, WORK_PER_ACCEPTED * sum(spec.size * spec.dtype.itemsize for spec in specs))
    if work > accepted:
        raise LimitExceeded(
            f"message: decoding would take about {work / 1e9:.1f} s; {accepted / 1e9:.1f} s are accepted for tensors of "
            "this size"
        )
