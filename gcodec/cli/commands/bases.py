"""The bases that the command line names: --base FILE, as often as needed, and --base-dir FOLDER."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import InvalidInput
from ...io import remote
from ..files import container_file, tensor_file

if TYPE_CHECKING:
    from ...pipeline.bases.bases import Bases
    from ...pipeline.bases.places import Place


@contextmanager
def open_bases(
    names: Sequence[str] | None, folder: str | None, threads: int, dtypes: Mapping[str, str] | None = None
) -> "Iterator[Bases | None]":
    """What finds bases in these files and in the folder; None where neither is named.

    A file is a container, or any input of tensors. Raises InvalidInput for standard input, and when
    a file of tensors changes while it is open.
    """
    if not names and folder is None:
        yield None
        return
    from ...pipeline.bases.bases import Bases
    from ...pipeline.bases.given import path_place

    with ExitStack() as stack:
        places: list[Place] = [_place(name, dtypes, stack) for name in names or ()]
        if folder is not None:
            if not Path(folder).is_dir():
                raise InvalidInput(f"--base-dir {folder}: is no folder")
            places.append(path_place(folder, stack))
        yield Bases(places, threads)


def _place(name: str, dtypes: Mapping[str, str] | None, stack: ExitStack) -> "Place":
    from ...container.layout import MAGIC
    from ...pipeline.bases.given import path_place
    from ...pipeline.bases.places import Sources

    if name == "-":
        raise InvalidInput("--base -: a base is read several times, which standard input does not allow; name a file")
    if remote.is_url(remote.resolved(name)) or not Path(name).is_dir():
        with container_file(name) as file:
            if file.read(len(MAGIC)) == MAGIC:
                return path_place(name, stack)
    return Sources(dict(stack.enter_context(tensor_file(name, dtypes)).tensors()), name)
