"""Folders of shards for tests: files of tensors made by hand, and frames of files."""

import json

import numpy as np


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def safetensors(tensors: dict[str, tuple[str, np.ndarray]]) -> bytes:
    """A file of tensors; each with its dtype as the header says it, and its bits."""
    header, data = {}, b""
    for name, (code, array) in tensors.items():
        header[name] = {
            "dtype": code,
            "shape": list(array.shape),
            "data_offsets": [len(data), len(data) + array.nbytes],
        }
        data += array.tobytes()
    text = json.dumps(header, indent=1).encode()
    return len(text).to_bytes(8, "little") + text + data


def contents(folder) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def frame(data: bytes, *ranges: tuple[int, int]) -> np.ndarray:
    """The frame of a file, whose bytes in the ranges (start, stop) are left out."""
    starts, stops = [start for start, _ in ranges], [stop for _, stop in ranges]
    gaps = [start - stop for start, stop in zip(starts, [0, *stops], strict=False)]
    table = [len(data), len(ranges), *gaps, *(stop - start for start, stop in ranges)]
    kept = b"".join(data[stop:start] for stop, start in zip([0, *stops], [*starts, len(data)], strict=True))
    return np.frombuffer(np.array(table, "<u8").tobytes() + kept, np.uint8)
