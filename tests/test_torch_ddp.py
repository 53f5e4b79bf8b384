"""DistributedDataParallel with a channel: two processes on this machine, over gloo."""

import gc
import io
import threading
import time
import weakref

import numpy as np
import pytest
import ranks

torch = pytest.importorskip("torch")
if not torch.distributed.is_available():
    pytest.skip("this torch has no distributed package", allow_module_level=True)

from torch import nn  # noqa: E402 (torch may not be there)
from torch.distributed import all_gather  # noqa: E402
from torch.nn.parallel import DistributedDataParallel  # noqa: E402

RANKS = 2


class Net(nn.Module):
    """Two layers, one of which may be left out, so that its parameters have no gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.side, self.last = nn.Linear(40, 130), nn.Linear(130, 130), nn.Linear(130, 6)

    def forward(self, x: torch.Tensor, side: bool = True) -> torch.Tensor:
        x = torch.relu(self.first(x))
        return self.last(x + self.side(x) if side else x)


def model(**options) -> DistributedDataParallel:
    torch.manual_seed(0)
    return DistributedDataParallel(Net(), bucket_cap_mb=0.03, **options)


def train(ddp: DistributedDataParallel, rank: int, steps: int, first: int = 0, **options) -> float:
    optimizer = torch.optim.SGD(ddp.parameters(), 0.05)
    loss = torch.zeros(())
    for step in range(first, first + steps):
        generator = torch.Generator().manual_seed(1000 * rank + step)
        x = torch.randn(32, 40, generator=generator)
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(ddp(x, **options), x[:, :6].argmax(1))
        loss.backward()
        optimizer.step()
    return float(loss)


def flat(ddp: DistributedDataParallel) -> torch.Tensor:
    return torch.cat([parameter.detach().reshape(-1) for parameter in ddp.parameters()])


def assert_equal_replicas(ddp: DistributedDataParallel) -> None:
    own = flat(ddp)
    every = [torch.empty_like(own) for _ in range(RANKS)]
    all_gather(every, own)
    assert all(torch.equal(own, other) for other in every)


def learns_and_stays_equal(rank: int) -> None:
    """With several buckets, which torch rearranges after the first step."""
    from gcodec.integrations import torch_ddp

    plain, ddp = model(), model()
    state = torch_ddp.compress(ddp, alpha=0.1)
    expected, loss = train(plain, rank, 40), train(ddp, rank, 40)
    assert_equal_replicas(ddp)
    assert loss < expected + 0.05 < 1.7
    assert state.statistics.steps == 40 and state.statistics.ratio > 8
    assert state.statistics.received > 0


def options_of_torch(rank: int) -> None:
    from gcodec.integrations import torch_ddp

    for options in ({"gradient_as_bucket_view": True}, {"static_graph": True}, {"find_unused_parameters": True}):
        ddp = model(**options)
        torch_ddp.compress(ddp, alpha=0.2, method="ecsq", start=1)
        train(ddp, rank, 5, **({"side": False} if "find_unused_parameters" in options else {}))
        assert_equal_replicas(ddp)
    ddp = model()
    torch_ddp.compress(ddp, alpha=0.2, method="ecsq", start=0)
    with ddp.no_sync():
        nn.functional.mse_loss(ddp(torch.ones(2, 40)), torch.zeros(2, 6)).backward()
    train(ddp, rank, 3)
    assert_equal_replicas(ddp)


def half_precision(rank: int) -> None:
    """Gradients of bfloat16, and float32 ones that a wrapper of torch makes shorter."""
    from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import bf16_compress_wrapper, fp16_compress_wrapper

    from gcodec.integrations import torch_ddp

    torch.manual_seed(0)
    ddp = DistributedDataParallel(nn.Linear(60, 90, dtype=torch.bfloat16))
    state = torch_ddp.compress(ddp, alpha=0.1, method="ecsq", start=0)
    for _ in range(2):
        ddp(torch.full((4, 60), rank + 1.0, dtype=torch.bfloat16)).square().mean().backward()
    assert_equal_replicas(ddp)
    assert ddp.module.weight.grad.dtype == torch.bfloat16 and state.statistics.ratio > 4
    for wrapper in (fp16_compress_wrapper, bf16_compress_wrapper):
        ddp = model()
        state = torch_ddp.Compression(ddp, start=0, alpha=0.1, method="ecsq")
        hook = wrapper(torch_ddp.hook)
        hook.__name__ = "hook"  # by their name torch refuses hooks of bfloat16 on processors
        ddp.register_comm_hook(state, hook)
        train(ddp, rank, 3)
        assert_equal_replicas(ddp)
        assert {tensor.dtype for tensor in state.state_dict()["memory"].values()} == {torch.float32}
        assert flat(ddp).isfinite().all() and state.statistics.ratio > 4


def nothing_is_lost_for_good(rank: int) -> None:
    """Σ sent + memory = Σ gradients, as the mean over ranks, to 1e-5."""
    from gcodec.integrations import torch_ddp

    plain, ddp = model(), model()
    state = torch_ddp.compress(ddp, alpha=0.3, start=0)
    for step in range(4):  # gradients add up, as nothing sets them to zero
        for one in (plain, ddp):
            x = torch.randn(16, 40, generator=torch.Generator().manual_seed(10 * step + rank))
            one(x).square().mean().backward()
    memory = state.state_dict()["memory"]
    for (name, a), b in zip(plain.module.named_parameters(), ddp.parameters(), strict=True):
        left = memory[name] / RANKS
        torch.distributed.all_reduce(left)
        np.testing.assert_allclose(b.grad + left, a.grad, atol=1e-5 * float(a.grad.abs().max()))


def goes_on_from_its_state(rank: int) -> None:
    """A model that is resumed has other buckets at first, so it is equal up to what they change."""
    import gcodec
    from gcodec.integrations import torch_ddp

    ddp, other = model(), model()
    state, again = (torch_ddp.compress(one, alpha=0.3, method="ecsq") for one in (ddp, other))
    train(ddp, rank, 6)
    torch.save(state.state_dict(), file := io.BytesIO())
    file.seek(0)
    saved = torch.load(file)
    assert saved["steps"] == 6 and set(saved["memory"]) == {name for name, _ in ddp.module.named_parameters()}
    other.load_state_dict(ddp.state_dict())
    again.load_state_dict(saved)
    assert all(np.array_equal(again.state_dict()["memory"][name], array) for name, array in saved["memory"].items())
    for bad, words in (
        ({"model": 1}, "not what the state_dict"),
        (saved | {"scheme": "owner"}, "of scheme 'owner'"),
        (saved | {"rank": 1 - rank}, "load what the same rank has saved"),
        (saved | {"memory": {"last.weight": torch.zeros(3)}}, "last.weight: the state has float32 of shape"),
        (saved | {"memory": {"other": torch.zeros(3)}}, "a tensor 'other'"),
    ):
        with pytest.raises(gcodec.errors.InvalidInput, match=words):
            again.load_state_dict(bad)
    assert train(ddp, rank, 4, 6) == pytest.approx(train(other, rank, 4, 6), rel=0.02)
    assert_equal_replicas(other)


def a_rank_that_fails_ends_the_others(rank: int) -> None:
    """With errors of ours, each as it was raised."""
    import gcodec
    from gcodec.integrations import torch_ddp

    ddp = model()
    torch_ddp.compress(ddp, alpha=0.1, start=0)
    x = torch.full((2, 40), float("nan") if rank == 1 else 1.0)
    kind, words = (
        (gcodec.errors.NonFinite, "^[a-z]*.(weight|bias).*NaN") if rank == 1 else (RuntimeError, "^rank 1 could not")
    )
    with pytest.raises(kind, match=words):
        nn.functional.mse_loss(ddp(x), torch.zeros(2, 6)).backward()


def a_message_that_cannot_be_decoded_ends_all_ranks(rank: int) -> None:
    """It is that of the first of several buckets, and the others of the step go on."""
    import gcodec
    from gcodec.integrations import torch_ddp

    class Broken(gcodec.Channel):
        def decode(self, data, out=None):
            return super().decode(data[:-1], out)

    ddp = model()
    state = torch_ddp.compress(ddp, alpha=0.1, method="ecsq", start=0)
    train(ddp, rank, 2)
    first = next(iter(state._scheme._channels._channels.values()))
    if rank == 1:
        first.__class__ = Broken
    kind, words = (gcodec.errors.ChecksumMismatch, "message") if rank == 1 else (RuntimeError, "^rank 1 could not")
    with pytest.raises(kind, match=words):
        train(ddp, rank, 1)


def threads_end_with_their_compression(rank: int) -> None:
    from gcodec.integrations import torch_ddp

    def count() -> int:
        return sum(thread.name.startswith("gcodec-ddp") for thread in threading.enumerate())

    gc.collect()
    before, ddp = count(), model()
    state = weakref.ref(torch_ddp.compress(ddp, alpha=0.1, method="ecsq", start=0))
    train(ddp, rank, 2)
    assert count() == before + 3
    del ddp
    gc.collect()
    assert state() is None
    for _ in range(100):
        if count() == before:
            break
        time.sleep(0.05)
    assert count() == before


def ranks_that_differ_are_refused(rank: int) -> None:
    import gcodec
    from gcodec.integrations import torch_ddp

    for key, values in {"start": (0, 1), "scheme": ("gather", "owner")}.items():
        ddp = model()
        torch_ddp.compress(ddp, alpha=0.1, **{key: values[rank]})
        with pytest.raises(gcodec.errors.InvalidInput, match=f"{key}: rank 0 has .*, and rank 1 has"):
            train(ddp, rank, 1)
    ddp = model()
    state = torch_ddp.compress(ddp, alpha=0.1)
    if rank == 1:
        state.load_state_dict(state.state_dict() | {"steps": 5})
    with pytest.raises(gcodec.errors.InvalidInput, match="steps: rank 0 has 0, and rank 1 has 5"):
        train(ddp, rank, 1)
    ddp = DistributedDataParallel(nn.Sequential(nn.EmbeddingBag(9, 4, sparse=True)))
    with pytest.raises(gcodec.errors.InvalidInput, match="0 gives sparse gradients"):
        torch_ddp.compress(ddp, alpha=0.1)


CASES = (
    learns_and_stays_equal, options_of_torch, half_precision, nothing_is_lost_for_good, goes_on_from_its_state,
    a_rank_that_fails_ends_the_others, a_message_that_cannot_be_decoded_ends_all_ranks,
    threads_end_with_their_compression, ranks_that_differ_are_refused,
)  # fmt: skip


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    return ranks.outcomes(tmp_path_factory.mktemp("ranks"), RANKS, CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
@pytest.mark.parametrize("rank", range(RANKS))
def test_case(outcomes, case, rank):
    assert (outcomes / ranks.name_of(case, rank)).read_text() == ""


@pytest.mark.parametrize(("options", "words"), [
    ({"alpha": 2.0}, "alpha"), ({"scheme": "ring"}, "scheme 'ring' is unknown"),
    ({"start": "a"}, "start must be a whole number"), ({"start": -1}, "start"), ({"start": 1.5}, "start"),
    ({"timeout": 0}, "timeout must be a number of seconds"), ({"timeout": "x"}, "timeout"), ({"timeout": -1}, "timeout"),
    ({"rank": 1}, "leave rank out"), ({}, "must be a DistributedDataParallel, not Linear"),
])  # fmt: skip
def test_what_cannot_be_is_refused_at_once(options, words):
    import gcodec
    from gcodec.integrations import torch_ddp

    with pytest.raises(gcodec.errors.InvalidInput, match=words):
        torch_ddp.Compression(nn.Linear(2, 2), **{"alpha": 0.1} | options)


def test_statistics():
    from gcodec.integrations import torch_ddp

    assert torch_ddp.Statistics().ratio == 1.0
    found = torch_ddp.Statistics(plain=3, sent=2)
    assert found.as_dict()["ratio"] == 1.5
    for error, step, largest in ((0.3, 0, 0.3), (0.1, 0, 0.3), (0.1, 1, 0.1), (0.2, 1, 0.2)):
        found.left_out(error, step)
        assert found.as_dict()["error"] == largest


def test_memory_goes_along_to_new_channels():
    """Only the channels whose tensors go elsewhere give their memory away."""
    from gcodec.integrations.torch_ddp.schemes import Channels

    channels = Channels(0, {"alpha": 0.3, "method": "ecsq"})
    tensors = {name: np.random.default_rng(0).standard_normal((70, 70)).astype(np.float32) for name in "abcd"}
    for names in ("ab", "c"):
        part = {name: tensors[name] for name in names}
        channels.channel(part, 0).encode(part)
    before, kept = channels.memory, channels.channel({"c": tensors["c"]}, 1)
    assert set(before) == set("abc")
    channels.channel({name: tensors[name] for name in "bd"}, 1)
    after = channels.memory
    assert all(np.array_equal(before[name], after[name]) for name in "abc")
    assert set(after) == set("abc") and channels.channel({"c": tensors["c"]}, 2) is kept
    assert channels.channel({"b": tensors["b"], "d": tensors["d"]}, 2).step == 1
