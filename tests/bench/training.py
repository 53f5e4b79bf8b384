"""Training over a slow network: `python tests/bench/training.py [--ranks 2] [--links 20,100]`.

Each rank is a process in a network namespace of its own. The namespaces hang on a bridge, and each
link is limited to so many Mbit/s by a token bucket (`tc tbf`). It needs root, and iproute2.

For each link and method: the seconds of a step (the median, without the plain steps at the start),
the seconds of it beyond those of one rank alone, the bytes that a rank sent in a step, and the loss
on batches that nobody trains on, after some steps and after some seconds. With --out, a CSV of loss
against time.
"""

import argparse
import contextlib
import csv
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

METHODS = ("plain", "PowerSGD rank 4", "int8", "klt alpha 0.1", "klt alpha 0.3", "ecsq alpha 0.3")
START = 3  # steps that are plain, whatever the method
SUBNET, BRIDGE = "10.213.77", "gcbench"
BURST = 32  # kilobytes that a link lets through at once


@contextlib.contextmanager
def network(ranks: int) -> Iterator[list[str]]:
    """Namespaces that are joined by a bridge; yields their names."""
    names = [f"{BRIDGE}{rank}" for rank in range(ranks)]
    try:
        ip(f"link add {BRIDGE} type bridge")
        ip(f"link set {BRIDGE} up")
        for rank, name in enumerate(names):
            ip(f"netns add {name}")
            ip(f"link add {name}v type veth peer name eth0 netns {name}")
            ip(f"link set {name}v master {BRIDGE} up")
            ip(f"-n {name} addr add {SUBNET}.{rank + 1}/24 dev eth0")
            ip(f"-n {name} link set eth0 up")
            ip(f"-n {name} link set lo up")
        yield names
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)
        subprocess.run(["ip", "link", "del", BRIDGE], check=False, capture_output=True)


def ip(arguments: str) -> None:
    subprocess.run(["ip", *arguments.split()], check=True)


def limit(names: list[str], mbit: int) -> None:
    """Let each rank send and receive at most so much."""
    for name in names:
        rule = f"root tbf rate {mbit}mbit burst {max(BURST, mbit // 8)}kb latency 200ms".split()
        subprocess.run(["ip", "netns", "exec", name, "tc", "qdisc", "replace", "dev", "eth0", *rule], check=True)
        subprocess.run(["tc", "qdisc", "replace", "dev", f"{name}v", *rule], check=True)


