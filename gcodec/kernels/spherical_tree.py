"""Kernels of spherical compression in blocks: levels and indices to bytes and back.

A tensor is cut into blocks of one length. A block that is too loud for it is split in halves, again
and again, down to single values. The code of a block is its level and the index of its direction.
The level is the norm in steps: 0 for a block of zeros, and one beyond the last class of this length
for a block that is split.
"""

import numpy as np

from .compiler.jit import njit
from .entropy import range_coder as rc

MAX_CLASSES = 15
MAX_QUOTIENT = 255  # the largest quotient of a Golomb code
EXPONENT_BITS = 40  # how many adaptive bits the exponent of a single value's level may take

CONTEXTS = 16
BINS = MAX_CLASSES + 1
ENERGY_BITS = 10  # the binary places of the running energy
MEMORY = 16  # over how many values it is averaged


@njit
def new_models(length: int) -> np.ndarray:
    """The adaptive bits of a chunk.

    There are BINS for each context and length, and after them those for the exponents of single
    values.
    """
    models = np.empty((length + 1) * CONTEXTS * BINS + EXPONENT_BITS, dtype=np.int64)
    models[:] = 1 << (rc.P_BITS + rc.COUNT_BITS - 1)
    return models


@njit
def first_bin(length: int, energy: int) -> int:
    """Where the bits of a block's level begin.

    The context is the octave of the square of the level that is to be expected.
    """
    context = 0
    expected = energy * length >> (ENERGY_BITS - 5)
    while expected > 0 and context < CONTEXTS - 1:
        expected >>= 1
        context += 1
    return (length * CONTEXTS + context) * BINS


@njit
def next_energy(energy: int, length: int, level: int) -> int:
    """The running energy of a value, in squared steps, after a block."""
    seen = min(level, 1 << 15)
    seen = (seen * seen << ENERGY_BITS) // length
    return energy + (seen - energy) * length // (length + MEMORY)


@njit
def put_equiprobable(out: np.ndarray, low: int, width: int, pos: int, value: int, count: int) -> tuple[int, int, int]:
    """Code `count` equiprobable bits, the highest 16 first."""
    while count > 16:
        count -= 16
        low, width, pos = rc.encode_bits(out, low, width, pos, (value >> count) & 0xFFFF, 16)
    return rc.encode_bits(out, low, width, pos, value & ((1 << count) - 1), count)


@njit
def take_equiprobable(data: np.ndarray, code: int, width: int, pos: int, count: int) -> tuple[int, int, int, int]:
    """The mirror of `put_equiprobable`. Returns (value, code, width, pos)."""
    value = 0
    while count > 16:
        count -= 16
        part, code, width, pos = rc.decode_bits(data, code, width, pos, 16)
        value = value << 16 | part
    part, code, width, pos = rc.decode_bits(data, code, width, pos, count)
    return value << count | part, code, width, pos


@njit
def bit_length(value: int) -> int:
    """The number of binary digits of a non-negative integer."""
    digits = 0
    while value > 0:
        value >>= 1
        digits += 1
    return digits


@njit
def digits_of(moduli: np.ndarray) -> np.ndarray:
    """⌊log2 m⌋ of each modulus."""
    digits = np.empty(moduli.size, dtype=np.int64)
    for i in range(moduli.size):
        digits[i] = bit_length(moduli[i]) - 1
    return digits


