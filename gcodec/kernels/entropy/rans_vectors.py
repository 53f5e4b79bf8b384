"""Rows of 16, 32 or 64 rANS lanes in vectors of 16 lanes.

The bytes are those of rans.py. It is two to three times as fast on a processor with AVX-512.

Compilers do not turn the loops of rans.py into vectors, so the steps of 16 lanes are written here
in the compiler's own language. They use only generic operations of LLVM, which are right on any
processor but slow on one that cannot gather and expand. Addresses are computed without numba's
knowledge of dtypes. So all arrays must be contiguous and have the dtypes that are named here.
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
from .rans import BOOK_BITS, MAX_LANES, SYMBOLS, TABLE_BITS, TOTAL

WIDTH = 16  # lanes of a vector
SPARE = WIDTH  # words in front of the output that may be overwritten
_COMPILERS = range(20, 23)  # versions of LLVM
_FEATURES = ("avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512vbmi2")
_BIT, _BYTE, _HALF, _WORD, _LONG = (ir.IntType(bits) for bits in (1, 8, 16, 32, 64))
_0, _1, _4 = map(np.uint64, (0, 1, 4))


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


def takes(lanes: int) -> bool:
    """Whether these kernels should code rows of this many lanes."""
    return SUPPORTED and lanes >= WIDTH


def _vector(element: ir.Type) -> ir.VectorType:
    return ir.VectorType(element, WIDTH)


def _all(element: ir.Type, value: int) -> ir.Constant:
    return ir.Constant(_vector(element), [value] * WIDTH)


def _pointer(builder: ir.IRBuilder, address: ir.Value, element: ir.Type) -> ir.Value:
    return builder.inttoptr(address, element.as_pointer())


def _load(builder: ir.IRBuilder, address: ir.Value, element: ir.Type) -> ir.Value:
    return builder.load(_pointer(builder, address, _vector(element)), align=element.width // 8)


def _store(builder: ir.IRBuilder, vector: ir.Value, address: ir.Value) -> None:
    builder.store(vector, _pointer(builder, address, vector.type), align=vector.type.element.width // 8)


def _call(builder: ir.IRBuilder, name: str, result: ir.Type, *args: ir.Value) -> ir.Value:
    function = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(result, [arg.type for arg in args]), f"llvm.{name}"
    )
    return builder.call(function, args)


def _gather(builder: ir.IRBuilder, base: ir.Value, indices: ir.Value) -> ir.Value:
    """The uint32 numbers at these places of the table at the address `base`."""
    none = ir.Constant(_vector(_LONG), ir.Undefined)
    start = builder.shuffle_vector(builder.insert_element(none, base, _WORD(0)), none, _all(_WORD, 0))
    places = builder.add(start, builder.shl(builder.zext(indices, _vector(_LONG)), _all(_LONG, 2)))
    pointers = builder.inttoptr(places, _vector(_WORD.as_pointer()))
    args = pointers, _WORD(4), _all(_BIT, 1), _all(_WORD, 0)
    return _call(builder, "masked.gather.v16i32.v16p0", _vector(_WORD), *args)


def _count(builder: ir.IRBuilder, mask: ir.Value) -> ir.Value:
    """How many lanes a mask has, as int64."""
    return builder.zext(_call(builder, "ctpop.i16", _HALF, builder.bitcast(mask, _HALF)), _LONG)


def _reversed(builder: ir.IRBuilder, vector: ir.Value) -> ir.Value:
    order = ir.Constant(_vector(_WORD), list(range(WIDTH - 1, -1, -1)))
    return builder.shuffle_vector(vector, vector, order)


def _splat(builder: ir.IRBuilder, value: ir.Value) -> ir.Value:
    """A uint32 number in all lanes."""
    none = ir.Constant(_vector(_WORD), ir.Undefined)
    return builder.shuffle_vector(builder.insert_element(none, value, _WORD(0)), none, _all(_WORD, 0))


def _where(builder: ir.IRBuilder, bit: ir.Value, value: ir.Value) -> ir.Value:
    """The number `value` in the lanes whose bit, 0 or 1, is set, else 0."""
    return builder.and_(builder.sub(_all(_WORD, 0), bit), _splat(builder, value))


@intrinsic
def _decode_step(
    typingctx: Context,
    states: types.Type,
    paths: types.Type,
    odd_jump: types.Type,
    jump: types.Type,
    classes: types.Type,
    slots: types.Type,
    codes: types.Type,
    words: types.Type,
) -> tuple[Signature, Callable[..., ir.Value]]:
    """Decode a code in each of 16 lanes; returns how many words were read.

    The jumps are uint32, and all other arguments are addresses.
    """

    def code(context: BaseContext, b: ir.IRBuilder, signature: Signature, args: Sequence[ir.Value]) -> ir.Value:
        states, paths, odd_jump, jump, classes, slots, codes, words = args
        state, path = _load(b, states, _WORD), _load(b, paths, _WORD)
        book = b.and_(path, _all(_WORD, 1))
        group = b.zext(_load(b, classes, _BYTE), _vector(_WORD))
        table = b.or_(b.shl(group, _all(_WORD, BOOK_BITS)), book)
        slot = b.and_(state, _all(_WORD, TOTAL - 1))
        entry = _gather(b, slots, b.or_(b.shl(table, _all(_WORD, TABLE_BITS)), slot))
        symbol = b.and_(entry, _all(_WORD, SYMBOLS - 1))
        _store(b, b.trunc(b.or_(symbol, b.shl(book, _all(_WORD, 5))), _vector(_BYTE)), codes)
        odd = b.and_(b.lshr(b.add(symbol, _all(_WORD, 1)), _all(_WORD, 1)), _all(_WORD, 1))
        path = b.xor(b.lshr(path, _all(_WORD, 1)), _where(b, book, odd_jump))
        _store(b, b.xor(path, _where(b, odd, jump)), paths)
        state = b.add(
            b.mul(b.lshr(entry, _all(_WORD, 17)), b.lshr(state, _all(_WORD, TABLE_BITS))),
            b.and_(b.lshr(entry, _all(_WORD, 5)), _all(_WORD, TOTAL - 1)),
        )
        low = b.icmp_unsigned("<", state, _all(_WORD, 1 << 16))
        args = _pointer(b, words, _HALF), low, _all(_HALF, 0)
        more = b.zext(_call(b, "masked.expandload.v16i16", _vector(_HALF), *args), _vector(_WORD))
        _store(b, b.select(low, b.or_(b.shl(state, _all(_WORD, 16)), more), state), states)
        return _count(b, low)

    uint32, uint64 = types.uint32, types.uint64
    return uint64(uint64, uint64, uint32, uint32, uint64, uint64, uint64, uint64), code


@intrinsic
def _encode_step(
    typingctx: Context,
    states: types.Type,
    classes: types.Type,
    shift: types.Type,
    codes: types.Type,
    ranges: types.Type,
    end: types.Type,
) -> tuple[Signature, Callable[..., ir.Value]]:
    """Encode a code in each of 16 lanes; returns how many words were written before `end`.

    `shift` is uint32, and all other arguments are addresses. 16 words before `end` are overwritten,
    of which only the last ones are valid. (A masked store would be much slower.) ⌊state / f⌋ < 2²⁰
    comes from a float32 quotient that is off by less than one, which the remainder corrects.
    """

    def code(context: BaseContext, b: ir.IRBuilder, signature: Signature, args: Sequence[ir.Value]) -> ir.Value:
        states, classes, shift, codes, ranges, end = args
        state = _load(b, states, _WORD)
        group = b.zext(_load(b, classes, _BYTE), _vector(_WORD))
        place = b.zext(_load(b, codes, _BYTE), _vector(_WORD))
        entry = _gather(b, ranges, b.or_(b.shl(group, _splat(b, shift)), place))
        f, first = b.lshr(entry, _all(_WORD, 16)), b.and_(entry, _all(_WORD, 0xFFFF))
        full = b.icmp_unsigned(">=", b.lshr(state, _all(_WORD, 20)), f)
        halves = _reversed(b, b.trunc(state, _vector(_HALF))), _reversed(b, full), _all(_HALF, 0)
        halves = _call(b, "experimental.vector.compress.v16i16", _vector(_HALF), *halves)
        _store(b, _reversed(b, halves), b.sub(end, _LONG(2 * WIDTH)))
        state = b.select(full, b.lshr(state, _all(_WORD, 16)), state)
        floats = _vector(ir.FloatType())
        quotient = b.fptosi(b.fdiv(b.uitofp(state, floats), b.uitofp(f, floats)), _vector(_WORD))
        rest = b.sub(state, b.mul(quotient, f))
        for off, change in ((b.icmp_signed("<", rest, _all(_WORD, 0)), -1), (b.icmp_signed(">=", rest, f), 1)):
            moved = b.mul(f, _all(_WORD, change & 0xFFFF_FFFF))
            quotient = b.select(off, b.add(quotient, _all(_WORD, change & 0xFFFF_FFFF)), quotient)
            rest = b.select(off, b.sub(rest, moved), rest)
        state = b.add(b.shl(quotient, _all(_WORD, TABLE_BITS)), b.add(rest, first))
        _store(b, state, states)
        return _count(b, full)

    uint32, uint64 = types.uint32, types.uint64
    return uint64(uint64, uint64, uint32, uint64, uint64, uint64), code


@njit
def decode_rows(
    states: np.ndarray,
    words: np.ndarray,
    paths: np.ndarray,
    odd_jump: np.uint32,
    jump: np.uint32,
    classes: np.ndarray,
    slots: np.ndarray,
    codes: np.ndarray,
) -> tuple[int, int]:
    """Decode whole rows of lanes: returns (how many codes, how many words).

    The arguments are those of rans.decode. There are 16, 32 or 64 states and paths, uint32; words
    are uint16, classes and codes uint8, slots uint32. It stops if there are too few words, and
    rans.decode must finish the work.
    """
    at, available = _0, np.uint64(words.size - MAX_LANES)
    done, row = _0, np.uint64(states.size)
    end = np.uint64(codes.size)
    while done + row <= end and at <= available:
        for k in range(0, states.size, WIDTH):
            lane = np.uint64(k)
            at += _decode_step(
                np.uint64(states.ctypes.data) + _4 * lane,
                np.uint64(paths.ctypes.data) + _4 * lane,
                odd_jump,
                jump,
                np.uint64(classes.ctypes.data) + done + lane,
                np.uint64(slots.ctypes.data),
                np.uint64(codes.ctypes.data) + done + lane,
                np.uint64(words.ctypes.data) + (at << _1),
            )
        done += row
    return np.int64(done), np.int64(at)


@njit
def encode_rows(
    codes: np.ndarray,
    classes: np.ndarray,
    book_bits: int,
    ranges: np.ndarray,
    states: np.ndarray,
    words: np.ndarray,
    at: int,
) -> int:
    """Encode whole rows of lanes, from the last to the first; returns where the output begins.

    at: where it began before. Codes and classes are uint8, ranges and the 16, 32 or 64 states
    uint32, and words uint16. `words` has SPARE more places in front than rans.encode needs. All
    else is as there.
    """
    at = np.uint64(at)
    row, width = np.uint64(codes.size), np.uint64(states.size)
    shift = np.uint32(5 + book_bits)
    while row >= width:
        row -= width
        for k in range(states.size - WIDTH, -1, -WIDTH):
            lane = np.uint64(k)
            at -= _encode_step(
                np.uint64(states.ctypes.data) + _4 * lane,
                np.uint64(classes.ctypes.data) + row + lane,
                shift,
                np.uint64(codes.ctypes.data) + row + lane,
                np.uint64(ranges.ctypes.data),
                np.uint64(words.ctypes.data) + (at << _1),
            )
    return np.int64(at)
