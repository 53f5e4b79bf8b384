"""`delta`: an exact copy, coded as changes from a base in units in the last place.

A step of training changes few values of a bfloat16 tensor, and those by one unit or two. Whether it
does follows from the exponent of the value that was there before, and from its row. So the classes
of values are known before decoding, and each has a static table. See spec/compressors/11-delta.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...coding.bitstring import BitReader
from ...coding.rans import decode_numbers, encode_classes, sequence_bits
from ...kernels.entropy import changes as kernels
from ...source import Source
from ..contract import CodedTensor, Decode, Guarantee, Payload, Section, TensorSpec
from ..on_base import BesideBase
from .form import Form, Words
from .numbers import Changed, Coded, decode_changes

_WIDE = 16  # rows are looked at where they have at least so many values
_LOOK = 1 << 17  # so many values decide the head
_NO_ROWS = np.zeros(0, np.int64)


class Zeros:
    """The base of a record that names none: all bits are 0."""

    def __init__(self, spec: TensorSpec) -> None:
        self.dtype, self.shape, self.size = spec.dtype, spec.shape, spec.size

    def read(self, start: int, stop: int) -> np.ndarray:
        return np.zeros(stop - start, self.dtype)


@dataclass(frozen=True)
class Delta(BesideBase):
    """x̂ is x, bit for bit; under a bound, an empty payload may also say that the base is x̂."""

    kinds = ("exact", "alpha")
    work_per_value = 24

    def encode(self, source: Source, guarantee: Guarantee) -> Payload:
        return self.encode_on(source, Zeros(TensorSpec(source.dtype, source.shape)))

    def encode_on(self, source: Source, base: Source) -> Payload:
        form = _form(source, base, TensorSpec(source.dtype, source.shape))
        return Payload(form.pack(), form.tiling.chunk, lambda start, stop: _code(form, source, base, (start, stop)))

    @classmethod
    def unchanged(cls, spec: TensorSpec) -> Payload:
        return Payload(b"", Form(spec, 0, False).tiling.chunk, lambda start, stop: b"")

    @classmethod
    def decoder(cls, head: bytes, spec: TensorSpec) -> Decode:
        return cls.decoder_on(head, spec, Zeros(spec))

    @classmethod
    def decoder_on(cls, head: bytes, spec: TensorSpec, base: Source) -> Decode:
        form, words = Form.unpack(head, spec) if head else None, Words.of(spec.dtype)

        def decode(data: bytes, start: int, count: int) -> np.ndarray:
            if not data:
                return np.array(base.read(start, start + count))
            reader = BitReader(data, "delta chunk")
            if form is None:
                raise reader.corrupt("has bytes, though the head says that nothing has changed")
            below = words.read(base, start, start + count)
            rows = decode_numbers(reader, form.rows(start, start + count)) if form.by_rows else _NO_ROWS
            classes = form.classes(below, start, rows)
            found: np.ndarray = decode_changes(reader, below, classes, words).view(spec.dtype)
            if spec.dtype == np.bool_ and found.view(np.uint8).max(initial=0) > 1:
                raise reader.corrupt("a bool is neither 0 nor 1")
            return found

        return decode

    @classmethod
    def sections(cls, coded: CodedTensor) -> Sequence[Section]:
        """The chunks in which nothing has changed take no bits."""
        head = 8.0 * len(coded.payload.head)
        same = sum(not coded.payload.code(*span) for span in coded.spans)
        note = f"{same:,} of {len(coded.spans):,} are as the base is" if same else ""
        return Section("head", head), Section("changes", coded.bits - head, note=note)


def _form(source: Source, base: Source, spec: TensorSpec) -> Form:
    """The head: chosen by some whole rows of the middle chunk."""
    form, words = Form(spec, 0, False), Words.of(spec.dtype)
    spans, width = form.tiling.spans(), form.tiling.width
    start, stop = spans[len(spans) // 2]
    span = start, min(stop, start + max(_LOOK // width, 1) * width)
    below = words.read(base, *span)
    form = Form(spec, int(kernels.largest_exponent(below, words.shift, words.mask)), False)
    by_rows = Form(spec, form.top, True)
    if form.tiling.width < _WIDE or form.rows(*span) < 2:
        return form
    changed = Changed.of(words.read(source, *span), below, words)
    if not changed.largest:
        return form
    plain = Coded.of(changed, form.classes(below, span[0], _NO_ROWS)).bits
    rows = _rows(by_rows, changed, span)
    classes = form.classes(below, span[0], rows)
    return by_rows if Coded.of(changed, classes).bits + sequence_bits(rows) < plain else form


def _rows(form: Form, changed: Changed, span: tuple[int, int]) -> np.ndarray:
    """The number of each row, int64: the logarithm of how far it has moved; 0 where it has not."""
    moved = form.moved(*changed.args, *span)
    logs = np.rint(np.log2(np.maximum(moved, 1e-300)))
    rows: np.ndarray = np.where(moved > 0, logs - logs[moved > 0].min(initial=np.inf) + 1, 0)
    numbers_of_rows: np.ndarray = np.clip(rows, 0, 31).astype(np.int64)
    return numbers_of_rows


def _code(form: Form, source: Source, base: Source, span: tuple[int, int]) -> bytes:
    """The bytes of a chunk; none if nothing has changed."""
    words = form.words
    below = words.read(base, *span)
    changed = Changed.of(words.read(source, *span), below, words)
    if not changed.largest:
        return b""
    rows = _rows(form, changed, span) if form.by_rows else _NO_ROWS
    side = encode_classes(rows) if form.by_rows else b""
    return side + Coded.of(changed, form.classes(below, span[0], rows)).encode()
