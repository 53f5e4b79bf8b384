"""Programs of a few lines that run by themselves, each in a Python of its own."""

import os
import subprocess
import sys
from pathlib import Path

import gcodec

SOURCES = Path(gcodec.__file__).parent


def start(code: str, *arguments: object, package: Path = SOURCES, **environment: str) -> subprocess.Popen:
    """Run code by itself, with the gcodec in the folder `package`."""
    known = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_")}
    known |= {"PYTHONPATH": str(package.parent), "PYTHONWARNINGS": "default::RuntimeWarning"} | environment
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(
        command, cwd=package.parent, env=known, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def run(code: str, *arguments: object, package: Path = SOURCES, **environment: str) -> tuple[list[str], str]:
    """The words that the code prints, and what it says on stderr."""
    process = start(code, *arguments, package=package, **environment)
    out, err = process.communicate()
    assert process.returncode == 0, err
    return out.split(), err
