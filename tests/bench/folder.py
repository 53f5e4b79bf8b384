"""Memory and time for a folder of shards: `python tests/bench/folder.py [GiB] [METHOD]`.

The folder has shards of normal values in bfloat16 and float32, an optimizer of torch.save that was
written without torch, and a tokenizer. Peaks are those of `memory.py`.
"""

import json
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
from memory import run

sys.path.insert(0, str(Path(__file__).parents[1]))
import torch_files

SIDE = 2048  # rows and columns that each tensor has


def shard(path: Path, number: int, code: str, values: np.ndarray) -> None:
    """A file of 16 tensors, each with the values in another order."""
    header, at = {}, 0
    for i in range(16):
        name = f"layers.{number}.{i}.weight"
        header[name] = {"dtype": code, "shape": [SIDE, SIDE], "data_offsets": [at, at := at + values.nbytes]}
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for i in range(16):
            file.write(np.roll(values, i + 1, 0).tobytes())


def make(folder: Path, gib: float) -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(size=(SIDE, SIDE)).astype(np.float32)
    short = (values.view(np.uint32) >> 16).astype(np.uint16)
    for number in range(round(gib * 5.4)):
        code, array = ("F32", values) if number % 2 else ("BF16", short)
        shard(folder / f"model-{number:05}.safetensors", number, code, array + array.dtype.type(number))
    steps = torch_files.mapping(
        **{f"m{i}": torch_files.tensor(str(i), SIDE * SIDE, (SIDE, SIDE), (SIDE, 1)) for i in range(4)}
    )
    (folder / "optimizer.pt").write_bytes(torch_files.archive(steps, *(values.tobytes() for _ in range(4))))
    (folder / "tokenizer.json").write_bytes(rng.integers(32, 127, 1 << 24, np.uint8).tobytes())


def main() -> None:
    gib = float(sys.argv[1]) if len(sys.argv) > 1 else 1.5
    method = sys.argv[2] if len(sys.argv) > 2 else "ecsq"
    print("| what | step | MB of memory | s |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as place:
        folder, coded, back = Path(place, "folder"), Path(place, "x.gcz"), Path(place, "back")
        folder.mkdir()
        make(folder, gib)
        nbytes = sum(path.stat().st_size for path in folder.iterdir())
        for what, choice in (("lossless", ["--lossless"]), (method, ["--method", method, "--alpha", "0.01"])):
            steps = {
                "encode": ("encode", folder, "-o", coded, "-f", *choice),
                "verify": ("verify", coded),
                "decode": ("decode", coded, "-o", back),
            }
            for step, arguments in steps.items():
                seconds, peak = run(*arguments)
                print(f"| {what} | {step} | {peak} | {seconds:.0f} |", flush=True)
            if what == "lossless":
                same = all(path.read_bytes() == (back / path.name).read_bytes() for path in folder.iterdir())
                assert same, "the folder came back changed"
            print(f"| {what} | {nbytes:,} bytes to {coded.stat().st_size:,} | | |")
            shutil.rmtree(back)


if __name__ == "__main__":
    main()
