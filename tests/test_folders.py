"""Folders of shards and other files: one container, and the same folder back."""

import json
import os
import shutil
import subprocess
import sys
from itertools import chain

import numpy as np
import pytest
import torch_files as made
from checks import call_cli, distortion, run_cli
from folder_files import contents, normal, safetensors

import gcodec
from gcodec.container.reader import Stream
from gcodec.container.writer import ContainerWriter
from gcodec.io import formats
from gcodec.io.atomic import replacing_folder
from gcodec.io.skeleton import FILE

EMBED, SHARD, HEAD = normal(80, 64), normal(64, 64, seed=1), normal(64, 30, seed=2)
SCALES = np.arange(80, dtype=np.uint8)


FIRST = "model-00001-of-00002.safetensors"


@pytest.fixture
def shards(tmp_path):
    """A folder as trainers leave it: shards and their index, an optimizer, a tokenizer, folders."""
    folder = tmp_path / "model"
    (folder / "unet").mkdir(parents=True)
    files = {
        "model-00001-of-00002.safetensors": safetensors({"embed": ("F32", EMBED), "scales": ("F8_E8", SCALES)}),
        "model-00002-of-00002.safetensors": safetensors({"head": ("F32", EMBED), "w": ("F32", SHARD)}),
        "model.safetensors.index.json": b'{"weight_map": {}}',
        "config.json": b'{"a": 1}\n',
        "empty": b"",
        "optimizer.pt": made.archive(
            made.mapping(w=made.tensor("0", 1920, (64, 30), (30, 1)), step=b"K\x07"), HEAD.tobytes()
        ),
        "rng.pth": made.archive(made.mapping(a=made.name("numpy", "ndarray") + b")R")),
        "unet/weights.safetensors": safetensors({"w": ("F32", HEAD)}),
    }
    for path, data in files.items():
        (folder / path).write_bytes(data)
    return folder


def test_the_same_folder_comes_back(shards, tmp_path):
    before = contents(shards)
    _, _, error = call_cli("encode", f"{shards}/", "--lossless")
    assert "rng.pth" in error and "numpy.ndarray" in error and "carried along as it is" in error
    run_cli("verify", f"{shards}.gcz", "--against", shards)
    shutil.rmtree(shards)
    run_cli("decode", f"{shards}.gcz")
    assert contents(shards) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "model.gcz"]
    assert os.stat(shards).st_mode == os.stat(tmp_path.joinpath("model/unet")).st_mode


def test_values_change_within_their_bound_and_nothing_else(shards, tmp_path):
    run_cli("encode", shards, "--alpha", "1e-3", "-o", tmp_path / "x.gcz")
    run_cli("verify", tmp_path / "x.gcz", "--against", shards)
    run_cli("decode", tmp_path / "x.gcz", "-o", tmp_path / "back")
    before, after = contents(shards), contents(tmp_path / "back")
    changed = {path for path in before if before[path] != after[path]}
    assert set(after) == set(before) and {len(after[path]) - len(before[path]) for path in before} == {0}
    assert changed == {path for path in before if path.endswith((".safetensors", "zer.pt"))}
    loaded = gcodec.load(tmp_path / "x.gcz")
    names = {"embed", "head", "w", "optimizer.pt/w", "unet/w"}
    assert {name for name in loaded if not name.startswith("//")} == names
    assert loaded["head"] is loaded["embed"]  # tied: stored once
    originals = {"embed": EMBED, "w": SHARD, "optimizer.pt/w": HEAD, "unet/w": HEAD}
    assert all(0 < distortion(array, loaded[name]) <= 1e-3 for name, array in originals.items())
    with formats.reader(tmp_path / "back", "folder") as reader:
        found = {name: source.read(0, source.size) for name, source in reader.tensors()}
    assert all(np.array_equal(found[name], loaded[name].reshape(-1)) for name in names - {"head"})


def test_other_formats_say_what_they_lack(shards, tmp_path):
    run_cli("encode", shards, "--lossless", "-o", tmp_path / "x.gcz")
    _, said, _ = run_cli("decode", tmp_path / "x.gcz", "-o", tmp_path / "all.npz")
    assert "2 values without a record, all other files (--to folder keeps them)" in said
    with np.load(tmp_path / "all.npz") as arrays:
        assert np.array_equal(arrays["head"], EMBED) and np.array_equal(arrays["embed"], EMBED)
        assert len(arrays.files) == 5
    run_cli("decode", tmp_path / "x.gcz", "--tensor", "unet/w", "-o", tmp_path / "w.npy")
    assert np.array_equal(np.load(tmp_path / "w.npy"), HEAD)
    _, _, error = call_cli("decode", tmp_path / "all.npz", "--to", "folder", "-o", tmp_path / "no")
    assert "not a gcodec file" in error
    run_cli("encode", tmp_path / "all.npz", "--lossless")
    _, _, error = call_cli("decode", tmp_path / "all.npz.gcz", "--to", "folder", "-o", tmp_path / "no")
    assert "do not come from a folder" in error and not (tmp_path / "no").exists()


