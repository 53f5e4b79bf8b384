"""Vectors of 16 numbers, written in the compiler's own language where it finds none by itself.

These are the parts that kernels in vectors are made of, and look-ups in tables of 64 numbers. They
are for processors with AVX-512. Addresses are computed without numba's knowledge of dtypes. So all
arrays must be contiguous and have the dtypes that are named.
"""

from collections.abc import Callable, Sequence

import numba
import numpy as np
from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.core.base import BaseContext
from numba.core.typing import Context, Signature
from numba.extending import intrinsic

from ..compiler.jit import njit
from .rans import count_in_parts

WIDTH = 16  # lanes of a vector
ENTRIES = 64  # those of a table for `look_up`
_RUN, _FEW = 64, 16  # codes that are counted together, and the values that they may have
BYTES = 256  # entries of a table for `translate`
_PLAINLY = 4096  # codes that are counted one by one where some are not plain
_COMPILERS = range(20, 23)  # versions of LLVM
_FEATURES = ("avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512vbmi", "avx512vbmi2")
BIT, BYTE, HALF, WORD, LONG = (ir.IntType(bits) for bits in (1, 8, 16, 32, 64))


def _supported() -> bool:
    """Whether these kernels are fast here.

    They are compiled for this very processor, by an LLVM that has the operations.
    """
    elsewhere = numba.config.DISABLE_JIT or numba.config.CPU_NAME or numba.config.CPU_FEATURES
    if elsewhere or binding.llvm_version_info[0] not in _COMPILERS:
        return False
    try:
        features = binding.get_host_cpu_features()
    except RuntimeError:  # unknown on this platform
        return False
    return all(features.get(name) for name in _FEATURES)


SUPPORTED = _supported()


def vector(element: ir.Type) -> ir.VectorType:
    return ir.VectorType(element, WIDTH)


def each(element: ir.Type, value: int) -> ir.Constant:
    return ir.Constant(vector(element), [value] * WIDTH)


def pointer(builder: ir.IRBuilder, address: ir.Value, element: ir.Type) -> ir.Value:
    return builder.inttoptr(address, element.as_pointer())


