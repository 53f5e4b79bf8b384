"""Local updates (DiLoCo) with few bytes: python examples/diloco.py [--rounds 12] [--seeds 3]

Workers train a small language model on their own, by some steps of AdamW. Then each sends how its
parameters changed, and a Nesterov step moves the common model by the mean change. The changes go
through a channel with feedback, and for comparison

* plainly, as float32,
* as int8 with feedback: a scale for each tensor,
* as the largest 3 % of each 4096 values, in 2 bits each, with feedback, as SparseLoCo has it.

The channel's bound is steered so that it sends about as many bytes as the largest 3 % take. All
workers run in this process, one after the other. It needs torch, and reads Python's own sources as
text.
"""

import argparse
import glob
import math
import os
import statistics
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

import gcodec

WORKERS, WIDTH, SEEN, BATCH = 2, 96, 16, 32
OUTER_RATE, OUTER_MOMENTUM = 0.7, 0.9
KEPT, BLOCK = 0.03, 4096  # Top-k keeps this share of each block
BITS = math.log2(BLOCK) + 2  # a kept value has a place, a sign, and one of two sizes
# The channel begins with the first bound; a message changes it by the stride at most.
FIRST_BOUND, LARGEST_BOUND, STRIDE = 0.5, 0.9, 1.6
SPENT = 0.95  # the share of Top-k's bytes that is aimed at
Arrays = list[np.ndarray]
Send = Callable[[Arrays], tuple[Arrays, float]]  # changes → what arrives, and the bytes that it took


