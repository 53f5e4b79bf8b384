"""What may stand for an array: taken with its values, or refused by one sentence that names it."""

import ml_dtypes
import numpy as np
import pytest

import gcodec
from gcodec.errors import InvalidInput

X = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)


def kept(value, name="w"):
    """What comes back of a value, through a file object and bit for bit."""
    from io import BytesIO

    file = BytesIO()
    with gcodec.Writer(file, gcodec.Policy(lossless=True)) as writer:
        writer.add(name, value)
    file.seek(0)
    return gcodec.load(file)[name]


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (np.float16(1.5), np.float16),
        (np.int64(-7), np.int64),
        (np.bool_(True), np.bool_),
        (3, np.int64),
        (2.5, np.float64),
        (True, np.bool_),
        (1 + 2j, np.complex128),
    ],
)
def test_scalars_come_back_without_axes(value, dtype):
    back = kept(value)
    assert back.shape == () and back.dtype == dtype and back[()] == value


@pytest.mark.parametrize(
    "value", [X[::2, ::-1], X.T, np.asfortranarray(X), X.astype(">f4"), np.broadcast_to(X[:1], (6, 5)), X[:0]]
)
def test_arrays_of_any_order_in_memory(value):
    back = kept(value)
    assert back.dtype == value.dtype.newbyteorder("=") and np.array_equal(back, value)


def test_originals_may_be_what_encode_takes():
    assert gcodec.verify(gcodec.encode(2.5), 2.5).ok and not gcodec.verify(gcodec.encode(2.5, lossless=True), 2.0).ok
    data = gcodec.encode(X, "sd", alpha=0.1)
    assert gcodec.verify(data, np.ma.array(X, mask=False)).ok
    with pytest.raises(InvalidInput, match="^the array: is a masked array"):
        gcodec.verify(data, np.ma.array(X, mask=X > 0))


def test_masked_arrays():
    free = np.ma.array(X, mask=False)
    assert np.array_equal(kept(free), X) and np.array_equal(gcodec.decode(gcodec.encode(free, lossless=True)), X)
    for value in (np.ma.array(X, mask=X > 0), np.ma.masked):
        with pytest.raises(InvalidInput, match="^w: is a masked array"):
            kept(value)
        with pytest.raises(InvalidInput, match="^the array: is a masked array"):
            gcodec.encode(value)


class Device:
    """An array of a library that does not hand its values to numpy."""

    def __array__(self, dtype=None, copy=None):
        raise TypeError("implicit conversion is not allowed")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"weight": X}, "^w: is a dict, .* such as 'w/weight'"),
        ({}, "^w: is a dict"),
        ([1.0, 2.0], "^w: is a list, which does not say its dtype"),
        ((X, X), "^w: is a tuple"),
        ([[1.0], [1.0, 2.0]], "^w: is a list"),
        ("text", "^w: is a str, not an array"),
        (b"text", "^w: is a bytes, not an array"),
        (None, "^w: is a NoneType, not an array"),
        ({1, 2}, "^w: is a set, not an array"),
        (2**70, "^w: dtype object cannot be stored"),
        (np.array([None]), "^w: dtype object cannot be stored"),
        (np.array(["a"]), "^w: dtype <U1 cannot be stored"),
        (np.zeros(2, "f4,i4"), r"^w: dtype \[.*cannot be stored"),
        (np.zeros(2, "M8[s]"), "^w: dtype datetime64.* cannot be stored"),
        (np.zeros(2, np.longdouble), "^w: dtype .*float128 cannot be stored|^w: dtype longdouble"),
        (Device(), r"^w: numpy cannot make an array of this Device \(implicit conversion is not allowed\)"),
    ],
)
def test_what_is_no_array(tmp_path, value, words):
    with pytest.raises(InvalidInput, match=words):
        kept(value)
    with pytest.raises(InvalidInput, match=words):
        gcodec.save(tmp_path / "x.gcz", {"a": X, "w": value}, lossless=True)
    alone = (
        "^the array: is a dict; gcodec.save takes" if isinstance(value, dict) else words.replace("^w: ", "^the array: ")
    )
    with pytest.raises(InvalidInput, match=alone):
        gcodec.encode(value)
    assert not list(tmp_path.iterdir())


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


@pytest.mark.parametrize(
    "dtype", ["float64", "float32", "float16", "int8", "uint8", "int16", "int32", "int64", "bool", "complex64"]
)
def test_tensors_of_torch(torch, dtype):
    tensor = torch.from_numpy(X * 3).to(getattr(torch, dtype))
    back = kept(tensor)
    assert back.dtype == np.dtype(dtype) and np.array_equal(back, tensor.numpy())


