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
from .rans import BOOK_BITS, MAX_LANES, SYMBOLS, TABLE_BITS, TOTAL
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
_DEEP = np.uint8(5)  # the depth from which a look-up takes less time than a search
_LOOKS = 256  # neighbours that tell whether classes come in runs
_0, _1, _4, _8 = map(np.uint64, (0, 1, 4, 8))


def takes(lanes: int) -> bool:
    """Whether these kernels should code rows of this many lanes."""
    return SUPPORTED and lanes >= WIDTH


def _refilled(b: ir.IRBuilder, state: ir.Value, states: ir.Value, words: ir.Value) -> ir.Value:
    """Read a word for each state that became small, and store all; returns how many words."""
    low = b.icmp_unsigned("<", state, each(WORD, 1 << 16))
    args = pointer(b, words, HALF), low, each(HALF, 0)
    more = b.zext(call(b, "masked.expandload.v16i16", vector(HALF), *args), vector(WORD))
    store(b, b.select(low, b.or_(b.shl(state, each(WORD, 16)), more), state), states)
    return count(b, low)


def _make_decode(trellis: bool) -> Callable[..., int]:
    """A step that decodes codes of any classes, through a trellis or without one."""

    @intrinsic
    def step(
        typingctx: Context, states: types.Type, paths: types.Type, odd_jump: types.Type, jump: types.Type,
        classes: types.Type, slots: types.Type, codes: types.Type, words: types.Type,
    ) -> tuple[Signature, Callable[..., ir.Value]]:  # fmt: skip
        """Decode a code in each of 16 lanes; returns how many words were read.

        The jumps are uint32, and all other arguments are addresses.
        """

        def code(context: BaseContext, b: ir.IRBuilder, signature: Signature, args: Sequence[ir.Value]) -> ir.Value:
            states, paths, odd_jump, jump, classes, slots, codes, words = args
            state, path = load(b, states, WORD), load(b, paths, WORD) if trellis else each(WORD, 0)
            book = b.and_(path, each(WORD, 1))
            table = b.or_(b.shl(b.zext(load(b, classes, BYTE), vector(WORD)), each(WORD, BOOK_BITS)), book)
            slot = b.and_(state, each(WORD, TOTAL - 1))
            entry = gather(b, slots, b.or_(b.shl(table, each(WORD, TABLE_BITS)), slot))
            symbol = b.and_(entry, each(WORD, SYMBOLS - 1))
            store(b, b.trunc(b.or_(symbol, b.shl(book, each(WORD, 5))), vector(BYTE)), codes)
            if trellis:
                odd = b.and_(b.lshr(b.add(symbol, each(WORD, 1)), each(WORD, 1)), each(WORD, 1))
                path = b.xor(b.lshr(path, each(WORD, 1)), where(b, book, odd_jump))
                store(b, b.xor(path, where(b, odd, jump)), paths)
            state = b.add(
                b.mul(b.lshr(entry, each(WORD, 17)), b.lshr(state, each(WORD, TABLE_BITS))),
                b.and_(b.lshr(entry, each(WORD, 5)), each(WORD, TOTAL - 1)),
            )
            return _refilled(b, state, states, words)

        uint32, uint64 = types.uint32, types.uint64
        return uint64(uint64, uint64, uint32, uint32, uint64, uint64, uint64, uint64), code

    return step


_decode_on_paths, _decode_alone = _make_decode(True), _make_decode(False)


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

    uint64 = types.uint64
    return uint64(uint64, uint64, types.uint32, uint64, uint64, uint64), code


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


