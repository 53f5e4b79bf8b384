"""A message as a container, so that what reads containers reads messages too."""

import math
from collections.abc import Iterator
from io import BytesIO

import numpy as np

from .. import ieee
from ..compressors import registry
from ..compressors.contract import Guarantee, TensorSpec
from ..container.fields import crc32
from ..container.layout import Chunk, TensorHeader
from ..container.writer import ContainerWriter
from ..dtypes import as_bytes
from ..errors import FormatError, UnsupportedFeature
from ..pipeline import auto
from ..request.choice import choose
from ..source import ArraySource, spans
from .decoding import arrays_of, as_coded, unpacked
from .manifest import Manifest
from .message import ZERO, Message, Parcel

_SMALLEST, _LARGEST = 2.0**-100, math.nextafter(1.0, 0.0)  # bounds of a record under a message's one


def contained(data: bytes, manifest: Manifest) -> bytes:
    """The container of a message's tensors.

    A record has the payload of the message where that gives the tensor by itself. What was joined,
    and what is rounded to another dtype at the end, is stored as it decodes, bit for bit.

    Raises what decoding the message raises.
    """
    message = Message.unpack(data, manifest)
    arrays, kind = arrays_of(message, manifest), message.guarantee.kind
    meta = {"names": list(manifest.names), "bytes": sum(array.nbytes for array in arrays), "message": _about(message)}
    parcels = dict(zip(manifest.alone(kind), message.parcels, strict=False))  # that of the joined ones is left out
    writer = ContainerWriter(file := BytesIO(), meta)
    for i, (name, array) in enumerate(zip(manifest.names, arrays, strict=True)):
        record = _record(name, array, parcels[i], message) if i in parcels else None
        if record is None:
            with auto.compress(name, ArraySource(array), choose(lossless=True, effort="fast", threads=1)) as coded:
                writer.add(coded.header, coded.pieces(), coded.work)
        else:
            writer.add(*record)
    writer.close()
    return file.getvalue()


def _about(message: Message) -> dict[str, object]:
    """What the container says of the message that it came from."""
    guarantee, scope = message.guarantee, "message" if message.whole else "tensor"
    return {"step": message.step, "guarantee": guarantee.kind, "bound": guarantee.bound, "scope": scope}


@ieee.arithmetic()
def _record(
    name: str, array: np.ndarray, parcel: Parcel, message: Message
) -> tuple[TensorHeader, Iterator[bytes], int] | None:
    """(header, body, work) of a parcel; None where it does not decode to the array by itself."""
    spec = TensorSpec(array.dtype, array.shape)
    if not _gives(parcel, array, as_coded(spec, message.guarantee.kind)):
        return None
    compressor, guarantee = registry.by_id(parcel.method).load(), _guarantee(parcel, message)
    pieces = zip(parcel.chunks, spans(array.size, parcel.chunk), strict=True)
    header = TensorHeader(
        name=name,
        spec=spec,
        compressor=parcel.method,
        version=compressor.version,
        guarantee=guarantee,
        distortion=min(parcel.error, guarantee.bound),
        expected=parcel.error if guarantee.kind == "omega" else None,
        chunk=parcel.chunk,
        head_length=len(parcel.head),
        head_crc=crc32(parcel.head),
        chunks=tuple(
            Chunk(len(data), crc32(data), crc32(as_bytes(_flat(array)[slice(*span)]))) for data, span in pieces
        ),
    )
    return header, iter((parcel.head, *parcel.chunks)), compressor.work(parcel.head, spec)


def _gives(parcel: Parcel, array: np.ndarray, coded: TensorSpec) -> bool:
    """Whether the parcel of a sound message gives the array by itself.

    coded: the tensor as the message has it. Bytes that are coded for another dtype than the
    array's may be none for its own.
    """
    if parcel.method == ZERO:
        return False
    try:
        values = unpacked(parcel, TensorSpec(array.dtype, array.shape))
    except (FormatError, UnsupportedFeature):
        if coded.dtype == array.dtype:
            raise
        return False
    return as_bytes(_flat(values)) == as_bytes(_flat(array))


def _guarantee(parcel: Parcel, message: Message) -> Guarantee:
    """What a record of this parcel promises. Under a bound of the whole message, its own error."""
    kinds = registry.by_id(parcel.method).load().kinds
    if message.guarantee.kind not in kinds:
        return Guarantee("exact")
    if message.whole:
        return Guarantee("alpha", min(max(parcel.error, _SMALLEST), _LARGEST))
    return message.guarantee


def _flat(array: np.ndarray) -> np.ndarray:
    return array.reshape(-1)
