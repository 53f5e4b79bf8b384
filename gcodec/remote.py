"""Files behind URLs (`s3://…`, `https://…`, `memory://…`), by fsspec: the extra `gcodec[remote]`."""

import shutil
from pathlib import Path
from typing import Any, BinaryIO

from .errors import GcodecError, InvalidInput

BLOCK = 1 << 16  # read ahead: small, so that one tensor of a remote file costs little more than its bytes


def is_url(name: str) -> bool:
    """Whether a file name is a URL: it has a scheme of at least two characters, so that `C:` is none."""
    scheme, found, _ = name.partition("://")
    return bool(found) and len(scheme) > 1 and scheme.replace("+", "").isalnum()


def open_url(url: str) -> BinaryIO:
    """A seekable binary file for reading; only the ranges that are read are fetched, where the server can do that."""
    try:
        filesystem, path = _filesystem(url)
        return filesystem.open(path, "rb", block_size=BLOCK)
    except (OSError, GcodecError):
        raise
    except Exception as error:
        raise OSError(f"{url}: {str(error) or type(error).__name__}") from error


def exists(url: str) -> bool:
    filesystem, path = _filesystem(url)
    return bool(filesystem.exists(path))


def download(url: str, path: Path) -> None:
    """Copy a remote file to a local one."""
    with open_url(url) as source, open(path, "wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)


def upload(path: Path, url: str) -> None:
    """Copy a finished local file to a URL."""
    filesystem, remote = _filesystem(url)
    try:
        filesystem.put_file(str(path), remote)
    except NotImplementedError:
        raise InvalidInput(f"{url}: files of this kind can be read but not written") from None


def _filesystem(url: str) -> tuple[Any, str]:
    try:
        from fsspec.core import url_to_fs
    except ImportError:
        raise InvalidInput(f"{url}: URLs need fsspec; install it with: pip install 'gcodec[remote]'") from None
    try:
        return url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise InvalidInput(f"{url}: {error}") from None
