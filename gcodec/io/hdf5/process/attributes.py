"""Attributes of HDF5 objects as the library has them in memory: copied and compared unconverted.

numpy has no dtype for much that an attribute can be: a text that fills its bytes and ends in no
zero, for one, loses its last byte on the way to numpy's kind of text and back.
"""

import ctypes
import struct
from collections.abc import Iterator

import numpy as np
from h5py import h5, h5a, h5g, h5p, h5s, h5t
from h5py._objects import ObjectID

_SEQUENCE = struct.Struct("@NP")  # what a ragged array is in memory: how many values, and where they are
_ADDRESS = struct.Struct("@P")  # and a text of any length


def attributes_of(item: ObjectID) -> Iterator[h5a.AttrID]:
    """The attributes of an object; those of a group that tracks it in the order they were made."""
    tracks = isinstance(item, h5g.GroupID) and (
        item.get_create_plist().get_attr_creation_order() & h5p.CRT_ORDER_TRACKED
    )
    order = h5.INDEX_CRT_ORDER if tracks else h5.INDEX_NAME
    for i in range(h5a.get_num_attrs(item)):
        yield h5a.open(item, index=i, index_type=order)


def copy_attribute(attribute: h5a.AttrID, group: h5g.GroupID) -> None:
    """Give a group an attribute of the same name, type, extent and bytes."""
    made = h5a.create(group, attribute.name, attribute.get_type(), attribute.get_space())
    if not _is_null(attribute):
        made.write(_in_memory(attribute), mtype=made.get_type())


def equal_attributes(item: ObjectID, other: ObjectID) -> bool:
    """Whether two objects have the same attributes in the same order, bit for bit."""
    mine, theirs = list(attributes_of(item)), list(attributes_of(other))
    return len(mine) == len(theirs) and all(map(_equal, mine, theirs))


def _equal(one: h5a.AttrID, other: h5a.AttrID) -> bool:
    return _described(one) == _described(other) and _values(one) == _values(other)


def _described(attribute: h5a.AttrID) -> tuple[object, ...]:
    space = attribute.get_space()
    extent = () if _is_null(attribute) else (space.get_simple_extent_dims(), space.get_simple_extent_dims(True))
    name = attribute.name, h5a.get_info(attribute).cset
    return name, attribute.get_type(), space.get_simple_extent_type(), extent


def _is_null(attribute: h5a.AttrID) -> bool:
    return bool(attribute.get_space().get_simple_extent_type() == h5s.NULL)


def _in_memory(attribute: h5a.AttrID) -> np.ndarray:
    """The values as the library has them, with the addresses of what is of no fixed length."""
    kind = attribute.get_type()
    values = np.zeros(attribute.shape, f"V{kind.get_size()}")
    attribute.read(values, mtype=kind)
    return values


def _values(attribute: h5a.AttrID) -> list[bytes | None]:
    if _is_null(attribute):
        return []
    return list(_followed(attribute.get_type(), _in_memory(attribute).tobytes()))


def _followed(kind: h5t.TypeID, data: bytes) -> Iterator[bytes | None]:
    """The bytes of values of a type, with what their addresses lead to in place of these."""
    size = kind.get_size()
    for value in (data[at : at + size] for at in range(0, len(data), size)):
        if isinstance(kind, h5t.TypeStringID) and kind.is_variable_str():
            (address,) = _ADDRESS.unpack(value)
            yield ctypes.string_at(address) if address else None
        elif isinstance(kind, h5t.TypeVlenID):
            count, address = _SEQUENCE.unpack(value)
            base = kind.get_super()
            yield str(count).encode()
            yield from _followed(base, ctypes.string_at(address, count * base.get_size()) if count else b"")
        elif isinstance(kind, h5t.TypeArrayID):
            yield from _followed(kind.get_super(), value)
        elif isinstance(kind, h5t.TypeCompoundID):
            for i in range(kind.get_nmembers()):
                at, member = kind.get_member_offset(i), kind.get_member_type(i)
                yield from _followed(member, value[at : at + member.get_size()])
        else:
            yield value
