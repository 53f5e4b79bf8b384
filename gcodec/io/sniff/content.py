"""Looks at the first bytes of a file: at magic numbers, and closer where these do not tell."""

import codecs
import os
import re
import struct
from pathlib import Path, PurePath

from ...errors import InvalidInput
from .foreign import AGAIN, FOLDERS, FOREIGN, LATER, PACKED, STARTS

PREFIX = 1 << 16  # the most bytes of a file that are looked at
MAX_SAFETENSORS_HEADER = 100_000_000  # bytes; the limit of the safetensors library
HDF5_MAGIC, TORCH_MAGIC = b"\x89HDF\r\n\x1a\n", b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
HINTS = {
    ".safetensors": "safetensors",
    **dict.fromkeys((".h5", ".hdf5", ".h5ad", ".nc", ".mat", ".keras"), "h5"),
}  # what a suffix makes likely of content that has no magic, as HDF5 behind a long user block
_READ = ((b"\x93NUMPY", "npy"), (HDF5_MAGIC, "h5"), (TORCH_MAGIC, "legacy pt"))
_OURS = (b"GCM", b"GCU")  # how a message of a channel and an update begin
_REPLY = 300  # bytes that the words of a server have at most
_REFUSAL = (
    rb"([a-z]+ )?not found|(access|permission) denied|unauthori[sz]ed|forbidden|invalid (user|cred)|bad gateway"
    rb"|internal server error|too many requests|[45]\d\d:? [a-z]"
)


def format_of(path: Path, name: str | None = None) -> str:
    """The format of a file that gcodec reads: a key of `formats.MODULES`.

    name: what messages call the file; its suffix is the hint. Reads the first PREFIX bytes at most,
    from a descriptor of its own, without seeking. Raises InvalidInput with a remedy for all else.
    """
    shown = name or str(path)
    kind = kind_of(_start(path), PurePath(shown).suffix)
    if kind in FOREIGN:
        what, remedy = FOREIGN[kind]
        raise InvalidInput(f"{shown}: is {what}; {remedy}")
    if kind == "unknown":
        known = ".h5, .hdf5, .npy, .npz, .pt, .safetensors"
        raise InvalidInput(
            f"{shown}: neither an .npy file nor another known format ({known}); name a file of tensors, "
            "or read raw numbers with numpy.fromfile and save them as .npy"
        )
    return kind.removeprefix("legacy ")


def kind_of(start: bytes, suffix: str = "") -> str:
    """What a file is that starts so: a format that is read, a key of FOREIGN, or "unknown".

    start: the first bytes, PREFIX of them or the whole file. suffix: of its name, with the dot.
    """
    suffix = suffix.lower()
    for test in (_empty, _safetensors, _magic, _zip, _pickle, _hdf5, _markup, _model):
        found = test(start, suffix)
        if found:
            return found
    hint = HINTS.get(suffix, "unknown")
    if hint == "h5" and len(start) == PREFIX:  # its magic may be further on, behind a block of text
        return hint
    return _text(start) or hint


def check_folder(path: Path, name: str) -> None:
    """Raise InvalidInput with a remedy for a folder that is one thing, known and not read."""
    for file, what, remedy in FOLDERS:
        if (path / file).is_file():
            raise InvalidInput(f"{name}: is {what}; {remedy}")


def instead_of_gcz(path: Path, name: str) -> str | None:
    """What a file is that should be one of gcodec, and what to do; None where nothing tells.

    name: what messages call it.
    """
    start = _start(path)
    kind = "unknown" if start.startswith(_OURS) else kind_of(start, path.suffix)
    if kind in ("gcz", "unknown"):
        return None
    if kind in FOREIGN:
        what, remedy = FOREIGN[kind]
        remedy = remedy if kind in AGAIN else "unpack it first" if kind in PACKED else "name a gcodec file"
        return f"is {what}, and not a gcodec file; {remedy}"
    fmt = kind.removeprefix("legacy ")
    return f"is a file of tensors ({fmt}), and not a gcodec file; make one with: gcodec encode {name}"


def _start(path: Path) -> bytes:
    """The first PREFIX bytes, or fewer at the end of the file."""
    parts, left = [], PREFIX
    with open(path, "rb", buffering=0) as file:
        while left and (part := os.read(file.fileno(), left)):
            parts.append(part)
            left -= len(part)
    return b"".join(parts)


def _empty(start: bytes, suffix: str) -> str | None:
    return None if start else "empty"


def _safetensors(start: bytes, suffix: str) -> str | None:
    """This test comes first, as the length of a header may begin like another format's magic."""
    length = int.from_bytes(start[:8], "little")
    return "safetensors" if start[8:9] == b"{" and length <= MAX_SAFETENSORS_HEADER else None


def _magic(start: bytes, suffix: str) -> str | None:
    """What magic bytes tell. An archive of tar may hold HDF5 where a user block would end."""
    for magic, kind in (*_READ, *STARTS):
        if start.startswith(magic):
            return kind
    for first, at, magic, kind in LATER:
        if start.startswith(first) and start.startswith(magic, at):
            return kind
    return None


