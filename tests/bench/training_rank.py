"""The life of a rank of `training.py`: python training_rank.py FOLDER RANK."""

import contextlib
import json
import statistics
import sys
import time
from argparse import Namespace
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import torch
import torch.distributed as dist
from torch.distributed.algorithms.ddp_comm_hooks import powerSGD_hook as power
from torch.nn.parallel import DistributedDataParallel
from training import limit

from gcodec.experiments.training import Model, transformer
from gcodec.integrations import torch_ddp

START = 3  # steps that are plain, whatever the method
CAP = 4  # megabytes of a bucket: several are on their way at a time
FEWEST, COMPARED, IDLE = 2, 10, 8  # steps of a run; steps between comparisons; steps that send nothing
HELD_OUT, BATCHES = 10**6, 16  # the number of the first batch that nobody trains on, and how many there are
Run = dict[str, Any]


class Net(torch.nn.Module):
    """A language model of the experiments, as a module that gives its loss."""

    def __init__(self, language: Model) -> None:
        super().__init__()
        start = language.start(np.random.default_rng(0))
        self._language, self._names = language, list(start)
        self.weights = torch.nn.ParameterList([torch.nn.Parameter(torch.from_numpy(a)) for a in start.values()])

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self._language.loss(dict(zip(self._names, self.weights, strict=True)), tokens)


class Trainee:
    """A model on this rank, which trains with the others by a method."""

    def __init__(self, asked: Namespace, rank: int, method: str) -> None:
        self._language = replace(transformer(asked.vocabulary, asked.width, asked.blocks, 64), batch=asked.batch)
        self._net, self._rank, self._ranks, self._number = Net(self._language), rank, asked.ranks, 0
        cap = 1000 if method.startswith("PowerSGD") else CAP  # it aborts under gloo where there are several buckets
        self._ddp = DistributedDataParallel(self._net, bucket_cap_mb=cap)
        self.sent = register(self._ddp, method)
        self._optimizer = torch.optim.AdamW(self._ddp.parameters(), asked.rate)

    def step(self, sends: bool = True) -> tuple[float, float]:
        """(seconds, CPU seconds of this process) of a step."""
        tokens = self._tokens(self._number * self._ranks + self._rank)
        self._number += 1
        dist.barrier()
        start, cpu = time.perf_counter(), time.process_time()
        self._optimizer.zero_grad()
        with contextlib.nullcontext() if sends else self._ddp.no_sync():
            self._ddp(tokens).backward()
        self._optimizer.step()
        return time.perf_counter() - start, time.process_time() - cpu

    def loss(self, batches: int = 1) -> float:
        with torch.no_grad():
            return statistics.mean(float(self._net(self._tokens(HELD_OUT + i))) for i in range(batches))

    def compare(self) -> None:
        """Raise RuntimeError where the ranks have different weights."""
        crc = 0
        for weight in self._net.parameters():
            crc = crc32(weight.detach().numpy(), crc)
        every = [torch.empty(1, dtype=torch.int64) for _ in range(self._ranks)]
        dist.all_gather(every, torch.tensor([crc]))
        if len({int(one) for one in every}) > 1:
            raise RuntimeError("the replicas are not equal")

    def size(self) -> int:
        return sum(weight.numel() for weight in self._net.parameters())

    def _tokens(self, number: int) -> torch.Tensor:
        return torch.from_numpy(self._language.tokens(0, number))


def register(ddp: DistributedDataParallel, method: str) -> Callable[[], float]:
    """Have the gradients sent by a method; gives what counts the bytes that this rank has sent."""
    name, *setting = method.split()
    sizes = [parameter.numel() for parameter in ddp.parameters()]
    ranks = ddp.process_group.size()
    if name == "int8":
        state = Int8(ranks)
        ddp.register_comm_hook(state, int8_hook)
        return lambda: state.sent
    if name in ("klt", "ecsq"):
        alpha, scope = float(setting[0]), "".join(setting[1:]) or "tensor"
        compression = torch_ddp.compress(ddp, method=name, alpha=alpha, scope=scope, start=START)
        return lambda: compression.statistics.sent
    numbers = sum(sizes)
    if name == "PowerSGD":
        rank = int(setting[0])
        ddp.register_comm_hook(
            power.PowerSGDState(None, matrix_approximation_rank=rank, start_powerSGD_iter=START), power.powerSGD_hook
        )
        numbers = sum(rank * sum(p.shape) if p.dim() == 2 else p.numel() for p in ddp.parameters())
    steps = [0]

    def count() -> float:
        """It is asked once after each step. A ring sends each number 2(n − 1)/n times."""
        steps[0] += 1
        return 2 * (ranks - 1) / ranks * 4 * numbers * steps[0]

    return count


