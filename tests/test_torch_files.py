"""Files of torch.save: their tensors and names, with and without torch, and the same file back."""

import zipfile

import numpy as np
import pytest
import torch_files as made
from checks import call_cli, distortion, run_cli

import gcodec
from gcodec.io import formats
from gcodec.io.torch_file.names import tensors_in


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


def read(path):
    """All tensors of a file, and the metadata."""
    with formats.reader(path, "pt") as reader:
        found = {name: source.read(0, source.size).reshape(source.shape) for name, source in reader.tensors()}
        return {name: array for name, array in found.items() if not name.startswith("//")}, reader.meta


def write(path, data: bytes):
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("old", [False, True])
def test_tensors_by_hand(tmp_path, old):
    """Contiguous, in another order, scalar, empty, a slice, and one that leaves gaps."""
    x = normal(6, 8)
    steps = made.mapping(
        whole=made.tensor("0", 48, (6, 8), (8, 1)),
        same=made.tensor("0", 48, (6, 8), (8, 1)),
        turned=made.tensor("0", 48, (8, 6), (1, 8)),
        order=made.tensor("1", 48, (8, 6), (1, 8)),
        part=made.tensor("2", 48, (5,), (1,), 3),
        scalar=made.tensor("2", 48, (), (), 20),
        gaps=made.tensor("2", 48, (6,), (2,), 30),
        empty=made.tensor("2", 48, (0, 3), (3, 1)),
        odd=made.tensor("2", 48, (1, 5, 1), (9, 1, 7), 10),
        step=made.number(7),
    )
    data = x.tobytes()
    file = made.legacy(steps, *[(48, data)] * 3) if old else made.archive(steps, data, data, data)
    found, meta = read(write(tmp_path / "x.pt", file))
    flat = x.reshape(-1)
    expected = {"whole": x, "order": x.T, "part": flat[3:8], "scalar": flat[20], "empty": np.empty((0, 3), np.float32)}
    expected["odd"] = flat[10:15].reshape(1, 5, 1)
    assert set(found) == set(expected)
    assert all(found[key].shape == value.shape and np.array_equal(found[key], value) for key, value in expected.items())
    assert meta["tied"] == {"same": "whole"} and meta["kept"] == 2  # gaps and step
    assert meta["views"] == {"turned": ["whole", 0, (8, 6), (1, 8)]}


def test_the_same_file_comes_back_and_its_values_change(tmp_path):
    """Without torch: byte for byte under --lossless, and else with the checksums of its members."""
    x, path = normal(64, 64), tmp_path / "x.pt"
    steps = made.mapping(
        w=made.tensor("0", 4096, (64, 64), (64, 1)), t=made.tensor("1", 4096, (64, 64), (1, 64)), n=made.number(3)
    )
    write(path, made.archive(steps, x.tobytes(), x.tobytes()))
    run_cli("encode", path, "--lossless", "-o", tmp_path / "l.gcz")
    run_cli("decode", tmp_path / "l.gcz", "-o", tmp_path / "l.pt")
    assert (tmp_path / "l.pt").read_bytes() == path.read_bytes()
    run_cli("encode", path, "--alpha", "1e-2")
    run_cli("verify", f"{path}.gcz", "--against", path)
    run_cli("decode", f"{path}.gcz", "--to", "pt", "-o", tmp_path / "y.pt")
    with zipfile.ZipFile(tmp_path / "y.pt") as archive, zipfile.ZipFile(path) as original:
        assert archive.testzip() is None
        assert archive.read("archive/data.pkl") == original.read("archive/data.pkl")
        assert archive.read("archive/data/0") != original.read("archive/data/0")
    found, _ = read(tmp_path / "y.pt")
    assert distortion(x, found["w"]) <= 1e-2 and distortion(x.T, found["t"]) <= 1e-2


def test_safetensors_are_the_default_and_say_what_they_lack(tmp_path):
    path = write(tmp_path / "x.pt", made.archive(made.mapping(
        a=made.tensor("0", 40, (40,), (1,)), b=made.tensor("0", 40, (40,), (1,)), n=made.number(3)), normal(40).tobytes()))  # fmt: skip
    run_cli("encode", path, "--lossless")
    _, said, _ = run_cli("decode", f"{path}.gcz")
    assert "x.pt.safetensors" in said and "1 value without a record (--to pt keeps them)" in said
    with formats.reader(tmp_path / "x.pt.safetensors", "safetensors") as reader:
        arrays = {name: source.read(0, 40) for name, source in reader.tensors()}
    assert {name: array.tobytes() for name, array in arrays.items()} == dict.fromkeys("ab", normal(40).tobytes())
    loaded = gcodec.load(f"{path}.gcz")
    assert loaded["b"] is loaded["a"]
    with gcodec.open(f"{path}.gcz") as archive:
        assert "b" in archive and np.array_equal(archive["b"], archive["a"]) and len(archive) == 2
    _, _, error = call_cli("decode", f"{path}.gcz", "--tensor", "b", "-o", tmp_path / "b.npy")
    assert "it equals 'a': ask for that" in error


