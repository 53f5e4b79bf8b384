""".npz archives: equal arrays after a round trip, whatever their order and compression.

There are damaged and hostile archives too.
"""

import io
import json
import zipfile
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from checks import call_cli
from hypothesis import given
from hypothesis import strategies as st

from gcodec.errors import Corrupt, InvalidInput
from gcodec.io.arrays import fortran
from gcodec.io.arrays.fortran import FortranSource
from gcodec.io.arrays.npz import DTYPES_MEMBER, Reader, Writer
from gcodec.io.arrays.npz.members import MOST_TAIL
from gcodec.source import ArraySource

CODES = ("?", "i1", "i2", "i4", "i8", "u1", "u4", "f2", "f4", "f8", "c8", "c16")


def arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    found = {f"of {code}": (100 * rng.random((3, 4))).astype(code) for code in CODES}
    found |= {"fortran": np.asfortranarray(rng.random((7, 5, 3))), "big": rng.random(9).astype(">f4")}
    return found | {"group/scalar": np.array(2.5), "empty": np.zeros((0, 3)), "large": rng.random((300, 200))}


def read(path: Path) -> dict[str, np.ndarray]:
    with Reader(path) as reader:
        return {name: tensor.read(0, tensor.size).reshape(tensor.shape) for name, tensor in reader.tensors()}


def write(path: Path, tensors: dict[str, np.ndarray], meta: dict, piece: int = 1000) -> None:
    with Writer(path, meta) as writer:
        for name, array in tensors.items():
            sink = writer.add(name, array.dtype, array.shape)
            for start in range(0, array.size, piece):
                sink.write(start, array.ravel()[start : start + piece])


def meta_of(path: Path) -> dict:
    with Reader(path) as reader:
        return json.loads(json.dumps(reader.meta))


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_round_trip(tmp_path, save):
    save(tmp_path / "a.npz", **arrays())
    found, meta = read(tmp_path / "a.npz"), meta_of(tmp_path / "a.npz")
    assert list(found) == list(arrays())
    expected = {"format": "npz", "deflate": save is np.savez_compressed, "big_endian": ["big"], "fortran": ["fortran"]}
    assert meta == expected
    write(tmp_path / "b.npz", found, meta)
    assert (tmp_path / "b.npz").read_bytes() == (tmp_path / "a.npz").read_bytes()
    with np.load(tmp_path / "b.npz", allow_pickle=False) as again:
        assert again.files == list(arrays())
        for name, array in arrays().items():
            assert found[name].dtype == array.dtype.newbyteorder("=") and again[name].dtype == array.dtype
            np.testing.assert_array_equal(found[name], array)
            np.testing.assert_array_equal(again[name], array)
    with zipfile.ZipFile(tmp_path / "b.npz") as archive:
        compressed = {info.compress_type == zipfile.ZIP_DEFLATED for info in archive.infolist()}
    assert compressed == {meta["deflate"]}


@pytest.mark.parametrize("dtype", ["bfloat16", "float8_e4m3fn", "float8_e5m2"])
def test_dtypes_that_numpy_lacks(tmp_path, dtype):
    values = np.linspace(-3, 3, 20).astype(getattr(ml_dtypes, dtype))
    write(tmp_path / "a.npz", {"x": values, "y": np.ones(3)}, {})
    found = read(tmp_path / "a.npz")
    assert list(found) == ["x", "y"] and found["x"].dtype == values.dtype and found["x"].tobytes() == values.tobytes()
    with np.load(tmp_path / "a.npz") as plain:
        assert plain["x"].tobytes() == values.tobytes() and DTYPES_MEMBER in plain.files
    write(tmp_path / "b.npz", found, meta_of(tmp_path / "a.npz"))
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_sources_are_read_in_any_order(tmp_path):
    tensors = {f"x{i}": np.random.default_rng(i).random((50, i + 1)) for i in range(12)}
    np.savez_compressed(tmp_path / "a.npz", **tensors)
    with Reader(tmp_path / "a.npz") as reader:
        sources = dict(reader.tensors())
        for start in (10, 0, 33):
            for name in reversed(sources):
                expected = tensors[name].ravel()[start : start + 7]
                assert sources[name].read(start, start + 7).tobytes() == expected.tobytes()


