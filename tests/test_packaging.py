"""What pyproject.toml says of versions is what CI tests and what the command prints."""

import re
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

import gcodec

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = ("remote", "plot", "experiments", "test")


def test_the_lowest_versions_are_those_that_ci_installs():
    lines = [*PROJECT["dependencies"], *(line for extra in EXTRAS for line in PROJECT["optional-dependencies"][extra])]
    lowest = dict(re.fullmatch(r"([\w-]+)>=([\d.]+)(?:;.*)?", line).groups() for line in lines if "gcodec[" not in line)
    installed = dict(
        line.split("==") for line in (ROOT / ".ci" / "lowest.txt").read_text().splitlines() if line[:1] != "#"
    )
    assert installed.keys() == lowest.keys()
    for name, number in lowest.items():
        rest = installed[name].removeprefix(number)
        assert rest != installed[name] and not rest.strip(".0"), name  # 2.0 stands for 2.0.0


def test_the_version_is_that_of_the_installed_package():
    assert PROJECT["dynamic"] == ["version"] and "version" not in PROJECT
    try:
        installed = version("gcodec")
    except PackageNotFoundError:
        pytest.skip("gcodec is not installed here")
    assert installed == gcodec.__version__


def test_the_tests_bring_what_builds_the_example():
    """They build it without a network, and the setuptools of a new environment may be too old."""
    example = tomllib.loads((ROOT / "examples" / "third_party_compressor" / "pyproject.toml").read_text())
    (needed,) = example["build-system"]["requires"]
    name, least = needed.split(">=")
    (given,) = (line for line in PROJECT["optional-dependencies"]["test"] if line.startswith(f"{name}>="))
    assert float(given.split(">=")[1].rpartition(".")[0]) >= float(least)
