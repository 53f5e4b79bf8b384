"""Groups of some ranks of the world: four processes on this machine, in two pairs, over gloo."""

import pytest
import ranks

torch = pytest.importorskip("torch")
if not torch.distributed.is_available():
    pytest.skip("this torch has no distributed package", allow_module_level=True)

import torch.distributed as dist  # noqa: E402 (torch may not be there)
from torch import nn  # noqa: E402
from torch.nn.parallel import DistributedDataParallel  # noqa: E402

RANKS = 4


def train(net: nn.Module, rank: int, steps: int) -> None:
    for step in range(steps):
        x = torch.randn(8, 64, generator=torch.Generator().manual_seed(10 * step + rank))
        net(x).square().mean().backward()


def pairs_reduce_on_their_own(rank: int) -> None:
    """The ranks of a pair have the same gradients, and the pairs have others."""
    from gcodec.integrations import torch_ddp

    group = [dist.new_group([0, 1]), dist.new_group([2, 3])][rank // 2]
    net = DistributedDataParallel(nn.Linear(64, 64), process_group=group)
    state = torch_ddp.compress(net, alpha=0.1, method="ecsq", start=1, timeout=20.0)
    train(net, rank, 3)
    every = [torch.empty(64, 64) for _ in range(RANKS)]
    dist.all_gather(every, net.module.weight.grad)
    assert torch.equal(every[0], every[1]) and torch.equal(every[2], every[3])
    assert not torch.equal(every[0], every[2]) and state.statistics.ratio > 2


def a_mesh_of_two_dimensions(rank: int) -> None:
    """Shards are reduced among a pair by messages, and then between the pairs plainly."""
    from torch.distributed import fsdp

    if not hasattr(getattr(fsdp, "FSDPModule", None), "set_custom_reduce_scatter"):
        return
    from torch.distributed.device_mesh import init_device_mesh

    from gcodec.integrations import torch_fsdp

    mesh = init_device_mesh("cpu", (2, 2), mesh_dim_names=("rep", "shard"))
    nets = []
    for _ in range(2):
        torch.manual_seed(0)
        nets.append(fsdp.fully_shard(nn.Linear(64, 64), mesh=mesh))
    torch_fsdp.compress(nets[1], alpha=1e-8, method="ecsq", start=0, timeout=20.0)
    for net in nets:
        train(net, rank, 1)
    expected, found = (net.weight.grad.to_local() for net in nets)
    assert torch.allclose(found, expected, atol=3e-3 * float(expected.abs().max()))


def a_rank_that_lacks_memory_ends_the_others(rank: int) -> None:
    """Whether it fails where a channel is made, or where a message is decoded."""
    import gcodec
    from gcodec.integrations import torch_ddp

    for scheme in ("gather", "owner"):
        for method in ("__init__", "decode"):
            net = DistributedDataParallel(nn.Linear(64, 64))
            torch_ddp.compress(net, alpha=0.1, method="ecsq", start=0, scheme=scheme, timeout=20.0)
            with pytest.MonkeyPatch.context() as patched:
                if rank == 1:
                    patched.setattr(gcodec.Channel, method, fails)
                words = "too little memory" if rank == 1 else "rank 1 could not encode or decode"
                with pytest.raises(Exception, match=words):
                    train(net, rank, 1)


def fails(*_: object, **__: object) -> None:
    raise MemoryError("too little memory")


CASES = (pairs_reduce_on_their_own, a_mesh_of_two_dimensions, a_rank_that_lacks_memory_ends_the_others)


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    return ranks.outcomes(tmp_path_factory.mktemp("ranks"), RANKS, CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
@pytest.mark.parametrize("rank", range(RANKS))
def test_case(outcomes, case, rank):
    assert (outcomes / ranks.name_of(case, rank)).read_text() == ""
