"""Compiled kernels on disk: a file for each kernel, signature, processor and setting of numba.

Numba's own cache compares a kernel's own file with what it compiled, so it does not see a change in
another kernel that this one calls. Ours keeps all files in a folder that belongs to one state of
all sources (see folder.py). A file holds numba's pickled result, after the SHA-256 digest of it; a
file that is damaged counts as missing.

Processes that need the same kernel at the same time compile it once: the first one locks it, and
the others wait and then load what it made. Kernels do not call each other in circles, so processes
do not wait for each other in circles either.
"""

import hashlib
import pickle
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import numba
from numba.core.compiler import CompileResult
from numba.core.compiler_lock import global_compiler_lock
from numba.core.extending import _Intrinsic
from numba.core.runtime import rtsys
from numba.core.serialize import dumps

from . import notice
from .folder import folder
from .lock import locked

_SETTINGS = ("OPT", "BOUNDSCHECK", "DEBUGINFO_DEFAULT", "LOOP_VECTORIZE", "SLP_VECTORIZE", "USING_SVML")
_DIGEST = hashlib.sha256().digest_size
_warned = False


def keep(kernel: Any) -> None:
    """Give a kernel (numba's dispatcher, just made) its cache."""
    cache = KernelCache(kernel.py_func)
    compile_here = kernel.compile

    def compile_once(signature: Any) -> Any:
        with global_compiler_lock:  # first, so that all threads take locks in the same order
            path = cache.path(signature, kernel.targetctx.codegen())
            if path is None or path.exists():
                return compile_here(signature)  # which loads it, where it can
            with notice.noticed(), locked(path):
                return compile_here(signature)

    kernel._cache = cache
    kernel.compile = compile_once


class KernelCache:
    """The compiled forms of one kernel, with the methods by which numba asks for them."""

    def __init__(self, function: Callable[..., Any]) -> None:
        code = function.__code__
        self._name = f"{Path(code.co_filename).stem}.{function.__name__}"
        self._identity = _identity_of(function)
        self._place = self._identity[0]

    def path(self, signature: Any, codegen: Any) -> Path | None:
        """The file of one compiled form; None when there is no folder for it."""
        where = folder()
        if where is None:
            return None
        settings = tuple(getattr(numba.config, name, None) for name in _SETTINGS)
        key = repr((self._identity, signature, codegen.magic_tuple(), settings))
        return where / f"{self._name}-{hashlib.sha256(key.encode()).hexdigest()[:32]}"

    @property
    def cache_path(self) -> str:
        return str(folder())

    def load_overload(self, signature: Any, target_context: Any) -> CompileResult | None:
        """What was compiled for this signature, or None.

        Compiled code needs numba's runtime for arrays, but none of what `target_context.refresh`
        loads for a compilation: that is most of numba, and scipy where it is installed.
        """
        path = self.path(signature, target_context.codegen())
        data = None if path is None else _read(path)
        if data is None:
            return None
        rtsys.initialize(target_context)
        return CompileResult._rebuild(target_context, *pickle.loads(data))

    def save_overload(self, signature: Any, result: CompileResult) -> None:
        """Keep what was just compiled; says once, by a warning, when it cannot be kept."""
        if result.library.has_dynamic_globals:
            raise TypeError(f"{self._place} uses addresses or large global arrays, which no other process can load")
        path = self.path(signature, result.codegen)
        if path is None:
            return
        try:
            _write(path, dumps(result._reduce()))
        except OSError as error:
            _warn(f"compiled kernels cannot be kept in {path.parent}: {error.strerror or error}")

    def flush(self) -> None:
        """Forget all that is kept of this kernel."""
        where = folder()
        for path in where.glob(f"{self._name}-*") if where else ():
            path.unlink(missing_ok=True)


def _identity_of(function: Callable[..., Any]) -> tuple[object, ...]:
    """The place of a function, and what its cells hold; one that a function makes may have some."""
    place = f"{function.__module__}.{function.__qualname__}:{function.__code__.co_firstlineno}"
    return place, *(_identity(cell.cell_contents) for cell in function.__closure__ or ())


def _identity(value: Any) -> object:
    """The same for the same value in every process.

    The pickle of a kernel, or of an intrinsic, is not.
    """
    cache = getattr(value, "_cache", None)
    if isinstance(cache, KernelCache):
        return cache._identity
    return _identity_of(value._defn) if isinstance(value, _Intrinsic) else dumps(value)


def _read(path: Path) -> bytes | None:
    """The contents of a file, or None when it is missing or damaged."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    return data[_DIGEST:] if hashlib.sha256(data[_DIGEST:]).digest() == data[:_DIGEST] else None


def _write(path: Path, data: bytes) -> None:
    """Write a file that appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)  # it may have been deleted as an old one
    temporary = path.with_name(f"{path.name}.{uuid4().hex}")
    try:
        temporary.write_bytes(hashlib.sha256(data).digest() + data)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _warn(message: str) -> None:
    global _warned
    if not _warned:
        _warned = True
        warnings.warn(message, RuntimeWarning, stacklevel=2)