def _make_search(depth: int) -> Callable[..., int]:
    """A step that decodes codes of one class without a trellis, whose symbols are below 2^depth."""

    @intrinsic
    def step(
        typingctx: Context, states: types.Type, firsts: types.Type, ranges: types.Type, codes: types.Type,
        words: types.Type,
    ) -> tuple[Signature, Callable[..., ir.Value]]:  # fmt: skip
        """Decode a code in each of 16 lanes; returns how many words were read.

        All arguments are addresses, those of `firsts` and `ranges` of tables of 32 entries. The
        symbol is the last one whose first slot is not above the slot; a search by halves finds it.
        """

        def code(context: BaseContext, b: ir.IRBuilder, signature: Signature, args: Sequence[ir.Value]) -> ir.Value:
            states, firsts, ranges, codes, words = args
            state = load(b, states, WORD)
            slot, symbol = b.and_(state, each(WORD, TOTAL - 1)), each(WORD, 0)
            for bit in range(depth - 1, -1, -1):
                higher = b.or_(symbol, each(WORD, 1 << bit))
                symbol = b.select(b.icmp_unsigned(">=", slot, entries(b, firsts, higher, SYMBOLS)), higher, symbol)
            store(b, b.trunc(symbol, vector(BYTE)), codes)
            entry = entries(b, ranges, symbol, SYMBOLS)
            f, first = b.lshr(entry, each(WORD, 16)), b.and_(entry, each(WORD, 0xFFFF))
            state = b.add(b.mul(f, b.lshr(state, each(WORD, TABLE_BITS))), b.sub(slot, first))
            return _refilled(b, state, states, words)

        uint64 = types.uint64
        return uint64(uint64, uint64, uint64, uint64, uint64), code

    return step


_search_3, _search_4 = map(_make_search, (3, 4))


@njit
def _come_in_runs(classes: np.ndarray) -> bool:
    """Whether most of 16 neighbours are of one class, as far as some of them tell.

    Where few are, a test of each would cost more than it saves, as no processor foresees it.
    """
    alike, looks = 0, 0
    for i in range(0, classes.size - WIDTH + 1, WIDTH * (classes.size // (WIDTH * _LOOKS) | 1)):
        looks += 1
        alike += are_alike(np.uint64(classes.ctypes.data) + np.uint64(i))
    return 4 * alike >= 3 * looks


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
    ranges: np.ndarray,
    firsts: np.ndarray,
    depths: np.ndarray,
) -> tuple[int, int]:
    """Decode whole rows of lanes: returns (how many codes, how many words).

    The arguments are those of rans.decode, `ranges` of rans.encode, and what `fill_firsts` gives.
    There are 16, 32 or 64 states and paths, uint32; words are uint16, classes and codes uint8,
    slots uint32. It stops if there are too few words, and rans.decode must finish the work.
    Without a trellis, neighbours of one class take less time.
    """
    at, available = _0, np.uint64(words.size - MAX_LANES)
    done, row = _0, np.uint64(states.size)
    end, alone = np.uint64(codes.size), odd_jump == 0 and jump == 0
    runs = alone and _come_in_runs(classes)
    while done + row <= end and at <= available:
        for k in range(0, states.size, WIDTH):
            lane = np.uint64(k)
            here, beside = np.uint64(states.ctypes.data) + _4 * lane, np.uint64(classes.ctypes.data) + done + lane
            coded, word = np.uint64(codes.ctypes.data) + done + lane, np.uint64(words.ctypes.data) + (at << _1)
            group = np.uint64(classes[done + lane])
            depth = depths[group << _1] if runs and are_alike(beside) else _DEEP
            first, law = np.uint64(firsts.ctypes.data) + (group << _8), np.uint64(ranges.ctypes.data) + (group << _8)
            path, table = np.uint64(paths.ctypes.data) + _4 * lane, np.uint64(slots.ctypes.data)
            if depth == 3:
                at += _search_3(here, first, law, coded, word)
            elif depth == 4:
                at += _search_4(here, first, law, coded, word)
            elif alone:
                at += _decode_alone(here, path, odd_jump, jump, beside, table, coded, word)
            else:
                at += _decode_on_paths(here, path, odd_jump, jump, beside, table, coded, word)
        done += row
    return np.int64(done), np.int64(at)


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
    shift, runs = np.uint32(5 + book_bits), book_bits == BOOK_BITS and _come_in_runs(classes)
    while row >= width:
        row -= width
        for k in range(states.size - WIDTH, -1, -WIDTH):
            lane = np.uint64(k)
            here, end = np.uint64(states.ctypes.data) + _4 * lane, np.uint64(words.ctypes.data) + (at << _1)
            coded, beside = np.uint64(codes.ctypes.data) + row + lane, np.uint64(classes.ctypes.data) + row + lane
            if runs and are_alike(beside):
                table = np.uint64(classes[row + lane]) << _8
                at -= _encode_alike(
                    here, coded, np.uint64(ranges.ctypes.data) + table, np.uint64(inverses.ctypes.data) + table, end
                )
            else:
                at -= _encode_step(here, beside, shift, coded, np.uint64(ranges.ctypes.data), end)
    return np.int64(at)
