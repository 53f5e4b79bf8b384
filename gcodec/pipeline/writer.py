"""A container that grows array by array on any binary file object."""

import io
import math
import warnings
from collections.abc import Iterable
from typing import BinaryIO

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
from .effects import warn_of_losses


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
    names of all tensors of a checkpoint of which this file gets a part; roles look at them.

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
        self._rules = Rules(policy, thread_count(threads))
        self._rules.know(beside or ())
        self._is_part = beside is not None
        self._file = file
        self._container = ContainerWriter(file)

    def add(self, name: str, array: AnyArray, *, part_of: tuple[str, tuple[int, ...]] | None = None) -> TensorHeader:
        """Compress an array and write its record, whose header it returns.

        name: differs from all names before. array: as `gcodec.encode` takes it. part_of: name and
        shape of the tensor that the array is a part of; the policy then looks at these. A bound
        that each part keeps, the whole tensor keeps. Raises InvalidInput or NonFinite; then nothing
        was written, and other arrays can be added. When the file itself fails, or the call is
        interrupted while it writes, the container is cut, and every later call raises Closed, as it
        does after `close`.
        """
        self._container.check_new(name)
        check_free(name)
        source = ArraySource(array_of(name, array))
        seen, whole = (name, source) if part_of is None else (part_of[0], _Part(source, part_of[1]))
        return write_record(self._container, name, source, self._rules.choice(seen, whole))

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


class _Part:
    """A part of a tensor, of which the policy sees the shape of the whole."""

    def __init__(self, source: Source, shape: tuple[int, ...]) -> None:
        self.dtype, self.shape, self.size, self.read = source.dtype, tuple(shape), math.prod(shape), source.read


def write_record(container: ContainerWriter, name: str, source: Source, choice: Choice) -> TensorHeader:
    """Compress a tensor and append its record; returns the header."""
    with compress(name, source, choice) as coded:
        container.add(coded.header, coded.pieces(), coded.work)
        warn_of_losses(name, coded.found, coded.header.guarantee)
        return coded.header
