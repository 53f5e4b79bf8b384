"""Kernels of spherical compression: the shared directions, the search in a cap, and decoded values.

The directions of length k are v_K = z/‖z‖, K = 0, 1, …, where z has the normal numbers K·k … K·k +
k − 1 of stream k (kernels/normals.py).
"""

import numpy as np

from . import normals, rng
from .compiler.jit import njit

ABREAST = 64  # how many directions are tested at a time
CACHED = 4096  # how many floats of directions stay in the first-level cache
MAX_LENGTH = 128


@njit
def fill_page(key: int, first: int, page: np.ndarray) -> None:
    """page[s, i, j] = component i of direction first + 64·s + j, rounded to float32.

    The page has the shape (sheets, k, ABREAST).
    """
    k = page.shape[1]
    z = np.empty(k, dtype=np.float64)
    for s in range(page.shape[0]):
        for j in range(ABREAST):
            total = normals.fill_normals(key, (first + s * ABREAST + j) * k, z)
            factor = 1.0 / np.sqrt(total)
            for i in range(k):
                page[s, i, j] = z[i] * factor


@njit
def projection(key: int, index: int, x: np.ndarray) -> float:
    """⟨x, v_index⟩ for a float64 block x.

    This arithmetic decides whether a direction is in the cap.
    """
    dot = 0.0
    total = 0.0
    for i in range(x.size):
        z = normals.normal_at(key, index * x.size + i)
        dot += x[i] * z
        total += z * z
    return dot / np.sqrt(total)


@njit
def products(sheet: np.ndarray, x: np.ndarray, out: np.ndarray) -> None:
    """out[j] = Σ x[i]·sheet[i, j] in float32.

    The error is at most (k + 2)·2⁻²⁴ for unit vectors of length k.
    """
    k = x.size
    i = k % 4
    if i == 0:
        for j in range(ABREAST):
            out[j] = 0.0
    elif i == 1:
        for j in range(ABREAST):
            out[j] = x[0] * sheet[0, j]
    elif i == 2:
        for j in range(ABREAST):
            out[j] = x[0] * sheet[0, j] + x[1] * sheet[1, j]
    else:
        for j in range(ABREAST):
            out[j] = x[0] * sheet[0, j] + x[1] * sheet[1, j] + x[2] * sheet[2, j]
    while i < k:  # a round takes four components, so that `out` is loaded and stored less often
        a, b, c, d = x[i], x[i + 1], x[i + 2], x[i + 3]
        for j in range(ABREAST):
            out[j] += a * sheet[i, j] + b * sheet[i + 1, j] + c * sheet[i + 2, j] + d * sheet[i + 3, j]
        i += 4


@njit
def search_page(
    page: np.ndarray,
    first: int,
    key: int,
    blocks: np.ndarray,
    rims: np.ndarray,
    units: np.ndarray,
    near: np.ndarray,
    active: np.ndarray,
    found: np.ndarray,
    projections: np.ndarray,
) -> int:
    """Search a page of directions for the blocks in `active`, in the order of their index.

    blocks: float64, shape (B, k). rims: float64, the least projection that is in the cap of a
    block. units: float32, the blocks divided by their norms. near: float32. A product below it
    cannot be that of a direction in the cap, whatever the rounding. active: int64, ascending, the
    blocks that are still searching. Those that found nothing are moved to
        its front.
    found, projections: for a block that finds a direction, its index and its projection.

    Returns how many blocks are still searching.
    """
    sheets = page.shape[0]
    k = page.shape[1]
    step = max(1, CACHED // (k * ABREAST))
    out = np.empty(ABREAST, dtype=np.float32)
    left = active.size
    for start in range(0, sheets, step):
        kept = 0
        for a in range(left):
            b = active[a]
            index = -1
            for s in range(start, min(start + step, sheets)):
                products(page[s], units[b], out)
                least = near[b]
                hits = 0
                for j in range(ABREAST):
                    hits |= out[j] >= least
                if not hits:
                    continue
                for j in range(ABREAST):
                    if out[j] >= least:
                        reached = projection(key, first + s * ABREAST + j, blocks[b])
                        if reached >= rims[b]:
                            index = first + s * ABREAST + j
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
def store(values: np.ndarray, factor: float, power: np.ndarray, largest: float, out: np.ndarray) -> None:
    """out[i] = values[i]·factor·power[0]·power[1], from left to right in float64.

    The result is kept within ±largest and rounded to the dtype of `out`.
    """
    for i in range(values.size):
        value = values[i] * factor * power[0] * power[1]
        out[i] = min(max(value, -largest), largest)


@njit
def fill_direction(key: int, index: int, scale: float, power: np.ndarray, largest: float, out: np.ndarray) -> None:
    """out = scale·v_index·power[0]·power[1], of length out.size, as `store` computes it."""
    z = np.empty(out.size, dtype=np.float64)
    total = normals.fill_normals(key, index * z.size, z)
    store(z, scale / np.sqrt(total), power, largest, out)


@njit
def fill_values(
    keys: np.ndarray,
    scales: np.ndarray,
    base: np.ndarray,
    step: float,
    power: np.ndarray,
    largest: float,
    lengths: np.ndarray,
    levels: np.ndarray,
    indices: np.ndarray,
    out: np.ndarray,
) -> None:
    """The decoded values of blocks, one block after the other.

    A block's values are level·step·scale·v. They are 0 for level 0, and ± level·step for a single
    value.

    keys: uint64, for each length the key of its stream of directions.
    scales: float64, one for each class, from base[length] on.
    power, largest: as in `store`.
    out: float32 or float64, as long as the blocks together.
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
def fill_coins(key: int, places: np.ndarray, out: np.ndarray) -> None:
    """out[i] = uniform number places[i] of a stream, in [0, 1)."""
    for i in range(places.size):
        out[i] = rng.uniform(rng.random_at(key, places[i]))


@njit
def project(key: int, indices: np.ndarray, blocks: np.ndarray, out: np.ndarray) -> None:
    """out[b] = ⟨x_b, v⟩ for row x_b of `blocks` (float64) and the direction v of indices[b]."""
    for b in range(indices.size):
        out[b] = projection(key, indices[b], blocks[b])
