"""`klt`: low-rank tensors in few bits, orthonormal factors in a written order, hostile bytes."""

import math

import numpy as np
import pytest
from checks import distortion
from hypothesis import given, settings
from hypothesis import strategies as st

import gcodec
from gcodec import dtypes
from gcodec.compressors.common.scaled import Scaled
from gcodec.compressors.contract import CHUNK, Guarantee, Payload, TensorSpec
from gcodec.compressors.klt import look, search
from gcodec.compressors.klt.compressor import Head, Klt
from gcodec.compressors.klt.factors import MAX_RANK, Basis, View, classes_of
from gcodec.compressors.klt.matrix import Matrix
from gcodec.compressors.klt.spectrum import Spectrum, sketch_of, spectrum_of
from gcodec.compressors.tcq.compressor import Tcq
from gcodec.errors import Corrupt, InvalidInput
from gcodec.kernels.matrices import orthonormal, products
from gcodec.source import ArraySource, spans


def encode(x: np.ndarray, bound: float, compressor=Klt, **options) -> tuple[Payload, list[bytes]]:
    payload = compressor(**options).encode(ArraySource(x), Guarantee("alpha", bound))
    return payload, [payload.code(start, stop) for start, stop in spans(x.size, payload.chunk)]


def decode(x: np.ndarray, payload: Payload, chunks: list[bytes]) -> np.ndarray:
    decoder = Klt.decoder(payload.head, TensorSpec(x.dtype, x.shape))
    parts = [decoder(data, a, b - a) for data, (a, b) in zip(chunks, spans(x.size, payload.chunk), strict=True)]
    return dtypes.narrow(np.concatenate(parts), x.dtype).reshape(x.shape)


def length(payload: Payload, chunks: list[bytes]) -> int:
    return len(payload.head) + sum(map(len, chunks))


def nearly_low_rank(shape: tuple[int, int], rank: int, noise: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    left, right = rng.normal(size=(shape[0], rank)), rng.normal(size=(rank, shape[1]))
    return ((left / np.arange(1, rank + 1)) @ right + noise * rng.normal(size=shape)).astype(np.float32)


@pytest.mark.parametrize("shape", [(300, 80), (80, 300)])
@pytest.mark.parametrize("alpha", [0.1, 0.001])
def test_low_rank_needs_few_bits(shape, alpha):
    x = nearly_low_rank(shape, 6, 0.02)
    payload, chunks = encode(x, alpha)
    assert 0.98 * alpha <= distortion(x, decode(x, payload, chunks)) <= alpha
    assert length(payload, chunks) < 0.35 * length(*encode(x, alpha, Tcq))


def test_full_rank_is_possible():
    x = np.random.default_rng(1).normal(size=(60, 40))
    for alpha in (0.5, 0.01, 1e-6, 1e-12):
        assert distortion(x, decode(x, *encode(x, alpha))) <= alpha


def test_best_effort_is_no_worse():
    x = nearly_low_rank((200, 150), 30, 0.1)
    best, fast = length(*encode(x, 0.05, effort="best")), length(*encode(x, 0.05, effort="fast"))
    assert best <= fast <= 1.2 * best
    with pytest.raises(InvalidInput, match="effort"):
        encode(x, 0.1, effort="slow")


@pytest.mark.parametrize(
    "shape", [(), (5,), (1, 7), (7, 1), (2, 2), (2, 900), (900, 2), (16, 8, 3, 3), (1, 16, 1, 9), (2, 3, 2, 3, 2)]
)
def test_shapes(shape):
    x = np.random.default_rng(2).normal(size=shape)
    y = decode(x, *encode(x, 0.01))
    assert y.shape == shape and distortion(x, y) <= 0.01


@pytest.mark.parametrize("shape", [(9000, 150), (150, 9000), (CHUNK + 5,)])
def test_more_than_one_chunk(shape):
    x = np.outer(np.arange(1, shape[0] + 1), np.ones(math.prod(shape[1:]))).astype(np.float32).reshape(shape)
    payload, chunks = encode(x, 0.01)
    assert len(chunks) > 1
    y = decode(x, payload, chunks)
    assert distortion(x, y) <= 0.01
    start = payload.chunk
    alone = Klt.decoder(payload.head, TensorSpec(x.dtype, x.shape))(chunks[1], start, min(start, x.size - start))
    assert np.array_equal(alone, y.reshape(-1)[start : 2 * start])


def test_threads():
    x = nearly_low_rank((9000, 150), 5, 0.1)
    assert gcodec.encode(x, "klt", alpha=0.1, threads=1) == gcodec.encode(x, "klt", alpha=0.1, threads=3)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_orthonormalise(rows, columns, seed):
    matrix = np.random.default_rng(seed).integers(-3, 4, size=(rows, columns)).astype(np.float64)
    vectors = orthonormal.orthonormalise(matrix.copy())
    kept = (vectors != 0).any(axis=0)
    assert kept.sum() == np.linalg.matrix_rank(matrix)
    assert np.allclose(vectors.T @ vectors, np.diag(kept.astype(float)), atol=1e-9)
    assert np.array_equal(orthonormal.orthonormalise.py_func(matrix.copy()) if _compiled() else vectors, vectors)


def _compiled() -> bool:
    return hasattr(orthonormal.orthonormalise, "py_func")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(1, 1, 1), (5, 37, 3), (13, 70, 11), (6, 32, 300), (1201, 3, 2), (64, 31, 520)])
