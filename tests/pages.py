"""What the tests of pages share: the code blocks of a page, and a folder in which they run.

As a program it runs the blocks of a page in order: `python pages.py PAGE.md`. Those in Python share
their names; those of the shell run with -eu.
"""

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
FENCE = re.compile(r"^(?:<!-- not run: (?P<reason>[^>]+) -->\n)?```(?P<kind>\w*)\n(?P<code>.*?)^```$", re.M | re.S)
KINDS = ("python", "sh", "text", "")  # the last two are what programs print, and formulas
MODULE = re.compile(r"^ *(?:import|from) +(\w+)", re.M)
# The commands that a page may use beside those of the system. `ssh` runs what it is given here, and
# `pip` checks that gcodec has the extras that it is asked for.
COMMANDS = {
    "gcodec": f'exec {sys.executable} -m gcodec "$@"',
    "python": f'exec {sys.executable} "$@"',
    "ssh": 'shift; mkdir -p remote; cd remote; exec "$@"',
    "pip": f'exec {sys.executable} {ROOT / "tests" / "pages.py"} --extras "$@"',
}


class Block(NamedTuple):
    """kind: the word after the fence. reason: why it is not run, or None."""

    kind: str
    code: str
    reason: str | None


def blocks(page: str) -> Iterator[Block]:
    for found in FENCE.finditer(page):
        yield Block(found["kind"], found["code"], found["reason"])


def needed(page: str) -> set[str]:
    """The modules that the Python of a page imports."""
    return {name for block in blocks(page) if block.kind == "python" for name in MODULE.findall(block.code)}


def furnish(folder: Path) -> dict[str, str]:
    """Put there the files that pages speak of; the environment of a process that runs a page."""
    import h5py
    import numpy as np
    from folder_files import safetensors
    from stores import installed, normal

    (folder / "corpora").symlink_to(ROOT / "corpora")
    shutil.copy(ROOT / "corpora" / "mlp.npy", folder / "grads.npy")
    weights = {"model/dense/kernel": normal(64, 48), "embed": normal(100, 32), "exp_avg_sq": normal(64, 48) ** 2}
    weights |= {"norm": normal(2048), "head": normal(48, 64)}
    with h5py.File(folder / "model.h5", "w") as file:
        for name, values in weights.items():
            file[name] = values
    (folder / "Llama").mkdir()
    shard = safetensors({name: ("F32", values) for name, values in weights.items()})
    (folder / "Llama" / "model.safetensors").write_bytes(shard)
    (folder / "model.safetensors").write_bytes(shard)
    try:
        import torch

        torch.save({name: torch.from_numpy(np.array(values)) for name, values in weights.items()}, folder / "model.pt")
    except ImportError:
        pass
    (folder / "bin").mkdir()
    (folder / "packages").mkdir()
    for name, line in COMMANDS.items():
        (folder / "bin" / name).write_text(f"#!/bin/sh\n{line}\n")
        (folder / "bin" / name).chmod(0o755)
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = str(found.getsockname()[1])
    group = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0"}
    path = os.pathsep.join([str(folder / "bin"), os.environ["PATH"]])
    return installed(folder / "packages") | group | {"PATH": path, "PYTHONWARNINGS": "ignore"}


def run(page: Path) -> None:
    names = {"__name__": "__main__"}
    for block in blocks(page.read_text(encoding="utf-8")):
        if block.reason is None and block.kind == "sh":
            subprocess.run(["bash", "-euo", "pipefail", "-c", block.code], check=True)
        elif block.reason is None and block.kind == "python":
            exec(compile(block.code, str(page), "exec"), names)


def check_extras(arguments: list[str]) -> None:
    """Every extra of gcodec that pip is asked for is in pyproject.toml."""
    import tomllib

    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    asked = [name for word in arguments for name in re.findall(r"gcodec\[([^]]*)\]|^\.\[([^]]*)\]", word)]
    for extra in (part for pair in asked for words in pair for part in words.split(",") if part):
        if extra not in known:
            raise SystemExit(f"gcodec has no extra {extra}")


if __name__ == "__main__":
    if sys.argv[1] == "--extras":
        check_extras(sys.argv[2:])
    else:
        run(Path(sys.argv[1]))