def test_several_inputs(shards, tmp_path):
    names = [shards / f"model-0000{i}-of-00002.safetensors" for i in (1, 2)]
    run_cli("encode", *names, "--lossless", "-o", tmp_path / "x.gcz")
    run_cli("decode", tmp_path / "x.gcz")
    assert contents(tmp_path / "x") == {path.name: path.read_bytes() for path in names}
    for inputs, words in (
        ([*names, shards / "config.json"], "is a JSON document"),
        ([names[0], shards], "is no regular file"),
        ([names[0], "-"], "is no regular file"),
        ([names[0], names[0]], "another input has the same name"),
    ):
        _, _, error = call_cli("encode", *inputs, "--lossless", "-o", tmp_path / "y.gcz")
        assert words in error and not (tmp_path / "y.gcz").exists()
    np.save(tmp_path / "a.npy", EMBED)
    _, _, error = call_cli("encode", names[0], tmp_path / "a.npy", "--lossless", "-o", tmp_path / "y.gcz")
    assert "each must be .safetensors or of torch.save; encode it alone" in error
    _, _, error = call_cli("encode", *names, "--lossless")
    assert "choose one with -o" in error
    _, _, error = call_cli("encode", *names, "--lossless", "-f", "-o", names[1])
    assert "is the input itself" in error


def test_a_container_is_not_put_in_its_own_folder(tmp_path, shards):
    (tmp_path / "link").symlink_to(shards)
    before = contents(shards)
    for output in (shards / "in.gcz", tmp_path / "link" / "in.gcz", shards / "unet" / ".." / "in.gcz"):
        code, _, error = call_cli("encode", shards, "--lossless", "-f", "-o", output)
        assert code == 2 and f"{output} lies in the folder that is encoded" in error
    assert contents(shards) == before


def test_folders_that_are_not_taken(tmp_path, shards):
    def refused(words):
        code, _, error = call_cli("encode", shards, "--lossless", "-f")
        assert code == 2 and words in error and "Traceback" not in error

    (shards / "pipe").parent.mkdir(exist_ok=True)
    os.mkfifo(shards / "pipe")
    refused("pipe is neither a file nor a folder")
    (shards / "pipe").unlink()
    (shards / "loop").symlink_to(shards)
    refused("loop is a link to a folder")
    (shards / "loop").unlink()
    (shards / "aux.json").write_bytes(b"")
    refused("is a device on some systems; rename it")
    (shards / "aux.json").unlink()
    (shards / "big.safetensors").write_text("version https://git-lfs.github.com/spec/v1\n")
    refused("git lfs pull")
    (shards / "big.safetensors").write_bytes((shards / "unet" / "weights.safetensors").read_bytes()[:-1])
    refused("the file was cut")
    shutil.rmtree(shards)
    shards.mkdir()
    (shards / "notes.txt").write_text("x")
    refused("no file of tensors is in this directory")


def test_links_and_a_repository(shards, tmp_path):
    """The cache of a hub has links to files; what Git keeps beside them would double all."""
    before = contents(shards)
    blob = tmp_path / "blob"
    (shards / "config.json").rename(blob)
    (shards / "config.json").symlink_to(blob)
    (shards / ".git").mkdir()
    (shards / ".git" / "objects").write_bytes(b"x")
    _, _, error = call_cli("encode", shards, "--lossless", "-o", tmp_path / "x.gcz")
    assert ".git is left out" in error
    run_cli("decode", tmp_path / "x.gcz")
    assert contents(tmp_path / "x") == before and not (tmp_path / "x" / "config.json").is_symlink()


def test_a_folder_that_is_there_is_kept(shards, tmp_path):
    run_cli("encode", shards, "--lossless")
    _, _, error = call_cli("decode", f"{shards}.gcz")
    assert "exists" in error
    (shards / "config.json").write_text("other")
    run_cli("decode", f"{shards}.gcz", "-f")
    assert (shards / "config.json").read_bytes() == b'{"a": 1}\n'
    (shards / "unet" / "mine").write_text("mine")
    _, _, error = call_cli("decode", f"{shards}.gcz", "-f")
    assert "it has unet/mine, which the new folder lacks" in error
    assert (shards / "unet" / "mine").read_text() == "mine"
    (tmp_path / "file").write_text("x")
    _, _, error = call_cli("decode", f"{shards}.gcz", "-f", "-o", tmp_path / "file")
    assert "is a file" in error
    _, _, error = call_cli("decode", f"{shards}.gcz", "-o", "-")
    assert "choose a format of one file with --to" in error
    _, _, error = call_cli("decode", f"{shards}.gcz", "-o", tmp_path / "no" / "x")
    assert "no such directory" in error
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "model", "model.gcz"]


