"""safetensors files: exact round trips, the library's layout for new files, hostile headers."""

import base64
import json
import zlib
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
import safetensors
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st

from gcodec.errors import Corrupt, GcodecError, InvalidInput
from gcodec.io.arrays.safetensors import Reader, Writer
from gcodec.io.arrays.safetensors_header import DTYPES
from gcodec.io.formats import user_metadata

CORPUS = Path(__file__).parent.parent / "corpora" / "lora.safetensors"


def tensors() -> dict[str, np.ndarray]:
    """One tensor of every dtype, with odd lengths and names, in another order than the file's."""
    rng = np.random.default_rng(0)
    found = {f"model.layers.{code}.weight": (100 * rng.random((3, 5))).astype(dtype) for code, dtype in DTYPES.items()}
    found |= {"scalar": np.array(2.5, "f4"), "empty": np.zeros((0, 4), "f2"), "ein Name/mit Ümlaut": np.ones(3, "i1")}
    return found | {"../no path": np.ones(1, "f4"), "\x00": np.ones(1, "u1"), "": np.ones(2, "f8")}


def read(path: Path) -> dict[str, np.ndarray]:
    with Reader(path) as reader:
        return {name: tensor.read(0, tensor.size).reshape(tensor.shape) for name, tensor in reader.tensors()}


def write(path: Path, arrays: dict[str, np.ndarray], meta: dict, piece: int = 4) -> None:
    with Writer(path, meta) as writer:
        for name, array in arrays.items():
            sink = writer.add(name, array.dtype, array.shape)
            for start in range(0, array.size, piece):
                sink.write(start, array.ravel()[start : start + piece])


def meta_of(path: Path) -> dict:
    with Reader(path) as reader:
        return json.loads(json.dumps(reader.meta))


def same(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> bool:
    def facts(arrays: dict[str, np.ndarray]) -> dict:
        return {name: (array.dtype, array.shape, array.tobytes()) for name, array in arrays.items()}

    return facts(first) == facts(second)


@pytest.mark.parametrize("metadata", [None, {"format": "pt", "note": "größer"}])
def test_round_trip_is_the_same_file(tmp_path, metadata):
    original = tmp_path / "a.safetensors"
    safetensors.numpy.save_file(tensors(), original, metadata)
    arrays = read(original)
    assert same(arrays, tensors())
    write(tmp_path / "b.safetensors", arrays, meta_of(original))
    assert (tmp_path / "b.safetensors").read_bytes() == original.read_bytes()


def test_corpus_round_trip(tmp_path):
    write(tmp_path / "b", read(CORPUS), meta_of(CORPUS), piece=1 << 16)
    assert (tmp_path / "b").read_bytes() == CORPUS.read_bytes()


def test_unusual_header_is_kept(tmp_path):
    header = b' {"b" : {"shape":[2], "dtype":"F32","data_offsets":[4, 12],"more":1},\n "a":{"dtype":"U8","shape":[4],'
    header = header.strip() + b'"data_offsets":[0,4]}, "__metadata__":{"z":"1","a":"2"}}   '
    original = tmp_path / "a"
    original.write_bytes(len(header).to_bytes(8, "little") + header + bytes(range(12)))
    arrays = read(original)
    assert list(arrays) == ["a", "b"]
    write(tmp_path / "b", arrays, meta_of(original))
    assert (tmp_path / "b").read_bytes() == original.read_bytes()


@pytest.mark.parametrize("metadata", [None, {"format": "pt", "a": 'ü"1'}, {"long": "x" * 5000}])
def test_the_header_of_many_small_tensors_is_made_again(tmp_path, metadata):
    path, small = tmp_path / "x.safetensors", {f"layer.{i}.bias": np.full(3 + i % 2, i, np.float32) for i in range(50)}
    safetensors.numpy.save_file(small | {"half": np.ones(2, np.float16), "steps": np.arange(9)}, path, metadata)
    meta = meta_of(path)
    assert ("header" in meta) == (metadata is not None and "long" in metadata)
    assert user_metadata(meta) == (metadata or {})
    write(tmp_path / "again.safetensors", read(path), meta)
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()
    for wrong in (7, ["a"], {"a": 7}, {"a": None}):
        write(tmp_path / "again.safetensors", read(path), {"format": "safetensors", "metadata": wrong})
        assert same(read(tmp_path / "again.safetensors"), read(path))


def test_new_file_is_the_library_s(tmp_path):
    arrays = tensors()
    del arrays[""]
    write(tmp_path / "a", arrays, {})
    assert (tmp_path / "a").read_bytes() == safetensors.numpy.save(arrays)
    write(tmp_path / "b", {"": np.ones(3)}, {})
    assert list(read(tmp_path / "b")) == ["arr_0"]


def test_empty_file(tmp_path):
    write(tmp_path / "a", {}, {})
    assert read(tmp_path / "a") == {} and safetensors.numpy.load_file(tmp_path / "a") == {}
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]


