"""numcodecs: its own checks, and zarr v2 through it."""

import json

import numpy as np
import pytest
from stores import FAST, error, fresh, installed, normal

import gcodec
from gcodec.errors import FormatError, InvalidInput, NonFinite

numcodecs = pytest.importorskip("numcodecs", reason="the extra gcodec[zarr] is not installed")
from gcodec.integrations.numcodecs import Gcodec  # noqa: E402

X = normal(300, 64)
ARRAYS = [
    np.arange(1000, dtype="i4"),
    np.arange(1000, dtype=">i4"),
    normal(100, 10).astype(">f4"),
    np.asfortranarray(normal(100, 10).astype(">f8")),
    normal(100).astype(">c8"),
    np.linspace(1000, 1001, 1000, dtype="f8"),
    normal(100, 10).astype("f8"),
    np.asfortranarray(normal(10, 100).reshape(100, 10)),
    normal(10, 10, 10).reshape(10, 10, 10, order="F"),
    np.random.default_rng(0).integers(0, 2, 1000).astype(bool),
    np.random.default_rng(0).integers(0, 1 << 40, 1000).view("M8[ns]"),
    np.random.default_rng(0).integers(0, 1 << 40, 1000).view("m8[m]"),
    np.array([b"one", b"three"] * 10),
    np.zeros(7, "i4,f8"),
]


@pytest.fixture
def checks():
    return pytest.importorskip("numcodecs.tests.common", reason="numcodecs came without its tests")


@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: f"{array.dtype}{array.shape}")
def test_their_checks_of_arrays(checks, array):
    checks.check_encode_decode(array, Gcodec(lossless=True))
    if array.dtype.kind in "biufc":  # the others come back as bytes
        checks.check_encode_decode_array(array, Gcodec(lossless=True))


def test_their_other_checks(checks):
    for codec in (
        Gcodec(lossless=True),
        Gcodec(alpha=0.1, method="ecsq"),
        Gcodec(pointwise=0.1),
        Gcodec(alpha=1e-3, nonfinite="lossless"),
    ):
        checks.check_config(codec)
    assert repr(Gcodec(alpha=0.1, **FAST)) == "Gcodec(method='ecsq', alpha=0.1, effort='fast')"
    checks.check_err_decode_object_buffer(Gcodec(lossless=True))
    checks.check_err_encode_object_buffer(Gcodec(lossless=True))


def test_shape_and_dtype_reach_the_encoder():
    """A matrix of rank one costs next to nothing, in either order."""
    x = np.outer(normal(400), normal(300, seed=1))
    codec = Gcodec(alpha=0.1, method="klt", effort="fast")
    for array in (x, np.asfortranarray(x), x.T):
        data = codec.encode(array)
        assert len(data) < x.size / 100
        back = codec.decode(data).reshape(array.shape, order="F" if array.flags.f_contiguous else "C")
        assert back.dtype == x.dtype and error(back, array) <= 0.1


def test_configurations():
    codec = Gcodec(alpha=0.1, **FAST)
    config = codec.get_config()
    assert json.dumps(config) == '{"id": "gcodec", "method": "ecsq", "alpha": 0.1, "effort": "fast"}'
    assert numcodecs.get_codec(json.loads(json.dumps(config))) == codec
    config = Gcodec(pointwise=0.01).get_config()
    assert json.dumps(config) == '{"id": "gcodec", "pointwise": 0.01}' and numcodecs.get_codec(config).pointwise == 0.01
    for wrong, words in (({}, "bound"), ({"alpha": 0}, "between"), ({"level": 3}, "no setting 'level'")):
        with pytest.raises(InvalidInput, match=words):
            numcodecs.get_codec({"id": "gcodec", **wrong})


def test_errors():
    codec = Gcodec(alpha=0.1, **FAST)
    data = codec.encode(X)
    for bad in (b"", data[:40], data[:-1], b"x" + data):
        with pytest.raises(FormatError):
            codec.decode(bad)
    with pytest.raises(FormatError, match="promises alpha 0.1, which is less than the array promises: lossless"):
        Gcodec(lossless=True).decode(data)
    with pytest.raises(NonFinite, match="chunk at the edge with its fill value"):
        codec.encode(np.full(2000, np.nan))
    with pytest.raises(ValueError, match="contiguous"):
        codec.encode(X[::2, ::2])
    with pytest.raises(ValueError):
        codec.decode(data, out=np.empty(7, np.float32))
    with pytest.raises(InvalidInput, match="float128|longdouble"):
        codec.encode(np.zeros(3, np.longdouble))


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("place", ["compressors", "filters"])
def test_zarr_v2(tmp_path, order, place):
    zarr = pytest.importorskip("zarr")
    options = {"compressors": None, "filters": None, place: [Gcodec(alpha=0.1, **FAST)]}
    array = zarr.create_array(
        tmp_path / "a", shape=X.shape, dtype="f4", chunks=(128, 64), zarr_format=2, order=order, **options
    )
    array[:] = X
    found = zarr.open_array(tmp_path / "a", mode="r")
    assert error(found[:], X) <= 0.1 and np.array_equal(found[5:9, 3], found[:][5:9, 3])
    assert not np.array_equal(found[:], X)


