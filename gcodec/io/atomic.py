"""Files that appear whole or not at all, and temporary ones that leave nothing behind."""

import errno
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..container.spool import temporary_file
from .streams import naming, speaking_of

NAME_PREFIX = 100  # bytes of the output's name in that of a temporary file
_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EXDEV, errno.EINVAL}
_NO_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EROFS}
_NO_UNNAMED = {errno.EOPNOTSUPP, errno.ENOTSUP, errno.EISDIR, errno.EINVAL, errno.ENOENT, errno.ENOSYS}


@contextmanager
def replacing(path: Path, keep: bool = False, like: Path | None = None) -> Iterator[Path]:
    """A temporary path to write to; it becomes `path` at the end, or vanishes on an error.

    The file has its name once its bytes are on the disk, and is on the disk by that name when this
    ends. Where the system can do so, it has no name until then. keep: an existing file stays, even
    one that appeared meanwhile, and FileExistsError is raised. Without `keep` it is replaced, and
    its permissions are kept. like: a new file gets the permissions of this one; an existing one
    gets no more than these. A symbolic link stays one, and what it points to is replaced. What is
    not a regular file (a device, a pipe) is written to directly. Errors speak of `path`, never of
    the temporary file.
    """
    if path.exists() and not path.is_file():
        yield path
        return
    path = Path(os.path.realpath(path))
    mode = _permissions(path, like)
    with _Temporary(path, 0o666 if mode is None else 0o600) as temporary, speaking_of(temporary.path, str(path)):
        yield temporary.path
        temporary.publish(path, mode, keep)


@contextmanager
def replacing_folder(path: Path, keep: bool = False) -> Iterator[Path]:
    """An empty temporary folder beside `path`; it gets that name at the end.

    On an error it vanishes. Its files are on the disk before it has its name. keep: a folder or
    file that has the name stays, and FileExistsError is raised. Without `keep`, a folder is
    replaced if all files in it are among the new ones; FileExistsError says which one is not.
    Errors speak of `path`.
    """
    path = Path(os.path.realpath(path))
    temporary = path.parent / f".{_cut(path.name)}.{os.urandom(6).hex()}.part"
    with naming(str(path)):
        temporary.mkdir()
        mode = stat.S_IMODE(temporary.stat().st_mode)
        temporary.chmod(0o700)  # nobody else puts anything in until it is whole
    try:
        with speaking_of(temporary, str(path)):
            yield temporary
            for file in temporary.rglob("*"):
                if not file.is_symlink():
                    _sync_path(file)
            temporary.chmod(mode)
            _sync_folder(temporary)
            _publish_folder(temporary, path, keep)
            _sync_folder(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _publish_folder(temporary: Path, path: Path, keep: bool) -> None:
    if keep or not path.exists():
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
        os.rename(temporary, path)
        return
    for file in path.rglob("*"):
        inner = file.relative_to(path)
        if not (temporary / inner).exists():
            raise FileExistsError(errno.EEXIST, f"it has {inner}, which the new folder lacks, and stays", str(path))
    aside = temporary.with_suffix(".old")
    os.rename(path, aside)
    try:
        os.rename(temporary, path)
    except BaseException:
        os.rename(aside, path)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def _sync_path(path: Path) -> None:
    number = os.open(path, os.O_RDONLY)
    try:
        _sync(number)
    finally:
        os.close(number)


class _Temporary:
    """A temporary file in the folder of an output, without a name where the system can do that."""

    def __init__(self, beside: Path, mode: int) -> None:
        self._folder, self._prefix = beside.parent, _cut(beside.name)
        try:
            unnamed = _unnamed(self._folder, mode)
            self.has_name = unnamed is None
            self.path, self._number = self._named(mode) if unnamed is None else (_path_of(unnamed), unnamed)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(beside)) from None

    def __enter__(self) -> "_Temporary":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._number)
        if self.has_name:
            self.path.unlink(missing_ok=True)

    def publish(self, path: Path, mode: int | None, keep: bool) -> None:
        """Give the file its permissions and, once it is on the disk, its name."""
        if mode is not None:
            os.fchmod(self._number, mode)
        _sync(self._number)
        try:
            if keep:
                self._link_new(path)
            else:
                self._replace(path)
        except FileNotFoundError:
            raise OSError(errno.ENOENT, "the folder is no longer there", str(path)) from None
        _sync_folder(self._folder)

    def _replace(self, path: Path) -> None:
        if not self.has_name:
            self.path, self.has_name = self._linked(self._free_name()), True
        os.replace(self.path, path)

    def _link_new(self, path: Path) -> None:
        """Appear under a name that nobody has; raises FileExistsError when somebody does."""
        try:
            self._linked(path)
        except OSError as error:
            if error.errno not in _NO_LINKS or not self.has_name:
                raise
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))  # takes the name, if it is free
            os.replace(self.path, path)

    def _linked(self, path: Path) -> Path:
        folder = os.open("/", os.O_RDONLY)  # with a folder's descriptor, Python's link follows the one that /proc shows
        try:
            os.link(self.path, path, src_dir_fd=folder, follow_symlinks=not self.has_name)
        finally:
            os.close(folder)
        return path

    def _named(self, mode: int) -> tuple[Path, int]:
        name = self._free_name()
        return name, os.open(name, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, mode)

    def _free_name(self) -> Path:
        return self._folder / f".{self._prefix}.{os.urandom(6).hex()}.part"


@contextmanager
def scratch() -> Iterator[Path]:
    """The path of an empty temporary file, for what must be whole before it is read or sent."""
    with temporary_file() as file:
        yield Path(file.name) if isinstance(file.name, str) else _path_of(file.fileno())


def _permissions(path: Path, like: Path | None) -> int | None:
    """Those that the output should have; None: those of any new file."""
    given = [stat.S_IMODE(file.stat().st_mode) & 0o777 for file in (path, like) if file is not None and file.exists()]
    return None if not given else given[0] & given[-1]


def _unnamed(folder: Path, mode: int) -> int | None:
    """The descriptor of a new file without a name; None when the system has no such files."""
    if not hasattr(os, "O_TMPFILE") or not os.path.isdir("/proc/self/fd"):
        return None
    try:
        return os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, mode)
    except OSError as error:
        if error.errno in _NO_UNNAMED:
            return None
        raise


def _path_of(number: int) -> Path:
    """A path by which Linux shows an open file."""
    return Path(f"/proc/self/fd/{number}")


def _cut(name: str) -> str:
    return os.fsencode(name)[:NAME_PREFIX].decode(errors="ignore")


def _sync(number: int) -> None:
    try:
        os.fsync(number)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise


def _sync_folder(folder: Path) -> None:
    """Bring a name to the disk; a folder that may not be read cannot be synced."""
    try:
        number = os.open(folder, os.O_RDONLY)
    except PermissionError:
        return
    try:
        _sync(number)
    finally:
        os.close(number)
