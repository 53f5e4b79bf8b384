"""fully_shard with channels: two processes on this machine, over gloo."""

import io

import numpy as np
import pytest
import ranks

torch = pytest.importorskip("torch")
fsdp = pytest.importorskip("torch.distributed.fsdp")
if not hasattr(getattr(fsdp, "FSDPModule", None), "set_custom_reduce_scatter"):
    pytest.skip("this torch does not let the reduce-scatter be replaced", allow_module_level=True)

from torch import nn  # noqa: E402 (torch may not be there)
from torch.distributed.device_mesh import init_device_mesh  # noqa: E402
from torch.distributed.fsdp import fully_shard  # noqa: E402

RANKS = 2


class Net(nn.Module):
    """With rows that two ranks do not share evenly."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.middle, self.last = nn.Linear(40, 131), nn.Linear(131, 131), nn.Linear(131, 6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.first(x))
        return self.last(x + torch.relu(self.middle(x)))


def model() -> nn.Module:
    torch.manual_seed(0)
    net = Net()
    mesh = init_device_mesh("cpu", (RANKS,))
    fully_shard(net.middle, mesh=mesh)
    return fully_shard(net, mesh=mesh)


def train(net: nn.Module, rank: int, steps: range) -> float:
    optimizer = torch.optim.SGD(net.parameters(), 0.05)
    for step in steps:
        x = torch.randn(32, 40, generator=torch.Generator().manual_seed(1000 * rank + step))
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(net(x), x[:, :6].argmax(1))
        loss.backward()
        optimizer.step()
    return float(loss)


def learns_with_few_bytes(rank: int) -> None:
    from gcodec.integrations import torch_fsdp

    plain, net = model(), model()
    compression = torch_fsdp.compress(net, alpha=0.1)
    assert abs(train(net, rank, range(30)) - train(plain, rank, range(30))) < 0.05
    found = compression.statistics.as_dict()
    assert found["steps"] == 30 and found["ratio"] > 8
    assert found["received"] > 0 and 0 < found["error"] <= 0.1


def reduces_as_torch_does(rank: int) -> None:
    """With a fine bound the gradients are those of torch, shard by shard."""
    from gcodec.integrations import torch_fsdp

    plain, net = model(), model()
    torch_fsdp.compress(net, alpha=1e-8, method="ecsq", start=0)
    for one in (plain, net):
        x = torch.randn(8, 40, generator=torch.Generator().manual_seed(rank))
        one(x).square().mean().backward()
    for a, b in zip(plain.parameters(), net.parameters(), strict=True):
        expected, found = a.grad.to_local().numpy(), b.grad.to_local().numpy()
        np.testing.assert_allclose(found, expected, atol=3e-3 * np.abs(expected).max())


def goes_on_from_its_state(rank: int) -> None:
    import gcodec
    from gcodec.integrations import torch_fsdp

    net, other = model(), model()
    state, again = (torch_fsdp.compress(one, alpha=0.3, method="ecsq", start=0) for one in (net, other))
    train(net, rank, range(3))
    other.load_state_dict(net.state_dict())
    torch.save(state.state_dict(), file := io.BytesIO())
    file.seek(0)
    again.load_state_dict(saved := torch.load(file))
    for bad, words in (
        ({}, "not what the state_dict"),
        (saved | {"ranks": 3}, "of ranks 3"),
        (saved | {"memory": {}}, "other sharded modules"),
        (saved | {"memory": dict.fromkeys(saved["memory"], [{}])}, "one dict for each rank"),
        (saved | {"memory": dict.fromkeys(saved["memory"], [{"other": torch.zeros(1)}] * 2)}, "a tensor 'other'"),
    ):
        with pytest.raises(gcodec.errors.InvalidInput, match=words):
            again.load_state_dict(bad)
    assert train(net, rank, range(3, 6)) == pytest.approx(train(other, rank, range(3, 6)), rel=0.02)


def refuses_what_it_cannot_do(rank: int) -> None:
    import gcodec
    from gcodec.integrations import torch_fsdp

    with pytest.raises(gcodec.errors.InvalidInput, match="call fully_shard first"):
        torch_fsdp.compress(Net(), alpha=0.1)
    with pytest.raises(gcodec.errors.InvalidInput, match="alpha"):
        torch_fsdp.compress(model(), alpha=2.0)
    net = model()
    torch_fsdp.compress(net, alpha=0.1, start=rank)
    with pytest.raises(gcodec.errors.InvalidInput, match="compressed already"):
        torch_fsdp.compress(net, alpha=0.1)
    with pytest.raises(gcodec.errors.InvalidInput, match="start: rank 0 has 0, and rank 1 has 1"):
        train(net, rank, range(1))


def a_rank_that_fails_ends_the_others(rank: int) -> None:
    from gcodec.integrations import torch_fsdp

    net = model()
    torch_fsdp.compress(net, alpha=0.1, start=0)
    x = torch.full((2, 40), float("nan") if rank == 1 else 1.0)
    with pytest.raises(Exception, match="NaN" if rank == 1 else "rank 1 could not encode"):
        net(x).square().mean().backward()


CASES = (
    learns_with_few_bytes, reduces_as_torch_does, goes_on_from_its_state, refuses_what_it_cannot_do,
    a_rank_that_fails_ends_the_others,
)  # fmt: skip


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    return ranks.outcomes(tmp_path_factory.mktemp("ranks"), RANKS, CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
@pytest.mark.parametrize("rank", range(RANKS))
def test_case(outcomes, case, rank):
    assert (outcomes / ranks.name_of(case, rank)).read_text() == ""


def test_shards_are_those_of_the_vector():
    from gcodec.integrations.torch_fsdp.shards import Shard, parts_of

    shards = [Shard("a", (2, 3)), Shard("b", (1,))]
    first, second = parts_of(torch.arange(14.0), shards, 2)
    assert first["a"].tolist() == [[0, 1, 2], [3, 4, 5]] and second["b"].tolist() == [13]
    with pytest.raises(RuntimeError, match="unused parameters"):
        parts_of(torch.arange(13.0), shards, 2)
