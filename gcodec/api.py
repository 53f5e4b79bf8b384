"""The main path of gcodec.

    array ── ArraySource ── auto.compress ── ContainerWriter ── bytes
    bytes ── Stream / RandomAccess ── decompress ── array

`encode` and `decode` are for one array; `save`, `load` and `open` for several named ones in a file;
`Writer` takes arrays one by one.
"""

import builtins
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from .arguments import is_seekable
from .container.budget import Budget
from .container.describe import names_in_meta
from .container.reader import Stream
from .container.writer import ContainerWriter, check_name
from .errors import InvalidInput
from .io import containers, remote
from .io.atomic import replacing, scratch
from .io.containers import File
from .io.folder.tied import tied_names
from .io.skeleton import check_free, is_skeleton
from .parallel import thread_count
from .pipeline.archive import Archive, read_tensor
from .pipeline.bases.given import Base, bases_of, chooser_on, on_bases_of
from .pipeline.convert import encode_tensors
from .pipeline.writer import Writer, write_record
from .request.arrays import AnyArray, array_of
from .request.choice import Effort, Nonfinite, choose
from .request.on_base import AlphaOf
from .request.policy import SMALL, Policy, Scope
from .request.rules import Rules
from .source import ArraySource, Source

__all__ = ["Archive", "Policy", "Writer", "decode", "encode", "load", "open", "save"]


def encode(
    x: AnyArray,
    method: str = "auto",
    *,
    alpha: float | None = None,
    omega: float | None = None,
    pointwise: float | None = None,
    lossless: bool = False,
    effort: Effort = "best",
    nonfinite: Nonfinite = "refuse",
    keep_zeros: bool | None = None,
    fill: float | Sequence[float] | None = None,
    axis: int | str | None = None,
    seed: int | None = None,
    max_draws: int | None = None,
    block: int | None = None,
    states: int | None = None,
    options: Mapping[str, object] | None = None,
    base: Base = None,
    alpha_of: AlphaOf | None = None,
    threads: int | None = None,
) -> bytes:
    """Compress one array; the bytes are a whole container.

    >>> data = encode(np.arange(6, dtype=np.float32), lossless=True)
    >>> decode(data)
    array([0., 1., 2., 3., 4., 5.], dtype=float32)

    x: a numpy array of any shape, of a floating, integer, bool or complex dtype (all but the
    floating ones are stored exactly); a Python or numpy scalar; or a tensor of PyTorch in memory.
    method: the name of a method, or "auto" for the one that needs the fewest bytes. It keeps
    exactly what has few distinct values that repeat themselves, at most 256, and what is made of
    small integers times scales: of the whole array, or of its rows, columns or groups of values.

    At most one guarantee. Without any, alpha is 0.1, or omega 1/4 for a method that is unbiased
    (these are the paper's choices), or pointwise 0.01 for one that bounds each value.

    alpha: 0 < alpha < 1. The decoded x̂ has ‖x̂ − x‖² ≤ alpha·‖x‖².
    omega: > 0. Over the seed, E x̂ = x and E‖x̂ − x‖² ≤ omega·‖x‖².
    pointwise: 0 < pointwise < 1. Every x̂ᵢ has |x̂ᵢ − xᵢ| ≤ pointwise·|xᵢ| and the sign of xᵢ.
    lossless: x̂ is x, bit for bit.

    effort: "best" for the fewest bytes, "fast" for less time (docs/methods). Every method takes it.
    nonfinite: whether to "refuse" an array with NaN or infinity, or to store it "lossless".
    threads: the most that are used; None is one for each core. The bytes do not depend on them.

    What a bound alpha may say beside its number, for method auto, ecsq, tcq and klt:

    keep_zeros: whether zeros come back as zeros (fill=[0.0, -0.0] keeps signs too). None: where
    they are frequent and it takes at most 5 % more bits (2 % where less than a quarter are zeros).
    fill: a value, or several, that stands for what is missing; NaN is every NaN. It comes back bit
    for bit, and the bound, alpha or pointwise, is that of the other values. auto finds numbers by
    itself that repeat and are at least twice as large as all others.
    axis: a number, "rows" (the first) or "columns" (the last). The bound then holds for each slice
    along it. An array with fewer than two axes is one slice.

    Options that only some methods have; with None the method chooses.

    seed: any integer, of the methods that draw random numbers (rsd, sc, dither, auto). An unbiased
    method mixes it with the tensor's name; without one it draws a fresh seed for each tensor.
    Messages whose errors are to average out need different seeds: step · world_size + rank.
    max_draws: the most directions that sc tries for a block, 64 to 2³¹.
    block: the length of the longest blocks of sc, 1 to 128, or the array's size for one block.
    states: the states of dither's trellis, 1, 8 or 32.
    options: fields by name of a compressor that does not come with gcodec.
    base: an array that the decoder will have, or a file of one, such as the last step: its change
    is coded where that takes fewer bytes. See docs/deltas.md.
    alpha_of: what alpha is relative to, the "change" ‖x − base‖² (the default) or the "tensor".

    Raises InvalidInput for an array or an option that is not taken, and NonFinite. InternalError
    means that gcodec's check of its own work failed.
    """
    choice = choose(
        method, alpha=alpha, omega=omega, pointwise=pointwise, lossless=lossless, effort=effort,
        nonfinite=nonfinite, keep_zeros=keep_zeros, fill=fill, axis=axis, seed=seed, max_draws=max_draws,
        block=block, states=states, options=options, threads=threads,
    )  # fmt: skip
    file, source = io.BytesIO(), ArraySource(array_of("", x))
    container = ContainerWriter(file)
    with ExitStack() as stack:
        write_record(
            container, "", source, chooser_on(lambda *_: choice, base, alpha_of, choice.threads, stack)("", source)
        )
    container.close()
    return file.getvalue()


