"""Compressors of other packages, guarded.

Whatever they raise that the contract does not foresee becomes an error that names their package,
and so does a result of another type than the contract says. They see tensors that they cannot write
to.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from numbers import Integral
from pathlib import Path
from traceback import extract_tb
from types import new_class
from typing import Any

import numpy as np

from ..errors import GcodecError, InternalError, PluginError
from ..source import Source
from .contract import CHUNK, Compressor, Entry, Payload, Plan, TooFine

Fault = Callable[[str], Exception]
_GUARDED: dict[tuple[type, str, str], type[Compressor]] = {}


@dataclass(frozen=True)
class ForeignEntry(Entry):
    """An Entry that another package offers, with that package's name."""

    package: str = ""

    def fault(self, words: str) -> Exception:
        return PluginError(f"compressor {self.name} of package {self.package} failed: {words}")

    def load(self) -> type[Compressor]:
        cls = self.load_bare()
        key = (cls, self.name, self.package)
        return _GUARDED.get(key) or _GUARDED.setdefault(key, _guarded(cls, self.fault))

    def load_bare(self) -> type[Compressor]:
        """The class as the package has it."""
        return super().load()


@dataclass(frozen=True)
class _ReadOnly:
    """A tensor whose values nobody can write to.

    Compressors of the format get their tensors bare: they write to none, and their kernels would be
    compiled once more for arrays that are read-only.
    """

    source: Source

    @property
    def dtype(self) -> np.dtype:
        return self.source.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        return self.source.shape

    @property
    def size(self) -> int:
        return self.source.size

    def read(self, start: int, stop: int) -> np.ndarray:
        values = self.source.read(start, stop).view()
        values.flags.writeable = False
        return values


def _guarded(cls: type[Compressor], fault: Fault) -> type[Compressor]:
    """A subclass with the compressor's methods, which raises `fault` where they fail."""
    made: type[Compressor]

    def method(name: str, finish: Callable[[Any, Fault], Any]) -> Callable[..., Any]:
        def call(self: Any, *given: Any, **named: Any) -> Any:
            with _watched(fault):
                sources = (_ReadOnly(value) if _is_source(value) else value for value in given)
                return finish(getattr(super(made, self), name)(*sources, **named), fault)

        return call

    members: dict[str, Any] = {name: method(name, _RESULTS[name]) for name in ("__init__", "encode", "plan")}
    members |= {name: classmethod(method(name, finish)) for name, finish in _RESULTS.items() if name not in members}
    names = {"__module__": cls.__module__, "__qualname__": cls.__qualname__, "__doc__": cls.__doc__}
    made = new_class(cls.__name__, (cls,), exec_body=lambda space: space.update(members | names))
    return made


@contextmanager
def _watched(fault: Fault) -> Iterator[None]:
    """Whatever is raised that the contract does not foresee is a fault of the package."""
    try:
        yield
    except (GcodecError, InternalError, TooFine, OSError, MemoryError):
        raise
    except (Exception, SystemExit) as error:
        words = " ".join(f"{type(error).__name__}: {error}".split())
        where = "".join(
            f" ({Path(place.filename).name}, line {place.lineno})" for place in extract_tb(error.__traceback__)[-1:]
        )
        raise fault(f"{words}{where}; please report it to its authors") from error


def _is_source(value: object) -> bool:
    return hasattr(value, "read") and hasattr(value, "size")


def _payload(found: Any, fault: Fault) -> Payload:
    if not isinstance(found, Payload):
        raise fault(f"its encoder gives {_kind(found)}, not a Payload")
    if not isinstance(found.head, bytes):
        raise fault(f"the head of its payload is {_kind(found.head)}, not bytes")
    if not isinstance(found.chunk, Integral) or not 1 <= found.chunk <= CHUNK:
        raise fault(f"its payload has chunks of {found.chunk!r} values, not of 1 to {CHUNK}")
    if not callable(found.code):
        raise fault(f"the code of its payload is {_kind(found.code)}, not a function")
    if not (found.expected is None or isinstance(found.expected, float | int)):
        raise fault(f"its payload expects {_kind(found.expected)}, not a number or None")
    return replace(found, chunk=int(found.chunk), code=_checked(found.code, _bytes, fault))


def _plan(found: Any, fault: Fault) -> Plan:
    if not isinstance(found, Plan):
        raise fault(f"its plan is {_kind(found)}, not a Plan")
    return replace(found, payload=_checked(found.payload, _payload, fault))


def _bytes(found: Any, fault: Fault) -> bytes:
    if not isinstance(found, bytes):
        raise fault(f"its code of a chunk is {_kind(found)}, not bytes")
    return found


def _work(found: Any, fault: Fault) -> int:
    if not isinstance(found, Integral) or found < 0:
        raise fault(f"its work is {found!r}, not a whole number of nanoseconds")
    return int(found)


def _as_it_is(found: Any, fault: Fault) -> Any:
    return found


def _checked(function: Callable[..., Any], finish: Callable[[Any, Fault], Any], fault: Fault) -> Callable[..., Any]:
    """A function that a compressor gave, guarded as its methods are."""

    def call(*given: Any) -> Any:
        with _watched(fault):
            return finish(function(*given), fault)

    return call


def _kind(value: object) -> str:
    return "None" if value is None else f"of type {type(value).__name__}"


_RESULTS: dict[str, Callable[[Any, Fault], Any]] = {  # what becomes of what each method gives
    "__init__": _as_it_is,
    "encode": _payload,
    "plan": _plan,
    "encode_again": _payload,
    "decoder": lambda found, fault: _checked(found, _as_it_is, fault),
    "work": _work,
    "upper_bound": _as_it_is,
    "may_try": _as_it_is,
    "checks": lambda found, fault: tuple(found),
    "sections": lambda found, fault: tuple(found),
    "yardsticks": lambda found, fault: tuple(found),
    "arrays": lambda found, fault: dict(found),
    "message_options": lambda found, fault: dict(found),
}
