"""What the tests of array stores share: arrays, errors, and gcodec as if it were installed."""

import asyncio
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
FAST = {"method": "ecsq", "effort": "fast"}


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def error(decoded: np.ndarray, original: np.ndarray) -> float:
    """The relative squared L2 error."""
    wide = original.astype(np.float64)
    return float(((decoded.astype(np.float64) - wide) ** 2).sum() / max((wide**2).sum(), 1e-300))


def installed(folder: Path) -> dict[str, str]:
    """The environment of a process in which gcodec and its entry points are installed."""
    about = folder / "gcodec-0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: gcodec\nVersion: 0\n")
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
    lines = [f"[{group}]\n" + "".join(f"{k} = {v}\n" for k, v in names.items()) for group, names in groups.items()]
    (about / "entry_points.txt").write_text("\n".join(lines))
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT), os.environ.get("PYTHONPATH", "")])}


def fresh(code: str, *arguments: object, env: dict[str, str] | None = None) -> str:
    """What a new process prints that runs this code."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    run = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout


ALPHA = 0.1
LOSSY = dict(alpha=ALPHA, **FAST)
FRACTION = 1 + 1e-6  # what a sum of float64 may be wrong by
X = normal(300, 64)


def create(
    shape: tuple[int, ...] = X.shape,
    dtype: str = "float32",
    chunks: tuple[int, ...] = (128, 64),
    store: object = None,
    codec: dict[str, Any] = LOSSY,
    **options: Any,
) -> Any:
    """An array of zarr that gcodec codes."""
    import zarr

    from gcodec.integrations.zarr import encoding

    place = {} if store is None else store
    return zarr.create_array(place, shape=shape, dtype=dtype, chunks=chunks, **{**encoding(**codec), **options})


def settle() -> None:
    """Wait for what zarr still reads or writes after the error of one chunk."""
    from zarr.core.sync import sync

    async def others() -> None:
        await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()}, return_exceptions=True)

    sync(others())
