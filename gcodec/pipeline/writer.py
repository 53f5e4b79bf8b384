"""A container that grows array by array on any binary file object."""

import io
import math
import warnings
from collections.abc import Iterable, Iterator
from typing import BinaryIO

import numpy as np

from ..container.layout import TensorHeader
from ..container.writer import ContainerWriter
from ..errors import InvalidInput
from ..io.skeleton import check_free
from ..parallel import thread_count
from ..request.arrays import AnyArray, array_of
from ..request.choice import Choice
from ..request.policy import Policy
from ..request.rules import Rules
from ..source import ArraySource, Source
from .bases.encode import compress
from .convert import append_tensors
from .effects.found import warn_of_losses

PartOf = tuple[str, tuple[int, ...]]  # name and shape of the tensor that an array is a part of


class Writer:
    """Compresses arrays one by one into a container on `file`.

    >>> import io, numpy as np, gcodec
    >>> file = io.BytesIO()
    >>> with gcodec.Writer(file, gcodec.Policy(alpha=1e-3)) as writer:
    ...     _ = writer.add("weight", np.ones((64, 64), np.float32))
    ...     _ = writer.add("step", 7)
    >>> file.seek(0)
    0
    >>> list(gcodec.load(file))
    ['weight', 'step']

    file: a binary file object that can be written to; a pipe or a socket will do, for it is never
    sought. It stays open. policy: says how each tensor is coded; of it, `scope="file"` needs all
    tensors at once, so it is for `gcodec.save` alone. threads: None is one for each core. beside:
    names of all tensors of the checkpoint, of which this file gets all or a part.

    Some roles rest on other tensors: a `v` is a second moment beside an `m`, and a tensor of a name
    that says nothing may be one by its values, beside a first moment. A Writer knows what was added
    before, and the names in `beside`. So give all names, and add first moments before second ones:
    the roles are then those that `gcodec.save` finds.

    `close`, or the end of a `with` block, completes the container. When the block ends by an error,
    the container is left cut: a reader says so, and `gcodec decode --salvage` gives what is whole.
    Raises InvalidInput for a policy that cannot hold, and what the file raises.
    """

    def __init__(
        self, file: BinaryIO, policy: Policy, *, threads: int | None = None, beside: Iterable[str] | None = None
    ) -> None:
        if isinstance(file, io.TextIOBase) or not callable(getattr(file, "write", None)):
            raise InvalidInput(f"a Writer needs a binary file object that is open for writing, not {file!r}")
        if not isinstance(policy, Policy):
            raise InvalidInput(f"a Writer needs a gcodec.Policy, such as Policy(alpha=1e-3), not {policy!r}")
        if policy.scope == "file":
            raise InvalidInput('the scope "file" needs all tensors at once; use gcodec.save')
        self._threads = thread_count(threads)
        self._rules = Rules(policy, self._threads)
        self._rules.know(beside or ())
        self._is_part = beside is not None
        self._file = file
        self._container = ContainerWriter(file)

    def add(self, name: str, array: AnyArray, *, part_of: PartOf | None = None) -> TensorHeader:
        """Compress an array and write its record, whose header it returns.

        name: differs from all names before. array: as `gcodec.encode` takes it. part_of: name and
        shape of the tensor that the array is a part of; the policy then looks at these. A bound
        that each part keeps, the whole tensor keeps. Raises InvalidInput or NonFinite; then nothing
        was written, and other arrays can be added. When the file itself fails, or the call is
        interrupted while it writes, the container is cut, and every later call raises Closed, as it
        does after `close`.
        """
        source = self._source(name, array, part_of)
        return write_record(self._container, name, source, self._choice(name, source))

    def add_all(self, arrays: Iterable[tuple[str, AnyArray, PartOf | None]]) -> Iterator[TensorHeader]:
        """Compress several arrays; yields the header of each once its record is written.

        arrays: name, array and part_of of each, as `add` takes them. They are asked for one by one,
        and coded side by side by the threads. Small exact ones that are neighbours share a record,
        which takes a tenth of the time and of the bytes. Raises what `add` raises; those of which a
        header was yielded are then written, and other arrays can be added.
        """
        self._container.check_open()
        taken = set[str]()
        choices = dict[str, Choice]()

        def tensors() -> Iterator[tuple[str, Source]]:
            for name, array, part_of in arrays:
                source = self._source(name, array, part_of, taken)
                choices[name] = self._choice(name, source)  # in this order, as a role may rest on tensors before
                yield name, source

        yield from append_tensors(self._container, tensors(), lambda name, _: choices.pop(name), self._threads)

    def _source(
        self, name: str, array: AnyArray, part_of: PartOf | None, taken: set[str] | None = None
    ) -> "_PartSource":
        """The array as a Source. taken: names that were asked for; this one is added."""
        self._container.check_new(name, taken or ())
        check_free(name)
        if taken is not None:
            taken.add(name)
        return _PartSource(array_of(name, array), part_of)

    def _choice(self, name: str, source: Source) -> Choice:
        """The choice for an array, or of the tensor that it is a part of."""
        part_of = source.part_of if isinstance(source, _PartSource) else None
        return (
            self._rules.choice(name, source)
            if part_of is None
            else self._rules.choice(part_of[0], _Whole(source, part_of[1]))
        )

    def close(self) -> None:
        """Complete the container and flush the file, which stays open; a second call does nothing.

        Warns of a glob of the policy that has matched no tensor, unless the file has only a part of
        the checkpoint: most likely it was mistyped.
        Raises Closed when the container was cut.
        """
        if self._container.is_closed:
            return
        self._container.close()
        for glob in () if self._is_part else self._rules.unmatched():
            warnings.warn(f"the rule {glob!r} has matched none of the tensors that were added", stacklevel=2)
        flush = getattr(self._file, "flush", None)
        if flush is not None:
            flush()

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.close()
        else:
            self._container.abandon()


class _PartSource(ArraySource):
    """An array, and the tensor that it is a part of, if it is one."""

    def __init__(self, array: np.ndarray, part_of: PartOf | None) -> None:
        super().__init__(array)
        self.part_of = part_of


class _Whole:
    """A part of a tensor, of which the policy sees the shape of the whole."""

    def __init__(self, source: Source, shape: tuple[int, ...]) -> None:
        self.dtype, self.shape, self.size, self.read = source.dtype, tuple(shape), math.prod(shape), source.read


def write_record(container: ContainerWriter, name: str, source: Source, choice: Choice) -> TensorHeader:
    """Compress a tensor and append its record; returns the header."""
    with compress(name, source, choice) as coded:
        container.add(coded.header, coded.pieces(), coded.work)
        warn_of_losses(name, coded.found, coded.header.guarantee)
        return coded.header
