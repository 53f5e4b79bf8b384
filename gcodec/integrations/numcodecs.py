"""numcodecs: arrays to containers of gcodec, for zarr v2 and whatever else uses numcodecs.

    numcodecs.get_codec({"id": "gcodec", "alpha": 0.1})

The codec sees whole chunks alone. When zarr v2 changes a part of a chunk, it decodes, changes and
codes the whole chunk. A chunk with values that were decoded before is stored exactly, so that
errors do not add up; write whole chunks, which stay small.
"""

import io
import sys
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

import gcodec
from gcodec.errors import Corrupt, NonFinite

from .chunks import Settings, missing

try:
    from numcodecs.abc import Codec
    from numcodecs.compat import ensure_bytes, ensure_contiguous_ndarray, ndarray_copy
    from numcodecs.registry import register_codec
except ImportError as error:
    raise missing("numcodecs", "zarr") from error

BIG = "big-endian"  # begins the tensor's name in the chunk of an array whose values lie so in memory
RAW = "MmSUV"  # kinds of dtypes that are no numbers: their bytes are stored exactly


@dataclass(frozen=True, kw_only=True, repr=False)
class Gcodec(Settings, Codec):
    """The codec `gcodec`: an array of numbers in, a container out.

    It codes an array with its dtype and shape (an array in Fortran order as its transpose, which
    lies in memory the same way). What is no floating array, such as bytes, is stored exactly. The
    values come back in the byte order that the array had, because zarr v2 looks at nothing but
    their bytes: in a big-endian array's chunk, the tensor's name begins with "big-endian".
    """

    codec_id: ClassVar[str] = "gcodec"

    def encode(self, buf: Any) -> bytes:
        """The container of an array, or of another object with a buffer.

        Values that this process decoded lately are stored exactly, with the rest of their chunk.
        Raises InvalidInput for a dtype that cannot be stored, and NonFinite.
        """
        array = ensure_contiguous_ndarray(buf, flatten=False)
        if array.dtype.kind in RAW and array.dtype.isbuiltin != 2:
            array = array.reshape(-1, order="A").view(np.uint8)
        is_big = array.dtype.byteorder == ">" or (array.dtype.byteorder == "=" and sys.byteorder == "big")
        try:
            return self.coded_once(array if array.flags.c_contiguous else array.T, BIG if is_big else "")
        except NonFinite as error:
            error.args = (f"{error} (zarr v2 pads a chunk at the edge with its fill value: use 0)",)
            raise

    def decode(self, buf: Any, out: Any = None) -> Any:
        """The values of a container, one after the other as they lay in memory.

        out: a buffer of their size that gets their bytes. Raises what `gcodec.load` raises, and
        Corrupt when the container does not hold one tensor.
        """
        data = ensure_bytes(buf)
        archive = gcodec.open(io.BytesIO(data), threads=1)
        if len(archive) != 1:
            raise Corrupt(f"a chunk must hold one tensor, not {len(archive)}")
        (name,) = archive
        header = archive.header(name)
        self.accept(header.guarantee)
        values = archive[name]
        if name.startswith(BIG) != (sys.byteorder == "big"):
            values = values.astype(values.dtype.newbyteorder("S"))
        self.decoded(values, data, header)
        values = values.reshape(-1)
        return values if out is None else ndarray_copy(values, ensure_contiguous_ndarray(out))

    def get_config(self) -> dict[str, Any]:
        """What `numcodecs.get_codec` makes this codec of again, ready for JSON."""
        return {"id": self.codec_id, **self.given()}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """The codec of a configuration without its id. Raises InvalidInput for one that is none."""
        return cls.parse(config)


register_codec(Gcodec)  # for those who import this file where gcodec is not installed
