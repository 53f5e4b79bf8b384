"""Decoded HDF5 files have no room that nothing uses."""

import h5py
import numpy as np
import pytest
from checks import call_cli as run
from h5py import h5a, h5s, h5t

from gcodec.io.hdf5.process import packing
from gcodec.io.hdf5.process.packing import copied, pack


def values(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(200, 150)).astype(np.float32)


def written(path, strategy: str = "fsm", **options) -> None:
    with h5py.File(path, "w", fs_strategy=strategy, **options) as file:
        for i in range(4):
            file.create_dataset(f"group/w{i}", data=values(i), chunks=(50, 50), compression="gzip")
            file[f"group/w{i}"].attrs["note"] = ["a", "ü"]
        file.attrs["title"], file.attrs["empty"] = "größer", h5py.Empty("f4")
        file.attrs["names"] = ["one", "two"]
        file["soft"], file["external"] = h5py.SoftLink("/group/w0"), h5py.ExternalLink("other.h5", "/x")
        file["text"] = ["a", "bc"]


def again(path, *bound: str):
    """The file after encoding and decoding."""
    back = path.with_name("back.h5")
    assert run("encode", path, *bound, "-f", "-q")[0] == 0
    assert run("decode", f"{path}.gcz", "-o", back, "-f", "-q")[0] == 0
    return back


@pytest.mark.parametrize("strategy", ["fsm", "none"])
def test_a_bound_makes_the_file_as_short_as_a_fresh_one(tmp_path, strategy):
    path, fresh = tmp_path / "x.h5", tmp_path / "fresh.h5"
    written(path, strategy)
    back = again(path, "--alpha", "1e-2")
    with h5py.File(back) as file, h5py.File(fresh, "w", fs_strategy=strategy) as other:
        for name in file["group"]:
            found = file["group"][name]
            assert found.chunks == (50, 50) and found.compression == "gzip"
            other.create_dataset(f"group/{name}", data=found[()], chunks=(50, 50), compression="gzip")
    assert back.stat().st_size < 1.1 * fresh.stat().st_size < path.stat().st_size
    with h5py.File(back) as file, h5py.File(path) as original:
        for i in range(4):
            x, y = original[f"group/w{i}"][()], file[f"group/w{i}"][()]
            assert ((x - y) ** 2).sum() <= 1e-2 * (x**2).sum()
            assert list(file[f"group/w{i}"].attrs["note"]) == ["a", "ü"]
        assert file.attrs["title"] == "größer" and isinstance(file.attrs["empty"], h5py.Empty)
        assert list(file.attrs["names"]) == ["one", "two"] and list(file["text"].asstr()) == ["a", "bc"]
        assert file.get("soft", getlink=True).path == "/group/w0"
        assert file.get("external", getlink=True).filename == "other.h5"
    assert again(path, "--alpha", "1e-2").read_bytes() == back.read_bytes()


def test_a_lossless_file_does_not_grow(tmp_path):
    path = tmp_path / "x.h5"
    written(path, "none")
    back = again(path, "--lossless")
    assert back.stat().st_size < 1.05 * path.stat().st_size
    with h5py.File(back) as file, h5py.File(path) as original:
        assert all((file[f"group/w{i}"][()] == original[f"group/w{i}"][()]).all() for i in range(4))


def test_the_order_of_links_is_kept(tmp_path):
    path = tmp_path / "x.h5"
    written(path, "none", track_order=True)
    with open(path, "rb") as file, open(tmp_path / "spare", "w+b") as spare:
        assert pack(file, spare)
    with h5py.File(tmp_path / "spare") as file:
        assert list(file) == ["group", "soft", "external", "text"]
        assert list(file.attrs) == ["title", "empty", "names"]


def _two_names(file: h5py.File) -> None:
    file["other"] = file["group/w0"]


def _reference(file: h5py.File) -> None:
    file.attrs["main"] = file["group/w1"].ref


def _scale(file: h5py.File) -> None:
    file["x"] = np.arange(200.0)
    file["x"].make_scale()
    file["group/w0"].dims[0].attach_scale(file["x"])


def _named_type(file: h5py.File) -> None:
    file["type"] = np.dtype("f4")


CHANGES = (_two_names, _reference, _scale, _named_type)


@pytest.mark.parametrize("change", CHANGES)
def test_what_a_copy_would_lose_is_not_copied(tmp_path, change):
    path = tmp_path / "x.h5"
    written(path, "none")
    with h5py.File(path, "r+") as file:
        change(file)
    with open(path, "rb") as file, open(tmp_path / "spare", "w+b") as spare:
        assert not copied(file.fileno(), spare.fileno())


def test_what_is_not_copied_comes_back_all_the_same(tmp_path):
    path = tmp_path / "x.h5"
    written(path, "none")
    with h5py.File(path, "r+") as file:
        for change in CHANGES:
            change(file)
    with h5py.File(again(path, "--alpha", "1e-2")) as file, h5py.File(path) as original:
        assert set(file) == set(original)
        assert file["other"] == file["group/w0"] and file[file.attrs["main"]] == file["group/w1"]
        assert file["group/w0"].dims[0][0] == file["x"]


def test_a_damaged_file_is_left_as_it_is(tmp_path):
    path = tmp_path / "x.h5"
    written(path)
    data = path.read_bytes()
    for damaged in (b"", data[:1000], data[:2000] + bytes(len(data) - 2000)):
        path.write_bytes(damaged)
        with open(path, "r+b") as file, open(tmp_path / "spare", "w+b") as spare:
            assert not pack(file, spare)
        assert path.read_bytes() == damaged