def test_a_wrong_checksum_is_left_as_it_is(tmp_path):
    """torch can be made to write another number in its place."""
    data = bytearray(made.archive(made.mapping(w=made.tensor("0", 64, (64,), (1,))), normal(64).tobytes()))
    at = data.rindex(b"PK\x01\x02") + 16
    data[at : at + 4] = b"\1\2\3\4"
    start = data.index(b"archive/data/0") - 16
    data[start : start + 4] = b"\1\2\3\4"
    path = write(tmp_path / "x.pt", bytes(data))
    run_cli("encode", path, "--lossless")
    run_cli("decode", f"{path}.gcz", "-o", tmp_path / "y.pt")
    assert (tmp_path / "y.pt").read_bytes() == path.read_bytes()


def test_names():
    """Keys joined by dots, other keys by their places; a name that is taken gets a number."""
    from gcodec.io.torch_file.kinds import Mapping, Opaque, Storage, Tensor

    t = Tensor(Storage("0", None, 4, 1), None, 4, 0, (), ())
    inner = Mapping.of(["b", t])
    value = Mapping.of(["a.b", t, "a", inner, 3, [t, "text"], (1, 2), t, Opaque(), t, None, t, "", t, 2**70, t])
    names, others = tensors_in(value, 100)
    assert [name for name, _ in names] == ["a.b", "a.b#2", "3.0", "3", "4", "None", "", "7"]
    assert others == 1
    assert [name for name, _ in tensors_in(t, 1)[0]] == [""]


torch_kinds = ["float32", "float64", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2", "int64", "int32", "int16", "int8", "uint8", "uint16", "uint32", "uint64", "bool", "complex64", "complex128"]  # fmt: skip
new_kinds = ("float8_e4m3fn", "float8_e5m2", "uint16", "uint32", "uint64")  # torch cannot read them in the old format


@pytest.mark.parametrize("old", [False, True])
def test_checkpoints_of_torch(tmp_path, old):
    torch = pytest.importorskip("torch")
    torch.manual_seed(1)
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 16, 3), torch.nn.BatchNorm2d(16), torch.nn.Conv2d(16, 16, 3))
    model = model.to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.randn(2, 3, 8, 8)).sum().backward()
    optimizer.step()
    w = torch.randn(40, 60)
    checkpoint = {
        "model": model.state_dict(), "optimizer": optimizer.state_dict(), "tied": [w, w.t(), w], "step": 7, "lr": 0.1,
        "parameter": torch.nn.Parameter(w.clone()), "expanded": torch.ones(1, 4).expand(3, 4), "note": "x",
        **{f"{kind}s": (torch.rand(64, 32) * 4).to(getattr(torch, kind)) for kind in torch_kinds if not (old and kind in new_kinds)},
    }  # fmt: skip
    path = tmp_path / "x.pth"
    torch.save(checkpoint, path, _use_new_zipfile_serialization=not old)
    run_cli("encode", path, "--lossless", "-o", tmp_path / "l.gcz")
    run_cli("decode", tmp_path / "l.gcz", "-o", tmp_path / "l.pt")
    assert (tmp_path / "l.pt").read_bytes() == path.read_bytes()
    found, meta = read(path)
    assert {"model.0.weight", "optimizer.state.0.exp_avg", "tied.0", "parameter", "bools"} <= set(found)
    assert meta["tied"]["tied.2"] == "tied.0" and "expanded" not in found
    for key, value in model.state_dict().items():
        assert np.array_equal(found[f"model.{key}"], value.numpy())
    run_cli("encode", path, "--alpha", "1e-2", "-o", tmp_path / "x.gcz")
    run_cli("decode", tmp_path / "x.gcz", "--to", "pt", "-o", tmp_path / "y.pt")
    back = torch.load(tmp_path / "y.pt", weights_only=True)
    assert back["step"] == 7 and back["optimizer"]["param_groups"] == checkpoint["optimizer"]["param_groups"]
    assert back["tied"][1].data_ptr() == back["tied"][0].data_ptr()
    for key in ("parameter", "float32s", "bfloat16s"):
        x, y = (tensors[key].detach().float().numpy() for tensors in (checkpoint, back))
        assert 0 < distortion(x, y) <= 1e-2