@pytest.mark.parametrize("dtype", ["<f4", ">f2", ">f4", ">f8", ">i4"])
def test_byte_orders(dtype):
    """zarr v2 sees the bytes of what a codec gives, and nothing else of it."""
    zarr = pytest.importorskip("zarr")
    x = (1000 * X[:128]).astype(dtype)
    for codec in (Gcodec(lossless=True), Gcodec(alpha=0.1, **FAST)):
        array = zarr.create_array({}, shape=x.shape, dtype=dtype, chunks=x.shape, zarr_format=2, compressors=codec)
        array[:] = x
        before = array[:]
        assert before.dtype == x.dtype and error(before, x) <= (0.1 if "f" in dtype and codec.alpha else 0)
        array[3] = -x[5]
        assert np.array_equal(array[3], -x[5]) and np.array_equal(array[4:], before[4:])
        out = np.empty(x.shape, dtype)
        codec.decode(codec.encode(x), out=out)
        assert np.array_equal(out, before)
        other = x.astype(x.dtype.newbyteorder("S"))
        assert np.array_equal(codec.decode(codec.encode(other)).view(other.dtype), before.reshape(-1))


def test_a_chunk_that_was_decoded_in_the_other_byte_order():
    """It has lost what it may lose, and its bytes stand in the other order, so it is exact."""
    codec = Gcodec(alpha=0.1, **FAST)
    values = codec.decode(codec.encode(X)).reshape(X.shape)
    data = codec.encode(values.astype(">f4"))
    assert np.array_equal(codec.decode(data).view(">f4"), values.reshape(-1))
    assert codec.encode(values.astype(">f4")) == data


def test_a_container_with_more_tensors_is_no_chunk(tmp_path):
    gcodec.save(tmp_path / "a.gcz", {"a": X, "b": X}, lossless=True)
    with pytest.raises(FormatError, match="one tensor"):
        Gcodec(lossless=True).decode((tmp_path / "a.gcz").read_bytes())


def test_filters_before_it():
    """As the page says: the bound is that of what a filter gives, and bytes are exact."""
    zarr = pytest.importorskip("zarr")
    x, codec = np.cumsum(normal(4000)).astype("f4"), Gcodec(alpha=0.1, **FAST)
    for before, is_exact in ((numcodecs.Shuffle(4), True), (numcodecs.Delta("f4"), False)):
        options = dict(shape=x.shape, dtype="f4", chunks=x.shape, zarr_format=2, compressors=codec)
        array = zarr.create_array({}, filters=[before], **options)
        array[:] = x
        assert np.array_equal(array[:], x) == is_exact
    assert error(np.diff(array[:], prepend=0), np.diff(x, prepend=0)) <= 0.1 * (1 + 1e-6)


def test_a_fresh_process_reads_zarr_v2(tmp_path):
    zarr = pytest.importorskip("zarr")
    array = zarr.create_array(
        tmp_path / "a", shape=X.shape, dtype="f4", zarr_format=2, compressors=Gcodec(lossless=True)
    )
    array[:] = X
    (tmp_path / "packages").mkdir()
    code = "import sys, zarr; print(zarr.open_array(sys.argv[1], mode='r')[5].tobytes().hex())"
    assert fresh(code, tmp_path / "a", env=installed(tmp_path / "packages")).strip() == X[5].tobytes().hex()


def test_numcodecs_alone_stays_light(tmp_path):
    code = """if 1:
        import sys, numcodecs
        light = 'numba' not in sys.modules
        codec = numcodecs.get_codec({'id': 'gcodec', 'lossless': True})
        print(light, codec.decode(codec.encode(b'abc')).tobytes())"""
    assert fresh(code, env=installed(tmp_path)) == "True b'abc'\n"


def test_without_numcodecs():
    code = "import sys; sys.modules['numcodecs'] = None\ntry: import gcodec.integrations.numcodecs\nexcept ImportError as e: print(e)"
    assert fresh(code) == "numcodecs is not installed; install it with: pip install 'gcodec[zarr]'\n"