def run(names: list[str], method: str, asked: argparse.Namespace) -> list[dict[str, float]]:
    """Train once; what rank 0 found at each step."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            __file__,
            "--method",
            method,
            "--steps",
            str(asked.steps),
            "--width",
            str(asked.width),
        ]
        ranks = [
            subprocess.Popen(
                ["ip", "netns", "exec", name, *command, "--rank", str(rank), "--ranks", str(len(names)), "--meet", folder],
                env=os.environ | {"GLOO_SOCKET_IFNAME": "eth0", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            )
            for rank, name in enumerate(names)
        ]  # fmt: skip
        if any(process.wait() for process in ranks):
            raise SystemExit(f"{method}: a rank failed")
        return json.loads(Path(folder, "found.json").read_text())


def train(asked: argparse.Namespace) -> None:
    """The life of a rank."""
    import torch
    import torch.distributed as dist
    from torch.nn.parallel import DistributedDataParallel

    from gcodec.experiments.training import transformer

    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{asked.meet}/meet", rank=asked.rank, world_size=asked.ranks,
        timeout=timedelta(minutes=8),
    )  # fmt: skip
    language = transformer(vocabulary=512, width=asked.width, blocks=2, length=64)
    net = module(language)
    ddp = DistributedDataParallel(net, bucket_cap_mb=1000)  # PowerSGD aborts under gloo with several buckets
    statistics_of = register(ddp, asked.method)
    optimizer = torch.optim.AdamW(ddp.parameters(), 1e-3)
    found, elapsed, before = [], 0.0, 0.0
    for step in range(asked.steps):
        tokens = torch.from_numpy(language.tokens(0, step * asked.ranks + asked.rank))
        dist.barrier()
        start = time.perf_counter()
        optimizer.zero_grad()
        ddp(tokens).backward()
        optimizer.step()
        taken = time.perf_counter() - start
        elapsed += taken
        line = {"step": step, "taken": taken, "seconds": elapsed, "bytes": statistics_of() - before}
        before += line["bytes"]
        if asked.rank == 0:
            with torch.no_grad():
                line["loss"] = float(net(torch.from_numpy(language.tokens(0, 10**6))))
            found.append(line)
    if asked.rank == 0:
        Path(asked.meet, "found.json").write_text(json.dumps(found))
    dist.barrier()
    dist.destroy_process_group()


def module(language):
    """A language model of the experiments as a module of torch, which gives its loss."""
    import numpy as np
    import torch

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            start = language.start(np.random.default_rng(0))
            self._names = list(start)
            self.weights = torch.nn.ParameterList([torch.nn.Parameter(torch.from_numpy(a)) for a in start.values()])

        def forward(self, tokens):
            return language.loss(dict(zip(self._names, self.weights, strict=True)), tokens)

    return Net()


def register(ddp, method: str):
    """Have the gradients sent by a method; gives a function of the bytes that were sent so far."""
    from torch.distributed.algorithms.ddp_comm_hooks import powerSGD_hook as power

    from gcodec.integrations import torch_ddp

    shapes = [tuple(parameter.shape) for parameter in ddp.parameters()]
    sizes = [parameter.numel() for parameter in ddp.parameters()]
    ring, steps = 2 * 4 / ddp.process_group.size() * (ddp.process_group.size() - 1), [0]
    if method in ("plain", "PowerSGD rank 4"):
        rank = 4 if "rank" in method else 0
        if rank:
            state = power.PowerSGDState(None, matrix_approximation_rank=rank, start_powerSGD_iter=START)
            ddp.register_comm_hook(state, power.powerSGD_hook)
        small = sum(rank * sum(s) if rank and len(s) == 2 else n for s, n in zip(shapes, sizes, strict=True))

        def count() -> float:
            steps[0] += 1
            return ring * (min(steps[0], START) * sum(sizes) + max(steps[0] - START, 0) * small)

        return count
    if method == "int8":
        state = Int8(ddp)
        ddp.register_comm_hook(state, int8_hook)
        return lambda: state.sent
    name, _, bound = method.split()
    compression = torch_ddp.compress(ddp, method=name, alpha=float(bound), start=START)
    return lambda: compression.statistics.sent


class Int8:
    """Each tensor as multiples of 1/127 of its largest magnitude, to all ranks; with feedback."""

    def __init__(self, ddp) -> None:
        self.count, self.sent, self.memory = ddp.process_group.size(), 0, {}


def int8_hook(state, bucket):
    import torch
    import torch.distributed as dist

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


def report(rows: list[tuple[int, str, list[dict[str, float]]]], alone: float) -> None:
    """A line for each link and method, with the loss when the quickest run of a link was over."""
    print(f"{'Mbit/s':>7} {'method':16}{'s/step':>9}{'beyond':>9}{'kB/step':>9}{'loss':>8}{'loss by':>9} that time")
    for link in dict.fromkeys(link for link, _, _ in rows):
        own = [(method, found) for one, method, found in rows if one == link]
        shortest = min(found[-1]["seconds"] for _, found in own)
        for method, found in own:
            later = found[START:]
            taken = statistics.median(line["taken"] for line in later)
            by_then = [line["loss"] for line in found if line["seconds"] <= shortest] or [float("nan")]
            sent = statistics.median(line["bytes"] for line in later) / 1000
            print(
                f"{link:7} {method:16}{taken:9.3f}{taken - alone:9.3f}{sent:9.1f}{found[-1]['loss']:8.4f}{by_then[-1]:9.4f}"
                f" {shortest:.1f} s", flush=True,
            )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--links", default="20,100,500,1000", help="Mbit/s, with commas between")
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--out", type=Path, help="write loss against time here (CSV)")
    parser.add_argument("--method", help=argparse.SUPPRESS)
    parser.add_argument("--rank", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--meet", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.method:
        train(asked)
        return
    with network(1) as names:
        alone = statistics.median(line["taken"] for line in run(names, "plain", asked)[START:])
    print(f"{asked.ranks} ranks, width {asked.width}; a step of one rank alone takes {alone:.3f} s", flush=True)
    rows = []
    with network(asked.ranks) as names:
        for link in map(int, asked.links.split(",")):
            limit(names, link)
            own = [(link, method, run(names, method, asked)) for method in asked.methods.split(",")]
            report(own, alone)
            rows += own
    if asked.out:
        with asked.out.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["mbit", "method", "step", "seconds", "loss"])
            writer.writerows(
                [link, method, one["step"], one["seconds"], one["loss"]]
                for link, method, found in rows
                for one in found
            )


if __name__ == "__main__":
    main()
