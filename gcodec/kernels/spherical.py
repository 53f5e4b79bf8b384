"""Kernels of spherical compression: the shared directions, the search for the first one in a cap, and the coded tree.

The directions of length k are v_K = z/‖z‖, K = 0, 1, …, where z holds the normal numbers K·k … K·k + k − 1 of stream k
(kernels/normals.py). A tensor is cut into blocks of one length; a block that is too loud for it is split in halves,
again and again, down to single values. What is coded of a block is its level (the norm in steps: 0 for a block
of zeros; one beyond the last class of this length: split) and the index of its direction.
"""

import numpy as np

from . import normals, rng
from . import range_coder as rc
from ._jit import njit

LANES = 64  # directions that are tested at a time
TILE = 4096  # floats of a tile of directions that stays in the first-level cache
MAX_LENGTH = 128
MAX_CLASSES = 15
MAX_QUOTIENT = 255  # of a Golomb code
MAX_EXPONENT = 40  # of the level of a single value

CONTEXTS = 16
BINS = MAX_CLASSES + 1
ENERGY_BITS = 10  # binary places of the running energy
MEMORY = 16  # values over which it is averaged


@njit
def fill_page(key, first, page):
    """page[s, i, j] = component i of direction first + 64·s + j, rounded to float32; shape (tiles, k, LANES)."""
    k = page.shape[1]
    z = np.empty(k, dtype=np.float64)
    for s in range(page.shape[0]):
        for j in range(LANES):
            total = normals.fill_normals(key, (first + s * LANES + j) * k, z)
            factor = 1.0 / np.sqrt(total)
            for i in range(k):
                page[s, i, j] = z[i] * factor


@njit
def projection(key, index, x):
    """⟨x, v_index⟩ for a float64 block x, in the arithmetic that decides whether the direction is in the cap."""
    dot = 0.0
    total = 0.0
    for i in range(x.size):
        z = normals.normal_at(key, index * x.size + i)
        dot += x[i] * z
        total += z * z
    return dot / np.sqrt(total)


@njit
def products(tile, x, out):
    """out[j] = Σ x[i]·tile[i, j] in float32; the error is at most (k + 2)·2⁻²⁴ for unit vectors of length k."""
    k = x.size
    i = k % 4
    if i == 0:
        for j in range(LANES):
            out[j] = 0.0
    elif i == 1:
        for j in range(LANES):
            out[j] = x[0] * tile[0, j]
    elif i == 2:
        for j in range(LANES):
            out[j] = x[0] * tile[0, j] + x[1] * tile[1, j]
    else:
        for j in range(LANES):
            out[j] = x[0] * tile[0, j] + x[1] * tile[1, j] + x[2] * tile[2, j]
    while i < k:  # four at a time, so that `out` is loaded and stored less often
        a, b, c, d = x[i], x[i + 1], x[i + 2], x[i + 3]
        for j in range(LANES):
            out[j] += a * tile[i, j] + b * tile[i + 1, j] + c * tile[i + 2, j] + d * tile[i + 3, j]
        i += 4


