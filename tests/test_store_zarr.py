"""zarr v3: arrays, slices, metadata, and what is wrong with a chunk."""

import asyncio
import json
from contextlib import nullcontext

import numpy as np
import pytest
from stores import ALPHA, FRACTION, LOSSY, X, create, error, fresh, installed, normal, settle

import gcodec
from gcodec.cli.files import container_file
from gcodec.errors import Corrupt, FormatError, InvalidInput, NonFinite

zarr = pytest.importorskip("zarr", reason="the extra gcodec[zarr] is not installed")
from gcodec.integrations.zarr import GcodecCodec  # noqa: E402


@pytest.mark.parametrize("codec", [LOSSY, {"alpha": 0.01, "method": "klt", "effort": "fast"}, {"lossless": True}])
def test_the_bound_of_chunks_is_that_of_the_array(codec):
    array = create(codec=codec)
    array[:] = X
    assert error(array[:], X) <= codec.get("alpha", 0) * FRACTION
    for start in (0, 128, 256):
        assert error(array[start : start + 128], X[start : start + 128]) <= codec.get("alpha", 0) * FRACTION


@pytest.mark.parametrize("sides", [{"chunks": (128, 64)}, {"chunks": (32, 32), "shards": (128, 64)}])
def test_slices(sides):
    array = create(**sides)
    array[:] = X
    whole = array[:]
    for selection in (
        np.s_[5],
        np.s_[-1, 3],
        np.s_[10:20, 3:5],
        np.s_[120:140],
        np.s_[::7, ::3],
        np.s_[:, 7],
        np.s_[:0],
    ):
        assert np.array_equal(array[selection], whole[selection])
    assert np.array_equal(array.oindex[[1, 2, 200], [3, 5]], whole[np.ix_([1, 2, 200], [3, 5])])
    assert np.array_equal(array.vindex[[1, 2, 200], [3, 5, 3]], whole[[1, 2, 200], [3, 5, 3]])
    mask = np.zeros(X.shape, bool)
    mask[4:9, 2] = True
    assert np.array_equal(array.vindex[mask], whole[mask])


@pytest.mark.parametrize("shape, chunks", [((), ()), ((1,), (1,)), ((5, 7, 11), (2, 7, 4)), ((0, 3), (2, 3))])
def test_shapes(shape, chunks):
    x = normal(*shape)
    array = create(shape, chunks=chunks)
    array[...] = x
    assert array[...].shape == shape and (x.size == 0 or error(array[...], x) <= ALPHA * FRACTION)


@pytest.mark.parametrize("dtype", ["float16", "float64", ">f4", "int64", "uint8", "bool", "complex64"])
def test_dtypes(dtype):
    x = (X * 100).astype(dtype)
    array = create(dtype=dtype)
    array[:] = x
    if x.dtype.kind == "f":
        assert array[:].dtype.newbyteorder("=") == x.dtype.newbyteorder("=") and error(array[:], x) <= ALPHA * FRACTION
    else:
        assert array[:].dtype == x.dtype and np.array_equal(array[:], x)


@pytest.mark.parametrize("dtype", ["float32", "float16", ">f8", "int32"])
def test_pointwise(dtype):
    """Every value is within the bound, and zeros stay."""
    x = (X * 100).astype(dtype)
    x[::3, 5] = 0
    array = create(dtype=dtype, codec={"pointwise": 0.05})
    array[:] = x
    wide, found = x.astype(np.float64), array[:].astype(np.float64)
    assert (abs(found - wide) <= 0.05 * abs(wide)).all() and np.array_equal(found, wide) == (x.dtype.kind == "i")
    with nullcontext() if x.dtype.kind == "i" else pytest.raises(InvalidInput, match="whole chunks"):
        array[3:5] = 1


GOLDEN = [
    {
        "name": "sharding_indexed",
        "configuration": {
            "chunk_shape": [32, 64],
            "codecs": [{"name": "gcodec", "configuration": {"method": "ecsq", "alpha": 0.1, "effort": "fast"}}],
            "index_codecs": [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "crc32c"}],
            "index_location": "end",
        },
    }
]