@njit
def put_golomb(
    out: np.ndarray, low: int, width: int, pos: int, index: int, modulus: int, digits: int
) -> tuple[int, int, int]:
    """Golomb code of an index: the quotient in ones, a zero, the remainder in truncated binary.

    digits: ⌊log2 modulus⌋.
    """
    for _ in range(index // modulus):
        low, width, pos = rc.encode_sign(out, low, width, pos, 1)
    low, width, pos = rc.encode_sign(out, low, width, pos, 0)
    rest = index % modulus
    spare = (2 << digits) - modulus
    if rest < spare:
        return put_equiprobable(out, low, width, pos, rest, digits)
    rest += spare
    low, width, pos = put_equiprobable(out, low, width, pos, rest >> 1, digits)
    # The last bit is coded apart: by rounding, 15 bits together have another code than 14 and 1.
    return rc.encode_sign(out, low, width, pos, rest & 1)


@njit
def take_golomb(
    data: np.ndarray, code: int, width: int, pos: int, modulus: int, digits: int
) -> tuple[int, int, int, int]:
    """The mirror of `put_golomb`. Returns (index, code, width, pos).

    The index is −1 when the quotient is too large.
    """
    quotient = 0
    while True:
        bit, code, width, pos = rc.decode_sign(data, code, width, pos)
        if bit == 0:
            break
        quotient += 1
        if quotient > MAX_QUOTIENT:
            return -1, code, width, pos
    spare = (2 << digits) - modulus
    rest, code, width, pos = take_equiprobable(data, code, width, pos, digits)
    if rest >= spare:
        bit, code, width, pos = rc.decode_sign(data, code, width, pos)
        rest = 2 * rest + bit - spare
    return quotient * modulus + rest, code, width, pos


@njit
def put_level(
    out: np.ndarray, low: int, width: int, pos: int, models: np.ndarray, at: int, level: int, top: int, exponents: int
) -> tuple[int, int, int]:
    """Code a level in 0…top: for each smaller level an adaptive bit that says whether it is larger.

    exponents: −1 for blocks. For a single value it is the place of the bits of its exponent. A
    single value has no top: BINS ones announce an Elias gamma code of what is left.
    """
    for i in range(min(top, BINS)):
        more = int(level > i)
        low, width, pos = rc.encode_bit(out, low, width, pos, models, at + i, more)
        if more == 0:
            return low, width, pos
    if exponents < 0:
        return low, width, pos
    rest = level - BINS + 1
    digits = bit_length(rest) - 1
    for i in range(digits):
        low, width, pos = rc.encode_bit(out, low, width, pos, models, exponents + i, 1)
    if digits < EXPONENT_BITS - 1:
        low, width, pos = rc.encode_bit(out, low, width, pos, models, exponents + digits, 0)
    return put_equiprobable(out, low, width, pos, rest & ((1 << digits) - 1), digits)


@njit
def take_level(
    data: np.ndarray, code: int, width: int, pos: int, models: np.ndarray, at: int, top: int, exponents: int
) -> tuple[int, int, int, int]:
    """The mirror of `put_level`. Returns (level, code, width, pos)."""
    for i in range(min(top, BINS)):
        more, code, width, pos = rc.decode_bit(data, code, width, pos, models, at + i)
        if not more:
            return i, code, width, pos
    if exponents < 0:
        return top, code, width, pos
    digits = 0
    while digits < EXPONENT_BITS - 1:
        more, code, width, pos = rc.decode_bit(data, code, width, pos, models, exponents + digits)
        if not more:
            break
        digits += 1
    rest, code, width, pos = take_equiprobable(data, code, width, pos, digits)
    return (1 << digits) + rest + BINS - 1, code, width, pos


@njit
def write_tree(
    count: int,
    length: int,
    classes: np.ndarray,
    base: np.ndarray,
    moduli: np.ndarray,
    cursor: np.ndarray,
    levels: np.ndarray,
    indices: np.ndarray,
    out: np.ndarray,
) -> int:
    """Code the blocks of a chunk. Returns the number of bytes written to `out`.

    classes, base: int64, how many classes each length has, and where its Golomb moduli begin.
    levels, indices: int64, the blocks of each length in the order of their place.
    cursor: int64, where the blocks of each length begin. It is used up.

    An index is coded when the level is neither 0 nor beyond the classes. The index of a single
    value is 1 for a negative one.
    """
    digits = digits_of(moduli)
    models = new_models(length)
    exponents = models.size - EXPONENT_BITS
    stack = np.empty(2 * bit_length(length) + 2, dtype=np.int64)
    energy = 0
    low, width, pos = 0, rc.WIDTH_MAX, 0
    for _ in range(0, count, length):
        stack[0] = length
        depth = 1
        while depth > 0:
            depth -= 1
            k = stack[depth]
            level = levels[cursor[k]]
            index = indices[cursor[k]]
            cursor[k] += 1
            at = first_bin(k, energy)
            if k == 1:
                low, width, pos = put_level(out, low, width, pos, models, at, level, BINS, exponents)
                if level > 0:
                    low, width, pos = rc.encode_sign(out, low, width, pos, index)
            else:
                low, width, pos = put_level(out, low, width, pos, models, at, level, classes[k] + 1, -1)
                if level > classes[k]:
                    stack[depth] = k // 2
                    stack[depth + 1] = k - k // 2
                    depth += 2
                    continue
                if level > 0:
                    at = base[k] + level - 1
                    low, width, pos = put_golomb(out, low, width, pos, index, moduli[at], digits[at])
            energy = next_energy(energy, k, level)
    return rc.flush(out, low, width, pos)


@njit
def read_tree(
    data: np.ndarray,
    count: int,
    length: int,
    classes: np.ndarray,
    base: np.ndarray,
    moduli: np.ndarray,
    lengths: np.ndarray,
    levels: np.ndarray,
    indices: np.ndarray,
) -> int:
    """The mirror of `write_tree`: fills lengths, levels and indices with blocks not split.

    They are int64 and have room for `count` values, rounded up to whole blocks. Returns the number
    of blocks, or −1 when the data cannot be right.
    """
    digits = digits_of(moduli)
    models = new_models(length)
    exponents = models.size - EXPONENT_BITS
    stack = np.empty(2 * bit_length(length) + 2, dtype=np.int64)
    energy = 0
    blocks = 0
    code, width, pos = rc.start(data)
    for _ in range(0, count, length):
        stack[0] = length
        depth = 1
        while depth > 0:
            depth -= 1
            k = stack[depth]
            at = first_bin(k, energy)
            index = 0
            if k == 1:
                level, code, width, pos = take_level(data, code, width, pos, models, at, BINS, exponents)
                if level > 0:
                    index, code, width, pos = rc.decode_sign(data, code, width, pos)
            else:
                level, code, width, pos = take_level(data, code, width, pos, models, at, classes[k] + 1, -1)
                if level > classes[k]:
                    stack[depth] = k // 2
                    stack[depth + 1] = k - k // 2
                    depth += 2
                    continue
                if level > 0:
                    at = base[k] + level - 1
                    index, code, width, pos = take_golomb(data, code, width, pos, moduli[at], digits[at])
                    if index < 0:
                        return -1
            lengths[blocks] = k
            levels[blocks] = level
            indices[blocks] = index
            blocks += 1
            energy = next_energy(energy, k, level)
    return blocks if rc.is_whole(data, pos) else -1
