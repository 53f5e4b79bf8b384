"""Outputs: what was there is kept, what appears is whole, and every byte arrives."""

import io
import os
import resource
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from checks import NIGHTLY, call_cli, run_cli, wait_until_it_writes

import gcodec
from gcodec.errors import GcodecError
from gcodec.io import atomic
from gcodec.io.atomic import replacing
from gcodec.kernels.compiler.folder import folder

GCODEC = [sys.executable, "-m", "gcodec"]


@pytest.fixture(params=["unnamed", "named"])
def temporary(request, monkeypatch):
    """With files that have no name, and as on a system that lacks them."""
    if request.param == "named":
        monkeypatch.setattr(atomic, "_unnamed", lambda folder, mode: None)
    elif atomic._unnamed(Path("/tmp"), 0o600) is None:
        pytest.skip("this system has no files without a name")
    return request.param


# ---- names


def test_what_appears_meanwhile_is_kept(tmp_path, temporary):
    out = tmp_path / "out"
    with pytest.raises(FileExistsError, match="out"), replacing(out, keep=True) as path:
        path.write_bytes(b"new")
        out.write_bytes(b"precious")
    assert out.read_bytes() == b"precious" and os.listdir(tmp_path) == ["out"]
    with replacing(out) as path:
        path.write_bytes(b"new")
    assert out.read_bytes() == b"new" and os.listdir(tmp_path) == ["out"]


def test_what_appears_meanwhile_is_kept_where_there_are_no_links(tmp_path, monkeypatch):
    monkeypatch.setattr(atomic, "_unnamed", lambda folder, mode: None)

    def link(*args, **options):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)
    with replacing(tmp_path / "out", keep=True) as path:
        path.write_bytes(b"first")
    with pytest.raises(FileExistsError), replacing(tmp_path / "out", keep=True) as path:
        path.write_bytes(b"second")
    assert (tmp_path / "out").read_bytes() == b"first" and os.listdir(tmp_path) == ["out"]


def test_of_two_commands_with_one_output_one_fails(large, tmp_path):
    command = [*GCODEC, "encode", str(large), "--lossless", "-o", str(tmp_path / "out.gcz")]
    both = [subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL) for _ in range(2)]
    errors = [process.communicate(timeout=120)[1].decode() for process in both]
    assert sorted(process.returncode for process in both) == [0, 2]
    assert "out.gcz exists" in "".join(errors) and run_cli("verify", tmp_path / "out.gcz")[0] == 0


def test_a_command_keeps_what_appears_meanwhile(large, tmp_path):
    out = tmp_path / "out.gcz"
    process = subprocess.Popen([*GCODEC, "encode", str(large), "--lossless", "-o", str(out)], stderr=subprocess.PIPE)
    wait_until_it_writes(process, tmp_path)
    out.write_bytes(b"precious")
    err = process.communicate(timeout=120)[1].decode()
    assert process.returncode == 2 and f"{out} exists" in err and out.read_bytes() == b"precious"


@pytest.mark.parametrize("letter", ["a", "é", "€", "𝔾"])
def test_names_of_255_bytes(tmp_path, letter, temporary):
    name = letter * (255 // len(letter.encode()))
    with replacing(tmp_path / name) as path:
        path.write_bytes(b"new")
    with replacing(tmp_path / name) as path:
        path.write_bytes(b"newer")
    assert os.listdir(tmp_path) == [name]


# ---- permissions


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644, 0o444])
def test_the_output_has_the_permissions_of_the_input(gradient, tmp_path, mode, temporary):
    gradient.chmod(mode)
    coded, back = tmp_path / "x.gcz", tmp_path / "back.npy"
    assert call_cli("encode", gradient, "-o", coded)[0] == 0
    assert call_cli("decode", coded, "-o", back)[0] == 0
    assert {stat.S_IMODE(path.stat().st_mode) for path in (coded, back)} == {mode}
    back.chmod(0o666)
    assert call_cli("decode", coded, "-o", back, "-f")[0] == 0
    assert stat.S_IMODE(back.stat().st_mode) == mode & 0o666  # a private input does not become public


def test_a_new_file_of_a_program_has_the_usual_permissions(tmp_path, temporary, monkeypatch):
    mask = os.umask(0o027)
    monkeypatch.setattr(os, "umask", lambda mask: pytest.fail("the mask is of the whole process"))
    try:
        gcodec.save(tmp_path / "x.gcz", {"a": np.arange(9.0)}, lossless=True)
        assert stat.S_IMODE((tmp_path / "x.gcz").stat().st_mode) == 0o640
    finally:
        monkeypatch.undo()
        os.umask(mask)


# ---- order of what happens


def test_data_are_on_the_disk_before_the_name_is(tmp_path, monkeypatch, temporary):
    happened = []
    for function in ("fsync", "link", "replace"):
        true = getattr(os, function)
        monkeypatch.setattr(
            os, function, lambda *args, f=function, t=true, **more: (happened.append((f, *args)), t(*args, **more))[1]
        )
    for keep, expected in ((True, ["fsync", "link", "fsync"]), (False, ["fsync", "replace", "fsync"])):
        happened.clear()
        with replacing(tmp_path / str(keep), keep=keep) as path:
            path.write_bytes(b"data")
        names = [name for name, *_ in happened if name != "link" or keep]
        assert names == expected


