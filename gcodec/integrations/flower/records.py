"""Flower's records as arrays, and the bytes of gcodec as records.

A coded record has one entry for each piece of bytes. Its key is a word of `KINDS` and the number of
a step, such as "update 7":

    whole 3    a container: the model after step 3
    update 4   an update (spec/updates.md): the change of the model from step 3 to step 4
    have 4     no bytes: the client has the model after step 4 already
    change 4   a channel's message (spec/message.md): what training changed in the model of step 4
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

import gcodec
from gcodec.errors import Corrupt, InvalidInput, NonFinite

try:
    from flwr.app import Array, ArrayRecord, Error, Message, RecordDict
    from flwr.common.constant import ErrorCode
except ImportError as error:
    raise ImportError("flwr 1.42 or later is not installed; install it with: pip install 'gcodec[flower]'") from error

Arrays = dict[str, np.ndarray]
STYPE = "gcodec"  # in the place of Flower's "numpy.ndarray"; its own `Array.numpy` refuses others
KINDS = ("whole", "update", "have", "change")


class Entry(NamedTuple):
    """A piece of bytes. kind: one of `KINDS`. step: that of the model that it leads to."""

    kind: str
    step: int
    data: bytes


def packed(entries: Iterable[Entry]) -> ArrayRecord:
    """The coded record of these entries."""
    return ArrayRecord(
        {
            f"{kind} {step}": Array(dtype="uint8", shape=(len(data),), stype=STYPE, data=data)
            for kind, step, data in entries
        }
    )


def unpacked(record: ArrayRecord) -> list[Entry]:
    """The entries of a coded record. Raises Corrupt for a record that has none, or others."""
    return [_entry(key, array) for key, array in record.items()]


def _entry(key: str, array: Array) -> Entry:
    kind, _, step = key.partition(" ")
    if array.stype != STYPE or kind not in KINDS or not (step.isascii() and step.isdecimal()) or len(step) > 18:
        raise Corrupt(f"the entry {key[:80]!r} of stype {array.stype[:80]!r} is none of gcodec's")
    return Entry(kind, int(step), bytes(array.data))


def is_coded(record: ArrayRecord) -> bool:
    """Whether any entry is of gcodec."""
    return any(array.stype == STYPE for array in record.values())


def only_arrays(content: RecordDict) -> tuple[str, ArrayRecord]:
    """(key, record) of the one ArrayRecord. Raises InvalidInput for none and for several."""
    found: list[tuple[str, ArrayRecord]] = list(content.array_records.items())
    if len(found) != 1:
        raise InvalidInput(f"the message has {len(found)} ArrayRecords; gcodec codes messages that have exactly one")
    return found[0]


def with_arrays(content: RecordDict, key: str, record: ArrayRecord) -> RecordDict:
    """A copy of a message's content with another record at this key."""
    return RecordDict({name: record if name == key else other for name, other in content.items()})


def arrays_of(record: ArrayRecord) -> Arrays:
    """The plain arrays of a record, by name. Raises InvalidInput for what Flower cannot read."""
    try:
        return {name: array.numpy() for name, array in record.items()}
    except (TypeError, ValueError, EOFError) as error:
        raise InvalidInput(f"an array of the record cannot be read: {error}") from None


def record_of(arrays: Mapping[str, np.ndarray]) -> ArrayRecord:
    return ArrayRecord({name: Array(np.asarray(array)) for name, array in arrays.items()})


def failed(reason: str, message: Message) -> Message:
    """The reply to a message that says why there is no other one. Flower shows it, and goes on."""
    return Message(Error(code=ErrorCode.MOD_FAILED_PRECONDITION, reason=reason), reply_to=message)


def is_float(dtype: Any) -> bool:
    return np.issubdtype(dtype, np.floating)


def wide(array: np.ndarray) -> np.ndarray:
    """The array in the dtype that changes are computed in: float64, or float32 for all smaller."""
    return array if array.dtype == np.float64 else array.astype(np.float32)


def change_of(array: np.ndarray, have: np.ndarray) -> np.ndarray:
    """What is sent of an array to who has another: the difference; for other than floats itself."""
    return wide(array) - wide(have) if is_float(array.dtype) else array


def channel_of(model: Mapping[str, np.ndarray], **options: Any) -> gcodec.Channel:
    """A channel for the changes of a model."""
    return gcodec.Channel({name: change_of(array, array) for name, array in model.items()}, **options)


def check_like(arrays: Mapping[str, np.ndarray], model: Mapping[str, np.ndarray]) -> None:
    """Raise InvalidInput unless these are arrays of the model's names, shapes and dtypes."""
    if set(arrays) != set(model):
        other = sorted(set(arrays) ^ set(model))[0]
        raise InvalidInput(f"the arrays differ from those of the model in {other!r}; send exactly the model's")
    for name, have in model.items():
        if (arrays[name].shape, arrays[name].dtype) != (have.shape, have.dtype):
            raise InvalidInput(
                f"{name}: {arrays[name].dtype} of shape {arrays[name].shape} is given; the model has {have.dtype} of "
                f"shape {have.shape}"
            )


def check_finite(where: str, array: np.ndarray) -> None:
    """Raise NonFinite for an array with NaN or infinity."""
    if is_float(array.dtype) and not np.isfinite(array).all():
        raise NonFinite(f"{where} {np.count_nonzero(~np.isfinite(array))} values that are NaN or infinite")