@pytest.mark.parametrize(
    ("dtype", "raw", "same"),
    [
        ("bfloat16", "int16", ml_dtypes.bfloat16),
        ("float8_e4m3fn", "uint8", ml_dtypes.float8_e4m3fn),
        ("float8_e5m2", "uint8", ml_dtypes.float8_e5m2),
        ("float8_e4m3fnuz", "uint8", ml_dtypes.float8_e4m3fnuz),
    ],
)
def test_tensors_of_dtypes_that_numpy_lacks(torch, dtype, raw, same):
    """…keep their bits, in memory of any order, and their bound holds in their own dtype."""
    whole = torch.from_numpy(X).to(getattr(torch, dtype))
    for tensor in (whole, whole[::2], whole.T, whole[0, 0]):
        back = kept(tensor)
        bits = tensor.contiguous().view(getattr(torch, raw)).numpy()
        assert back.dtype == same and back.shape == bits.shape
        assert np.array_equal(back.view(bits.dtype), bits)
    back = gcodec.decode(gcodec.encode(whole, "sd", alpha=0.1)).astype(float)
    exact = whole.to(torch.float64).numpy()
    assert ((back - exact) ** 2).sum() <= 0.1 * (exact**2).sum()


def test_tensors_with_a_gradient_and_views(torch):
    weight = torch.nn.Parameter(torch.from_numpy(X))
    assert np.array_equal(kept(weight), X) and np.array_equal(kept(weight * 2), X * 2)
    assert np.array_equal(kept(weight[::2].T), X[::2].T)
    z = torch.tensor([1 + 2j, 3 - 1j])
    assert np.array_equal(kept(z.conj()), z.numpy().conj()) and np.array_equal(kept(z.conj().imag), [-2, 1])


def test_a_state_dict_is_saved_as_it_is(torch, tmp_path):
    model = torch.nn.Sequential(torch.nn.Linear(40, 30), torch.nn.BatchNorm1d(30))
    gcodec.save(tmp_path / "m.gcz", model.state_dict(), lossless=True)
    found = gcodec.load(tmp_path / "m.gcz")
    assert list(found) == list(model.state_dict())
    assert gcodec.verify(tmp_path / "m.gcz", model.state_dict()).ok
    from gcodec.integrations import torch_tensors

    weights = {name: value.clone() for name, value in model.state_dict().items()}
    torch.nn.init.zeros_(model[0].weight)
    model.load_state_dict(torch_tensors.load(tmp_path / "m.gcz"))
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())


def test_tensors_come_back_as_tensors(torch, tmp_path):
    """Of every dtype that goes in, with their bits; those without axes and values, too."""
    from gcodec.integrations import torch_tensors

    names = "float64 float32 float16 bfloat16 float8_e4m3fn float8_e5m2 float8_e4m3fnuz float8_e5m2fnuz float8_e8m0fnu"
    whole = torch.from_numpy(X * 3)
    tensors = {
        name: whole.abs().to(getattr(torch, name)) for name in f"{names} int8 uint8 int64 bool complex64".split()
    }
    tensors |= {"scalar": tensors["bfloat16"][0, 0], "empty": torch.zeros(0, 3), "step": torch.tensor(7)}
    gcodec.save(tmp_path / "all.gcz", tensors, lossless=True)
    found = torch_tensors.load(tmp_path / "all.gcz")
    assert list(found) == list(tensors)
    for name, tensor in tensors.items():
        assert (found[name].dtype, found[name].shape) == (tensor.dtype, tensor.shape), name
        assert found[name].contiguous().view(-1).view(torch.uint8).equal(tensor.contiguous().view(-1).view(torch.uint8))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda torch: torch.empty(3, device="meta"), r"device meta; move it to memory with \.cpu\(\)"),
        (lambda torch: torch.eye(3).to_sparse(), "layout torch.sparse_coo; make it dense"),
        (lambda torch: torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8), "quint8|qint8 cannot be stored"),
        (lambda torch: torch.zeros(3, dtype=torch.complex32), "complex32 cannot be stored"),
        (lambda torch: torch.zeros(3, dtype=torch.uint8).view(torch.float4_e2m1fn_x2), "float4_e2m1fn_x2 cannot be"),
        (lambda torch: {"weight": torch.zeros(3)}, "is a dict"),
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
def test_tensors_that_are_refused(torch, make, words):
    with pytest.raises(InvalidInput, match=f"^w: .*({words})") as caught:
        kept(make(torch))
    assert "\n" not in str(caught.value)
