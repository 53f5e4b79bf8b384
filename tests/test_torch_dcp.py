"""Checkpoints of torch.distributed.checkpoint: saved on two ranks, loaded on one, two and three."""

import os
import re
import subprocess
import sys
import types
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from checks import run_cli

torch = pytest.importorskip("torch")
if not torch.distributed.is_available():
    pytest.skip("this torch has no distributed package", allow_module_level=True)
if not hasattr(pytest.importorskip("torch.distributed.fsdp"), "fully_shard"):
    pytest.skip("this torch has no FSDP2", allow_module_level=True)

import dcp_ranks  # noqa: E402 (torch may not be there)
import torch.distributed.checkpoint as dcp  # noqa: E402

import gcodec  # noqa: E402
from gcodec.integrations import torch_dcp  # noqa: E402

pytestmark = pytest.mark.filterwarnings(
    "ignore:torch.distributed is disabled", "ignore:Detected an existing checkpoint", "ignore::FutureWarning"
)


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    """A folder with a checkpoint of two ranks, and what the ranks have found."""
    folder = tmp_path_factory.mktemp("ranks")
    for number, cases in ((2, ("save", "fail", "fewer")), (3, ("more",))):
        torch.multiprocessing.spawn(dcp_ranks.run, (number, str(folder), cases), nprocs=number)
    return folder


@pytest.mark.parametrize(
    ("case", "rank"),
    [(case, rank) for case in ("save", "fail", "fewer", "more") for rank in range(2 + (case == "more"))],
)
def test_on_ranks(ranks, case, rank):
    assert (ranks / f"{case}.{rank}").read_text() == ""


def test_one_process_loads_what_two_have_saved(ranks):
    assert dcp_ranks.load(ranks, sharded=False) == 0


def test_each_file_is_a_container_that_verify_accepts(ranks):
    names = sorted(path.name for path in (ranks / "saved").iterdir())
    assert names == [".metadata", "__0_0.gcz", "__1_0.gcz"]
    for name in names[1:]:
        assert run_cli("verify", ranks / "saved" / name)[0] == 0
    with gcodec.open(ranks / "saved" / "__1_0.gcz") as archive:
        assert archive["model.0.weight@49,0"].shape == (48, 50)


