"""States that a compression must not take, found before anything has changed: in two processes."""

import copy

import pytest
import ranks

torch = pytest.importorskip("torch")
if not torch.distributed.is_available():
    pytest.skip("this torch has no distributed package", allow_module_level=True)

from torch import nn  # noqa: E402 (torch may not be there)
from torch.nn.parallel import DistributedDataParallel  # noqa: E402

import gcodec  # noqa: E402
from gcodec.errors import InvalidInput  # noqa: E402

RANKS = 2
STEPS = ("x", None, -1, 1.5, True, 1 << 62)
NAME = "weight"  # a parameter of the model


def net(dtype: torch.dtype = torch.float32) -> nn.Module:
    torch.manual_seed(0)
    return nn.Linear(40, 30, dtype=dtype)


def step(model: nn.Module) -> None:
    model(torch.ones(2, 40, dtype=next(model.parameters()).dtype)).square().mean().backward()


def ddp(dtype: torch.dtype = torch.float32, **options):
    from gcodec.integrations import torch_ddp

    model = DistributedDataParallel(net(dtype))
    return model, torch_ddp.compress(model, start=0, **{"method": "ecsq", **options})


def fsdp(dtype: torch.dtype = torch.float32, **options):
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    from gcodec.integrations import torch_fsdp

    model = fully_shard(net(dtype), mesh=init_device_mesh("cpu", (RANKS,)))
    return model, torch_fsdp.compress(model, start=0, **{"method": "ecsq", **options})


def memory_of(state: dict) -> dict:
    """The tensors by name; of FSDP those of its only module for the first rank."""
    memory = state["memory"]
    return memory[""][0] if "" in memory else memory


def bad_states(good: dict):
    """Pairs of a state and what its error says."""
    for steps in STEPS:
        yield good | {"steps": steps}, "steps of a state"
    for change, words in (
        (lambda tensor: tensor * float("nan"), "NaN"),
        (lambda tensor: tensor / 0, "NaN"),
        (lambda tensor: tensor.double(), "float64, not float32; keep the dtype"),
        (lambda tensor: tensor.bfloat16(), "bfloat16 of shape"),
        (lambda tensor: tensor[:3], "the model has shape"),
        (lambda tensor: "text", NAME),
    ):
        bad = copy.deepcopy(good)
        memory_of(bad)[NAME] = change(memory_of(bad)[NAME])
        yield bad, words
    fewer = copy.deepcopy(good)
    del memory_of(fewer)[NAME]
    yield fewer, "lacks 'weight'"


def refuses_bad_states(make) -> None:
    model, compression = make(alpha=0.3)
    step(model)
    good = compression.state_dict()
    assert good["steps"] == 1 and set(memory_of(good)) == {"weight", "bias"}
    for bad, words in bad_states(good):
        with pytest.raises(InvalidInput, match=words):
            compression.load_state_dict(bad)
        after = compression.state_dict()
        assert after["steps"] == 1 and torch.equal(memory_of(after)[NAME], memory_of(good)[NAME])
    for other in (make(alpha=0.3, feedback=False), make(omega=0.3, method="dither"), make(torch.float64, alpha=0.3)):
        with pytest.raises(InvalidInput, match="never send|not float64"):
            other[1].load_state_dict(good)
        step(other[0])  # and it goes on
    model, again = make(alpha=0.3)
    again.load_state_dict(good)
    step(model)
    assert again.state_dict()["steps"] == 2


def states_of_ddp(rank: int) -> None:
    refuses_bad_states(ddp)


def states_of_fsdp(rank: int) -> None:
    refuses_bad_states(fsdp)


def one_compression_for_each_model(rank: int) -> None:
    from gcodec.integrations import torch_ddp

    model, compression = ddp(alpha=0.1)
    with pytest.raises(InvalidInput, match="compressed already"):
        torch_ddp.compress(model, alpha=0.1)
    step(model)
    other = DistributedDataParallel(net())
    other.register_comm_hook(torch_ddp.Compression(model, alpha=0.1), torch_ddp.hook)
    with pytest.raises(gcodec.errors.InvalidInput, match="made for another model"):
        step(other)


CASES = (states_of_ddp, states_of_fsdp, one_compression_for_each_model)


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    return ranks.outcomes(tmp_path_factory.mktemp("states"), RANKS, CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
@pytest.mark.parametrize("rank", range(RANKS))
def test_case(outcomes, case, rank):
    if case is states_of_fsdp:
        module = pytest.importorskip("torch.distributed.fsdp")
        if not hasattr(getattr(module, "FSDPModule", None), "set_custom_reduce_scatter"):
            pytest.skip("this torch does not let the reduce-scatter be replaced")
    assert (outcomes / ranks.name_of(case, rank)).read_text() == ""