def test_any_container_becomes_a_file_of_torch(tmp_path):
    arrays = {name: normal(5, 7).astype(gcodec.dtypes.by_name(name)) for name in torch_kinds} | {
        "s": normal(1)[0],
        "a.b": normal(3, 0),
    }
    gcodec.save(tmp_path / "x.gcz", arrays, lossless=True)
    run_cli("decode", tmp_path / "x.gcz", "--to", "pt", "-o", tmp_path / "x.bin")
    found, _ = read(tmp_path / "x.bin")
    assert {name: (a.dtype, a.shape, a.tobytes()) for name, a in found.items()} == {
        name: (a.dtype, a.shape, a.tobytes()) for name, a in arrays.items()
    }
    with zipfile.ZipFile(tmp_path / "x.bin") as archive:
        assert archive.testzip() is None
    np.save(tmp_path / "one.npy", normal(6, 5))
    run_cli("encode", tmp_path / "one.npy", "--lossless")
    run_cli("decode", tmp_path / "one.npy.gcz", "-o", tmp_path / "one.pt")
    assert np.array_equal(read(tmp_path / "one.pt")[0][""], normal(6, 5))
    torch = pytest.importorskip("torch")
    loaded = torch.load(tmp_path / "x.bin", weights_only=True)
    assert list(loaded) == list(arrays) and loaded["a.b"].shape == (3, 0)
    for name in torch_kinds:
        same = loaded[name].contiguous().view(torch.uint8).numpy().tobytes() == arrays[name].tobytes()
        assert same and loaded[name].dtype == getattr(torch, name)
    assert np.array_equal(torch.load(tmp_path / "one.pt", weights_only=True).numpy(), normal(6, 5))


def test_one_tensor_and_what_is_lost(tmp_path):
    steps = made.mapping(a=made.tensor("0", 2000, (2000,), (1,)), b=made.tensor("1", 2000, (2000,), (1,)))
    path = write(tmp_path / "x.pt", made.archive(steps, normal(2000).tobytes(), normal(2000).tobytes()[::-1]))
    run_cli("encode", path, "--lossless")
    run_cli("decode", f"{path}.gcz", "--tensor", "a", "--to", "pt", "-o", tmp_path / "a.pt")
    assert np.array_equal(read(tmp_path / "a.pt")[0]["a"], normal(2000))
    data = (tmp_path / "x.pt.gcz").read_bytes()
    (tmp_path / "cut.gcz").write_bytes(data[:-1000])
    code, _, error = call_cli("decode", tmp_path / "cut.gcz", "--salvage", "--to", "pt", "-o", tmp_path / "no.pt")
    assert code == 3 and "decode to safetensors what is whole" in error and not (tmp_path / "no.pt").exists()
    code, _, _ = call_cli("decode", tmp_path / "cut.gcz", "--salvage", "-o", tmp_path / "part.safetensors")
    assert code == 3 and (tmp_path / "part.safetensors").exists()


def test_an_evil_file_is_refused_by_the_command(tmp_path):
    path = write(
        tmp_path / "x.pt", made.archive(made.mapping(a=made.name("posix", "system") + b"(" + made.text("x") + b"tR"))
    )
    code, _, error = call_cli("encode", path, "--lossless")
    assert code == 2 and f"{path}: the pickle asks for posix.system, which gcodec never runs" in error
    assert list(tmp_path.iterdir()) == [path]


def test_other_views_are_written_where_there_are_none(tmp_path):
    x = normal(6, 8)
    steps = made.mapping(
        whole=made.tensor("0", 48, (6, 8), (8, 1)),
        turned=made.tensor("0", 48, (8, 6), (1, 8)),
        rows=made.tensor("0", 48, (2, 8), (8, 1), 16),
        beside=made.tensor("0", 48, (16,), (1,), 30),
        across=made.tensor("1", 48, (30,), (1,), 10),
        over=made.tensor("1", 48, (20,), (1,), 0),
    )
    path = write(tmp_path / "x.pt", made.archive(steps, x.tobytes(), x.tobytes()))
    run_cli("encode", path, "--lossless")
    run_cli("decode", f"{path}.gcz", "-o", tmp_path / "x.npz")
    flat = x.reshape(-1)
    expected = {"whole": x, "turned": x.T, "rows": x[2:4], "beside": flat[30:46], "across": flat[10:40]}
    with np.load(tmp_path / "x.npz") as arrays:
        assert {name: arrays[name].tolist() for name in arrays.files} == {
            name: array.tolist() for name, array in expected.items()
        }
    _, said, _ = run_cli("decode", f"{path}.gcz", "-f", "-o", tmp_path / "x.safetensors")
    assert "1 value without a record" in said  # over: only a part of it has a record


@pytest.mark.parametrize(
    "view",
    [["a", 0, [5], [1]], ["a", 4, [1], [1]], ["a", 0, [2], [4]], ["a", 0, [-1], [1]], ["a", 0, [2], [1, 1]],
     ["a", 0, [2]], [1, 0, [2], [1]], "a", ["a", 0, [2], [-1]]],
)  # fmt: skip
def test_views_that_do_not_fit(view, tmp_path):
    from gcodec.container.budget import Budget
    from gcodec.errors import Corrupt
    from gcodec.io.folder.tied import Tied

    meta = {"views": {"v": view}}
    with (
        formats.writer(tmp_path / "x.npz", "npz", {}, Budget()) as writer,
        pytest.raises(Corrupt),
        Tied(writer, meta, Budget()) as tied,
    ):
        tied.add("a", np.dtype(np.float32), (4,)).write(0, np.zeros(4, np.float32))
