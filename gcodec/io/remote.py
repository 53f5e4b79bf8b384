"""Files behind URLs (`s3://…`, `https://…`), by fsspec: the extra `gcodec[remote]`."""

import os
import shutil
from contextlib import suppress
from io import RawIOBase
from pathlib import Path
from typing import Any, BinaryIO, cast

from ..container.spool import PIECE, in_temporary_folder
from ..errors import InvalidInput
from .folder.paths import problem
from .network import reporting

SILENCE = 60  # seconds that a web server may say nothing, before a command gives up
BLOCK = 1 << 16  # read ahead: small, so that one tensor of a remote file costs little more than its bytes


def is_url(name: str) -> bool:
    """Whether a file name is a URL, whose scheme has two characters or more; `C:` is none."""
    scheme, found, _ = name.partition("://")
    return bool(found) and len(scheme) > 1 and scheme.replace("+", "").isalnum()


def resolved(name: str) -> str:
    """One name for one file: the path of a `file://` URL, or a URL as fsspec spells it."""
    if not is_url(name):
        return name
    filesystem, path = _filesystem(name)
    local = "file" in ((filesystem.protocol,) if isinstance(filesystem.protocol, str) else filesystem.protocol)
    return path if local else str(filesystem.unstrip_protocol(path))


def base_name(url: str) -> str:
    """The last component of a URL's path, for a local file made of it."""
    path = url.partition("://")[2].partition("?")[0].partition("#")[0]
    name = path.rstrip("/").rpartition("/")[2]
    if name in ("", ".", ".."):
        raise InvalidInput(f"{url}: the URL has no file name; choose a name with -o")
    return name


def open_url(url: str) -> BinaryIO:
    """A seekable binary file for reading; only what is read is fetched, if the server can do so."""
    filesystem, path = _filesystem(url)
    with reporting(url):
        return cast(BinaryIO, _RemoteFile(url, filesystem.open(path, "rb", block_size=BLOCK)))


def exists(url: str) -> bool:
    filesystem, path = _filesystem(url)
    with reporting(url):
        return bool(filesystem.exists(path))


def is_folder(url: str) -> bool:
    """Whether a URL is that of a folder; a web server has none."""
    filesystem, path = _filesystem(url)
    if url.startswith(("http://", "https://")):
        return False
    with reporting(url):
        return bool(filesystem.isdir(path))


def download_folder(url: str, folder: Path) -> None:
    """Copy all files below a URL into an empty folder.

    Raises InvalidInput for a path that would lead out of it.
    """
    filesystem, root = _filesystem(url)
    with reporting(url):
        found = [str(path) for path in filesystem.find(root)]
    for path in found:
        inner = path.removeprefix(root.rstrip("/")).lstrip("/")
        wrong = problem(inner)
        if wrong:
            raise InvalidInput(f"{url}: the path {inner[:200]!r} {wrong}; it cannot be copied here")
        target = folder / inner
        target.parent.mkdir(parents=True, exist_ok=True)
        download(str(filesystem.unstrip_protocol(path)), target)


def download(url: str, path: Path) -> None:
    """Copy a remote file to a temporary one."""
    with open_url(url) as source, in_temporary_folder(), open(path, "wb") as target:
        shutil.copyfileobj(source, target, PIECE)


def upload(path: Path, url: str) -> None:
    """Copy a finished local file to a URL, which shows it once it is whole.

    Where the remote filesystem can rename, the file is sent under a temporary name; object stores
    show whole files anyway.
    """
    filesystem, remote = _filesystem(url)
    folder, _, name = remote.rpartition("/")
    sent = f"{folder}/.{name[:100]}.{os.getpid()}.part" if _renames(filesystem) else remote
    try:
        with reporting(url, "files of this kind can be read but not written; name a local file with -o"):
            filesystem.put_file(str(path), sent)
            if sent != remote:
                filesystem.mv(sent, remote)
    except BaseException:
        if sent != remote:
            with suppress(Exception):
                filesystem.rm_file(sent)
        raise


def _renames(filesystem: Any) -> bool:
    """Whether it has a rename of its own; the one that every filesystem inherits makes a copy."""
    from fsspec.spec import AbstractFileSystem

    return type(filesystem).mv is not AbstractFileSystem.mv


class _RemoteFile(RawIOBase):
    """fsspec's file, with its errors as OSError."""

    def __init__(self, url: str, file: Any) -> None:
        self._url, self._file = url, file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return bool(self._file.seekable())

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        with reporting(self._url):
            return int(self._file.seek(offset, whence))

    def tell(self) -> int:
        return int(self._file.tell())

    def readinto(self, buffer: Any) -> int:
        with reporting(self._url):
            data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()


def _filesystem(url: str) -> tuple[Any, str]:
    if url in ("http://", "https://"):
        raise InvalidInput(f"{url}: no server is named; check the URL")
    try:
        from fsspec.core import url_to_fs
    except ImportError:
        raise InvalidInput(f"{url}: URLs need fsspec; install it with: pip install 'gcodec[remote]'") from None
    with reporting(url):
        try:
            filesystem, path = url_to_fs(url, **_patience(url))
            return filesystem, path
        except ImportError as error:
            hint = "; install it with: pip install 'gcodec[remote]'" if url.startswith(("hf://", "http")) else ""
            raise InvalidInput(f"{url}: {error}{hint}") from None
        except ValueError as error:
            raise InvalidInput(f"{url}: {error}; check the URL") from None


def _patience(url: str) -> dict[str, Any]:
    """Options for a web server: it may take its time, and be silent for SILENCE at most.

    Without them, fsspec ends each request after five minutes, whether bytes come or not.
    """
    if not url.startswith(("http://", "https://")):
        return {}
    from aiohttp import ClientTimeout

    return {"timeout": ClientTimeout(total=None, sock_connect=SILENCE, sock_read=SILENCE)}
