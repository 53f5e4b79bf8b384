"""Writes the vectors that are missing, each with its JSON, and the README.

    python spec/vectors/make.py [--replace PATTERN]

A file of a released format is never changed: what is there stays, unless its path (such as
`good/sd-*`) is asked to be replaced. Encoders may change, so a good vector that is made again may
differ in its bytes. Each one is decoded for ever.
"""

import argparse
import hashlib
import json
from collections.abc import Iterator
from fnmatch import fnmatch
from io import BytesIO
from pathlib import Path

import numpy as np
from bad_container import BAD_CONTAINERS
from bad_indices import INDICES
from bad_payloads import BAD_PAYLOADS
from bad_pointwise import POINTWISE as BAD_POINTWISE
from bad_trellis import BAD_TRELLIS
from based import BASED, BASES, Based, places
from cases import Bad, Good
from delta import BAD_DELTA, GOOD_DELTA
from good import GOOD
from good_pointwise import POINTWISE
from good_trellis import TRELLIS
from joined import BAD_JOINED, GOOD_JOINED
from messages import MESSAGES, Case
from unsupported import UNSUPPORTED

from gcodec import Channel
from gcodec.api import read_tensor
from gcodec.channel.message import Message
from gcodec.container.describe import method_name
from gcodec.container.layout import GUARANTEES, TensorHeader
from gcodec.container.reader import RandomAccess, Stream
from gcodec.errors import GcodecError

HERE = Path(__file__).parent
MOST_BYTES = 2047
INTRODUCTION = """# Vectors

Small files that a decoder can be tried on. Beside each is a JSON. It says what the file is `about`,
its `sha256`, and what a reader must find.

A file in `good/` decodes to its `tensors`, in this order. Each has `name`, `dtype`, `shape` and
`values`, the little-endian bytes of all values in C order, as hexadecimal. `method`, `guarantee`,
`bound`, the encoder's `options` and `chunk` say how they were coded. `meta` is the file's META.

A file in `bad/` breaks one rule, the one that it is named after. All else in it is right, checksums
included unless they are the cause. `error` is the code of [format.md](../format.md) §8 that a
reader reports when it goes through the whole file and decodes every tensor.

A file in `unsupported/` is a good one of a later version. A reader of this version refuses it with
`error`. Where only one record is of a later version, its `tensors` are the others, which can still
be read through the index.

A file in `messages/` is a message of a channel, see [message.md](../message.md). `manifest` is what
its ends agreed on. A good one has `step`, `guarantee`, `bound` and `tensors`, a bad one `error`.

A file in `based/` needs the tensors of other files. They are its `bases`, and each of these needs
at most those before it. The file decodes to its `tensors`, or is refused with its `error`.

The files were written once, by `make.py`, and do not change.
"""


def expected(header: TensorHeader, values: np.ndarray, options: dict) -> dict:
    """What the JSON says of one tensor."""
    entry = {"name": header.name, "dtype": header.spec.dtype.name, "shape": list(header.spec.shape)}
    entry |= {"method": method_name(header), "guarantee": header.guarantee.kind}
    if header.guarantee.kind != GUARANTEES[0]:
        entry["bound"] = header.guarantee.bound
    if options:
        entry["options"] = options
    return entry | {"chunk": header.chunk, "values": values.astype(values.dtype.newbyteorder("<")).tobytes().hex()}


def describe_good(case: Good, data: bytes) -> dict:
    """The JSON of a good file, with what it decodes to."""
    stream = Stream(BytesIO(data))
    tensors = [expected(record.header, read_tensor(record, 1), case.options) for record in stream]
    return ({"meta": stream.meta} if stream.meta else {}) | {"tensors": tensors}


def describe_refused(case: Bad, data: bytes) -> dict:
    """The JSON of a bad or unsupported file.

    It checks that the file is refused for the reason that its author had in mind.
    """
    try:
        for record in Stream(BytesIO(data)):
            read_tensor(record, 1)
    except GcodecError as error:
        if error.code != case.error or case.message not in str(error):
            raise AssertionError(
                f"{case.path}: {error.code}: {error}, but {case.error}: {case.message} is meant"
            ) from None
    else:
        raise AssertionError(f"{case.path}: is accepted")
    entry: dict = {"error": case.error}
    if case.readable:
        access = RandomAccess(BytesIO(data), len(data))
        records = [access.record(name) for name in case.readable]
        entry["tensors"] = [expected(record.header, read_tensor(record, 1), {}) for record in records]
    return entry


