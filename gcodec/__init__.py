"""gcodec: gradients, model updates and checkpoints in few bits, with a bound on the error.

>>> import gcodec, numpy as np
>>> x = np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32)
>>> data = gcodec.encode(x, alpha=0.1)
>>> y = gcodec.decode(data)
>>> bool(((y - x) ** 2).sum() <= 0.1 * (x**2).sum())
True
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from . import errors
    from .api import Archive, Policy, Writer, decode, encode, load, open, save
    from .pipeline.warm_up import warm_up
    from .verification.verify import verify

__version__ = "0.1.0"  # the one place where it stands: pyproject.toml reads it here
if os.name != "posix":
    raise ImportError("gcodec runs on Linux and macOS only, as it reads files by os.pread; on Windows, run it in WSL")
__all__ = ["Archive", "Policy", "Writer", "decode", "encode", "errors", "load", "open", "save", "verify", "warm_up"]
_HOMES = dict.fromkeys(("Archive", "Policy", "Writer", "decode", "encode", "load", "open", "save"), "api") | {
    "verify": "verification.verify",
    "warm_up": "pipeline.warm_up",
}

if not TYPE_CHECKING:  # a type checker would take every name for one of ours

    def __getattr__(name: str) -> object:
        """A public name, from its module on first use: `gcodec --help` starts without numpy."""
        if name == "errors":
            return import_module(".errors", __name__)
        if name not in _HOMES:
            raise AttributeError(f"module 'gcodec' has no attribute {name!r}")
        return getattr(import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
