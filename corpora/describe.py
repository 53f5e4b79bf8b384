"""Print the table of README.md: size, norm, kurtosis and SHA-256 of each file of this folder."""

import hashlib
import sys
from pathlib import Path

import ml_dtypes
import numpy as np
from safetensors.numpy import load_file

HEADER = "| file | shape | dtype | bytes | l2 norm | kurtosis | sha256 |\n|---|---|---|---|---|---|---|"


def load(path: Path) -> tuple[str, np.ndarray]:
    """The shape in words, and the values of all tensors of a file together.

    Raw bfloat16 is known by the name of the file.
    """
    if path.suffix == ".safetensors":
        tensors = load_file(path)
        return f"{len(tensors)} tensors", np.concatenate([tensor.reshape(-1) for tensor in tensors.values()])
    array = np.load(path)
    return "×".join(map(str, array.shape)), array.view(ml_dtypes.bfloat16) if "bf16" in path.stem else array


def row(path: Path) -> str:
    shape, values = load(path)
    x = values.astype(np.float64).reshape(-1)
    centred = x - x.mean()
    kurtosis = np.mean(centred**4) / np.mean(centred**2) ** 2
    data = path.read_bytes()
    numbers = f"{len(data)} | {np.linalg.norm(x):.4g} | {kurtosis:.4g}"
    return f"| {path.name} | {shape} | {values.dtype.name} | {numbers} | {hashlib.sha256(data).hexdigest()} |"


def table(folder: Path) -> str:
    files = sorted(path for path in folder.iterdir() if path.suffix in (".npy", ".safetensors"))
    return "\n".join([HEADER, *map(row, files)])


if __name__ == "__main__":
    sys.stdout.write(table(Path(__file__).parent) + "\n")
