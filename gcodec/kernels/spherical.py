"""Kernels of spherical compression: the shared directions, the search for the first one in a cap, and decoded values.

The directions of length k are v_K = z/‖z‖, K = 0, 1, …, where z holds the normal numbers K·k … K·k + k − 1 of stream k
(kernels/normals.py).
"""

import numpy as np

from . import normals, rng
from ._jit import njit

LANES = 64  # directions that are tested at a time
TILE = 4096  # floats of a tile of directions that stays in the first-level cache
MAX_LENGTH = 128


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
def scan(page, first, key, blocks, rims, units, near, active, found, projections):
    """Search a page of directions for the blocks in `active` (int64, ascending), in order of the directions' index.

    blocks: float64 (B, k). rims: float64, the least projection that is in the cap. units: float32, blocks of norm 1.
    near: float32, a product below it cannot belong to a direction in the cap, whatever the rounding. For every block
    that finds one, found = the first index and projections = its projection. Gives how many are still active, moved to
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
                        reached = projection(key, first + s * LANES + j, blocks[b])
                        if reached >= rims[b]:
                            index = first + s * LANES + j
                            projections[b] = reached
                            break
                if index >= 0:
                    break
            found[b] = index
            active[kept] = b
            kept += index < 0
        left = kept
    return left


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
def project(key, indices, blocks, out):
    """out[b] = ⟨x_b, v⟩ for float64 blocks x_b (one a row) and the directions with these indices."""
    for b in range(indices.size):
        out[b] = projection(key, indices[b], blocks[b])
