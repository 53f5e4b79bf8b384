"""Installed packages with compressors, for tests: a module, and metadata with entry points."""

from pathlib import Path

HEAD = """
from dataclasses import dataclass
from gcodec.compressors.contract import Compressor, Entry
from gcodec.compressors.lossless.compressor import Lossless

"""
CLASS = """
@dataclass(frozen=True)
class Copy(Lossless):
    pass
"""


def package(folder: Path, module: str, source: str, *names: str) -> Path:
    """An installed package: a module, and metadata with an entry point for each name."""
    folder.mkdir(exist_ok=True)
    (folder / f"{module}.py").write_text(source)
    about = folder / f"{module}-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module.replace('_', '-')}\nVersion: 1.0\n")
    points = "".join(f"{name} = {module}:ENTRY\n" for name in names)
    (about / "entry_points.txt").write_text(f"[gcodec.compressors]\n{points}")
    return folder


def copy_package(
    folder: Path, module: str, name: str, number: object = 130, body: str = CLASS, **entry: object
) -> Path:
    """A package with the compressor `name`, whose code is that of lossless."""
    more = "".join(f", {key}={value!r}" for key, value in entry.items())
    last = f'ENTRY = Entry({number!r}, {name!r}, "{module}:Copy", "a copy"{more})\n'
    return package(folder, module, f"{HEAD}{body}\n{last}", name)
