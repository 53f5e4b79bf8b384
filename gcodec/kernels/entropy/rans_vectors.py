"""Rows of 16, 32 or 64 rANS lanes in vectors of 16 lanes.

The bytes are those of rans.py. It is two to three times as fast on a processor with AVX-512.

Compilers do not turn the loops of rans.py into vectors, so the steps of 16 lanes are written here
in the compiler's own language (vectors.py). Addresses are computed without numba's knowledge of
dtypes. So all arrays must be contiguous and have the dtypes that are named here.
"""

from collections.abc import Callable, Sequence

import numpy as np
from llvmlite import ir
from numba import types
from numba.core.base import BaseContext
from numba.core.typing import Context, Signature
from numba.extending import intrinsic

from ..compiler.jit import njit
from . import vectors
from .rans import BOOK_BITS, MAX_LANES, SYMBOLS, TABLE_BITS, TOTAL, count_in_parts
from .vectors import (
    BYTE,
    HALF,
    LONG,
    WIDTH,
    WORD,
    are_alike,
    backwards,
    call,
    count,
    each,
    entries,
    gather,
    load,
    pointer,
    splat,
    store,
    vector,
    where,
)  # fmt: skip

SUPPORTED = vectors.SUPPORTED
SPARE = WIDTH  # words in front of the output that may be overwritten
_RUN, _FEW = 64, 16  # codes that are counted together, and the values that they may have
_0, _1, _4, _8 = map(np.uint64, (0, 1, 4, 8))


def takes(lanes: int) -> bool:
    """Whether these kernels should code rows of this many lanes."""
    return SUPPORTED and lanes >= WIDTH


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
        state, path = load(b, states, WORD), load(b, paths, WORD)
        book = b.and_(path, each(WORD, 1))
        group = b.zext(load(b, classes, BYTE), vector(WORD))
        table = b.or_(b.shl(group, each(WORD, BOOK_BITS)), book)
        slot = b.and_(state, each(WORD, TOTAL - 1))
        entry = gather(b, slots, b.or_(b.shl(table, each(WORD, TABLE_BITS)), slot))
        symbol = b.and_(entry, each(WORD, SYMBOLS - 1))
        store(b, b.trunc(b.or_(symbol, b.shl(book, each(WORD, 5))), vector(BYTE)), codes)
        odd = b.and_(b.lshr(b.add(symbol, each(WORD, 1)), each(WORD, 1)), each(WORD, 1))
        path = b.xor(b.lshr(path, each(WORD, 1)), where(b, book, odd_jump))
        store(b, b.xor(path, where(b, odd, jump)), paths)
        state = b.add(
            b.mul(b.lshr(entry, each(WORD, 17)), b.lshr(state, each(WORD, TABLE_BITS))),
            b.and_(b.lshr(entry, each(WORD, 5)), each(WORD, TOTAL - 1)),
        )
        low = b.icmp_unsigned("<", state, each(WORD, 1 << 16))
        args = pointer(b, words, HALF), low, each(HALF, 0)
        more = b.zext(call(b, "masked.expandload.v16i16", vector(HALF), *args), vector(WORD))
        store(b, b.select(low, b.or_(b.shl(state, each(WORD, 16)), more), state), states)
        return count(b, low)

    uint32, uint64 = types.uint32, types.uint64
    return uint64(uint64, uint64, uint32, uint32, uint64, uint64, uint64, uint64), code


def _encoded(b: ir.IRBuilder, states: ir.Value, entry: ir.Value, inverse: ir.Value | None, end: ir.Value) -> ir.Value:
    """Encode 16 codes, and return how many words were written before the address `end`.

    states: the address of the states. entry: f << 16 | first slot of each code. inverse: 1 / f as
    float32, if it is known. 16 words before `end` are overwritten, of which only the last ones are
    valid. (A masked store would be much slower.) ⌊state / f⌋ < 2²⁰ comes from a float32 quotient
    that is off by less than one, which the remainder corrects.
    """
    state, floats = load(b, states, WORD), vector(ir.FloatType())
    f, first = b.lshr(entry, each(WORD, 16)), b.and_(entry, each(WORD, 0xFFFF))
    full = b.icmp_unsigned(">=", b.lshr(state, each(WORD, 20)), f)
    halves = backwards(b, b.trunc(state, vector(HALF))), backwards(b, full), each(HALF, 0)
    halves = call(b, "experimental.vector.compress.v16i16", vector(HALF), *halves)
    store(b, backwards(b, halves), b.sub(end, LONG(2 * WIDTH)))
    state = b.select(full, b.lshr(state, each(WORD, 16)), state)
    wide = b.uitofp(state, floats)
    ratio = b.fdiv(wide, b.uitofp(f, floats)) if inverse is None else b.fmul(wide, b.bitcast(inverse, floats))
    quotient = b.fptosi(ratio, vector(WORD))
    rest = b.sub(state, b.mul(quotient, f))
    for off, change in ((b.icmp_signed("<", rest, each(WORD, 0)), -1), (b.icmp_signed(">=", rest, f), 1)):
        moved = b.mul(f, each(WORD, change & 0xFFFF_FFFF))
        quotient = b.select(off, b.add(quotient, each(WORD, change & 0xFFFF_FFFF)), quotient)
        rest = b.select(off, b.sub(rest, moved), rest)
    store(b, b.add(b.shl(quotient, each(WORD, TABLE_BITS)), b.add(rest, first)), states)
    return count(b, full)


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
    """Encode a code in each of 16 lanes; see `_encoded`.

    `shift` is uint32, and all other arguments are addresses.
    """

    def code(context: BaseContext, b: ir.IRBuilder, signature: Signature, args: Sequence[ir.Value]) -> ir.Value:
        states, classes, shift, codes, ranges, end = args
        group = b.zext(load(b, classes, BYTE), vector(WORD))
        place = b.or_(b.shl(group, splat(b, shift)), b.zext(load(b, codes, BYTE), vector(WORD)))
        return _encoded(b, states, gather(b, ranges, place), None, end)

    uint32, uint64 = types.uint32, types.uint64
    return uint64(uint64, uint64, uint32, uint64, uint64, uint64), code


