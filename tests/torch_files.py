"""Makes files of torch.save by hand, sound ones and hostile ones."""

import io
import pickle
import struct
import zipfile

MAGIC = b"\x80\x02"


def text(word: str) -> bytes:
    return b"X" + struct.pack("<I", len(word.encode())) + word.encode()


def number(value: int) -> bytes:
    return b"\x8a\x08" + value.to_bytes(8, "little", signed=True)


def name(module: str, what: str) -> bytes:
    return f"c{module}\n{what}\n".encode()


def storage(key: str, kind: str, size: int) -> bytes:
    return b"(" + text("storage") + name("torch", kind) + text(key) + text("cpu") + number(size) + b"tQ"


def numbers(*values: int) -> bytes:
    return b"(" + b"".join(map(number, values)) + b"t"


def tensor(
    key: str, size: int, shape: tuple[int, ...], strides: tuple[int, ...], offset: int = 0, kind: str = "FloatStorage"
) -> bytes:
    """The steps that make a tensor: a view of a storage of `size` values."""
    call = storage(key, kind, size) + number(offset) + numbers(*shape) + numbers(*strides)
    return (
        name("torch._utils", "_rebuild_tensor_v2")
        + b"("
        + call
        + b"\x89"
        + name("collections", "OrderedDict")
        + b")RtR"
    )


def mapping(**values: bytes) -> bytes:
    return b"}(" + b"".join(text(key) + value for key, value in values.items()) + b"u"


def archive(steps: bytes, *members: bytes, method: int = zipfile.ZIP_STORED) -> bytes:
    """A file whose pickle has these steps, and these storages."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as made:
        made.writestr("archive/data.pkl", MAGIC + steps + b".")
        for i, data in enumerate(members):
            made.writestr(f"archive/data/{i}", data)
    return file.getvalue()


def legacy(steps: bytes, *members: tuple[int, bytes]) -> bytes:
    """As `archive`, in the older format. members: the number of values, and the bytes."""
    keys = [str(i) for i in range(len(members))]
    start = [0x1950A86A20F9469CFC6C, 1001, {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}]
    parts = [pickle.dumps(value, 2) for value in start]
    parts += [MAGIC + steps + b".", pickle.dumps(keys, 2)]
    parts += [size.to_bytes(8, "little") + data for size, data in members]
    return b"".join(parts)
