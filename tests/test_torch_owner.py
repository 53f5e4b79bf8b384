"""The scheme owner: four processes on this machine, over gloo."""

import numpy as np
import pytest
import ranks

torch = pytest.importorskip("torch")
if not torch.distributed.is_available():
    pytest.skip("this torch has no distributed package", allow_module_level=True)

from torch import nn  # noqa: E402 (torch may not be there)
from torch.distributed import all_gather  # noqa: E402
from torch.nn.parallel import DistributedDataParallel  # noqa: E402

RANKS, START, STEPS = 4, 2, 30


class Words(nn.Module):
    """Foretells a letter by the four before it."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.first, self.last = nn.Embedding(64, 48), nn.Linear(192, 192), nn.Linear(192, 64)

    def forward(self, letters: torch.Tensor) -> torch.Tensor:
        return self.last(torch.relu(self.first(self.embed(letters).flatten(1))))


def model() -> DistributedDataParallel:
    torch.manual_seed(0)
    return DistributedDataParallel(Words(), bucket_cap_mb=0.2)


def batch(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Letters of which each is the sum of the first two before it, with some noise."""
    letters = torch.randint(0, 64, (64, 4), generator=torch.Generator().manual_seed(seed))
    return letters, (letters[:, 0] + letters[:, 1]) % 16


def train(ddp: DistributedDataParallel, rank: int, steps: range) -> None:
    optimizer = torch.optim.AdamW(ddp.parameters(), 3e-3)
    for step in steps:
        letters, last = batch(RANKS * step + rank)
        optimizer.zero_grad()
        nn.functional.cross_entropy(ddp(letters), last).backward()
        optimizer.step()


def loss_of(ddp: DistributedDataParallel) -> float:
    pairs = [batch(10**6 + i) for i in range(16)]
    with torch.no_grad():
        return float(sum(nn.functional.cross_entropy(ddp.module(x), y) for x, y in pairs) / len(pairs))


def assert_equal_replicas(ddp: DistributedDataParallel) -> None:
    own = torch.cat([parameter.detach().reshape(-1) for parameter in ddp.parameters()])
    every = [torch.empty_like(own) for _ in range(RANKS)]
    all_gather(every, own)
    assert all(torch.equal(own, other) for other in every)


def learns_with_few_bytes(rank: int) -> None:
    from gcodec.integrations import torch_ddp

    plain, ddp = model(), model()
    state = torch_ddp.compress(ddp, alpha=0.1, start=START)
    train(plain, rank, range(STEPS))
    train(ddp, rank, range(STEPS))
    assert_equal_replicas(ddp)
    assert abs(loss_of(ddp) - loss_of(plain)) < 0.05
    size = 4 * sum(parameter.numel() for parameter in ddp.parameters())
    ring = 2 * (RANKS - 1) * size // RANKS
    found = state.statistics.as_dict()
    assert abs(found["plain"] - STEPS * ring) <= 4 * STEPS
    every = [torch.zeros(1) for _ in range(RANKS)]
    all_gather(every, torch.tensor([float(found["sent"] - START * ring)]))
    assert (STEPS - START) * ring * RANKS / float(sum(every)) > 15
    assert found["coding"] > 0 and found["waiting"] > 0 and 0 < found["error"] <= 0.1


def counts_what_leaves_it(rank: int) -> None:
    from gcodec.integrations import torch_ddp

    left, real = [0], torch.distributed.all_to_all_single

    def counted(output, given, output_sizes=None, input_sizes=None, group=None):
        own = given.numel() // RANKS if input_sizes is None else input_sizes[rank]
        left[0] += (given.numel() - own) * given.element_size()
        return real(output, given, output_sizes, input_sizes, group=group)

    torch.distributed.all_to_all_single = counted
    ddp = model()
    state = torch_ddp.compress(ddp, alpha=0.1, method="ecsq", start=0)
    train(ddp, rank, range(3))
    torch.distributed.all_to_all_single = real
    ends = 3 * 8 * (RANKS - 1)  # after each step, ranks tell each other whether they could decode
    assert state.statistics.sent == left[0] + ends