def test_a_folder_that_vanishes(tmp_path, temporary):
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(OSError, match="the folder is no longer there") as error, replacing(folder / "out") as path:
        path.write_bytes(b"new")
        for left in folder.iterdir():
            left.unlink()
        folder.rmdir()
    assert error.value.filename == str(folder / "out")


def test_errors_speak_of_the_output(tmp_path, temporary):
    for error in (GcodecError, lambda text: OSError(5, "Input/output error", text)):
        with pytest.raises((GcodecError, OSError)) as caught, replacing(tmp_path / "out") as path:
            raise error(str(path))
        assert str(tmp_path / "out") in str(caught.value) and "part" not in str(caught.value)
        assert "/proc" not in str(caught.value)
    assert os.listdir(tmp_path) == []


# ---- disks


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("stream", [False, True], ids=["file", "stdout"])
def test_a_full_disk_at_any_byte(large, tmp_path, stream, unbuffered):
    """A limit of the file's size stands for a full disk: exit code 5, one line, and no output."""
    whole, count = large.stat().st_size, 50 if NIGHTLY else 3
    for place in np.linspace(0, whole - 1, count).astype(int).tolist():
        out = tmp_path / f"{place}.npy"

        def limit(most=place):
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

        command = [*GCODEC, "decode", f"{large}.gcz", "-q", "-o", "-" if stream else str(out)]
        with open(tmp_path / "stdout", "wb") as stdout:
            done = subprocess.run(
                command, stdout=stdout, stderr=subprocess.PIPE, preexec_fn=limit, timeout=120, check=False,
                env=os.environ | {"PYTHONUNBUFFERED": unbuffered},
            )  # fmt: skip
        assert done.returncode == 5 and done.stderr.count(b"\n") == 1, (place, done.stderr)
        assert not out.exists() and os.listdir(tmp_path) == ["stdout"]


def test_a_full_folder_of_temporary_files(large, tmp_path, monkeypatch):
    """The message names that folder, not the output."""

    def refuse(*_, **__):
        raise OSError(28, "No space left on device")

    folder()  # the place of compiled kernels is looked for once, with a temporary file
    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    code, _, err = call_cli("encode", large, "--lossless", "-o", tmp_path / "x.gcz")
    assert code == 0, err  # all of it stays in memory
    monkeypatch.setattr("gcodec.container.spool._MOST", 1 << 16)
    code, _, err = call_cli("encode", large, "--lossless", "-f", "-o", tmp_path / "x.gcz")
    assert code == 5 and "No space left" in err and "TMPDIR" in err and "x.gcz" not in err


class Failing(io.RawIOBase):
    """A binary file whose disk breaks after some bytes, and that takes few at a time."""

    def __init__(self, most):
        self.most, self.data = most, bytearray()

    def writable(self):
        return True

    def write(self, data):
        if len(self.data) >= self.most:
            raise OSError(5, "Input/output error")
        taken = bytes(data[: min(7, self.most - len(self.data))])
        self.data += taken
        return len(taken)


def test_a_file_object_that_fails():
    tensors = {"a": np.arange(50.0), "b": np.arange(9)}
    whole = Failing(1 << 20)
    with gcodec.Writer(whole, gcodec.Policy(lossless=True)) as writer:
        for name, array in tensors.items():
            writer.add(name, array)
    assert {name: array.tolist() for name, array in gcodec.load(io.BytesIO(whole.data)).items()} == {
        name: array.tolist() for name, array in tensors.items()
    }
    for most in range(0, len(whole.data), 17):
        file = Failing(most)
        with (
            pytest.raises(OSError, match="Input/output error"),
            gcodec.Writer(file, gcodec.Policy(lossless=True)) as writer,
        ):
            for name, array in tensors.items():
                writer.add(name, array)
        assert file.data == whole.data[:most]


def test_an_output_whose_name_would_be_too_long(tmp_path):
    name = tmp_path / ("x" * 251 + ".npy")
    np.save(name, np.ones(4))
    code, _, err = call_cli("encode", name)
    assert code == 5 and err.endswith("File name too long; choose a shorter name with -o\n")
    assert call_cli("encode", name, "-o", tmp_path / "x.gcz")[0] == 0


def test_too_few_open_files(tmp_path):
    """The limit is said, whatever was to be opened."""
    gcodec.save(tmp_path / "x.gcz", {"x": np.ones(4)}, lossless=True)
    script = (
        "import resource, sys\nfrom gcodec.__main__ import main\nimport gcodec.cli.main\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (4, 4))\n"
        f"sys.argv = ['gcodec', 'info', {str(tmp_path / 'x.gcz')!r}]\nmain()"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 5 and "Too many open files" in done.stderr and "ulimit -n" in done.stderr, done.stderr
    assert done.stderr.count("\n") == 1


def test_a_single_array_has_no_metadata(tmp_path):
    """Its record says all; a reader that seeks, a pipe and --salvage give the .npy file back."""
    np.save(tmp_path / "x.npy", np.arange(6, dtype=np.float32))
    call_cli("encode", tmp_path / "x.npy", "--method", "sd", "--quiet")
    coded = (tmp_path / "x.npy.gcz").read_bytes()
    assert coded == gcodec.encode(np.arange(6, dtype=np.float32), "sd")
    first = gcodec.decode(coded)
    for options in ([], ["--salvage"], ["--tensor", ""]):
        code, out, err = call_cli("decode", tmp_path / "x.npy.gcz", "-f", "--json", *options)
        assert code == 0 and '"format": "npy"' in out, err
        assert np.load(tmp_path / "x.npy").tobytes() == first.tobytes()