def decode(data: bytes, *, base: Base = None, threads: int | None = None, limit: int | None = None) -> np.ndarray:
    """The array of a container that holds one; its dtype and shape are those of the encoded array.

    data: bytes, or another object with their buffer. base: what `encode` had as base. threads: the
    most that are used; None is one for each core. limit: the most decoded bytes that are accepted;
    None is what the coded ones pay for (see container/budget.py).

    Raises FormatError for damaged bytes, UnsupportedVersion or UnsupportedFeature for those of a
    later gcodec, LimitExceeded, and InvalidInput when there are more tensors than one, or none.
    """
    try:
        view = memoryview(data)
    except TypeError:
        raise InvalidInput(f"decode takes bytes, not {type(data).__name__}; for a file use gcodec.load") from None
    if not view.c_contiguous:
        raise InvalidInput("decode takes bytes that lie side by side; make a copy of these with bytes(…)")
    budget, array, count = Budget(limit, view.nbytes), np.empty(0), 0
    with ExitStack() as stack:
        for record in on_bases_of(base, Stream(io.BytesIO(view)), threads, stack):
            array = array if count else read_tensor(record, threads, budget)
            count += 1
    if count != 1:
        raise InvalidInput(f"the container holds {count} tensors, not one; use gcodec.load or gcodec.open")
    return array


def save(
    path: str | os.PathLike[str],
    tensors: Mapping[str, AnyArray],
    method: str | None = None,
    *,
    alpha: float | None = None,
    omega: float | None = None,
    pointwise: float | None = None,
    lossless: bool = False,
    exact: Sequence[str] = (),
    methods: Mapping[str, str] | None = None,
    alphas: Mapping[str, float] | None = None,
    pointwises: Mapping[str, float] | None = None,
    small: int = SMALL,
    scope: Scope = "tensor",
    effort: Effort = "best",
    nonfinite: Nonfinite = "refuse",
    keep_zeros: bool | None = None,
    axes: Mapping[str, int | str | None] | None = None,
    fills: Mapping[str, float | Sequence[float]] | None = None,
    seed: int | None = None,
    max_draws: int | None = None,
    block: int | None = None,
    states: int | None = None,
    options: Mapping[str, object] | None = None,
    policy: Policy | None = None,
    base: Base = None,
    alpha_of: AlphaOf | None = None,
    threads: int | None = None,
) -> None:
    """Compress named arrays into a file, which appears whole or not at all.

    path: also a URL (with the extra `gcodec[remote]`). A file that is there already is replaced.
    tensors: arrays by name, each as `encode` takes it. A mapping that is no dict is asked for each
    value once, when its turn comes (with the scope "file", for all of them first).
    policy: how each tensor is coded. In its place, its fields can be given by name: method to
    options, which `Policy` describes. One of method, alpha, omega, pointwise and lossless is
    needed: nobody's weights are degraded silently. Arrays of fewer than `small` values are stored
    exactly, unless a rule names them.
    base: what a reader will have: a gcodec file, an Archive, or arrays by name. A tensor is coded
    against the one of its name, if dtype and size agree. alpha_of: as for `encode`.
    threads: the most that are used; None is one for each core. The bytes do not depend on them.

    Raises InvalidInput, which names the tensor or the rule, NonFinite, and OSError.
    """
    named = Policy(
        method=method, alpha=alpha, omega=omega, pointwise=pointwise, lossless=lossless, exact=exact,
        methods=methods or {}, alphas=alphas or {}, pointwises=pointwises or {}, small=small, scope=scope,
        effort=effort, nonfinite=nonfinite, keep_zeros=keep_zeros, axes=axes or {}, fills=fills or {}, seed=seed,
        max_draws=max_draws, block=block, states=states, options=options or {},
    )  # fmt: skip
    if policy is not None and named != Policy():
        raise InvalidInput("give either a policy or its fields by name, not both")
    _check_tensors(path, tensors)
    rules = Rules(policy or named, count := thread_count(threads))
    rules.check(list(tensors))
    if isinstance(tensors, dict) or rules.policy.scope == "file":
        arrays = {name: array_of(name, value) for name, value in tensors.items()}
        meta: dict[str, Any] = {"bytes": sum(array.nbytes for array in arrays.values())}
        meta, tensors = meta | (names_in_meta(list(arrays), meta["bytes"]) if base is None else {}), arrays
        rules.note(_sources(tensors))
    else:
        count, meta = 1, {"names": list(tensors)}  # one tensor at a time is in memory; its chunks are still shared out
    chooser, scoped = rules.planned(_sources(tensors))
    if scoped and base is not None:
        raise InvalidInput('the scope "file" and a base do not go together: a bound of the file is of whole tensors')
    with ExitStack() as stack, _target(path) as temporary, builtins.open(temporary, "wb") as file:
        chooser = chooser_on(chooser, base, alpha_of, count, stack)
        for _ in encode_tensors(_sources(tensors), meta | scoped, file, chooser, count):
            pass


