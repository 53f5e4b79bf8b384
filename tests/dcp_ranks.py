"""What each rank does in tests/test_torch_dcp.py; a module of its own, which processes import."""

import os
import traceback
from pathlib import Path

import torch
import torch.distributed.checkpoint as dcp
from torch import nn
from torch.distributed import barrier, destroy_process_group, get_rank, init_process_group
from torch.distributed.checkpoint.state_dict import get_state_dict
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor

import gcodec
from gcodec.integrations import torch_dcp

ALPHA = 1e-3
POLICY = gcodec.Policy(method="ecsq", alpha=ALPHA, alphas={"*1.weight": 1e-2})


def build(sharded: bool) -> tuple[nn.Module, torch.optim.Optimizer]:
    """A model whose matrices 2 and 3 ranks share out unevenly, after a step."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(50, 97), nn.Linear(97, 64), nn.LayerNorm(64), nn.Linear(64, 3))
    if sharded:
        fully_shard(model)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-2)
    for _ in range(2):
        model(torch.randn(16, 50, generator=torch.Generator().manual_seed(1))).square().sum().backward()
        optimizer.step()
    return model, optimizer


def state_of(sharded: bool) -> dict:
    weights, moments = get_state_dict(*build(sharded))
    return {"model": weights, "optim": moments, "note": "seven", "list": [1, {"a": 2.5}]}


def flat(state, prefix: str = "") -> dict[str, torch.Tensor]:
    """All whole tensors of a state by name."""
    found = {}
    for name, value in state.items():
        if isinstance(value, dict):
            found |= flat(value, f"{prefix}{name}.")
        elif isinstance(value, DTensor):
            found[prefix + name] = value.full_tensor()
        elif isinstance(value, torch.Tensor):
            found[prefix + name] = value
    return found


def blank(state: dict) -> dict:
    """The state with nothing in its tensors and objects, to be loaded into."""
    for value in state.values():
        if isinstance(value, dict):
            blank(value)
        elif isinstance(value, torch.Tensor):
            value.detach().zero_()
    return state


def save(folder: Path) -> None:
    state = state_of(sharded=True)
    dcp.save(state, storage_writer=torch_dcp.Writer(folder / "saved", POLICY))
    whole = flat(state)
    if get_rank() == 0:
        torch.save(whole, folder / "whole.pt")


def fail(folder: Path) -> None:
    """One rank has NaN: both must hear of it, with the name."""
    weights, _ = get_state_dict(*build(sharded=True))
    if get_rank() == 1:
        weights["1.weight"].to_local()[0, 0] = torch.nan
    try:
        dcp.save(weights, storage_writer=torch_dcp.Writer(folder / "failed", POLICY))
    except dcp.CheckpointException as error:
        (cause,) = (one for one, _ in error.failures.values())
        assert list(error.failures) == [1]
        assert isinstance(cause, gcodec.errors.NonFinite) and "1.weight@32,0" in str(cause)
    else:
        raise AssertionError("the save did not fail")
    assert not (folder / "failed" / ".metadata").exists()


def load(folder: Path, sharded: bool = True) -> int:
    """Load and check; gives the number of tensors of which only some rows were read."""
    parts = []
    rows = gcodec.Archive.rows

    def counted(archive, name, start, stop):
        parts.append(name)
        return rows(archive, name, start, stop)

    state = blank(state_of(sharded)) | {"note": "", "list": [0, {"a": 0}]}
    gcodec.Archive.rows = counted
    try:
        dcp.load(state, storage_reader=torch_dcp.Reader(folder / "saved"), no_dist=not sharded)
    finally:
        gcodec.Archive.rows = rows
    check(flat(state), torch.load(folder / "whole.pt", weights_only=True))
    assert state["note"] == "seven" and state["list"] == [1, {"a": 2.5}]
    return len(parts)


def check(found: dict[str, torch.Tensor], whole: dict[str, torch.Tensor]) -> None:
    """Each tensor is within its bound: as its name, its role and its size ask."""
    assert set(found) == set(whole)
    changed = set()
    for name, original in whole.items():
        x, y = original.double(), found[name].double()
        if not torch.equal(x, y):
            changed.add(name)
        if name.endswith("weight.exp_avg_sq"):
            assert ((y - x).abs() <= 0.05 * x).all()
        else:
            bound = 1e-2 if name.endswith("1.weight") else ALPHA
            assert ((y - x) ** 2).sum() <= bound * (x**2).sum()
    parts = ("model.{}", "optim.state.{}.exp_avg", "optim.state.{}.exp_avg_sq")
    assert changed == {part.format(f"{i}.weight") for i in (0, 1) for part in parts}


def fewer(folder: Path) -> None:
    """The same number of ranks reads whole records; nothing else is asked for."""
    assert load(folder) == 0


def more(folder: Path) -> None:
    """Three ranks read rows of what two have written."""
    assert load(folder) >= (4 if get_rank() == 1 else 2)


def run(rank: int, ranks: int, folder: str, cases: tuple[str, ...]) -> None:
    """Cases by name, in one process, as its start takes longest; failures go to a file."""
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    torch.set_num_threads(1)
    init_process_group("gloo", init_method=f"file://{folder}/meet{ranks}", rank=rank, world_size=ranks)
    for case in cases:
        try:
            globals()[case](Path(folder))
            text = ""
        except BaseException:
            text = traceback.format_exc()
        Path(folder, f"{case}.{rank}").write_text(text)
        barrier()
    destroy_process_group()