@pytest.mark.parametrize("turned", [False, True])
def test_product_is_summed_in_order(dtype, shape, turned):
    rows, columns, rank = shape
    rng = np.random.default_rng(3)
    left, right = rng.normal(size=(rows, rank)).astype(dtype), rng.normal(size=(rank, columns)).astype(dtype)
    wanted, out = np.zeros((rows, columns), dtype), np.empty((rows, columns), dtype)
    for k in range(rank):
        wanted = wanted + left[:, k : k + 1] * right[k]
    products.multiply(np.ascontiguousarray(left.T) if turned else left, turned, right, out)
    assert np.array_equal(out, wanted)


def test_orthonormalise_takes_blocks_of_columns():
    """Seventy columns are three blocks, and two of them depend on others."""
    matrix = np.random.default_rng(8).normal(size=(90, 70))
    matrix[:, 40], matrix[:, 69] = matrix[:, 3], matrix[:, 50] - matrix[:, 2]
    vectors = orthonormal.orthonormalise(matrix.copy())
    kept = np.ones(70)
    kept[[40, 69]] = 0
    assert np.allclose(vectors.T @ vectors, np.diag(kept), atol=1e-12)


@pytest.mark.parametrize("shape", [(560, 530), (530, 560), (90, 40), (1030, 1040)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_spectrum(shape, dtype):
    x = nearly_low_rank(shape, 20, 0.001).astype(dtype)
    total = float((x.astype(np.float64) ** 2).sum())
    scaled = Scaled(ArraySource(x), 0)
    matrix = Matrix.of(scaled, View.of(shape), 0.01)
    found = spectrum_of(matrix, sketch_of(matrix, total, 0.01 * total), 0.01 * total)
    assert np.allclose(found.values[:15], np.linalg.svd(x, compute_uv=False)[:15], rtol=1e-3)
    assert np.allclose(found.vectors.T @ found.vectors, np.eye(found.vectors.shape[1]), atol=1e-6)


def test_the_rest_of_a_spectrum_is_guessed():
    """Values that fall by a fixed share are continued as they are, with the energy that is left."""
    values = 0.95 ** np.arange(200)
    whole = Spectrum(values, np.eye(200), float((values**2).sum()), 300)
    known = Spectrum(values[:64], np.eye(200)[:, :64], whole.total, 300)
    guessed = known.extended()
    assert guessed.values.size == 200 and np.allclose(guessed.values, values, rtol=0.02)
    assert guessed.plan(1e-3 * whole.total)[0] == pytest.approx(whole.plan(1e-3 * whole.total)[0], abs=2)


@pytest.mark.parametrize("shape", [(400, 3000), (3000, 400)])
def test_full_rank_at_any_width(shape):
    """A wide tensor of several chunks has both factors in its head."""
    x = np.random.default_rng(5).normal(size=shape).astype(np.float32)
    payload, chunks = encode(x, 0.3)
    assert len(chunks) == 2 and any(map(len, chunks)) == (shape[0] > shape[1])
    assert 0.98 * 0.3 <= distortion(x, decode(x, payload, chunks)) <= 0.3


@pytest.mark.parametrize("bound", [0.3, 1e-3])
def test_wide_matrices_of_high_rank_are_not_planned(bound, monkeypatch):
    """A look at the spectrum tells that `tcq` takes fewer bits; asked by name, `klt` codes them."""
    x = np.random.default_rng(5).normal(size=(600, 530))
    assert distortion(x, decode(x, *encode(x, bound))) <= bound
    monkeypatch.setattr(search, "spectrum_of", None)  # never reached
    assert Klt().plan(ArraySource(x), Guarantee("alpha", bound)).least == math.inf
    low = nearly_low_rank((600, 530), 10, 0.01)
    assert Klt().plan(ArraySource(low), Guarantee("alpha", bound)).least < math.inf


def test_ranks_that_no_decoder_would_trust_are_refused(monkeypatch):
    monkeypatch.setattr(look, "_HIGHEST", 100)
    x = np.random.default_rng(5).normal(size=(300, 200))
    with pytest.raises(InvalidInput, match="rank of a matrix of 300 x 200 is too high; use tcq or auto"):
        encode(x, 0.01)
    assert encode(x, 0.8)


def test_chunks_beside_a_head_with_both_factors_are_empty():
    x = nearly_low_rank((40, 40_000), 2, 0.1)
    payload, chunks = encode(x, 0.1)
    decoder = Klt.decoder(payload.head, TensorSpec(x.dtype, x.shape))
    assert chunks == [b"", b""] and decoder(b"", 0, payload.chunk).shape == (payload.chunk,)
    with pytest.raises(Corrupt, match="not empty"):
        decoder(b"\0", 0, payload.chunk)
    with pytest.raises(Corrupt, match="too short"):
        decoder(b"", 0, 40_000)
    for cut in range(0, len(payload.head), 7):
        with pytest.raises(Corrupt):
            Klt.decoder(payload.head[:cut], TensorSpec(x.dtype, x.shape))


def test_basis_of_zeros():
    basis = Basis.of(np.zeros((3, 2)))
    assert not basis.vectors.any() and basis.classes.tolist() == [0, 0]


@given(st.lists(st.floats(0, 1e300), min_size=1, max_size=40).filter(any))
def test_classes_of_columns(energies):
    """Thirds of an octave of root mean squares below the loudest; the logarithm itself is no number
    that decoders may rely on.
    """
    classes = classes_of(np.array(energies))
    with np.errstate(divide="ignore"):
        thirds = 31 + 1.5 * np.log2(np.array(energies) / max(energies))
    assert (np.abs(classes - np.maximum(thirds, 0)) < 0.5 + 1e-9).all()


def test_numbers_of_rows_pay():
    """Where rows differ in scale, as those of an embedding's gradient do."""
    plain, scales = nearly_low_rank((600, 60), 30, 0.01), np.exp(1.5 * np.random.default_rng(6).normal(size=(600, 1)))
    for x, has_rows in ((plain, False), ((plain * scales).astype(np.float32), True)):
        payload, chunks = encode(x, 0.01)
        assert distortion(x, decode(x, payload, chunks)) <= 0.01
        assert Head.unpack(payload.head, View.of(x.shape)).has_rows == has_rows


def test_every_prefix_and_flipped_bit():
    x = nearly_low_rank((12, 9), 2, 0.1)
    payload, (data,) = encode(x, 0.01)
    spec = TensorSpec(x.dtype, x.shape)
    assert Head.unpack(payload.head, View.of(x.shape)).pack(View.of(x.shape)) == payload.head
    cuts = [(payload.head[:cut], data) for cut in range(len(payload.head))]
    cuts += [(payload.head, data[:cut]) for cut in range(len(data))]
    for which, good in enumerate((payload.head, data)):
        for at in range(8 * len(good)):
            bad = bytes(b ^ (128 >> at % 8) * (i == at // 8) for i, b in enumerate(good))
            cuts.append((bad, data) if which == 0 else (payload.head, bad))
    for head, body in cuts:
        try:
            assert Klt.decoder(head, spec)(body, 0, x.size).shape == (x.size,)
        except Corrupt:
            pass


def test_random_bytes():
    rng = np.random.default_rng(4)
    spec = TensorSpec(np.dtype(np.float64), (20, 30))
    for _ in range(300):
        head = b"\x80\x01\x00" + rng.bytes(int(rng.integers(40)))
        try:
            assert Klt.decoder(head, spec)(rng.bytes(int(rng.integers(200))), 0, 600).shape == (600,)
        except Corrupt:
            pass


def test_parts_of_rows_are_corrupt():
    x = nearly_low_rank((12, 9), 2, 0.1)
    payload, (data,) = encode(x, 0.01)
    decoder = Klt.decoder(payload.head, TensorSpec(x.dtype, x.shape))
    for start, count in ((0, 10), (1, 9)):
        with pytest.raises(Corrupt, match="whole rows"):
            decoder(data, start, count)
    with pytest.raises(Corrupt, match="more than one chunk"):
        Klt.decoder(payload.head, TensorSpec(x.dtype, (9, 12)))(data, 0, 12)


def test_rank_is_bounded():
    assert View.of((10**4, 10**5)).most == MAX_RANK
    assert View.of((2, CHUNK + 1)).most == View.of((7,)).most == 1
    x = nearly_low_rank((12, 9), 2, 0.1)
    payload, _ = encode(x, 0.01)
    with pytest.raises(Corrupt, match="rank"):
        Klt.decoder(payload.head, TensorSpec(x.dtype, (108,)))


def test_worked_example():
    x = np.outer([3, -1, 2, 0.5], [1, -2, 4]).astype(np.float32)
    x[0, 0] += np.float32(0.1)
    x[3, 2] -= np.float32(0.2)
    payload, (data,) = encode(x, 0.01)
    assert (payload.head.hex().upper(), data.hex().upper()) == ("8751000000158D1BE200FC140A", "611BE200EDDE1B")
    first = decode(x, payload, [data])[0].tolist()
    assert first == pytest.approx([4.21205378, -6.31808043, 12.63616085], rel=1e-7)
