"""What a record says about itself, as plain data for `info`, `encode` and `verify`."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ..compressors import registry
from ..errors import UnsupportedFeature
from .effects import Effects
from .layout import TensorHeader

_FEW_BYTES, _SHARE = 1 << 14, 1 / 64  # names that META lists: bytes, and share


def names_in_meta(names: Sequence[str], nbytes: int) -> dict[str, list[str]]:
    """The names for META; none where they are long beside the tensors, of so many bytes."""
    length = sum(map(len, names))
    return {"names": list(names)} if length <= max(_FEW_BYTES, _SHARE * nbytes) else {}


def describe(header: TensorHeader) -> dict[str, Any]:
    """Name, dtype, shape, method, guarantee, certificate and sizes of a record.

    `rate` is the bits of all its bytes per value.
    """
    size = header.spec.size
    length = record_bytes(header)
    effects = Effects.of(header.attributes)
    return {
        "name": header.name,
        "dtype": str(header.spec.dtype),
        "shape": list(header.spec.shape),
        "method": method_name(header),
        "guarantee": {"class": header.guarantee.kind, "bound": header.guarantee.bound},
        "distortion": header.distortion,
        **({"expected_distortion": header.expected} if header.expected is not None else {}),
        **({"effects": asdict(effects)} if effects is not None else {}),
        **{key: header.attributes[key] for key in ("kept", "slices") if key in header.attributes},
        **({"base": asdict(header.base)} if header.base is not None else {}),
        "payload_bits": 8 * header.body_length,
        "bytes": length,
        "rate": 8 * length / size if size else 0.0,
    }


def method_name(header: TensorHeader) -> str:
    """The compressor's name, or `#` and its id when it is not known here."""
    try:
        return registry.by_id(header.compressor).name
    except UnsupportedFeature:
        return f"#{header.compressor}"


def record_bytes(header: TensorHeader) -> int:
    """All bytes of the record in the file: frame, header, checksum and body.

    Of a joined tensor they are its share of those of the block.
    """
    framing = 20 + len(header.pack()) if header.framing is None else header.framing
    return framing + header.body_length


def original_bytes(header: TensorHeader) -> int:
    return header.spec.size * header.spec.dtype.itemsize
