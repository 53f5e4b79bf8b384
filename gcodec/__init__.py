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
    from .channel.channel import Channel
    from .channel.updates import UpdateReceiver, UpdateSender
    from .compressors.contract import Check, Guarantee, TensorSpec
    from .container.layout import TensorHeader
    from .container.reader import Record
    from .integrations.hdf5 import hdf5
    from .pipeline.warm_up import warm_up
    from .verification.report import Report, TensorReport
    from .verification.verify import verify

__version__ = "1.0rc1"  # the one place where it stands: pyproject.toml reads it here
if os.name != "posix":
    raise ImportError("gcodec runs on Linux and macOS only, as it reads files by os.pread; on Windows, run it in WSL")
_HOMES = {  # the public names, by the module that has them
    "api": ("Archive", "Policy", "Writer", "decode", "encode", "load", "open", "save"),
    "channel.channel": ("Channel",),
    "channel.updates": ("UpdateReceiver", "UpdateSender"),
    "compressors.contract": ("Check", "Guarantee", "TensorSpec"),
    "container.layout": ("TensorHeader",),
    "container.reader": ("Record",),
    "integrations.hdf5": ("hdf5",),
    "pipeline.warm_up": ("warm_up",),
    "verification.report": ("Report", "TensorReport"),
    "verification.verify": ("verify",),
}
__all__ = [  # the functions, and the types of what they take and return
    "Archive",
    "Channel",
    "Check",
    "Guarantee",
    "Policy",
    "Record",
    "Report",
    "TensorHeader",
    "TensorReport",
    "TensorSpec",
    "UpdateReceiver",
    "UpdateSender",
    "Writer",
    "decode",
    "encode",
    "errors",
    "hdf5",
    "load",
    "open",
    "save",
    "verify",
    "warm_up",
]

if not TYPE_CHECKING:  # a type checker would take every name for one of ours

    def __getattr__(name: str) -> object:
        """A public name, from its module on first use: `gcodec --help` starts without numpy."""
        if name == "errors":
            return import_module(".errors", __name__)
        for home, names in _HOMES.items():
            if name in names:
                found = globals()[name] = getattr(import_module(f".{home}", __name__), name)
                return found
        raise AttributeError(f"module 'gcodec' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