def test_tensors_that_did_not_arrive_are_left_out(tmp_path):
    safetensors.numpy.save_file(tensors(), tmp_path / "a", {"format": "pt"})
    arrays = read(tmp_path / "a")
    kept = {name: array for i, (name, array) in enumerate(arrays.items()) if i % 3}
    for meta in (meta_of(tmp_path / "a"), {}):
        write(tmp_path / "b", kept, meta)
        with safetensors.safe_open(tmp_path / "b", "np") as file:
            assert file.metadata() == ({"format": "pt"} if meta else None)
        expected = {name or ("" if meta else "arr_0"): array for name, array in kept.items()}
        assert same(read(tmp_path / "b"), expected)


def test_part_of_a_tensor_is_left_out(tmp_path):
    safetensors.numpy.save_file({"a": np.ones(4, "f4"), "b": np.ones(9, "f4")}, tmp_path / "a")
    for meta in (meta_of(tmp_path / "a"), {}):
        with Writer(tmp_path / "b", meta) as writer:
            writer.add("b", np.dtype("f4"), (9,)).write(0, np.ones(5, "f4"))
            writer.add("a", np.dtype("f4"), (4,)).write(0, np.ones(4, "f4"))
        assert same(safetensors.numpy.load_file(tmp_path / "b"), {"a": np.ones(4, "f4")})


def test_values_are_read_in_parts(tmp_path):
    values = np.arange(1000, dtype="i8").reshape(10, 100)
    safetensors.numpy.save_file({"x": values}, tmp_path / "a")
    with Reader(tmp_path / "a") as reader:
        ((_, tensor),) = reader.tensors()
        assert tensor.read(123, 457).tobytes() == values.ravel()[123:457].tobytes()


def file_of(fields: object, data: bytes = b"", length: int | None = None) -> bytes:
    header = fields if isinstance(fields, bytes) else json.dumps(fields).encode()
    return (len(header) if length is None else length).to_bytes(8, "little") + header + data


def entry(dtype: object = "F32", shape: object = (2,), offsets: object = (0, 8)) -> dict:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