def _zip(start: bytes, suffix: str) -> str | None:
    """What a zip archive is, by the names of its first members."""
    if start.startswith(b"PK\x05\x06"):
        return "npz"  # without members, as numpy writes it for no arrays
    names = _members(start)
    if not names:
        return "zip" if start.startswith(b"PK\x03\x04") else None
    if any(name.endswith(".distcp") for name in names) or suffix == ".distcp":
        return "distcp"
    if any(re.match("[^/]*/(code/|constants.pkl$)", name) for name in names):
        return "torchscript"
    folder, _, first = names[0].partition("/")
    if first in ("data.pkl", "byteorder", "version", ".format_version") or first.startswith("data/"):
        return "pt"
    if first.startswith("extra/"):
        return "torchscript"
    if folder in ("metadata.json", "config.json", "model.weights.h5") and suffix != ".npz":
        return "keras"
    return "npz" if suffix == ".npz" or any(name.endswith(".npy") for name in names) else "zip"


def _members(start: bytes) -> list[str]:
    """Names of a zip archive's members, as far as one says where the next begins."""
    names, at = [], 0
    while start[at : at + 4] == b"PK\x03\x04" and len(start) >= at + 30:
        flags, size, length, extra = struct.unpack_from("<6xH10xI4xHH", start, at)
        names.append(start[at + 30 : at + 30 + length].decode("utf-8", "replace"))
        at += 30 + length + extra + size
        if flags & 8 and not size:  # its length comes behind it
            break
    return names


def _pickle(start: bytes, suffix: str) -> str | None:
    """A pickle of any protocol; those of old programs are text, and start with a known value."""
    if start[:1] == b"\x80" and start[1:2] in b"\x02\x03\x04\x05" and len(start) > 2:
        return "pickle"
    modules = rb"(numpy|copy_reg|__builtin__|builtins|collections|torch|sklearn|pandas|scipy|_codecs)"
    return "pickle" if re.match(rb"\(?(\(?[dl]p\d+\n|[\]}]q\x00|c" + modules + rb"[\w.]*\n\w+\n)", start) else None


def _hdf5(start: bytes, suffix: str) -> str | None:
    """HDF5 may stand behind a user block of 512 bytes or a power of two more."""
    at = 512
    while at < len(start):
        if start.startswith(HDF5_MAGIC, at):
            return "h5"
        at *= 2
    return "h5" if start.startswith(b"MATLAB 7.3 MAT-file") else None


def _markup(start: bytes, suffix: str) -> str | None:
    """What a text with a syntax is: a page, a message of a server, or JSON."""
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    if re.match(rb"<(!doctype\s+html|html|head|body)\b", text, re.IGNORECASE):
        return "html"
    if text.startswith(b"<?xml"):
        return "html" if b"<html" in text[:1024].lower() else "xml"
    if re.match(rb'[{\[]\s*(["\[{\d\]}-]|$)', text):
        return "index" if b'"weight_map"' in text else "json"
    return None


def _model(start: bytes, suffix: str) -> str | None:
    """Formats without a magic number at the start."""
    # ONNX is a protobuf message: its first field is the version, and its next one text or a graph.
    if start[:1] == b"\x08" and start[1:2] < b"\x20" and start[2:3] in (b"\x12", b"\x1a", b"\x22", b"\x32", b"\x3a"):
        return "onnx"
    if re.match(rb"([\x81-\x8f]|\xde..|\xdf....)([\xa1-\xbf]|\xd9.)[\x20-\x7e]", start, re.DOTALL):
        return "msgpack"  # a dictionary whose first key is text
    if b"brain.Event:" in start[:64]:
        return "events"
    if suffix == ".index" or re.match(r"\.data-\d{5}-of-\d{5}$", suffix):
        return "tensorflow"
    if suffix == ".mat" and _is_matlab_4(start):
        return "mat5"
    if start[:1] == b"\x78" and start[1:2] in b"\x01\x5e\x9c\xda" and len(start) > 2:
        return "zlib"
    return "idx" if re.match(rb"\0\0[\x08\x09\x0b-\x0e][\x01-\x08]", start) else None


def _is_matlab_4(start: bytes) -> bool:
    """Whether it starts as version 4 does: with the kind, sides and length of name of a matrix."""
    if len(start) < 20:
        return False
    kind, *sides, imaginary, length = struct.unpack_from("<5i" if start[0] or not start[3] else ">5i", start)
    return 0 <= kind < 5000 and min(sides) >= 0 and imaginary in (0, 1) and 0 < length <= 64


def _text(start: bytes) -> str | None:
    """What a plain text is: a table, the words with which a server refuses, or any other."""
    if re.search(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]", start):
        return "text" if start[:2] in (b"\xff\xfe", b"\xfe\xff") else None
    try:
        codecs.getincrementaldecoder("utf-8")().decode(start)  # its last letter may be cut
    except UnicodeDecodeError:
        if len(re.findall(rb"[\x80-\xff]", start)) > len(start) / 4:  # else an older encoding
            return None
    if len(start) < _REPLY and re.match(_REFUSAL, start.lstrip(), re.IGNORECASE):
        return "reply"
    return "table" if _is_table(start) else "text"


def _is_table(start: bytes) -> bool:
    """Whether the first lines are rows of numbers, or have the same number of columns."""
    lines = [line for line in start.splitlines()[:5] if line.strip() and not line.startswith(b"#")]
    if lines and all(re.fullmatch(rb"[-+\d.eE,;\s]+|[-+\d.eE,;\s]*\b(nan|inf)\b.*", line) for line in lines):
        return True
    counts = [{line.count(sign) for line in lines} for sign in (b",", b";", b"\t")]
    return len(lines) > 1 and any(len(count) == 1 and min(count) > 0 for count in counts)
