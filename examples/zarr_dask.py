"""A larger array through dask into zarr, each chunk with its bound; then the mean of each row.

Needs `pip install 'gcodec[zarr]' 'dask[array]'`.
"""

import dask.array as da
import zarr

from gcodec.integrations.zarr import encoding

source = da.random.default_rng(0).normal(2, 1, size=(4096, 512), chunks=(1024, 512)).astype("float32").persist()
options = encoding(alpha=1e-3, method="ecsq")
target = zarr.create_array("field.zarr", shape=source.shape, dtype="float32", chunks=(1024, 512), **options)
da.store(source, target, lock=False)  # with threads

stored = da.from_zarr("field.zarr")
error = (((stored - source) ** 2).sum(dtype=float) / (source**2).sum(dtype=float)).compute()
means = stored.mean(axis=1).compute()
size = target.nbytes_stored()
print(f"{8 * size / source.size:.2f} bits per value; error {error:.6f}; means of {means.size} rows")
assert error <= 1e-3
