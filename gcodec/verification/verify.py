"""`verify`: does a container keep its promises, and where does it stand against the theory?"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext
from io import BytesIO
from typing import BinaryIO, cast

from .. import ieee
from ..arguments import whole_number
from ..container.budget import Budget
from ..container.layout import TensorHeader
from ..container.reader import Stream, whole
from ..errors import InvalidInput
from ..io import containers
from ..io.skeleton import is_skeleton
from ..parallel import thread_count
from ..pipeline.bases.given import Base, on_bases_of
from ..request.arrays import AnyArray, array_of
from ..request.looks import Alike
from ..request.roles import FIRST, role_of
from ..source import ArraySource, Source
from .report import Report
from .tensors import check_tensor
from .whole import frame_checks, metadata_checks, names_check, scope_check

MIN_TRIALS, MOST_TRIALS = 10, 2000  # more would take more memory and time, and tell hardly more
Container = containers.File | bytes
Originals = Mapping[str, Source | AnyArray]


@ieee.arithmetic()
def verify(
    container: Container,
    against: Originals | AnyArray | None = None,
    *,
    trials: int = 0,
    threads: int | None = None,
    limit: int | None = None,
    sections: bool = False,
    metadata: Mapping[str, object] | None = None,
    base: Base = None,
) -> Report:
    """Check every tensor of a container, and measure it against the originals if they are given.

    container: a path, a URL (with the extra `gcodec[remote]`), the bytes, or a binary file.
    against: the originals: arrays as `encode` takes them, or Sources, by name; or one array. The
        container must have these tensors and no others.
    trials: with `against`, how often to encode each tensor with an omega guarantee with new seeds,
        10 … 2000, to test what is promised about means. `sc` also tries one block on as many random
        vectors.
    limit: how many decoded bytes to accept, as for `decode`.
    sections: whether to say also what the bits of each payload are for, as `gcodec inspect` does.
    base: where records find their bases, as for `load`.
    metadata: what the original file says beside its tensors: the `meta` of its reader in gcodec.io.

    The report's `ok` says whether every promise holds, its `tensors` have the checks one by one,
    and `to_json()` gives plain data. Raises InvalidInput, also for trials that no tensor has a use
    for, and on damaged bytes what decoding raises: then no promise can be checked.
    """
    trials = whole_number("trials", trials, 0)
    if trials and against is None:
        raise InvalidInput("trials need the original: against= in Python, --against on the command line")
    if trials and trials < MIN_TRIALS:
        raise InvalidInput(f"{trials} trials say nothing; at least {MIN_TRIALS} are needed, 200 are good")
    if trials > MOST_TRIALS:
        raise InvalidInput(f"{trials} trials are too many; {MOST_TRIALS:,} are possible, 200 are good")
    originals = None if against is None else _sources(against)
    is_moment = _moments(originals or {})
    count = thread_count(threads)
    with _opened(container) as file, ExitStack() as stack:
        budget = Budget.of(file, limit)
        stream = Stream(file)
        tensors = tuple(
            check_tensor(
                record, _original(record.header, originals), trials, count, budget, sections, is_moment(record.header)
            )
            for record in whole(on_bases_of(base, stream, count, stack))
        )
    checks = []
    if originals is not None:
        checks.append(names_check([tensor.name for tensor in tensors], originals))
        checks += frame_checks(tensors, originals)
    if metadata is not None:
        checks += metadata_checks(stream.meta, metadata, limit)
    if "scope" in stream.meta:
        checks.append(scope_check(stream.meta["scope"], tensors))
    report = Report(tensors, tuple(checks))
    if trials and report.measured and not any(tensor.tried for tensor in tensors):
        raise InvalidInput("trials test what is promised about means, and no tensor has such a promise; leave them out")
    return report


def _opened(container: Container) -> AbstractContextManager[BinaryIO]:
    if isinstance(container, bytes | bytearray):
        return nullcontext(BytesIO(container))
    return containers.opened(container)


def _sources(against: Originals | AnyArray) -> dict[str, Source]:
    """The originals as Sources by name; a single array has the empty name."""
    named: Originals = against if isinstance(against, Mapping) else {"": against}
    return {name: _source(name, value) for name, value in named.items()}


def _source(name: str, value: Source | AnyArray) -> Source:
    is_source = hasattr(value, "read") and hasattr(value, "size")
    return cast(Source, value) if is_source else ArraySource(array_of(name, cast(AnyArray, value)))


def _moments(originals: Mapping[str, Source]) -> Callable[[TensorHeader], bool]:
    """What says whether a tensor is a first moment, as `encode` knows it beside all others."""
    names, alike = frozenset(map(str.lower, originals)), Alike(1)
    for name, source in originals.items():
        alike.note(name, source, at_once=False)

    def is_moment(header: TensorHeader) -> bool:
        source = originals.get(header.name)
        if source is None or header.guarantee.kind != "alpha":
            return False
        return role_of(header.name, source, names, alike.of(header.name, source)) is FIRST

    return is_moment


def _original(header: TensorHeader, originals: dict[str, Source] | None) -> Source | None:
    """The original of a record, if there is one; raises InvalidInput for another dtype or shape.

    A frame of another length is none, which `frame_checks` says.
    """
    source = (originals or {}).get(header.name)
    if source is not None and is_skeleton(header.name) and source.shape != header.spec.shape:
        return None
    if source is not None and (source.shape != header.spec.shape or source.dtype != header.spec.dtype):
        raise InvalidInput(
            f"tensor {header.name!r} is {header.spec.dtype} of shape {header.spec.shape}, "
            f"but the original is {source.dtype} of shape {source.shape}"
        )
    return source
