"""docs/stores.md runs as it stands there, and threads gain what it says."""

import re
import subprocess
import sys

import h5py
import numpy as np
import pytest
from stores import ROOT, error, installed

for host in ("zarr", "numcodecs", "xarray", "dask.array"):
    pytest.importorskip(host, reason=f"{host} is not installed")

BLOCKS = re.findall(r"^```python\n(.*?)^```$", (ROOT / "docs" / "stores.md").read_text(encoding="utf-8"), re.M | re.S)


def test_the_page_runs(tmp_path):
    """All blocks, one after the other, in a process that knows gcodec by its entry points."""
    import zarr
    from xarray import open_zarr

    import gcodec.integrations.zarr  # noqa: F401 (registers the codec where gcodec is not installed)
    from gcodec.integrations import hdf5, numcodecs, zarr_bfloat16

    (tmp_path / "packages").mkdir()
    last = "\nassert float(abs(w - x).max()) > 0 and rows.shape == (10, 256)\n"
    command = [sys.executable, "-W", "ignore", "-c", "".join(BLOCKS) + last]
    run = subprocess.run(command, cwd=tmp_path, env=installed(tmp_path / "packages"), capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    x = np.random.default_rng(0).normal(size=(4096, 256)).astype(np.float32)
    assert error(zarr.open_array(tmp_path / "w.zarr", mode="r")[:], x) <= 0.1
    assert error(zarr.open_array(tmp_path / "d.zarr", mode="r")[:], 2 * x) <= 0.1
    assert error(zarr.open_array(tmp_path / "v2.zarr", mode="r")[:], x) <= 0.1
    weights = zarr.open_array(tmp_path / "b.zarr", mode="r")
    assert weights.dtype == zarr_bfloat16.NATIVE and numcodecs.Gcodec.codec_id == "gcodec"
    assert error(weights[:], x.astype(weights.dtype)) <= 0.01
    with open_zarr(tmp_path / "data.zarr", consolidated=False) as data:
        assert error(data["w"].to_numpy(), x) <= 0.1 and data["step"].to_numpy().tolist() == list(range(4096))
    hdf5.register()
    with h5py.File(tmp_path / "w.h5") as file:
        assert error(file["w"][:], x) <= 0.1


def test_the_block_with_processes_runs_as_a_script(tmp_path):
    """Each process runs the file again."""
    (tmp_path / "packages").mkdir()
    (block,) = [block for block in BLOCKS if 'scheduler="processes"' in block]
    start = "import numpy as np, zarr\nfrom gcodec.integrations.zarr import encoding\nx = np.ones((4096, 256), 'f4')\n"
    (tmp_path / "script.py").write_text(start + block[block.index("blocks =") :].join(["import dask.array\n", ""]))
    command = [sys.executable, "-W", "ignore", "script.py"]
    run = subprocess.run(command, cwd=tmp_path, env=installed(tmp_path / "packages"), capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def test_blocks_that_do_not_fit_the_chunks_are_refused():
    import dask.array
    import zarr

    from gcodec.errors import InvalidInput
    from gcodec.integrations.zarr import encoding

    x = np.ones((64, 8), np.float32)
    target = zarr.create_array({}, shape=x.shape, dtype="f4", chunks=(32, 8), **encoding(alpha=0.1, method="sd"))
    with pytest.raises(InvalidInput, match="whole chunks"):
        dask.array.store(dask.array.from_array(x, chunks=(20, 8)), target, lock=False, scheduler="synchronous")


def test_a_dataset_of_xarray_with_nan(tmp_path):
    import xarray

    from gcodec.integrations.zarr import encoding

    values = np.random.default_rng(0).normal(size=(100, 30))
    values[3, 4] = np.nan
    data = xarray.Dataset({"t": (("time", "place"), values)})
    options = encoding(alpha=0.1, method="ecsq", nonfinite="lossless") | {"chunks": (64, 30)}
    data.to_zarr(tmp_path / "a", encoding={"t": options}, consolidated=False)
    with xarray.open_zarr(tmp_path / "a", consolidated=False) as found:
        assert np.array_equal(found["t"][:64].to_numpy(), values[:64], equal_nan=True)
        assert 0 < error(found["t"][64:].to_numpy(), values[64:]) <= 0.1
        found.to_zarr(tmp_path / "b", consolidated=False)  # with the encoding that it came with


def test_copies_of_xarray_keep_their_bytes(tmp_path):
    """A copy has the codec of the original; chunks that are the same are not coded again."""
    import xarray

    from gcodec.integrations.decoded import forget
    from gcodec.integrations.zarr import encoding

    x = np.random.default_rng(0).normal(size=(300, 64)).astype(np.float32)
    codec = encoding(alpha=0.1, method="ecsq", effort="fast") | {"chunks": (128, 64)}
    xarray.Dataset({"x": (("row", "column"), x)}).to_zarr(tmp_path / "0", encoding={"x": codec}, consolidated=False)
    for i in range(3):
        with xarray.open_zarr(tmp_path / str(i), consolidated=False) as found:
            found.to_zarr(tmp_path / str(i + 1), consolidated=False)
    for chunk in ("c/0/0", "c/2/0"):
        assert (tmp_path / "3" / "x" / chunk).read_bytes() == (tmp_path / "0" / "x" / chunk).read_bytes()
    with xarray.open_zarr(tmp_path / "0", consolidated=False) as found:
        loaded = found.load()
    forget()  # as in another process: there is a second loss, unless the codec is left out
    loaded.to_zarr(tmp_path / "again", consolidated=False)
    loaded.drop_encoding().to_zarr(tmp_path / "plain", consolidated=False)
    with xarray.open_zarr(tmp_path / "again", consolidated=False) as found:
        assert error(found["x"].to_numpy(), x) > 0.11
    with xarray.open_zarr(tmp_path / "plain", consolidated=False) as found:
        assert np.array_equal(found["x"], loaded["x"])