def describe_based(case: Based, data: bytes) -> dict:
    """The JSON of a file that needs bases. It checks why a file is refused."""
    bases = places(*((HERE / f"{path}.gcz").read_bytes() for path in reversed(case.bases)))
    entry: dict = {"bases": list(case.bases)}
    try:
        records = bases.on(Stream(BytesIO(data)))
        tensors = [expected(record.header, read_tensor(record, 1), {}) for record in records]
    except GcodecError as error:
        if error.code != case.error or case.message not in str(error):
            raise AssertionError(f"{case.path}: {error.code}: {error}") from None
        return entry | {"error": case.error}
    if case.error:
        raise AssertionError(f"{case.path}: is accepted")
    return entry | {"tensors": tensors}


def describe_message(case: Case, data: bytes) -> dict:
    """The JSON of a message. It checks that a bad one is refused for the reason that is meant."""
    manifest = case.manifest
    entry: dict = {"manifest": json.loads(manifest.text)}
    try:
        arrays = Channel(manifest.text).decode(data)
    except GcodecError as error:
        if (error.code, case.cause in str(error)) != (case.error, True):
            raise AssertionError(
                f"{case.path}: {error.code}: {error}, but {case.error}: {case.cause} is meant"
            ) from None
        return entry | {"error": error.code}
    if case.error:
        raise AssertionError(f"{case.path}: is accepted")
    message = Message.unpack(data, manifest)
    kind, bound = message.guarantee.kind, message.guarantee.bound
    entry |= {"step": message.step, "guarantee": kind} | ({} if kind == GUARANTEES[0] else {"bound": bound})
    if message.whole:
        entry["scope"] = "message"
    values = [array.astype(array.dtype.newbyteorder("<")).tobytes().hex() for array in arrays]
    return entry | {"tensors": [{"name": n, "values": v} for n, v in zip(manifest.names, values, strict=True)]}


def describe(case: Good | Bad | Based | Case, data: bytes) -> dict:
    if isinstance(case, Case):
        return describe_message(case, data)
    if isinstance(case, Based):
        return describe_based(case, data)
    return describe_good(case, data) if isinstance(case, Good) else describe_refused(case, data)


def path_of(case: Good | Bad | Based | Case) -> Path:
    return HERE / f"{case.path}.{'gcm' if isinstance(case, Case) else 'gcz'}"


def write(case: Good | Bad | Based | Case) -> None:
    data, path = case.data(), path_of(case)
    if len(data) > MOST_BYTES:
        raise AssertionError(f"{case.path}: {len(data)} bytes")
    found = describe(case, data)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    entry = {"about": case.about, "sha256": hashlib.sha256(data).hexdigest()} | found
    path.with_suffix(".json").write_text(json.dumps(entry, indent=1, ensure_ascii=False) + "\n")


def readme() -> Iterator[str]:
    yield INTRODUCTION
    for folder in ("good", "bad", "unsupported", "based", "messages"):
        yield f"\n## {folder}\n\n| file | bytes | |\n|---|---|---|\n"
        for path in sorted((HERE / folder).glob("*.gc[zm]")):
            entry = json.loads(path.with_suffix(".json").read_text())
            error = f"*{entry['error']}*: " if "error" in entry else ""
            yield f"| [{path.stem}]({folder}/{path.name}) | {path.stat().st_size} | {error}{entry['about']} |\n"


def main() -> None:
    parser = argparse.ArgumentParser(description="Writes the vectors that are missing, and the README.")
    parser.add_argument("--replace", metavar="PATTERN", default="", help="also those that match, such as 'good/sd-*'")
    pattern = parser.parse_args().replace
    cases = [*GOOD, *TRELLIS, *BAD_CONTAINERS, *BAD_PAYLOADS, *BAD_TRELLIS, *POINTWISE, *BAD_POINTWISE, *UNSUPPORTED]
    cases += [*GOOD_DELTA, *BAD_DELTA, *INDICES, *GOOD_JOINED, *BAD_JOINED, BASES, *BASED, *MESSAGES]
    if len({case.path for case in cases}) != len(cases):
        raise AssertionError("two vectors have one name")
    for case in cases:
        if fnmatch(case.path, pattern) or not path_of(case).exists():
            write(case)
    (HERE / "README.md").write_text("".join(readme()))


if __name__ == "__main__":
    main()