def test_metadata_is_stable(tmp_path):
    create(store=tmp_path / "a", chunks=(32, 64), shards=(128, 64))
    assert json.loads((tmp_path / "a" / "zarr.json").read_text())["codecs"] == GOLDEN
    for codec, kept in (
        (dict(alpha=np.float32(0.5)), {"alpha": 0.5}),
        (dict(omega=1, method="dither"), {"method": "dither", "omega": 1.0}),
        (dict(pointwise=0.25), {"pointwise": 0.25}),
        (dict(nonfinite="lossless", lossless=True), {"lossless": True, "nonfinite": "lossless"}),
    ):
        made = GcodecCodec(**codec).to_dict()
        assert json.dumps(made) == json.dumps({"name": "gcodec", "configuration": kept})
        assert GcodecCodec.from_dict(json.loads(json.dumps(made))) == GcodecCodec(**codec)


@pytest.mark.parametrize(
    "configuration, words",
    [
        ({}, "bound"),
        ({"alpha": 2}, "between 0 and 1"),
        ({"alpha": "0.1"}, "must be a number"),
        ({"alpha": 0.1, "lossless": True}, "only one"),
        ({"lossless": "yes"}, "True or False"),
        ({"alpha": 0.1, "methode": "sd"}, "no setting 'methode'"),
        ({"alpha": 10**400}, "alpha must be a number of ordinary size"),
        ({"alpha": 0.1, "method": None}, "method must be a string"),
        ({"alpha": 0.1, "lossless": 0}, "lossless must be True or False"),
        ({"lossless": None}, "lossless must be True or False"),
        ({"alpha": 0.1, "method": "none"}, "known are"),
    ],
)
def test_wrong_metadata(tmp_path, configuration, words):
    create(store=tmp_path)
    path = tmp_path / "zarr.json"
    about = json.loads(path.read_text())
    about["codecs"] = [{"name": "gcodec", "configuration": configuration}]
    path.write_text(json.dumps(about))
    with pytest.raises(InvalidInput, match=words):
        zarr.open_array(tmp_path)


def test_a_configuration_is_an_object():
    with pytest.raises(InvalidInput, match="object with keys"):
        GcodecCodec.from_dict({"name": "gcodec", "configuration": [0.1]})


def test_dtypes_that_cannot_be_stored():
    with pytest.raises(InvalidInput, match="datetime64"):
        create(dtype="datetime64[s]")


def test_nan():
    x = X.copy()
    x[200, 3] = np.nan
    with pytest.raises(NonFinite, match="chunk 'c/1/0'.*nonfinite"):
        create()[:] = x
    array = create(codec={**LOSSY, "nonfinite": "lossless"})
    array[:] = x
    assert np.array_equal(array[128:256], x[128:256], equal_nan=True)
    assert error(array[:128], x[:128]) <= ALPHA * FRACTION
    padded = create(fill_value=np.nan)  # which no chunk at the edge takes into its bound
    padded[:] = X
    assert error(padded[256:], X[256:]) <= ALPHA * FRACTION


def test_empty_chunks_are_not_stored():
    store = {}
    array = create(store=store)
    array[:128] = 0
    array[128:] = X[128:]
    assert sorted(key for key in store if key.startswith("c/")) == ["c/1/0", "c/2/0"]
    array[128:256] = 0
    assert sorted(key for key in store if key.startswith("c/")) == ["c/2/0"] and not array[:256].any()


def test_damaged_chunks(tmp_path):
    array = create(store=tmp_path)
    array[:] = X
    path = tmp_path / "c" / "1" / "0"
    good = path.read_bytes()
    for bad in (good[:-20], good[:7], b"", good + b"x", bytes([*good[:-60], good[-60] ^ 4, *good[-59:]])):
        path.write_bytes(bad)
        for selection in (np.s_[:], np.s_[130:140]):
            with pytest.raises(FormatError, match="c/1/0"):
                array[selection]
    assert np.array_equal(array[:128], array[:128])


