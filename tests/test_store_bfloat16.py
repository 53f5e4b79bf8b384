"""bfloat16 as a data type of zarr, with the codec and without it."""

import numpy as np
import pytest
from stores import ALPHA, FRACTION, X, create, error, fresh

zarr = pytest.importorskip("zarr", reason="the extra gcodec[zarr] is not installed")
from gcodec.integrations.zarr_bfloat16 import NATIVE, BFloat16  # noqa: E402


def test_bfloat16(tmp_path):
    x = X.astype(NATIVE)
    for options in ({}, {"serializer": "auto", "compressors": "auto"}, {"zarr_format": 2, "serializer": "auto"}):
        store = tmp_path / str(len(list(tmp_path.iterdir())))
        array = create(dtype="bfloat16", store=store, fill_value="NaN", **options)
        array[:200] = x[:200]
        found = zarr.open_array(store, mode="r")
        assert found.dtype == NATIVE and np.isnan(found.fill_value) and np.isnan(found[256:].astype(float)).all()
        assert error(found[:200], x[:200]) <= (0 if options else ALPHA * FRACTION)
    code = "import sys, zarr, gcodec.integrations.zarr; print(zarr.open_array(sys.argv[1], mode='r').dtype)"
    assert fresh(code, tmp_path / "0") == fresh(code, tmp_path / "2") == "bfloat16\n"


@pytest.mark.parametrize("fill, stored", [(1.5, 1.5), ("0x3fc0", 1.5), ("-Infinity", -np.inf), (7, 7)])
def test_fill_values_of_bfloat16(fill, stored):
    kind = BFloat16()
    value = kind.from_json_scalar(fill, zarr_format=3)
    assert value == stored and kind.from_json_scalar(kind.to_json_scalar(value, zarr_format=3), zarr_format=3) == value
    for wrong in ("many", None, [1], "0xfffff", True):
        with pytest.raises(TypeError, match="bfloat16"):
            kind.from_json_scalar(wrong, zarr_format=3)
