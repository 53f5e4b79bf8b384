"""The files of corpora/ are those that its README describes."""

import importlib.util
from pathlib import Path

import pytest

CORPORA = Path(__file__).parent.parent / "corpora"
README = (CORPORA / "README.md").read_text(encoding="utf-8")


def test_the_table_of_the_readme_is_what_the_script_prints():
    spec = importlib.util.spec_from_file_location("describe", CORPORA / "describe.py")
    describe = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(describe)
    assert README.endswith("\n" + describe.table(CORPORA) + "\n")


@pytest.mark.parametrize("path", sorted(CORPORA.glob("*.*")), ids=lambda path: path.name)
def test_every_file_is_explained(path):
    if path.suffix in (".npy", ".safetensors"):
        assert f"| `{path.name}` |" in README


def test_corpora_stay_small():
    assert sum(path.stat().st_size for path in CORPORA.iterdir() if path.is_file()) < 6e6
