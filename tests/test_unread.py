"""What the command line says of files and folders that it does not read where they are given."""

import pytest
from checks import call_cli

from gcodec.io.sniff import TORCH_MAGIC


@pytest.mark.parametrize(
    ("file", "start", "words"),
    [
        ("a.h5", b"\x89HDF\r\n\x1a\n", "h5 files are not read; encode each alone, as gcodec encode {path}"),
        ("a.npz", b"PK\x05\x06", "npz files are not read; encode each alone, as gcodec encode {path}"),
        ("ck.index", b"\0\0\1\2", "{path} is a part of a checkpoint of TensorFlow; export its weights"),
        (
            "__0_0.gcz",
            b"\x89GCZ\r\n\x1a\n",
            "{path} is a gcodec file already; to look into it use gcodec info or decode",
        ),
        ("a.pt", TORCH_MAGIC, "{path}: is no sound pickle"),
        ("a.txt", b"words", "no file of tensors is in this directory"),
    ],
)
def test_folders_whose_files_are_not_read_there(file, start, words, tmp_path):
    (tmp_path / "d").mkdir()
    path = tmp_path / "d" / file
    path.write_bytes(start)
    (path.parent / "checkpoint").write_text('model_checkpoint_path: "ck"')
    code, _, error = call_cli("encode", path.parent, "--lossless")
    assert code == 2 and words.format(path=path) in error and error.count("\n") == 1


@pytest.mark.parametrize(
    ("start", "words"),
    [
        (b"\x93NUMPY\x01\x00", "is a file of tensors (npy), and not a gcodec file; make one with: gcodec encode"),
        (
            b"version https://git-lfs.github.com/spec/v1\n",
            "is a pointer of git-lfs, not the file itself, and not a gcodec file; fetch the file with: git lfs",
        ),
        (b"\x1f\x8b\x08", "is packed by gzip, and not a gcodec file; unpack it first"),
        (b"\x89PNG\r\n\x1a\n", "is a PNG picture, and not a gcodec file; name a gcodec file"),
        (b"GCU", "does not start with \\x89GCZ; name one that gcodec wrote"),
        (b"GCM", "this is a message of a channel: `gcodec decode` and `gcodec verify` take it with --specs"),
    ],
)
def test_what_stands_in_place_of_a_container(start, words, tmp_path):
    path = tmp_path / "x.gcz"
    path.write_bytes(start.ljust(64, b"\0"))
    for command in ("decode", "verify", "info"):
        code, _, error = call_cli(command, path)
        assert code == 3 and str(path) in error and words in error and error.count("\n") == 1
