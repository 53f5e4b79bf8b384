"""The most that a method may ask of a reader.

These are valid containers of at most 64 kB, each as large as `Budget` accepts.
"""

from dataclasses import dataclass, replace
from functools import cache
from zlib import crc32

import numpy as np
from vectors import gcz

from gcodec import dtypes
from gcodec.compressors import registry
from gcodec.compressors.contract import TensorSpec
from gcodec.compressors.spherical.plan import Plan
from gcodec.container.budget import Budget
from gcodec.container.fields import pack_text, pack_varint
from gcodec.container.layout import TensorHeader
from gcodec.kernels import spherical_tree

from .hostile import MOST, klt_head, klt_zeros, spherical_head, zero_planes

LONGEST = 1 << 16  # bytes of a container


@dataclass(frozen=True)
class Costly:
    """Chunks of rows × columns values of a dtype, all of the same coded bytes, `least` or more.

    records: one with many, or many with one. Another record, of noise, pays for decoded bytes.
    """

    name: str
    method: str
    head: bytes
    chunk: bytes
    rows: int = MOST
    columns: int = 1
    dtype: str = "float32"
    records: bool = False
    least: int = 1

    @property
    def chunk_bytes(self) -> int:
        """Decoded bytes of a chunk."""
        return self.rows * self.columns * dtypes.by_name(self.dtype).itemsize

    def data(self) -> bytes:
        """The largest container that is accepted."""
        few, many = self.least, 1 << 13
        while few + 1 < many:
            middle = (few + many) // 2
            few, many = (middle, many) if self._is_accepted(middle) else (few, middle)
        return self._container(few, checked=True)

    def _is_accepted(self, chunks: int) -> bool:
        data = self._container(chunks, checked=False)
        budget = Budget(length=len(data))
        for record in self._records(chunks, checked=False):
            header = TensorHeader.unpack(b"".join(record.fields.values()))
            budget.add(header, registry.by_id(header.compressor).load().work(record.head, header.spec))
        return not budget.exceeded and len(data) <= LONGEST

    def _container(self, chunks: int, checked: bool) -> bytes:
        return gcz.container(*self._records(chunks, checked))

    def _records(self, chunks: int, checked: bool) -> list[gcz.Record]:
        one = self._record(self._checksums(1 if self.records else chunks, checked))
        several = [one.but(name=pack_text(str(i))) for i in range(chunks)] if self.records else [one]
        room = LONGEST - len(gcz.container(*several)) - 400
        return [*([_noise(room)] if room > 0 else ()), *several]

    def _checksums(self, chunks: int, checked: bool) -> tuple[int, ...]:
        """Of the decoded chunks, if they are asked for."""
        if not checked:
            return (0,) * chunks
        dtype, size = dtypes.by_name(self.dtype), self.rows * self.columns
        decode = registry.by_name(self.method).load().decoder(self.head, TensorSpec(dtype, self._shape(chunks)))
        parts = (decode(self.chunk, i * size, size) for i in range(chunks))
        return tuple(crc32(dtypes.narrow(part, dtype).tobytes()) for part in parts)

    def _shape(self, chunks: int) -> tuple[int, ...]:
        return self.rows * chunks, self.columns

    def _record(self, crcs: tuple[int, ...]) -> gcz.Record:
        bound = 0.0 if self.method == "lossless" else 0.1
        small = gcz.record("", np.ones(1, dtypes.by_name(self.dtype)), self.method, bound)
        dims = b"".join(map(pack_varint, self._shape(len(crcs))))
        fields = {"ndim": b"\x02", "dims": dims, "chunk": pack_varint(self.rows * self.columns)}
        return replace(small, decoded=crcs).but(**fields).holding(self.head, [self.chunk] * len(crcs))


def cases() -> list[Costly]:
    ordinary = {method: _coded(method, _last()) for method in ("sd", "rsd", "ecsq", "tcq", "klt", "dither")}
    one = {method: _coded(method, np.ones(1, np.float32)) for method in ordinary if method != "dither"}
    small = np.outer(np.arange(1, 65), np.arange(1, 65)).astype(np.float32)
    return [
        *(Costly(f"{method}: zeros", method, *coded) for method, coded in ordinary.items()),
        *(Costly(f"{method}: float8", method, *ordinary[method], dtype="float8_e4m3fn") for method in ("sd", "tcq")),
        *(Costly(f"{method}: chunks of one value", method, *coded, rows=1) for method, coded in one.items()),
        *(Costly(f"{method}: many records", method, *coded, rows=1, records=True) for method, coded in one.items()),
        Costly("lossless: zeros", "lossless", b"", zero_planes(4)),
        Costly("lossless: complex zeros", "lossless", b"", zero_planes(8, 2 * MOST), dtype="complex128"),
        Costly("sc: splits", "sc", spherical_head(128, 15), _splits(128, 15)),
        Costly("sc: long blocks", "sc", spherical_head(128, 15), _ones(128, 15)),
        Costly("sc: short chunks", "sc", spherical_head(128, 15), _splits(128, 15, 128), rows=128),
        Costly("ecsq: classes of columns", "ecsq", *_columns("ecsq"), rows=1, columns=MOST // 2),
        Costly("klt: products", "klt", klt_head(256), klt_zeros(), rows=256, columns=4096),
        Costly("klt: single rows", "klt", klt_head(100), klt_zeros(), rows=1, columns=2048, least=2048),
        Costly("klt: first factors", "klt", klt_head(300), klt_zeros(), rows=300, columns=300, records=True),
        Costly("klt: small matrices", "klt", *_coded("klt", small), rows=64, columns=64, records=True),
    ]


@cache
def _noise(size: int) -> gcz.Record:
    return gcz.record("paid", np.random.default_rng(0).integers(0, 256, size, np.uint8), "lossless")


def _last() -> np.ndarray:
    """Zeros, and one last value: the places of all are coded, in hardly any bits."""
    return np.eye(1, MOST, MOST - 1, dtype=np.float32)[0]


def _coded(method: str, array: np.ndarray) -> tuple[bytes, bytes]:
    """Head and chunk of an array."""
    options = {"effort": "fast"} if method in ("tcq", "klt") else {}
    record = gcz.record("", array, method, 0.1, **options)
    return record.head, record.chunks[0]


def _splits(length: int, classes: int, size: int = MOST) -> bytes:
    """A chunk of sc in which every block is split down to zeros."""
    lengths = {1 << i: size >> i for i in range(length.bit_length())}
    return _tree(
        length, classes, size, {k: np.full(count, 0 if k == 1 else classes + 1) for k, count in lengths.items()}
    )


def _ones(length: int, classes: int) -> bytes:
    """A chunk of sc whose blocks all have the first direction."""
    return _tree(length, classes, MOST, {length: np.ones(MOST // length, np.int64)})


def _tree(length: int, classes: int, size: int, levels: dict[int, np.ndarray]) -> bytes:
    plan = Plan.unpack(spherical_head(length, classes))
    cursor, at = np.zeros(length + 1, np.int64), 0
    for k, some in levels.items():
        cursor[k], at = at, at + some.size
    every, out = np.concatenate(list(levels.values())), np.zeros(1 << 20, np.uint8)
    none = np.zeros_like(every)
    taken = spherical_tree.write_tree(size, length, plan.counts, plan.base, plan.moduli, cursor, every, none, out)
    return out[:taken].tobytes()


def _columns(method: str) -> tuple[bytes, bytes]:
    """Head and chunk of rows as long as they can be with classes for columns."""
    array = np.zeros((2, MOST // 2), np.float32)
    array[:, :: MOST >> 8] = 100
    return _coded(method, array)