def nothing_is_lost_for_good(rank: int) -> None:
    """Σ means that were sent + memories = Σ means of the gradients, to 1e-5 of them."""
    from gcodec.integrations.torch_ddp.schemes import Owner
    from gcodec.integrations.torch_ddp.statistics import Statistics
    from gcodec.integrations.torch_ddp.wire import Wire

    sizes = {"a": (70, 80), "b": (300,), "c": (64, 65)}
    wire = Wire(torch.distributed.group.WORLD, Statistics())
    scheme = Owner(wire, sizes, {"alpha": 0.3, "method": "ecsq"})
    given, sent = ({name: np.zeros(shape) for name, shape in sizes.items()} for _ in range(2))
    for step in range(4):
        every = [
            {name: torch.randn(shape, generator=torch.Generator().manual_seed(10 * step + r)) for name, shape in sizes.items()}
            for r in range(RANKS)
        ]  # fmt: skip
        means = {name: torch.empty(shape) for name, shape in sizes.items()}
        scheme.encode(every[rank], step)()(means)
        for name, mean in means.items():
            given[name] += sum(grads[name].numpy().astype(float) for grads in every) / RANKS
            sent[name] += mean.numpy()
    state = scheme.state_dict()
    assert {name for name in sizes if name in state["owned"]} == {n for n, r in scheme._owners.items() if r == rank}
    for name, shape in sizes.items():
        left = state["memory"][name].double() / RANKS + state["owned"].get(name, torch.zeros(shape))
        torch.distributed.all_reduce(left)
        np.testing.assert_allclose(sent[name] + left.numpy(), given[name], atol=1e-5 * np.abs(given[name]).max())


def goes_on_from_its_state(rank: int) -> None:
    from gcodec.integrations import torch_ddp

    ddp, other = model(), model()
    state, again = (torch_ddp.compress(one, alpha=0.3, method="ecsq", start=0) for one in (ddp, other))
    train(ddp, rank, range(3))
    again.load_state_dict(saved := state.state_dict())
    back = again.state_dict()
    assert back["steps"] == 3 and again.statistics.steps == 0
    for part in ("memory", "owned"):
        assert set(back[part]) == set(saved[part]) != set()
        assert all(np.array_equal(back[part][name], array) for name, array in saved[part].items())
    train(other, rank, range(2))
    assert_equal_replicas(other)


def a_rank_that_fails_ends_the_others(rank: int) -> None:
    from gcodec.integrations import torch_ddp

    ddp = model()
    torch_ddp.compress(ddp, alpha=0.1, start=0)
    letters, _ = batch(0)
    with pytest.raises(Exception, match="NaN" if rank == 2 else "rank 2 could not encode"):
        (ddp(letters).sum() * (float("nan") if rank == 2 else 1.0)).backward()


def a_rank_that_is_silent_ends_the_others(rank: int) -> None:
    from gcodec.integrations import torch_ddp

    ddp = model()
    torch_ddp.compress(ddp, alpha=0.1, start=0, timeout=3.0)
    if rank != 1:
        with pytest.raises(RuntimeError, match=r"another rank has ended, or has said nothing for 3 s \(timeout\)"):
            ddp(batch(0)[0]).sum().backward()


CASES = (
    learns_with_few_bytes, counts_what_leaves_it, nothing_is_lost_for_good, goes_on_from_its_state, a_rank_that_fails_ends_the_others,
    a_rank_that_is_silent_ends_the_others,
)  # fmt: skip


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    return ranks.outcomes(tmp_path_factory.mktemp("ranks"), RANKS, CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
@pytest.mark.parametrize("rank", range(RANKS))
def test_case(outcomes, case, rank):
    assert (outcomes / ranks.name_of(case, rank)).read_text() == ""


def test_owners_have_about_as_much():
    from gcodec.integrations.torch_ddp.schemes import owners

    sizes = {"a": 100, "b": 60, "c": 50, "d": 40, "e": 7, "f": 5}
    found = owners(sizes, 3)
    loads = [sum(size for name, size in sizes.items() if found[name] == rank) for rank in range(3)]
    assert sorted(loads) == [72, 90, 100]
    assert owners(dict(reversed(sizes.items())), 3) == found