def load(
    file: File, *, base: Base = None, threads: int | None = None, limit: int | None = None
) -> dict[str, np.ndarray]:
    """All arrays of a container by name, in file order; then names of equal ones, stored once.

    file: a path, a URL (with the extra `gcodec[remote]`), or a binary file object, a pipe too,
    which is read from where it stands to its end and stays open. base: where records find their
    bases: a gcodec file, a folder of them, an Archive, arrays by name, or a list of these. threads,
    limit, and what is raised: as for `decode`.
    """
    with containers.opened(file) as source, ExitStack() as stack:
        budget = Budget.of(source, limit)
        stream = Stream(source)
        records = (one for one in on_bases_of(base, stream, threads, stack) if not is_skeleton(one.header.name))
        found = {record.header.name: read_tensor(record, threads, budget) for record in records}
        tied = {name: found[of] for name, of in tied_names(stream.meta).items() if of in found}
        return found | {name: array for name, array in tied.items() if name not in found}


def open(file: File, *, base: Base = None, threads: int | None = None, limit: int | None = None) -> Archive:
    """A container as a lazy Mapping from names to arrays, which reads only what is asked for.

    file: a path, a URL (with the extra `gcodec[remote]`), of which only the ranges needed are
    fetched, or a seekable binary file object, which holds the container alone and stays open. base:
    as for `load`; what it names stays open, and is read when a tensor needs it. threads, limit, and
    what is raised: as for `decode`, and see `Archive`.
    """
    if isinstance(file, str | os.PathLike):
        archive = Archive(containers.open_path(file), threads, limit, owned=True)
    else:
        containers.check_binary(file)
        if not is_seekable(file):
            raise InvalidInput("this file object is not seekable; gcodec.load reads it from start to end")
        archive = Archive(file, threads, limit)
    if base is not None:
        with ExitStack() as closing, ExitStack() as opened:
            closing.callback(archive.close)
            bases = bases_of(base, thread_count(threads), opened)
            archive.find_bases_in(bases, opened.pop_all().close)
            closing.pop_all()
    return archive


@contextmanager
def _target(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary path to write to; the file or URL gets what was written, once it is whole."""
    where = remote.resolved(path) if isinstance(path, str) else os.fspath(path)
    if remote.is_url(where):
        with scratch() as temporary:
            yield temporary
            remote.upload(temporary, where)
    else:
        with replacing(Path(where)) as temporary:
            yield temporary


def _sources(tensors: Mapping[str, AnyArray]) -> Iterator[tuple[str, Source]]:
    return ((name, ArraySource(array_of(name, tensors[name]))) for name in tensors)


def _check_tensors(path: object, tensors: object) -> None:
    if not isinstance(path, str | os.PathLike):
        raise InvalidInput(f"save writes to a path, not to {type(path).__name__}; for a file object use gcodec.Writer")
    if not isinstance(tensors, Mapping):
        raise InvalidInput(
            f"save takes a mapping from names to arrays, not {type(tensors).__name__}; for one array use gcodec.encode"
        )
    for name in tensors:
        check_name(name)
        check_free(name)