def load(builder: ir.IRBuilder, address: ir.Value, element: ir.Type) -> ir.Value:
    return builder.load(pointer(builder, address, vector(element)), align=element.width // 8)


def store(builder: ir.IRBuilder, vector: ir.Value, address: ir.Value) -> None:
    builder.store(vector, pointer(builder, address, vector.type), align=vector.type.element.width // 8)


def call(builder: ir.IRBuilder, name: str, result: ir.Type, *args: ir.Value) -> ir.Value:
    function = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(result, [arg.type for arg in args]), f"llvm.{name}"
    )
    return builder.call(function, args)


def gather(builder: ir.IRBuilder, base: ir.Value, indices: ir.Value) -> ir.Value:
    """The uint32 numbers at these places, below 2³¹, of the table at the address `base`."""
    args = each(WORD, 0), pointer(builder, base, BYTE), indices, each(BIT, 1), WORD(4)
    return call(builder, "x86.avx512.mask.gather.dpi.512", vector(WORD), *args)


def count(builder: ir.IRBuilder, mask: ir.Value) -> ir.Value:
    """How many lanes a mask has, as int64."""
    return builder.zext(call(builder, "ctpop.i16", HALF, builder.bitcast(mask, HALF)), LONG)


def backwards(builder: ir.IRBuilder, numbers: ir.Value) -> ir.Value:
    order = ir.Constant(vector(WORD), list(range(WIDTH - 1, -1, -1)))
    return builder.shuffle_vector(numbers, numbers, order)


def splat(builder: ir.IRBuilder, value: ir.Value) -> ir.Value:
    """A uint32 number in all lanes."""
    none = ir.Constant(vector(WORD), ir.Undefined)
    return builder.shuffle_vector(builder.insert_element(none, value, WORD(0)), none, each(WORD, 0))


def where(builder: ir.IRBuilder, bit: ir.Value, value: ir.Value) -> ir.Value:
    """The number `value` in the lanes whose bit, 0 or 1, is set, else 0."""
    return builder.and_(builder.sub(each(WORD, 0), bit), splat(builder, value))


def entries(builder: ir.IRBuilder, table: ir.Value, places: ir.Value, size: int = ENTRIES) -> ir.Value:
    """The numbers of 16 or 32 bits at these places of a table of 32 or 64, which is at an address.

    It takes a tenth of the time of `gather`.
    """
    kind, step = places.type, _RUN // (places.type.element.width // 8)
    name = f"x86.avx512.vpermi2var.{'d' if step == WIDTH else 'hi'}.512"
    first = builder.inttoptr(table, kind.as_pointer())
    parts = [builder.load(builder.gep(first, [WORD(at)]), align=1) for at in range(size // step)]
    halves = [call(builder, name, kind, low, places, high) for low, high in zip(parts[::2], parts[1::2], strict=True)]
    if len(halves) == 2:
        return builder.select(builder.icmp_unsigned("<", places, each(WORD, 32)), *halves)
    return halves[0]


@intrinsic
def are_alike(typingctx: Context, numbers: types.Type) -> tuple[Signature, Callable[..., ir.Value]]:
    """Whether 16 numbers of 8 bits at an address are equal."""

    def code(context: BaseContext, b: ir.IRBuilder, signature: Signature, args: Sequence[ir.Value]) -> ir.Value:
        found = load(b, args[0], BYTE)
        first = b.shuffle_vector(found, found, each(WORD, 0))
        return b.icmp_unsigned("==", b.bitcast(b.icmp_unsigned("==", found, first), HALF), HALF(0xFFFF))

    return types.boolean(types.uint64), code


def _make_look_up(element: ir.IntType, size: int) -> Callable[..., None]:
    """A step that looks up as many numbers as fit a vector, in a table with `size` entries."""
    lanes = 8 * _RUN // element.width

    @intrinsic
    def step(
        typingctx: Context, places: types.Type, table: types.Type, out: types.Type
    ) -> tuple[Signature, Callable[..., ir.Value]]:
        """All arguments are addresses."""

        def code(context: BaseContext, b: ir.IRBuilder, signature: Signature, args: Sequence[ir.Value]) -> ir.Value:
            found = b.load(b.inttoptr(args[0], ir.VectorType(BYTE, lanes).as_pointer()), align=1)
            wide = b.zext(found, ir.VectorType(element, lanes))
            store(b, entries(b, args[1], wide, size), args[2])
            return context.get_dummy_value()

        return types.void(types.uint64, types.uint64, types.uint64), code

    return step


_words_up, _low_words_up, _halves_up = (_make_look_up(WORD, 64), _make_look_up(WORD, 32), _make_look_up(HALF, 64))


@njit
def _look_up_plainly(places: np.ndarray, table: np.ndarray, out: np.ndarray) -> None:
    """out[i] = table[places[i]]. places: uint8, below ENTRIES. table: of the dtype of `out`."""
    for i in range(places.size):
        out[i] = table[places[i]]


@njit
def _look_up_in_vectors(places: np.ndarray, table: np.ndarray, out: np.ndarray) -> None:
    whole = places.size // _RUN * _RUN if out.itemsize == 4 or out.itemsize == 2 else 0
    of, to = np.uint64(places.ctypes.data), np.uint64(out.ctypes.data)
    for i in range(0, whole, _RUN // out.itemsize):
        if out.itemsize == 4:
            _words_up(of + np.uint64(i), np.uint64(table.ctypes.data), to + np.uint64(4 * i))
        else:
            _halves_up(of + np.uint64(i), np.uint64(table.ctypes.data), to + np.uint64(2 * i))
    _look_up_plainly(places[whole:], table, out[whole:])


@njit
def _look_up_low(places: np.ndarray, table: np.ndarray, out: np.ndarray) -> None:
    """As `look_up`, where all places are below 32."""
    if out.itemsize == 4 and places.size % WIDTH == 0:
        of, to = np.uint64(places.ctypes.data), np.uint64(out.ctypes.data)
        for i in range(0, places.size, WIDTH):
            _low_words_up(of + np.uint64(i), np.uint64(table.ctypes.data), to + np.uint64(4 * i))
    else:
        _look_up_plainly(places, table, out)


look_up, look_up_low = (_look_up_in_vectors, _look_up_low) if SUPPORTED else (_look_up_plainly, _look_up_plainly)


@intrinsic
def _translate_step(
    typingctx: Context, numbers: types.Type, table: types.Type, out: types.Type
) -> tuple[Signature, Callable[..., ir.Value]]:
    run = ir.VectorType(BYTE, _RUN)

    def code(context: BaseContext, b: ir.IRBuilder, signature: Signature, args: Sequence[ir.Value]) -> ir.Value:
        numbers, table, out = args
        parts = [b.load(b.inttoptr(b.add(table, LONG(at)), run.as_pointer()), align=1) for at in range(0, BYTES, _RUN)]
        places = b.load(b.inttoptr(numbers, run.as_pointer()), align=1)
        low, high = (call(b, "x86.avx512.vpermi2var.qi.512", run, parts[at], places, parts[at + 1]) for at in (0, 2))
        is_low = b.icmp_signed(">=", places, ir.Constant(run, [0] * _RUN))
        b.store(b.select(is_low, low, high), b.inttoptr(out, run.as_pointer()), align=1)
        return context.get_dummy_value()

    return types.void(types.uint64, types.uint64, types.uint64), code


@njit
def _translate_plainly(numbers: np.ndarray, table: np.ndarray, out: np.ndarray) -> None:
    """out[i] = table[numbers[i]]; all uint8. table: it has BYTES entries."""
    for i in range(numbers.size):
        out[i] = table[numbers[i]]


@njit
def _translate_in_vectors(numbers: np.ndarray, table: np.ndarray, out: np.ndarray) -> None:
    whole = numbers.size // _RUN * _RUN
    for i in range(0, whole, _RUN):
        at = np.uint64(i)
        _translate_step(
            np.uint64(numbers.ctypes.data) + at, np.uint64(table.ctypes.data), np.uint64(out.ctypes.data) + at
        )
    _translate_plainly(numbers[whole:], table, out[whole:])


translate = _translate_in_vectors if SUPPORTED else _translate_plainly


@intrinsic
def _tally(
    typingctx: Context, codes: types.Type, classes: types.Type, counts: types.Type
) -> tuple[Signature, Callable[..., ir.Value]]:
    """Count 64 codes in a table of uint32; returns False, with nothing done, if they are not plain.

    Codes are plain if all of them are below 16, and all of one class. All arguments are addresses.
    """
    run = ir.VectorType(BYTE, _RUN)

    def same(value: int) -> ir.Constant:
        return ir.Constant(run, [value] * _RUN)

    def code(context: BaseContext, b: ir.IRBuilder, signature: Signature, args: Sequence[ir.Value]) -> ir.Value:
        codes, classes = (b.load(b.inttoptr(address, run.as_pointer()), align=1) for address in args[:2])
        first = b.shuffle_vector(classes, classes, ir.Constant(ir.VectorType(WORD, _RUN), [0] * _RUN))
        plain = b.and_(b.icmp_unsigned("==", classes, first), b.icmp_unsigned("<", codes, same(_FEW)))
        all_plain = b.icmp_unsigned("==", b.bitcast(plain, LONG), LONG(-1))
        with b.if_then(all_plain, likely=True):
            for value in range(_FEW):
                found = b.bitcast(b.icmp_unsigned("==", codes, same(value)), LONG)
                place = b.inttoptr(b.add(args[2], LONG(4 * value)), WORD.as_pointer())
                more = b.trunc(call(b, "ctpop.i64", LONG, found), WORD)
                b.store(b.add(b.load(place), more), place)
        return all_plain

    return types.boolean(types.uint64, types.uint64, types.uint64), code


@njit
def count_codes(codes: np.ndarray, classes: np.ndarray, book_bits: int, histograms: np.ndarray) -> None:
    """As rans.count_codes. Runs of one class take a quarter of the time."""
    parts = np.zeros((4, histograms.size), np.uint32)
    shift = np.uint64(5 + book_bits + 2)
    done = 0
    while done < codes.size:
        at, counts = np.uint64(done), np.uint64(parts.ctypes.data) + (np.uint64(classes[done]) << shift)
        plain = done + _RUN <= codes.size
        if plain and _tally(np.uint64(codes.ctypes.data) + at, np.uint64(classes.ctypes.data) + at, counts):
            done += _RUN
        else:
            count_in_parts(codes[done : done + _PLAINLY], classes[done : done + _PLAINLY], book_bits, parts)
            done += _PLAINLY
    for i in range(histograms.size):
        histograms[i] += np.int64(parts[0, i]) + np.int64(parts[1, i]) + np.int64(parts[2, i]) + np.int64(parts[3, i])
