"""Files that lie about themselves in a consistent way, made with the insides of the library."""

import numpy as np
import pytest
from vectors import gcz
from verdicts import rows

import gcodec
from gcodec.compressors import registry
from gcodec.compressors.contract import Guarantee
from gcodec.source import ArraySource

X = np.random.default_rng(0).standard_t(4, 3000).astype(np.float32)
SHORT = X[:12]


def failing(record: gcz.Record, x: np.ndarray = X, trials: int = 0) -> list[str]:
    """The checks that fail with the original. Without it, all of these files are consistent."""
    data = gcz.container(record)
    assert gcodec.verify(data).ok
    return [name for name, check in rows(data, x, trials=trials).items() if not check.ok]


def coded(method: str, x: np.ndarray, omega: float, **options):
    """The payload of a method, and a function that gives the record of another payload for it."""
    cls = registry.by_name(method).load()
    payload = cls(seed=1, **options).encode(ArraySource(x), Guarantee("omega", omega))

    def record(other, bound: float = omega) -> gcz.Record:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(cls, "encode", lambda *_: other)
            return gcz.record("", x, f"{method}:omega", bound)

    return payload, record