def test_metadata_name_no_class_of_gcodec(ranks):
    code = """if 1:
        import pickle, sys
        sys.modules["gcodec"] = None  # importing it fails
        found = pickle.load(open(sys.argv[1], "rb"))
        kinds = {type(part) for place in found.storage_data.values() for part in place} | {
            type(place) for place in found.storage_data.values()}
        print(sorted(kind.__name__ for kind in kinds))"""
    command = [sys.executable, "-c", code, str(ranks / "saved" / ".metadata")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "['int', 'str', 'tuple']\n"


EXACT_FLOATS = [name for name in ("float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu") if hasattr(torch, name)]


def odd_state() -> dict:
    generator = torch.Generator().manual_seed(3)
    normal = torch.randn(60, 40, generator=generator)
    return {
        "bf16": normal.to(torch.bfloat16), "f16": normal.half(), "f8": normal.to(torch.float8_e4m3fn),
        **{f"exact_{name}": normal.to(getattr(torch, name)) for name in EXACT_FLOATS},
        "f64": normal.double(), "turned": normal.T, "part": normal[::2, 3:], "scalar": torch.tensor(2.5),
        "empty": torch.empty(0, 3), "ids": torch.arange(7), "flags": torch.tensor([True, False]),
        "complex": torch.complex(normal[0], normal[1]), "parameter": torch.nn.Parameter(normal),
        "object": {"a": [1, 2.5, None, "text", b"bytes"]}, "nothing": None, "@objects@": torch.ones(2),
    }  # fmt: skip


@pytest.mark.parametrize("way", ["save", "async", "url", "again"])
def test_every_kind_of_item_on_one_rank(tmp_path, way):
    state, policy = odd_state(), gcodec.Policy(method="ecsq", alpha=1e-3)
    path = f"memory://{tmp_path.name}" if way == "url" else tmp_path / "x"
    if way == "url":
        pytest.importorskip("fsspec")
    writer = torch_dcp.Writer(path, policy, threads=1)
    if way == "async":
        dcp.async_save(state, storage_writer=writer, no_dist=True).result()
    else:
        dcp.save(state, storage_writer=writer, no_dist=True)
    if way == "again":  # to another folder, and over itself
        for _ in range(2):
            dcp.save(state, storage_writer=writer, checkpoint_id=tmp_path / "y", no_dist=True)
        path = tmp_path / "y"
    target = {
        name: torch.zeros_like(value) if isinstance(value, torch.Tensor) else None for name, value in state.items()
    }
    target["object"] = {"a": [0, 0, 0, 0, 0]}
    dcp.load(target, storage_reader=torch_dcp.Reader(path, threads=1), no_dist=True)
    assert target["object"] == state["object"]
    for name, value in state.items():
        if not isinstance(value, torch.Tensor):
            continue
        x, y = (part.detach().to(torch.complex128) for part in (value, target[name]))
        assert ((y - x).abs() ** 2).sum() <= 1e-3 * (x.abs() ** 2).sum(), name
        coded = name in ("bf16", "f16", "f8", "f64", "turned", "part", "parameter")
        assert torch.equal(x, y) != coded and target[name].dtype == value.dtype, name


def test_a_policy_is_checked_at_once_and_its_globs_when_it_saves(tmp_path):
    with pytest.raises(gcodec.errors.InvalidInput, match="needs a choice"):
        torch_dcp.Writer(tmp_path, gcodec.Policy())
    with pytest.raises(gcodec.errors.InvalidInput, match="all tensors at once"):
        torch_dcp.Writer(tmp_path, gcodec.Policy(alpha=0.1, scope="file"))
    writer = torch_dcp.Writer(tmp_path, gcodec.Policy(alpha=0.1, exact=["w", "v*"]))
    with pytest.raises(dcp.CheckpointException, match=r"the rule 'v\*' matches nothing of the state; there are 'w'"):
        dcp.save({"w": torch.ones(3)}, storage_writer=writer, no_dist=True)


def test_the_threads_of_a_machine_are_shared_out(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 12)
    for ranks, threads in (("4", 3), ("64", 1), ("1", 12)):
        monkeypatch.setenv("LOCAL_WORLD_SIZE", ranks)
        assert torch_dcp.writer.shared_out(None) == threads
    assert torch_dcp.writer.shared_out(5) == 5


BLOCKS = re.findall(
    r"```python\n(.*?)```", (Path(__file__).parents[1] / "docs" / "checkpoints.md").read_text(encoding="utf-8"), re.S
)


def test_the_code_of_the_page_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    state: dict = {}
    exec(BLOCKS[0], state)
    assert sorted(path.name for path in Path("step-1000").iterdir()) == [".metadata", "__0_0.gcz"]
    assert state["state"]["epoch"] == 7


@pytest.fixture
def recipe(monkeypatch):
    """The classes of the page; where Lightning is not installed, its interface is only a name."""
    if find_spec("pytorch_lightning") is None:
        for name in ("pytorch_lightning", "pytorch_lightning.plugins", "pytorch_lightning.plugins.io"):
            monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
        sys.modules["pytorch_lightning.plugins.io"].CheckpointIO = object
    found: dict = {}
    exec(BLOCKS[1], found)
    return found["GcodecIO"](gcodec.Policy(method="ecsq", alpha=1e-3))


def test_the_recipe_for_lightning(recipe, tmp_path):
    model = torch.nn.Linear(64, 32)
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.randn(4, 64)).sum().backward()
    optimizer.step()
    checkpoint = {
        "epoch": 3, "lr_schedulers": [], "callbacks": {"best": None}, "state_dict": model.state_dict(),
        "optimizer_states": [optimizer.state_dict()],
    }  # fmt: skip
    recipe.save_checkpoint(checkpoint, tmp_path / "last.ckpt")
    back = recipe.load_checkpoint(tmp_path / "last.ckpt")
    assert back["epoch"] == 3 and back["lr_schedulers"] == [] and back["callbacks"] == {"best": None}
    optimizer.load_state_dict(back["optimizer_states"][0])
    x, y = checkpoint["state_dict"]["weight"], back["state_dict"]["weight"]
    assert 0 < ((y - x) ** 2).sum() <= 1e-3 * (x**2).sum()
    x, y = (c["optimizer_states"][0]["state"][0]["exp_avg_sq"] for c in (checkpoint, back))
    assert np.all(np.abs(y.numpy() - x.numpy()) <= 0.05 * x.numpy())
    recipe.remove_checkpoint(tmp_path / "last.ckpt")
    assert not any(tmp_path.iterdir())


@pytest.mark.skipif(find_spec("pytorch_lightning") is None, reason="pytorch_lightning is not installed")
@pytest.mark.filterwarnings("ignore")
def test_lightning_trains_on_from_the_recipe(recipe, tmp_path):
    import pytorch_lightning as lightning

    class Net(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(64, 32)

        def training_step(self, batch, _):
            return self.layer(batch[0]).square().mean()

        def configure_optimizers(self):
            return torch.optim.AdamW(self.parameters())

    data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.randn(32, 64)), batch_size=8)
    options = dict(
        accelerator="cpu", devices=1, logger=False, enable_progress_bar=False, enable_model_summary=False,
        default_root_dir=tmp_path, plugins=[recipe],
    )  # fmt: skip
    lightning.Trainer(max_epochs=1, **options).fit(Net(), data)
    (saved,) = (tmp_path / "checkpoints").iterdir()
    trainer = lightning.Trainer(max_epochs=2, **options)
    trainer.fit(Net(), data, ckpt_path=saved)
    assert trainer.global_step == 8