@pytest.mark.parametrize(
    "x", [X[:128].astype(np.float64), X[:129], X[:128, :3, None], X[0], np.zeros((1 << 16, 64), np.float32)]
)
def test_chunks_of_another_shape_or_dtype(tmp_path, x):
    array = create(store=tmp_path)
    array[:] = X
    (tmp_path / "c" / "0" / "0").write_bytes(gcodec.encode(x, lossless=True))
    with pytest.raises(Corrupt, match="c/0/0.*where the array has float32"):
        array[:]


def test_chunks_with_a_weaker_promise(tmp_path):
    """As where the bound in the metadata was made smaller."""
    create(store=tmp_path)[:] = X
    path = tmp_path / "zarr.json"
    path.write_text(path.read_text().replace("0.1", "0.01"))
    for selection in (np.s_[:], np.s_[130:140]):
        with pytest.raises(Corrupt, match="c/[012]/0': the chunk promises alpha 0.1, which is less than .*alpha 0.01"):
            zarr.open_array(tmp_path)[selection]
    with pytest.raises(InvalidInput, match=r"such as .*c/\d/0"), container_file(str(tmp_path)):
        pass
    path.write_text(path.read_text().replace("0.01", "0.2"))
    assert error(zarr.open_array(tmp_path)[:], X) <= ALPHA * FRACTION


def test_work_is_off_the_event_loop(monkeypatch):
    """Else one chunk after the other would be coded."""
    settle()
    calls, coded, gcodec_open = [], GcodecCodec.coded, gcodec.open

    def watched(function):
        def call(*arguments, **options):
            with pytest.raises(RuntimeError, match="no running event loop"):
                asyncio.get_running_loop()
            calls.append(function)
            return function(*arguments, **options)

        return call

    monkeypatch.setattr(GcodecCodec, "coded", watched(coded))
    monkeypatch.setattr(gcodec, "open", watched(gcodec_open))
    array = create(chunks=(32, 64))
    array[:] = X
    assert calls == [coded] * 10
    assert array[:40].shape == (40, 64) and calls[10:] == [gcodec_open] * 2


def test_many_small_ranges_do_not_wait_for_each_other(tmp_path):
    """More chunks than zarr has threads, each of which asks its store for ranges."""
    x = normal(40 * 256, 64)
    array = create(x.shape, chunks=(256, 64), store=tmp_path, codec={"lossless": True})
    array[:] = x
    assert np.array_equal(array[:, :3], x[:, :3]) and np.array_equal(array.oindex[[0, 600, 9000], :], x[[0, 600, 9000]])
    assert np.array_equal(array[5::256], x[5::256])


def test_a_fresh_process_finds_it_by_its_entry_point(tmp_path):
    array = create(store=tmp_path / "a.zarr")
    array[:] = X
    code = "import sys, zarr; print(zarr.open_array(sys.argv[1], mode='r')[5].tobytes().hex())"
    (tmp_path / "packages").mkdir()
    assert fresh(code, tmp_path / "a.zarr", env=installed(tmp_path / "packages")).strip() == array[5].tobytes().hex()


def test_without_zarr():
    code = "import sys; sys.modules['zarr'] = None\ntry: import gcodec.integrations.zarr\nexcept ImportError as e: print(e)"
    assert fresh(code) == "zarr 3.1 or newer is not installed; install it with: pip install 'gcodec[zarr]'\n"


class Torn(zarr.storage.MemoryStore):
    """A store in which a chunk is replaced after its first range was read."""

    later: bytes = b""

    async def get(self, key, prototype=None, byte_range=None):
        found = await super().get(key, prototype, byte_range)
        if self.later and byte_range is not None and key.startswith("c"):
            later, self.later = self.later, b""
            await self.set(key, zarr.core.buffer.default_buffer_prototype().buffer.from_bytes(later))
        return found

    async def getsize(self, key):
        return len(self._store_dict[key])


@pytest.mark.parametrize("rows", [4096, 16384])  # which are read in 2 ranges, and in more
def test_a_chunk_that_is_replaced_between_two_ranges_is_read_again(rows):
    x, store = normal(rows, 64), Torn()
    array = create(x.shape, chunks=x.shape, store=store)
    array[:] = 2 * x
    later, last = store._store_dict["c/0/0"].to_bytes(), array[2000:2010]
    array[:] = x[::-1]
    store.later = later
    assert np.array_equal(array[2000:2010], last)
