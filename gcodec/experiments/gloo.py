"""Workers as real processes that talk over torch.distributed, with gloo on this machine.

This needs the extra `gcodec[gloo]`. Rank 0 is the server, in the calling process. Rank i + 1 is
worker i. A job is broadcast as an object. In each round the server broadcasts x and the number of
the round; −1 means that the job is over. Every worker sends back two numbers, the length of its
message and the bits that it counts as, and then the bytes.
"""

import multiprocessing
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InvalidInput
from .messages import Message
from .problems import Problem, make
from .run import Exchange, Job, Worker

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess


class Gloo:
    """The processes of the workers. `close` ends them; use it in a `with` statement.

    Raises InvalidInput when torch is not installed.
    """

    def __init__(self, workers: int) -> None:
        try:
            import torch.distributed  # noqa: F401
        except ImportError:
            raise InvalidInput("--backend gloo needs torch: pip install 'gcodec[gloo]'") from None
        self._folder = tempfile.TemporaryDirectory(prefix="gcodec-")
        meeting = str(Path(self._folder.name, "meeting"))
        spawn = multiprocessing.get_context("spawn")
        self._processes: list[SpawnProcess] = [
            spawn.Process(target=_serve, args=(rank, workers + 1, meeting), daemon=True)
            for rank in range(1, workers + 1)
        ]
        for process in self._processes:
            process.start()
        _join(0, workers + 1, meeting)

    def __enter__(self) -> "Gloo":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        import torch.distributed as dist

        dist.broadcast_object_list([None], src=0)
        dist.destroy_process_group()
        for process in self._processes:
            process.join()
        self._folder.cleanup()

    @contextmanager
    def session(self, job: Job, problem: Problem) -> Iterator[Exchange]:
        import torch.distributed as dist

        dist.broadcast_object_list([job], src=0)
        try:
            yield lambda x, number: _ask(x, number, problem.workers)
        finally:
            _announce(np.zeros(problem.dimension), -1)


def _join(rank: int, size: int, meeting: str) -> None:
    import torch.distributed as dist

    if sys.platform == "linux":
        # Without an interface gloo looks up the machine's name, which may not resolve.
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=size)


def _announce(x: np.ndarray, number: int) -> None:
    import torch
    import torch.distributed as dist

    dist.broadcast(torch.from_numpy(np.append(x, float(number))), src=0)


def _ask(x: np.ndarray, number: int, workers: int) -> list[Message]:
    import torch
    import torch.distributed as dist

    _announce(x, number)
    messages = []
    for rank in range(1, workers + 1):
        sizes = torch.empty(2, dtype=torch.int64)
        dist.recv(sizes, src=rank)
        length, bits = map(int, sizes)
        data = torch.empty(length, dtype=torch.uint8)
        dist.recv(data, src=rank)
        messages.append(Message(data.numpy().tobytes(), bits))
    return messages


def _serve(rank: int, size: int, meeting: str) -> None:
    """The life of a worker process: it does job after job, until there is none."""
    import torch
    import torch.distributed as dist

    torch.set_num_threads(1)
    _join(rank, size, meeting)
    while True:
        jobs: list[Job | None] = [None]
        dist.broadcast_object_list(jobs, src=0)
        if jobs[0] is None:
            break
        _work(rank, jobs[0])
    dist.destroy_process_group()


def _work(rank: int, job: Job) -> None:
    import torch
    import torch.distributed as dist

    problem = make(job.setting)
    worker = Worker(problem, rank - 1, job)
    announced = torch.empty(problem.dimension + 1, dtype=torch.float64)
    while True:
        dist.broadcast(announced, src=0)
        x, number = announced[:-1].numpy().copy(), int(announced[-1])
        if number < 0:
            return
        message = worker.message(x, number)
        dist.send(torch.tensor([len(message.data), message.bits]), dst=0)
        dist.send(torch.frombuffer(bytearray(message.data), dtype=torch.uint8), dst=0)