@njit
def scan(page, first, key, blocks, rims, units, near, active, found, heights):
    """Search a page of directions for the blocks in `active` (int64, ascending), in order of the directions' index.

    blocks: float64 (B, k). rims: float64, the least projection that is in the cap. units: float32, blocks of norm 1.
    near: float32, a product below it cannot belong to a direction in the cap, whatever the rounding. For every block
    that finds one, found = the first index and heights = its projection. Gives how many are still active, moved to
    the front of `active`.
    """
    tiles = page.shape[0]
    k = page.shape[1]
    step = max(1, TILE // (k * LANES))
    out = np.empty(LANES, dtype=np.float32)
    left = active.size
    for start in range(0, tiles, step):
        kept = 0
        for a in range(left):
            b = active[a]
            index = -1
            for s in range(start, min(start + step, tiles)):
                products(page[s], units[b], out)
                limit = near[b]
                hits = 0
                for j in range(LANES):
                    hits |= out[j] >= limit
                if not hits:
                    continue
                for j in range(LANES):
                    if out[j] >= limit:
                        height = projection(key, first + s * LANES + j, blocks[b])
                        if height >= rims[b]:
                            index = first + s * LANES + j
                            heights[b] = height
                            break
                if index >= 0:
                    break
            found[b] = index
            active[kept] = b
            kept += index < 0
        left = kept
    return left


@njit
def new_models(length):
    """The adaptive bits of a chunk: BINS a context and length, and after them those of single values' exponents."""
    models = np.empty((length + 1) * CONTEXTS * BINS + MAX_EXPONENT, dtype=np.int64)
    models[:] = 1 << (rc.P_BITS + rc.COUNT_BITS - 1)
    return models


@njit
def first_bin(length, energy):
    """Where the bits of a block's level begin: its context is the octave of the square of the level to be expected."""
    context = 0
    expected = energy * length >> (ENERGY_BITS - 5)
    while expected > 0 and context < CONTEXTS - 1:
        expected >>= 1
        context += 1
    return (length * CONTEXTS + context) * BINS


@njit
def next_energy(energy, length, level):
    """The running energy a value, in squared steps, after a block."""
    seen = min(level, 1 << 15)
    seen = (seen * seen << ENERGY_BITS) // length
    return energy + (seen - energy) * length // (length + MEMORY)


@njit
def put_bits(out, low, width, pos, value, count):
    """Code `count` equiprobable bits, the highest 16 first."""
    while count > 16:
        count -= 16
        low, width, pos = rc.encode_bits(out, low, width, pos, (value >> count) & 0xFFFF, 16)
    return rc.encode_bits(out, low, width, pos, value & ((1 << count) - 1), count)


@njit
def take_bits(data, code, width, pos, count):
    """Mirror of `put_bits`: gives (value, code, width, pos)."""
    value = 0
    while count > 16:
        count -= 16
        part, code, width, pos = rc.decode_bits(data, code, width, pos, 16)
        value = value << 16 | part
    part, code, width, pos = rc.decode_bits(data, code, width, pos, count)
    return value << count | part, code, width, pos


@njit
def bit_length(value):
    """Binary digits of a non-negative integer."""
    digits = 0
    while value > 0:
        value >>= 1
        digits += 1
    return digits


@njit
def digits_of(moduli):
    """⌊log2 m⌋ of each modulus."""
    digits = np.empty(moduli.size, dtype=np.int64)
    for i in range(moduli.size):
        digits[i] = bit_length(moduli[i]) - 1
    return digits


@njit
def put_golomb(out, low, width, pos, index, modulus, digits):
    """Golomb code: the quotient in ones ended by a zero, the remainder in truncated binary; digits: ⌊log2 modulus⌋."""
    for _ in range(index // modulus):
        low, width, pos = rc.encode_sign(out, low, width, pos, 1)
    low, width, pos = rc.encode_sign(out, low, width, pos, 0)
    rest = index % modulus
    spare = (2 << digits) - modulus
    if rest < spare:
        return put_bits(out, low, width, pos, rest, digits)
    rest += spare
    low, width, pos = put_bits(out, low, width, pos, rest >> 1, digits)
    return rc.encode_sign(out, low, width, pos, rest & 1)  # apart, since rounding makes 15 bits unlike 14 + 1


@njit
def take_golomb(data, code, width, pos, modulus, digits):
    """Mirror of `put_golomb`: gives (index, or −1 when the quotient is too large, code, width, pos)."""
    quotient = 0
    while True:
        bit, code, width, pos = rc.decode_sign(data, code, width, pos)
        if bit == 0:
            break
        quotient += 1
        if quotient > MAX_QUOTIENT:
            return -1, code, width, pos
    spare = (2 << digits) - modulus
    rest, code, width, pos = take_bits(data, code, width, pos, digits)
    if rest >= spare:
        bit, code, width, pos = rc.decode_sign(data, code, width, pos)
        rest = 2 * rest + bit - spare
    return quotient * modulus + rest, code, width, pos


@njit
def put_level(out, low, width, pos, models, at, level, top, exponents):
    """Code a level in 0…top: one adaptive bit "more?" for each smaller one. Single values (exponents ≥ 0, the place of
    their bits) have no top: BINS ones announce an Elias gamma code of what is left."""
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
    if digits < MAX_EXPONENT - 1:
        low, width, pos = rc.encode_bit(out, low, width, pos, models, exponents + digits, 0)
    return put_bits(out, low, width, pos, rest & ((1 << digits) - 1), digits)


@njit
def take_level(data, code, width, pos, models, at, top, exponents):
    """Mirror of `put_level`: gives (level, code, width, pos)."""
    for i in range(min(top, BINS)):
        more, code, width, pos = rc.decode_bit(data, code, width, pos, models, at + i)
        if not more:
            return i, code, width, pos
    if exponents < 0:
        return top, code, width, pos
    digits = 0
    while digits < MAX_EXPONENT - 1:
        more, code, width, pos = rc.decode_bit(data, code, width, pos, models, exponents + digits)
        if not more:
            break
        digits += 1
    rest, code, width, pos = take_bits(data, code, width, pos, digits)
    return (1 << digits) + rest + BINS - 1, code, width, pos


@njit
def write_tree(count, length, classes, base, moduli, cursor, levels, indices, out):
    """Code the blocks of a chunk; gives the number of bytes written to `out`.

    classes, base (int64, by length): how many classes a length has and where its Golomb moduli begin. levels, indices:
    int64, the blocks of each length in order of their place, from cursor[length] (int64, by length; used up). An
    index is coded when the level is neither 0 nor beyond the classes; that of a single value is 1 for a negative one.
    """
    digits = digits_of(moduli)
    models = new_models(length)
    exponents = models.size - MAX_EXPONENT
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
def read_tree(data, count, length, classes, base, moduli, lengths, levels, indices):
    """Mirror of `write_tree`: fills lengths, levels and indices (int64, `count` rounded up to whole blocks) with the
    blocks that were not split, in order. Gives their number, or −1 when the data cannot be right."""
    digits = digits_of(moduli)
    models = new_models(length)
    exponents = models.size - MAX_EXPONENT
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
    return blocks if pos >= data.size else -1


@njit
def store(values, factor, power, largest, out):
    """out[i] = values[i]·factor·power[0]·power[1], from left to right in float64, then within ±largest and rounded."""
    for i in range(values.size):
        value = values[i] * factor * power[0] * power[1]
        out[i] = min(max(value, -largest), largest)


@njit
def fill_direction(key, index, scale, power, largest, out):
    """out = scale·v_index·power[0]·power[1], of length out.size; see `store`."""
    z = np.empty(out.size, dtype=np.float64)
    total = normals.fill_normals(key, index * z.size, z)
    store(z, scale / np.sqrt(total), power, largest, out)


@njit
def fill_blocks(keys, scales, base, step, power, largest, lengths, levels, indices, out):
    """Decoded values of blocks one after the other: level·step·scale·v, ± level·step for single ones, 0 for level 0.

    keys: uint64, by length, of the streams of directions. scales: float64, one a class, from base[length] on. power,
    largest: see `store`. `out`: float32 or float64, as long as the blocks together.
    """
    buffer = np.empty(MAX_LENGTH, dtype=np.float64)
    at = 0
    for b in range(lengths.size):
        k = lengths[b]
        level = levels[b]
        z = buffer[:k]
        if level == 0:
            out[at : at + k] = 0.0
        else:
            total = 1.0
            scale = level * step
            if k == 1:
                z[0] = -1.0 if indices[b] else 1.0
            else:
                total = normals.fill_normals(keys[k], indices[b] * k, z)
                scale *= scales[base[k] + level - 1]
            store(z, scale / np.sqrt(total), power, largest, out[at : at + k])
        at += k


@njit
def fill_coins(key, places, out):
    """out[i] = uniform number places[i] of a stream, in [0, 1)."""
    for i in range(places.size):
        out[i] = rng.uniform(rng.random_at(key, places[i]))


@njit
def project_blocks(keys, lengths, levels, indices, x, out):
    """out[b] = ⟨x_b, v⟩ for the blocks x_b of x, one after the other, that have a direction; 0 for the others."""
    at = 0
    for b in range(lengths.size):
        k = lengths[b]
        out[b] = 0.0
        if k > 1 and levels[b] > 0:
            out[b] = projection(keys[k], indices[b], x[at : at + k])
        at += k
