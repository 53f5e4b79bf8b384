"""Containers of folders that were made to harm: nothing is written outside of the new folder."""

import numpy as np
import pytest
import torch_files as made
from folder_files import frame, normal, safetensors

from gcodec.container.budget import Budget
from gcodec.errors import Corrupt, InvalidInput, LimitExceeded
from gcodec.io import formats
from gcodec.io.folder.paths import problem
from gcodec.io.skeleton import FILE

SHARD = normal(64, 64)


@pytest.mark.parametrize(
    "path",
    ["", "/etc/x", "../x", "a/../x", "a//x", ".", "a/.", "a\\x", "C:x", "a\nb", "x" * 256, "con", "a/NUL.txt", "lpt1", "a ", "a.", "a\0",
     "\udc80", "a|b"],
)  # fmt: skip
def test_paths_that_lead_elsewhere(path, tmp_path):
    assert problem(path)
    meta = {"format": "folder", "names": [FILE + path], "files": []}
    with pytest.raises(Corrupt), formats.writer(tmp_path, "folder", meta, Budget()) as writer:
        writer.add(FILE + path, np.dtype(np.uint8), (16,))
    assert list(tmp_path.iterdir()) == []
    assert problem("a/b-c_d.e (1) ü.json") is None


SHARD_FILE = safetensors({"w": ("F32", SHARD)})
META = {
    "format": "folder",
    "names": [FILE + "a", "w"],
    "tied": {},
    "files": [{"path": "a", "format": "safetensors", "prefix": ""}],
}
START = len(SHARD_FILE) - SHARD.nbytes


def written(folder, meta, *records):
    with formats.writer(folder, "folder", meta, Budget(limit=1 << 20)) as writer:
        for name, array in records:
            writer.add(name, array.dtype, array.shape).write(0, array.reshape(-1))
    return writer


def test_frames_and_tensors_that_do_not_fit(tmp_path):
    whole = frame(SHARD_FILE, (START, len(SHARD_FILE)))
    evil = made.archive(made.mapping(a=made.name("os", "system") + b"(" + made.text("echo") + b"tR"))
    unused = made.archive(made.mapping(w=made.tensor("0", 64, (64,), (1,))), bytes(256), b"unused" * 99)
    at = unused.index(b"unused")
    pt = META | {"files": [{"path": "a", "format": "pt", "prefix": ""}]}
    written(tmp_path, META, (FILE + "a", whole), ("w", SHARD))
    assert (tmp_path / "a").read_bytes() == SHARD_FILE
    cases = [
        ("has a place for the tensor 'v'", META, (FILE + "a", whole), ("w", SHARD), ("v", SHARD)),
        ("has a place for the tensor 'w'", META, (FILE + "a", whole), ("w", SHARD), ("w", SHARD)),
        ("in its file", META, (FILE + "a", whole), ("w", SHARD.astype(np.float64))),
        ("in its file", META, (FILE + "a", whole), ("w", SHARD[:2])),
        ("before all tensors, and once", META, (FILE + "a", whole), ("w", SHARD), (FILE + "b", whole)),
        ("before all tensors, and once", META, (FILE + "a", whole), (FILE + "a", whole)),
        ("in the safetensors header", META, (FILE + "a", frame(SHARD_FILE, (START - 8, len(SHARD_FILE))))),
        ("lacks bytes that no tensor gives", pt, (FILE + "a", frame(unused, (at, at + 64)))),
        ("lacks bytes that no tensor gives", META | {"files": []}, (FILE + "a", whole)),
        ("does not belong", META, ("//hdf5", whole)),
        ("is not a skeleton", META, (FILE + "a", SHARD)),
        ("would lie below", META, (FILE + "a", whole), (FILE + "a/b", whole)),
        ("do not say what the files are", META | {"files": [{"path": "a", "format": "h5", "prefix": ""}]}, ()),
        ("do not say what the files are", META | {"files": META["files"] * 2}, ()),
        ("and the metadata do not name it", META | {"names": []}, (FILE + "a", whole)),
        ("os.system", pt, (FILE + "a", frame(evil))),
    ]
    for i, (words, meta, *records) in enumerate(cases):
        folder = tmp_path / f"case {i}"
        folder.mkdir()
        with pytest.raises((Corrupt, InvalidInput), match=words):
            written(folder, meta, *[record for record in records if record])


def test_doubles_are_paid_for(tmp_path):
    """One record that fills many files would make much of a few bytes."""
    files = {f"a{i}": frame(SHARD_FILE, (START, len(SHARD_FILE))) for i in range(80)}
    meta = {
        "format": "folder",
        "names": [*(FILE + path for path in files), "a0/w"],
        "files": [{"path": path, "format": "safetensors", "prefix": f"{path}/"} for path in files],
        "tied": {f"{path}/w": "a0/w" for path in files if path != "a0"},
    }
    with pytest.raises(LimitExceeded):
        written(tmp_path, meta, *((FILE + path, data) for path, data in files.items()), ("a0/w", SHARD))


def test_a_pickle_that_nobody_looked_at(tmp_path):
    """A container says that its file of torch.save has no tensors, or is something else."""
    evil = frame(made.archive(made.mapping(a=made.name("os", "system") + b"(" + made.text("echo") + b"tR")))
    entry = {"path": "", "format": "pt", "prefix": ""}
    for files in ([], [entry | {"path": "x"}], [entry | {"format": "safetensors"}], [entry, entry | {"path": "x"}]):
        with pytest.raises(Corrupt, match="do not say that the file is one of torch.save"):
            formats.writer(tmp_path / "x", "pt", {"format": "pt", "files": files, "names": [FILE]}, Budget())
    meta = {"format": "pt", "files": [entry], "names": [FILE]}
    with pytest.raises(Corrupt, match="os.system"), formats.writer(tmp_path / "x", "pt", meta, Budget()) as writer:
        writer.add(FILE, evil.dtype, evil.shape).write(0, evil)