HOSTILE = {
    "empty file": b"",
    "cut length": b"\x05\0\0",
    "length beyond the file": file_of({}, length=100),
    "length of 2^63": file_of({}, length=1 << 63),
    "not JSON": file_of(b"hello there"),
    "not UTF-8": file_of(b'{"\xff":1}'),
    "a list": file_of([1, 2]),
    "blank before": file_of(b"  {}"),
    "deep nesting": file_of(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "duplicate names": file_of(b'{"a":%b,"a":%b}' % ((json.dumps(entry()).encode(),) * 2), bytes(8)),
    "no dtype": file_of({"a": {"shape": [2], "data_offsets": [0, 8]}}, bytes(8)),
    "no object": file_of({"a": 5}),
    "dtype no text": file_of({"a": {"dtype": 4, "shape": [16], "data_offsets": [0, 8]}}, bytes(8)),
    "unknown dtype": file_of({"a": entry(["F32"])}, bytes(8)),
    "wrong length": file_of({"a": entry(shape=[3])}, bytes(8)),
    "huge shape": file_of({"a": entry(shape=[1 << 40, 1 << 40])}, bytes(8)),
    "overflowing shape": file_of({"a": entry(shape=[1 << 62, 4])}, bytes(8)),
    "negative length": file_of({"a": entry(shape=[-2, -1])}, bytes(8)),
    "boolean length": file_of({"a": entry(shape=[True, 2])}, bytes(8)),
    "float length": file_of({"a": entry(shape=[2.0])}, bytes(8)),
    "long number": file_of(b'{"a":{"dtype":"F32","shape":[' + b"9" * 5000 + b'],"data_offsets":[0,8]}}', bytes(8)),
    "many axes": file_of({"a": entry(shape=[1] * 1000 + [2])}, bytes(8)),
    "three offsets": file_of({"a": entry(offsets=[0, 8, 8])}, bytes(8)),
    "backward offsets": file_of({"a": entry(offsets=[8, 0])}, bytes(8)),
    "hole": file_of({"a": entry(), "b": entry(offsets=[9, 17])}, bytes(17)),
    "overlap": file_of({"a": entry(), "b": entry(offsets=[4, 12])}, bytes(12)),
    "hole before": file_of({"a": entry(offsets=[1, 9])}, bytes(9)),
    "data cut": file_of({"a": entry()}, bytes(7)),
    "data behind": file_of({"a": entry()}, bytes(9)),
    "metadata of numbers": file_of({"__metadata__": {"a": 1}}),
    "lone surrogate": file_of(b'{"\\ud800":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', bytes(8)),
    "NaN": file_of(b'{"a":NaN}'),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_headers(tmp_path, what):
    (tmp_path / "bad.safetensors").write_bytes(HOSTILE[what])
    with pytest.raises(InvalidInput, match=r"bad\.safetensors"):
        Reader(tmp_path / "bad.safetensors")


def test_unknown_dtypes_and_reserved_names_are_kept(tmp_path):
    """…as their bytes, at their places; without the header, there is no place for them."""
    header = {"a": entry("F4", [16], [0, 8]), "//b": entry("F32", [2], [8, 16]), "c": entry("F32", [1], [16, 20])}
    (tmp_path / "a.safetensors").write_bytes(file_of(header, bytes(range(20))))
    found, meta = read(tmp_path / "a.safetensors"), meta_of(tmp_path / "a.safetensors")
    assert {name: values.tobytes() for name, values in found.items()} == {
        "//raw/a": bytes(range(8)), "//raw///b": bytes(range(8, 16)), "c": bytes(range(16, 20))
    }  # fmt: skip
    assert meta["uncoded"] == [["a", 8, "numbers of the dtype F4"], ["//b", 8, "a tensor whose name begins with //"]]
    write(tmp_path / "b.safetensors", found, meta)
    assert (tmp_path / "b.safetensors").read_bytes() == (tmp_path / "a.safetensors").read_bytes()
    del found["c"]
    write(tmp_path / "part.safetensors", found, meta)
    assert read(tmp_path / "part.safetensors").keys() == found.keys()
    for wrong in ({"//raw/b": found["//raw/a"]}, {"//raw/a": found["//raw/a"][1:]}, {"//hdf5": found["//raw/a"]}):
        with pytest.raises(Corrupt, match="no place"):
            write(tmp_path / "c.safetensors", wrong, meta)
    with pytest.raises(Corrupt, match="no place"):
        write(tmp_path / "c.safetensors", found, {})


@given(st.data())
def test_damaged_files(tmp_path_factory, data):
    """The reader refuses a damaged file, or the safetensors library reads it alike."""
    folder = tmp_path_factory.mktemp("damaged")
    original = bytearray(safetensors.numpy.save({"a": np.ones((2, 3), "f4"), "b": np.ones(3, "u1")}, {"k": "v"}))
    for _ in range(data.draw(st.integers(1, 3))):
        original[data.draw(st.integers(0, len(original) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(original)))
    path = folder / "a"
    path.write_bytes(original[:cut] if data.draw(st.booleans()) else original)
    try:
        arrays = read(path)
    except InvalidInput:
        return
    if not any(name.startswith("//raw/") for name in arrays):  # kept as it is: the library knows no such dtype
        assert same(arrays, safetensors.numpy.load(path.read_bytes()))


@pytest.mark.parametrize("header", [5, "no base64!", base64.b64encode(b"not zlib").decode(), "eJw="])
def test_damaged_meta(tmp_path, header):
    with pytest.raises(Corrupt):
        Writer(tmp_path / "a", {"header": header})


@pytest.mark.parametrize("header", [b"", b"[]", b"{", b'{"__metadata__":7}', b'{"a":1}', b"\xff"])
def test_meta_with_a_wrong_header(tmp_path, header):
    packed = base64.b64encode(zlib.compress(header)).decode()
    write(tmp_path / "a", {"x": np.ones(3, "f4")}, {"header": packed})
    assert same(safetensors.numpy.load_file(tmp_path / "a"), {"x": np.ones(3, "f4")})


@pytest.mark.parametrize("names", [["a", "a"], ["", ""], ["__metadata__"]])
def test_names_that_collide(tmp_path, names):
    with pytest.raises(InvalidInput), Writer(tmp_path / "a", {}) as writer:
        for name in names:
            writer.add(name, np.dtype("f4"), (1,)).write(0, np.ones(1, "f4"))


def test_dtype_that_the_format_lacks(tmp_path):
    with pytest.raises(GcodecError, match="complex128"), Writer(tmp_path / "a", {}) as writer:
        writer.add("x", np.dtype("c16"), (1,))
    assert ml_dtypes.bfloat16 in DTYPES.values()