@intrinsic
def _encode_alike(
    typingctx: Context, states: types.Type, codes: types.Type, ranges: types.Type, inverses: types.Type, end: types.Type
) -> tuple[Signature, Callable[..., ir.Value]]:
    """Encode codes of one class, whose tables of 64 entries have these addresses."""

    def code(context: BaseContext, b: ir.IRBuilder, signature: Signature, args: Sequence[ir.Value]) -> ir.Value:
        states, codes, ranges, inverses, end = args
        places = b.zext(load(b, codes, BYTE), vector(WORD))
        return _encoded(b, states, entries(b, ranges, places), entries(b, inverses, places), end)

    uint64 = types.uint64
    return uint64(uint64, uint64, uint64, uint64, uint64), code


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
    for i in range(0, codes.size - _RUN + 1, _RUN):
        at, counts = np.uint64(i), np.uint64(parts.ctypes.data) + (np.uint64(classes[i]) << shift)
        if not _tally(np.uint64(codes.ctypes.data) + at, np.uint64(classes.ctypes.data) + at, counts):
            count_in_parts(codes[i : i + _RUN], classes[i : i + _RUN], book_bits, parts)
    rest = codes.size // _RUN * _RUN
    count_in_parts(codes[rest:], classes[rest:], book_bits, parts)
    for i in range(histograms.size):
        histograms[i] += np.int64(parts[0, i]) + np.int64(parts[1, i]) + np.int64(parts[2, i]) + np.int64(parts[3, i])


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
def fill_inverses(ranges: np.ndarray, inverses: np.ndarray) -> None:
    """inverses[i] = 1 / f in float32 for the entry f << 16 | first slot, and 1 for f = 0."""
    for i in range(ranges.size):
        inverses[i] = np.float32(1) / np.float32(max(ranges[i] >> np.uint32(16), np.uint32(1)))


@njit
def encode_rows(
    codes: np.ndarray,
    classes: np.ndarray,
    book_bits: int,
    ranges: np.ndarray,
    inverses: np.ndarray,
    states: np.ndarray,
    words: np.ndarray,
    at: int,
) -> int:
    """Encode whole rows of lanes, from the last to the first; returns where the output begins.

    at: where it began before. Codes and classes are uint8, ranges and the 16, 32 or 64 states
    uint32, inverses float32, and words uint16. `words` has SPARE more places in front than
    rans.encode needs. All else is as there. Neighbours of one class take half of the time.
    """
    at = np.uint64(at)
    row, width = np.uint64(codes.size), np.uint64(states.size)
    shift, books = np.uint32(5 + book_bits), book_bits == BOOK_BITS
    while row >= width:
        row -= width
        for k in range(states.size - WIDTH, -1, -WIDTH):
            lane = np.uint64(k)
            here, end = np.uint64(states.ctypes.data) + _4 * lane, np.uint64(words.ctypes.data) + (at << _1)
            coded, beside = np.uint64(codes.ctypes.data) + row + lane, np.uint64(classes.ctypes.data) + row + lane
            if books and are_alike(beside):
                table = np.uint64(classes[row + lane]) << _8
                at -= _encode_alike(
                    here, coded, np.uint64(ranges.ctypes.data) + table, np.uint64(inverses.ctypes.data) + table, end
                )
            else:
                at -= _encode_step(here, beside, shift, coded, np.uint64(ranges.ctypes.data), end)
    return np.int64(at)