class Model(nn.Module):
    """Foretells a byte by the bytes before it."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.mix = nn.Embedding(128, WIDTH), nn.Linear(SEEN * WIDTH, 2 * WIDTH)
        self.deep, self.head = nn.Linear(2 * WIDTH, 2 * WIDTH), nn.Linear(2 * WIDTH, 128)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = torch.relu(self.mix(self.embed(x).flatten(1)))
        return self.head(hidden + torch.relu(self.deep(hidden)))


class Text:
    """Batches of pairs: bytes, and the byte after them. The last tenth is never trained on."""

    def __init__(self) -> None:
        files = sorted(glob.glob(os.path.join(os.path.dirname(os.__file__), "*.py")))[:60]
        data = b"".join(Path(file).read_bytes() for file in files)
        self._text = torch.tensor(np.frombuffer(data, np.uint8).copy()).long().clamp(max=127)

    def batch(self, generator: torch.Generator, held_out: bool = False, count: int = BATCH) -> tuple[torch.Tensor, ...]:
        cut, end = len(self._text) * 9 // 10, len(self._text) - SEEN - 1
        at = torch.randint(cut if held_out else 0, end if held_out else cut - SEEN - 1, (count,), generator=generator)
        places = at[:, None] + torch.arange(SEEN)
        return self._text[places], self._text[at + SEEN]


def plain(like: Arrays) -> Send:
    return lambda changes: (changes, 4.0 * sum(x.size for x in changes))


def with_feedback(code: Callable[[np.ndarray], tuple[np.ndarray, float]]) -> Callable[[Arrays], Send]:
    """A way to send that adds to each change what was left out before."""

    def start(like: Arrays) -> Send:
        memory = [np.zeros_like(x) for x in like]

        def send(changes: Arrays) -> tuple[Arrays, float]:
            sums = [x + left for x, left in zip(changes, memory, strict=True)]
            coded = [code(x) for x in sums]
            memory[:] = [x - back for x, (back, _) in zip(sums, coded, strict=True)]
            return [back for back, _ in coded], sum(size for _, size in coded)

        return send

    return start


def int8(x: np.ndarray) -> tuple[np.ndarray, float]:
    scale = max(float(np.abs(x).max()), 1e-30) / 127
    return np.rint(x / scale) * np.float32(scale), x.size + 4.0


def top_k(x: np.ndarray) -> tuple[np.ndarray, float]:
    """The largest 3 % of each block: signs, and means of the larger and of the smaller half."""
    flat, back, size = x.reshape(-1), np.zeros(x.size, np.float32), 0.0
    for start in range(0, flat.size, BLOCK):
        block = flat[start : start + BLOCK]
        count = max(1, round(KEPT * block.size))
        kept = np.argpartition(-np.abs(block), count - 1)[:count]
        sizes = np.abs(block[kept])
        large = sizes >= np.median(sizes)
        means = np.where(large, sizes[large].mean(), sizes[~large].mean() if not large.all() else 0)
        back[start + kept] = np.sign(block[kept]) * means
        size += (count * BITS + 2 * 32) / 8
    return back.reshape(x.shape), size


def channel(method: str) -> Callable[[Arrays], Send]:
    """A channel that takes about as many bytes as Top-k.

    A message has about 1/bound bytes. So the bound follows from the size of the last message and
    from what the next one may take.
    """

    def start(like: Arrays) -> Send:
        sender = gcodec.Channel(dict(zip(map(str, range(len(like))), like, strict=True)), method, alpha=FIRST_BOUND)
        allowed, sent, bound = SPENT * sum(top_k(x)[1] for x in like), 0.0, FIRST_BOUND

        def send(changes: Arrays) -> tuple[Arrays, float]:
            nonlocal sent, bound
            message = sender.encode(changes, bound)
            sent += len(message)
            left = max(allowed * (sender.step + 1) - sent, allowed / 4)
            bound = min(bound * min(max(len(message) / left, 1 / STRIDE), STRIDE), LARGEST_BOUND)
            return sender.decoded, len(message)

        return send

    return start


WAYS: dict[str, Callable[[Arrays], Send]] = {
    "plain": plain,
    "int8": with_feedback(int8),
    "Top-k 3 % + 2 bits": with_feedback(top_k),
    "channel, klt": channel("klt"),
    "channel, ecsq": channel("ecsq"),
}


def run(start: Callable[[Arrays], Send], text: Text, seed: int, rounds: int, steps: int) -> tuple[float, float]:
    """(the loss on text that was held out, bits for each parameter and round)."""
    torch.manual_seed(seed)
    common, workers = Model(), [Model() for _ in range(WORKERS)]
    weights = [p.data for p in common.parameters()]
    outer = torch.optim.SGD(common.parameters(), OUTER_RATE, OUTER_MOMENTUM, nesterov=True)
    inner = [torch.optim.AdamW(worker.parameters(), 1e-3) for worker in workers]
    sends = [start([p.numpy() for p in weights]) for _ in workers]
    generators = [torch.Generator().manual_seed(100 * seed + i) for i in range(WORKERS)]
    total = 0.0
    for _ in range(rounds):
        outer.zero_grad()
        for worker, optimizer, send, generator in zip(workers, inner, sends, generators, strict=True):
            worker.load_state_dict(common.state_dict())
            for _ in range(steps):
                x, y = text.batch(generator)
                optimizer.zero_grad()
                nn.functional.cross_entropy(worker(x), y).backward()
                optimizer.step()
            arrived, size = send([(a - b.data).numpy() for a, b in zip(weights, worker.parameters(), strict=True)])
            total += size
            for parameter, change in zip(common.parameters(), arrived, strict=True):
                mean = torch.from_numpy(change.copy()) / WORKERS
                parameter.grad = mean if parameter.grad is None else parameter.grad + mean
        outer.step()
    with torch.no_grad():
        x, y = text.batch(torch.Generator().manual_seed(7), held_out=True, count=4096)
        loss = float(nn.functional.cross_entropy(common(x), y))
    return loss, 8 * total / (rounds * WORKERS * sum(p.numel() for p in weights))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--steps", type=int, default=20, help="of each worker in a round")
    parser.add_argument("--seeds", type=int, default=3)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    text = Text()
    print(f"{'':20}{'bits':>8}{'loss':>9}   of each seed")
    for name, start in WAYS.items():
        found = [run(start, text, seed, asked.rounds, asked.steps) for seed in range(asked.seeds)]
        losses = [loss for loss, _ in found]
        bits = statistics.mean(bits for _, bits in found)
        each = "  ".join(f"{loss:.4f}" for loss in losses)
        print(f"{name:20}{bits:8.3f}{statistics.mean(losses):9.4f}   {each}", flush=True)


if __name__ == "__main__":
    main()