class Int8:
    """Each tensor as multiples of 1/127 of its largest magnitude, to all ranks; with feedback."""

    def __init__(self, count: int) -> None:
        self.count, self.sent, self.memory = count, 0, dict[int, torch.Tensor]()


def int8_hook(state, bucket):  # type: ignore[no-untyped-def]  # torch looks at annotations
    keys = [id(parameter) for parameter in bucket.parameters()]  # torch rearranges its bucket once
    sums = [g + state.memory.get(key, 0) for key, g in zip(keys, bucket.gradients(), strict=True)]
    scales = torch.stack([s.abs().max().clamp(min=1e-30) / 127 for s in sums])
    flat = torch.cat([(s / c).round().to(torch.int8).flatten() for s, c in zip(sums, scales, strict=True)])
    every, all_scales = ([torch.empty_like(one) for _ in range(state.count)] for one in (flat, scales))
    dist.all_gather(every, flat)
    dist.all_gather(all_scales, scales)
    state.sent += (flat.numel() + 4 * scales.numel()) * (state.count - 1)
    sizes = [s.numel() for s in sums]
    total = torch.zeros(flat.numel())
    for data, own in zip(every, all_scales, strict=True):
        total += torch.cat([q * c for q, c in zip(data.float().split(sizes), own, strict=True)])
    for key, s, q, c in zip(keys, sums, flat.float().split(sizes), scales, strict=True):
        state.memory[key] = s - (q * c).view_as(s)
    future = torch.futures.Future()
    future.set_result(bucket.buffer().copy_(total / state.count))
    return future


def train(asked: Namespace, rank: int, mbit: int, method: str) -> Run:
    """Train by a method over a link, and say what it took."""
    trainee = Trainee(asked, rank, method)
    for _ in range(START + 1):
        trainee.step()
        before = trainee.sent()
    limit(rank, mbit)
    first = trainee.loss()
    taken: list[float] = []
    cpu: list[float] = []
    sent: list[float] = []
    seconds: list[float] = []
    losses: list[float] = []
    while is_wanted(asked, len(taken), sum(taken)):
        for times, one in zip((taken, cpu), trainee.step(), strict=True):
            times.append(one)
        sent.append(trainee.sent() - before)
        seconds.append(sum(taken))
        losses.append(trainee.loss() if rank == 0 else 0.0)
        if len(taken) % COMPARED == 0:
            trainee.compare()
    limit(rank, 0)
    return {
        "mbit": mbit, "method": method, "taken": statistics.median(taken), "cpu": statistics.median(cpu),
        "bytes": sent[-1], "first": first, "loss": trainee.loss(BATCHES), "seconds": seconds, "losses": losses,
    }  # fmt: skip


def is_wanted(asked: Namespace, steps: int, seconds: float) -> bool:
    """Whether another step is to follow; rank 0 says so to all."""
    more = steps < asked.steps if asked.steps else steps < FEWEST or seconds < asked.seconds
    told = torch.tensor([int(more)])
    dist.broadcast(told, src=0)
    return bool(told)


def computation(asked: Namespace, rank: int) -> tuple[float, float]:
    """(seconds, CPU seconds) of a step of all ranks that sends nothing."""
    trainee = Trainee(asked, rank, "plain")
    trainee.step()
    times = [trainee.step(sends=False) for _ in range(IDLE)][1:]
    taken, cpu = (statistics.median(column) for column in zip(*times, strict=True))
    return taken, cpu


def main() -> None:
    folder, rank = Path(sys.argv[1]), int(sys.argv[2])
    asked = Namespace(**json.loads((folder / "asked.json").read_text()))
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=asked.ranks, timeout=timedelta(minutes=8)
    )
    found: dict[str, Any] = {"compute": computation(asked, rank), "parameters": Trainee(asked, rank, "plain").size()}
    jobs = [(int(mbit), method) for mbit in asked.links.split(",") for method in asked.methods.split(",")]
    for method in dict.fromkeys(method for _, method in jobs):  # the first messages load kernels
        train(Namespace(**vars(asked) | {"steps": 2}), rank, 0, method)
    found["runs"] = [train(asked, rank, *job) for job in jobs]
    if rank == 0:
        (folder / "found.json").write_text(json.dumps(found))
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