def test_a_folder_appears_whole_or_not_at_all(tmp_path):
    with pytest.raises(RuntimeError), replacing_folder(tmp_path / "x") as temporary:
        (temporary / "a").write_bytes(b"a")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(FileExistsError), replacing_folder(tmp_path / "x", keep=True) as temporary:
        (tmp_path / "x").mkdir()
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_a_cut_stream_gives_whole_shards(shards, tmp_path):
    """Files come first, then tensors by file; a file that lacks one is left out, and named."""
    run_cli("encode", shards, "--lossless", "-o", tmp_path / "x.gcz")
    data = (tmp_path / "x.gcz").read_bytes()
    with open(tmp_path / "x.gcz", "rb") as file:
        offsets = gcodec.Archive(file).access.offsets
        offset, frame = offsets["w"], offsets["//file/unet/weights.safetensors"]
    (tmp_path / "cut.gcz").write_bytes(data[: offset + 40])
    code, _, error = call_cli("decode", tmp_path / "cut.gcz", "-o", tmp_path / "no")
    assert code == 3 and not (tmp_path / "no").exists()
    code, said, error = call_cli("decode", tmp_path / "cut.gcz", "--salvage", "-o", tmp_path / "part")
    assert code == 3
    left_out = {"model-00002-of-00002.safetensors", "optimizer.pt", "unet/weights.safetensors"}
    assert all(path in said + error for path in left_out)
    before = contents(shards)
    assert contents(tmp_path / "part") == {path: before[path] for path in set(before) - left_out}
    damaged = bytearray(data)
    damaged[frame + 80] ^= 1
    (tmp_path / "cut.gcz").write_bytes(damaged)
    call_cli("decode", tmp_path / "cut.gcz", "--salvage", "-o", tmp_path / "part2")
    assert contents(tmp_path / "part2") == {path: before[path] for path in set(before) - {"unet/weights.safetensors"}}


def test_a_folder_behind_a_url(shards, tmp_path):
    fsspec = pytest.importorskip("fsspec", reason="the extra gcodec[remote] is not installed")
    code = (
        "import sys, fsspec; from gcodec.cli.main import main; m = fsspec.filesystem('memory'); m.put(sys.argv[1], '/m', recursive=True);"
        "sys.argv[1:] = ['encode', 'memory://m', '--lossless', '-q', '-o', sys.argv[2]]; main()"
    )
    assert fsspec
    subprocess.run([sys.executable, "-c", code, str(shards), str(tmp_path / "x.gcz")], check=True)
    run_cli("decode", tmp_path / "x.gcz")
    assert contents(tmp_path / "x") == contents(shards)


def test_the_hub_needs_its_library(monkeypatch, tmp_path):
    pytest.importorskip("fsspec", reason="the extra gcodec[remote] is not installed")
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    _, _, error = call_cli("encode", "hf://a/b", "--lossless", "-o", tmp_path / "x.gcz")
    assert "hf://a/b" in error and "huggingface_hub" in error and "pip install 'gcodec[remote]'" in error


def test_a_container_without_one_of_its_files(shards, tmp_path):
    """Nothing is damaged, and yet a file is missing."""
    run_cli("encode", shards, "--lossless")
    with open(f"{shards}.gcz", "rb") as file, open(tmp_path / "x.gcz", "wb") as out:
        stream = Stream(file)
        records = iter(stream)
        first = next(records)
        writer = ContainerWriter(out, stream.meta)
        for record in chain([first], records):
            if record.header.name != FILE + "config.json":
                body = [record.head(), *(record.chunk(i) for i in range(len(record.header.chunks)))]
                writer.add(record.header, body, 0)
        writer.close()
    code, _, error = call_cli("decode", tmp_path / "x.gcz")
    assert code == 3 and "no record of the file 'config.json'" in error and not (tmp_path / "x").exists()
    code, said, _ = call_cli("decode", tmp_path / "x.gcz", "--salvage")
    assert code == 3 and "what is not whole: config.json" in said
    assert len(contents(tmp_path / "x")) == len(contents(shards)) - 1


WHOLE = {"embed": FIRST, "scales": FIRST}


@pytest.mark.parametrize(
    ("weight_map", "total", "words"),
    [
        ({"x": "model-3.safetensors"}, 0, "names the shard 'model-3.safetensors', which is not there (fetch it, or"),
        ({"head": FIRST}, 0, f"says that 'head' is in '{FIRST}', where it is not (write"),
        ({"embed": FIRST}, 0, f"does not say that 'scales' is in '{FIRST}' (write"),
        (WHOLE, 1 << 40, f"says total_size {1 << 40}, and the shards have {EMBED.nbytes + SCALES.nbytes} (write"),
        ([1], 0, "is no index of shards (write"),
        (WHOLE, EMBED.nbytes + SCALES.nbytes, ""),
    ],
)
def test_an_index_that_lies_is_said_and_carried_along(shards, tmp_path, weight_map, total, words):
    path = shards / "model.safetensors.index.json"
    path.write_text(json.dumps({"metadata": {"total_size": total}, "weight_map": weight_map}))
    code, _, error = call_cli("encode", shards, "--lossless", "-o", tmp_path / "x.gcz")
    assert code == 0 and (path.name in error) == bool(words)
    if words:
        assert f"{path.name} {words}" in error and "write the index anew); the file is carried along as it is" in error
    assert call_cli("decode", tmp_path / "x.gcz")[0] == 0
    assert contents(tmp_path / "x") == contents(shards)