@given(
    st.lists(st.integers(0, 6), min_size=2, max_size=4), st.sampled_from([1, 7, 30, 1000]), st.sampled_from([0, 3, 99])
)
def test_fortran_order(shape, slab, short):
    values = np.asfortranarray(np.arange(np.prod(shape, dtype=int), dtype="i4").reshape(shape))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fortran, "SLAB", slab)
        patch.setattr(fortran, "SHORT", short)
        source = FortranSource(ArraySource(values.ravel("F")), tuple(shape))
        assert source.size == values.size and source.read(0, values.size).tobytes() == values.tobytes("C")
        middle = source.read(values.size // 3, values.size // 2)
    assert middle.tobytes() == values.ravel("C")[values.size // 3 : values.size // 2].tobytes()


def test_part_of_an_array_is_left_out(tmp_path):
    with Writer(tmp_path / "a.npz", {}) as writer:
        writer.add("whole", np.dtype("f4"), (3,)).write(0, np.ones(3, "f4"))
        writer.add("part", np.dtype(ml_dtypes.bfloat16), (3,)).write(0, np.ones(2, ml_dtypes.bfloat16))
        writer.add("another", np.dtype("f4"), (3,)).write(0, np.ones(3, "f4"))
    with np.load(tmp_path / "a.npz") as found:
        assert found.files == ["whole", "another"] and (found["another"] == 1).all()


def test_name_of_an_unnamed_array(tmp_path):
    write(tmp_path / "a.npz", {"": np.ones(3)}, {})
    assert list(read(tmp_path / "a.npz")) == ["arr_0"]


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def archive(*members: tuple[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as file:
        for name, data in members:
            file.writestr(zipfile.ZipInfo(name), data, method)
    return buffer.getvalue()


def patched(data: bytes, old: bytes, new: bytes) -> bytes:
    assert data.count(old) >= 1 and len(old) == len(new)
    return data.replace(old, new)


GOOD = npy(np.arange(6, dtype="f4"))
HOSTILE = {
    "empty": b"",
    "not a zip": b"PK\x03\x04" + bytes(100),
    "cut": archive(("a.npy", GOOD))[:-30],
    "no header inside": archive(("a.npy", GOOD[:30])),
    "cut npy": archive(("a.npy", GOOD[:-1])),
    "more behind": archive(("a.npy", GOOD + b"\0")),
    "more text behind": archive(("a.npy", npy(np.array(["a", "b"])) + b"c")),
    "huge shape": archive(("a.npy", patched(GOOD, b"(6,), }" + b" " * 20, b"(666666666666666666666,), }"))),
    "an expression": archive(("a.npy", patched(GOOD, b"(6,), } ", b"(f(1),)}"))),
    "negative shape": archive(("a.npy", patched(GOOD, b"(6,), } ", b"(-6,), }"))),
    "traversal": archive(("../a.npy", GOOD)),
    "traversal of what is no array": archive(("a/../../b.txt", b"hello")),
    "traversal of Windows": archive(("..\\a.npy", GOOD)),
    "bzip2": archive(("a.npy", GOOD), method=zipfile.ZIP_BZIP2),
    "checksum": patched(archive(("a.npy", GOOD)), GOOD[-4:], b"abcd"),
    "dtypes of another width": archive(("a.npy", GOOD), (DTYPES_MEMBER, b'{"a": "bf16"}')),
    "dtypes no map": archive(("a.npy", GOOD), (DTYPES_MEMBER, b"[1]")),
    "dtypes deep": archive(("a.npy", GOOD), (DTYPES_MEMBER, b"[" * 100_000)),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_archives(tmp_path, what):
    (tmp_path / "bad.npz").write_bytes(HOSTILE[what])
    with pytest.raises(InvalidInput, match=r"; \w+") as caught:  # a remedy
        read(tmp_path / "bad.npz")
    assert "0x" not in str(caught.value)
    assert list(tmp_path.iterdir()) == [tmp_path / "bad.npz"]


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_duplicate_names(tmp_path):
    (tmp_path / "a.npz").write_bytes(archive(("a.npy", GOOD), ("a.npy", GOOD)))
    with pytest.raises(InvalidInput, match="a.npy"):
        Reader(tmp_path / "a.npz")


def test_what_is_no_array_of_numbers_is_kept(tmp_path):
    """…as the bytes of its member, in its place among the others. Pickles are never loaded."""
    kept = {
        "text.npy": npy(np.array(["a", "b"])),
        "structure.npy": npy(np.zeros(2, [("a", "f4")])),
        "raw.npy": npy(np.zeros(2, "V2")),
        "long double.npy": npy(np.zeros(2, np.longdouble)),
        "dates.npy": npy(np.zeros(2, "M8[D]")),
        "pickle.npy": npy(np.array([print, None], object)),
        "evil pickle.npy": npy(np.array([None], object))[:128] + b"cos\nsystem\n(S'false'\ntR.",
        "README.txt": b"hello",
        "no array.npy": b"hello",
        "//x.npy": GOOD,
        "folder/": b"",
    }
    members = [("first.npy", GOOD), *kept.items(), ("/a//b.npy", GOOD), (".npy", GOOD), ("arr_0.npy", GOOD)]
    (tmp_path / "a.npz").write_bytes(archive(*members, method=zipfile.ZIP_DEFLATED))
    found, meta = read(tmp_path / "a.npz"), meta_of(tmp_path / "a.npz")
    assert list(found) == ["first", *(f"//raw/{name}" for name in kept), "/a//b", "", "arr_0"]
    assert all(found[f"//raw/{name}"].tobytes() == data for name, data in kept.items())
    assert {name: nbytes for name, nbytes, _ in meta["uncoded"]} == {name: len(data) for name, data in kept.items()}
    write(tmp_path / "b.npz", found, meta)
    with zipfile.ZipFile(tmp_path / "b.npz") as back:
        assert [(info.filename, back.read(info)) for info in back.infolist()] == members
    for name in ("//raw/../x", "//hdf5"):
        with pytest.raises((InvalidInput, Corrupt)):
            write(tmp_path / "c.npz", {name: np.zeros(3, np.uint8)}, meta)
    with pytest.raises(InvalidInput, match="two tensors have the name"):
        write(tmp_path / "c.npz", {"//raw/x.npy": np.zeros(3, np.uint8), "x": np.zeros(3)}, meta)


def test_raw_values_that_are_named(tmp_path):
    bits = np.arange(12, dtype=np.uint16)
    np.savez(tmp_path / "a.npz", v=bits.view("V2").reshape(3, 4).T, i=bits, w=bits.view("V2"), f=np.ones(3))
    for dtypes, renamed in (({"": "bf16"}, "vw"), ({"v": "bf16", "[iw]": "f16"}, "vwi"), ({"w": "bfloat16"}, "w")):
        with Reader(tmp_path / "a.npz", dtypes) as reader:
            found = {name: tensor.read(0, tensor.size).reshape(tensor.shape) for name, tensor in reader.tensors()}
            meta = json.loads(json.dumps(reader.meta))
        assert {name for name in found if name in "viw" and found[name].dtype != np.uint16} == set(renamed)
        assert sum(name.startswith("//raw/") for name in found) == 2 - len(set(renamed) & set("vw"))
        write(tmp_path / "b.npz", found, meta)
        if "i" not in renamed:
            assert (tmp_path / "b.npz").read_bytes() == (tmp_path / "a.npz").read_bytes()
    for dtypes, words in (
        ({"x": "bf16"}, "no array of that name; it has 'v', 'i', 'w', 'f'"),
        ({"f": "bf16"}, "only integers"),
        ({"": "f7"}, "f7"),
    ):
        with pytest.raises(InvalidInput, match=words):
            Reader(tmp_path / "a.npz", dtypes)


def test_declared_header_is_not_believed(tmp_path):
    """A member of a few kilobytes that unpacks to an array header of gigabytes."""
    bomb = b"\x93NUMPY\x02\x00" + (50 << 20).to_bytes(4, "little") + b" " * (50 << 20)
    (tmp_path / "a.npz").write_bytes(archive(("a.npy", bomb), method=zipfile.ZIP_DEFLATED))
    with pytest.raises(InvalidInput):
        Reader(tmp_path / "a.npz")


@given(st.data())
def test_damaged_archives(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("damaged")
    method = data.draw(st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]))
    original = bytearray(archive(("a.npy", GOOD), ("b.npy", npy(np.ones((3, 4), order="F"))), method=method))
    for _ in range(data.draw(st.integers(1, 3))):
        original[data.draw(st.integers(0, len(original) - 1))] = data.draw(st.integers(0, 255))
    (folder / "a.npz").write_bytes(original)
    try:
        found = read(folder / "a.npz")
    except InvalidInput:
        return
    values = {array.tobytes() for array in found.values()}  # names are not under the checksum
    assert values <= {np.arange(6, dtype="f4").tobytes(), np.ones((3, 4)).tobytes()}


@pytest.mark.parametrize("names", [["a", "a"], ["", "arr_0"], ["../a"], ["..\\a"], ["a\0b"], ["x" * 5000]])
def test_names_that_collide_or_are_no_paths(tmp_path, names):
    with pytest.raises(InvalidInput), Writer(tmp_path / "a.npz", {}) as writer:
        for name in names:
            writer.add(name, np.dtype("f4"), (1,)).write(0, np.ones(1, "f4"))


def test_bytes_behind_the_archive_come_back(tmp_path):
    np.savez(tmp_path / "a.npz", **arrays())
    whole = (tmp_path / "a.npz").read_bytes()
    for tail in (b"xyz", bytes(MOST_TAIL)):
        (tmp_path / "a.npz").write_bytes(whole + tail)
        write(tmp_path / "b.npz", read(tmp_path / "a.npz"), meta_of(tmp_path / "a.npz"))
        assert (tmp_path / "b.npz").read_bytes() == whole + tail
    (tmp_path / "a.npz").write_bytes(whole)
    assert "tail" not in meta_of(tmp_path / "a.npz")


@pytest.mark.parametrize("tail", [5, "äöü", "abc", "AAAA" * (1 << 15)])
def test_a_tail_that_no_archive_has_is_corrupt(tmp_path, tail):
    with pytest.raises(Corrupt, match="base64"):
        Writer(tmp_path / "a.npz", {"format": "npz", "tail": tail})


def test_verify_tells_of_other_bytes_behind_the_archive(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, a=np.arange(99.0))
    path.write_bytes(path.read_bytes() + b"xyz")
    assert call_cli("encode", path, "--lossless", "-q")[0] == 0
    assert call_cli("verify", f"{path}.gcz", "--against", path)[0] == 0
    path.write_bytes(path.read_bytes()[:-1])
    code, *said = call_cli("verify", f"{path}.gcz", "--against", path)
    assert code == 1 and "behind the end of the archive" in " ".join(map(str, said))
