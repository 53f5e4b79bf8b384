"""Hypothesis profiles: dev (default), ci (deterministic, no deadlines), nightly (many examples)."""

import os
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from checks import run_cli
from hypothesis import HealthCheck, settings

from gcodec.compressors import registry
from gcodec.compressors.plugins import GROUP, Plugins

settings.register_profile("dev", deadline=None, max_examples=30)
settings.register_profile("ci", deadline=None, max_examples=30, derandomize=True)
settings.register_profile("nightly", deadline=None, max_examples=2000, suppress_health_check=list(HealthCheck))
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """8 MB of an array, and its container."""
    path = tmp_path_factory.mktemp("large") / "x.npy"
    np.save(path, np.random.default_rng(0).normal(size=1 << 20))
    assert run_cli("encode", path, "--lossless")[0] == 0
    return path


@pytest.fixture
def gradient(tmp_path):
    np.save(tmp_path / "grads.npy", np.random.default_rng(0).normal(size=(64, 48)).astype(np.float32))
    return tmp_path / "grads.npy"


@pytest.fixture
def plugins(monkeypatch):
    """Looks for plug-ins anew, in these folders alone, whatever else is installed."""
    searched: list[str] = []
    of_all = metadata.entry_points

    def found(**asked: str) -> Iterable[metadata.EntryPoint]:
        if asked != {"group": GROUP}:
            return of_all(**asked)
        return [point for one in metadata.distributions(path=searched) for point in one.entry_points.select(**asked)]

    def use(*folders: Path) -> None:
        for folder in folders:
            monkeypatch.syspath_prepend(folder)
        searched.extend(map(str, folders))
        monkeypatch.setattr(metadata, "entry_points", found)
        monkeypatch.setattr(registry, "_PLUGINS", Plugins(registry._PLUGINS._taken))

    yield use
    for name in [name for name in sys.modules if name.startswith("gcodec_")]:
        del sys.modules[name]


@pytest.fixture(autouse=True)
def nothing_decoded():
    """What stores code depends on what the process decoded, and tests do not depend on others."""
    yield
    if (decoded := sys.modules.get("gcodec.integrations.decoded")) is not None:
        decoded.forget()


@pytest.fixture(autouse=True)
def same_numbers(request):
    """Each test draws the same numbers from its module's RNG, whichever tests ran before it."""
    generator = getattr(request.module, "RNG", None)
    state = generator and generator.bit_generator.state
    yield
    if generator is not None:
        generator.bit_generator.state = state