def attribute(item: h5py.HLObject, name: str, kind: h5t.TypeID, *values: bytes) -> None:
    """Give an object an attribute of values as they are in memory; of none, one without values."""
    space = h5s.create_simple((len(values),)) if values else h5s.create(h5s.NULL)
    made = h5a.create(item.id, name.encode(), kind, space)
    if values:
        made.write(np.array(values, f"V{kind.get_size()}"), mtype=kind)


def text(encoding: int, padding: int) -> h5t.TypeID:
    kind = h5t.C_S1.copy()
    kind.set_size(5)
    kind.set_cset(encoding)
    kind.set_strpad(padding)
    return kind


def attributes_of_every_kind(item: h5py.HLObject) -> None:
    for encoding in (h5t.CSET_ASCII, h5t.CSET_UTF8):
        for padding in (h5t.STR_NULLTERM, h5t.STR_NULLPAD, h5t.STR_SPACEPAD):
            attribute(item, f"text {encoding} {padding}", text(encoding, padding), b"GROUP", b"a\0b \0", b"\xff\xfe   ")
    attribute(item, "opaque", h5t.create(h5t.OPAQUE, 3), b"\0\1\2")
    attribute(item, "bits", h5t.STD_B8LE, b"\7")
    attribute(item, "null", h5t.IEEE_F32LE)
    ragged = np.empty(2, object)
    ragged[:] = np.arange(3, dtype=np.int32), np.zeros(0, np.int32)
    item.attrs.create("ragged", ragged, dtype=h5py.vlen_dtype(np.int32))
    item.attrs.create("enum", 1, dtype=h5py.enum_dtype({"A": 0, "B": 1}, "u1"))
    table = [("a", "i1"), ("b", "f8"), ("s", "S3"), ("v", h5py.string_dtype())]
    item.attrs.create("table", np.array([(1, 2.0, b"xyz", "ü")], table))
    item.attrs.create("array", np.ones((2, 3)), (2, 3), np.dtype((np.float32, (3,))))
    others = {"bool": True, "texts": ["a", "", "ü"], "big": np.arange(3, dtype=">i2"), "nothing": np.zeros((0, 3))}
    item.attrs.update(others)


def test_attributes_of_every_kind_are_copied_bit_for_bit(tmp_path):
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        file["group/w"] = values()
        for item in (file, file["group"], file["group/w"]):
            attributes_of_every_kind(item)
    with open(path, "rb") as file, open(tmp_path / "spare", "w+b") as spare:
        assert copied(file.fileno(), spare.fileno())
    with h5py.File(tmp_path / "spare") as file, h5py.File(path) as original:
        for name in original.attrs:
            found, expected = h5a.open(file.id, name.encode()), h5a.open(original.id, name.encode())
            assert found.get_type() == expected.get_type() and found.shape == expected.shape
        for name in (name for name in original.attrs if name.startswith("text ")):
            found = np.zeros(3, "V5")
            h5a.open(file.id, name.encode()).read(found, mtype=h5a.open(file.id, name.encode()).get_type())
            assert found.tobytes() == b"GROUPa\0b \0\xff\xfe   "
        assert file.attrs["table"].tolist() == original.attrs["table"].tolist()
        assert [part.tolist() for part in file.attrs["ragged"]] == [[0, 1, 2], []]
        assert (file.attrs["array"] == 1).all() and file.attrs["bool"] and list(file.attrs["texts"]) == ["a", "", "ü"]


@pytest.mark.parametrize("encoding", [h5t.CSET_ASCII, h5t.CSET_UTF8])
def test_a_text_that_fills_its_bytes_is_kept_in_a_file_that_gets_short(tmp_path, encoding):
    """PyTables writes such texts, and cannot open a file that lost their last byte."""
    path = tmp_path / "x.h5"
    written(path)
    with h5py.File(path, "r+") as file:
        attribute(file, "CLASS", text(encoding, h5t.STR_NULLTERM), b"GROUP")
    back = again(path, "--alpha", "1e-2")
    assert back.stat().st_size < 0.8 * path.stat().st_size
    with h5py.File(back) as file:
        assert file.attrs["CLASS"] == b"GROUP"


@pytest.mark.parametrize("lost", [True, False])
def test_a_copy_whose_attributes_differ_is_refused(tmp_path, monkeypatch, lost):
    def other(original: h5a.AttrID, group) -> None:
        if original.name != b"names":
            copy(original, group)
        elif not lost:
            h5py.Group(group).attrs["names"] = ["one", "twa"]

    path, copy = tmp_path / "x.h5", packing.copy_attribute
    written(path)
    monkeypatch.setattr(packing, "copy_attribute", other)
    with open(path, "rb") as file, open(tmp_path / "spare", "w+b") as spare:
        assert not copied(file.fileno(), spare.fileno())


@pytest.mark.parametrize(
    ("options", "bound"),
    [
        ({"libver": "latest"}, ("--lossless",)),
        ({"userblock_size": 1024}, ("--lossless",)),
        ({}, ("--alpha", "1e-2")),  # with which the file is written anew
    ],
)
def test_bytes_behind_the_end_follow_the_end_of_the_decoded_file(tmp_path, options, bound):
    path = tmp_path / "x.h5"
    written(path, **options)
    behind = b"\0trailing" * 9000
    with open(path, "ab") as file:
        file.write(behind)
    back = again(path, *bound)
    data = back.read_bytes()
    assert data.endswith(behind) and not data.removesuffix(behind).endswith(b"trailing")
    with h5py.File(back) as file, h5py.File(path) as original:
        assert file.attrs["title"] == "größer"
        assert np.allclose(file["group/w3"][()], original["group/w3"][()], atol=1)
    back.write_bytes(data.removesuffix(behind))
    with h5py.File(back) as file:
        assert set(file["group"]) == {"w0", "w1", "w2", "w3"}
