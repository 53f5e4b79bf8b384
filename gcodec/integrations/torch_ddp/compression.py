"""The communication hook of DistributedDataParallel."""

import queue
import threading
import weakref
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from gcodec.errors import InvalidInput

from .options import check_dense, checked
from .schemes import MANY, SCHEMES, Put
from .state import check_memory, check_origin
from .statistics import Statistics
from .wire import Wire, digest

Bucket = Any  # torch.distributed.GradBucket
_COMPRESSED: weakref.WeakSet[DistributedDataParallel] = weakref.WeakSet()


def compress(
    model: DistributedDataParallel,
    *,
    start: int = 2,
    scheme: str | None = None,
    timeout: float | None = None,
    **options: Any,
) -> "Compression":
    """Have a model send its gradients through channels from now on.

    start: how many steps are sent plainly before; torch rearranges its buckets after the first one.
    scheme: "gather" sends each message to all ranks, and "owner" to one rank for each tensor, which
    sends the mean. None is owner among 4 ranks or more. timeout: after so many seconds without a
    word from a rank the others raise an error; None is as long as torch waits.
    options: those of `gcodec.Channel`, such as alpha, method and effort. Call it once, on all
    ranks, before the first backward pass. Ranks with another start, scheme, number of steps or
    model raise InvalidInput there.

    Raises InvalidInput for options that no channel takes, for a model with sparse gradients, and
    for one that is compressed already.
    """
    if model in _COMPRESSED:
        raise InvalidInput("the model is compressed already; call compress once")
    state = Compression(model, start=start, scheme=scheme, timeout=timeout, **options)
    model.register_comm_hook(state, hook)
    _COMPRESSED.add(model)
    return state


class Compression:
    """The state of the hook. `compress` makes it, and registers the hook.

    It takes what `compress` takes. `statistics` has bytes and times. `state_dict` is a part of the
    training's state.
    """

    def __init__(
        self,
        model: DistributedDataParallel,
        *,
        start: int = 2,
        scheme: str | None = None,
        timeout: float | None = None,
        **options: Any,
    ) -> None:
        found = checked(start, timeout, options)
        if scheme not in (None, *SCHEMES):
            raise InvalidInput(f"the scheme {scheme!r} is unknown; known are {', '.join(SCHEMES)}")
        if not isinstance(model, DistributedDataParallel):
            raise InvalidInput(f"the model must be a DistributedDataParallel, not {type(model).__name__}")
        check_dense(model.module)
        parameters = {name: parameter for name, parameter in model.module.named_parameters() if parameter.requires_grad}
        self.statistics = Statistics()
        self._names, self._start = {id(parameter): name for name, parameter in parameters.items()}, start
        self._group, self._wire = model.process_group, Wire(model.process_group, self.statistics, timeout)
        self._kind = scheme or ("owner" if self._wire.count >= MANY else "gather")
        shapes = {name: tuple(parameter.shape) for name, parameter in parameters.items()}
        self._scheme = SCHEMES[self._kind](self._wire, shapes, found)
        self._steps = 0  # those of the whole training
        self._options, self._wide = found, {name for name, one in parameters.items() if one.dtype == torch.float64}
        self._ends: list[Any] = []  # futures of the buckets of this step
        self._agreed, self._same = False, {"start": start, "scheme": self._kind, "tensors": digest(shapes)}
        self._coding, self._sending, self._decoding = (
            Worker(f"gcodec-ddp-{name}") for name in ("coding", "sending", "decoding")
        )
        self._failures: list[Exception] = []  # what went wrong in decoding in this step
        for worker in (self._coding, self._sending, self._decoding):
            weakref.finalize(self, worker.end)

    def state_dict(self) -> dict[str, Any]:
        """What a training checkpoint needs: the steps so far, and the memory by name."""
        return {"steps": self._steps, **self._origin(), **self._scheme.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where `state_dict` was taken, on the same rank of as many.

        Raises InvalidInput for a state of another rank, scheme or model, and for a memory that
        channels with these options would not take; then nothing has changed.
        """
        steps = check_origin(state, self._origin())
        for part in ("memory", "owned"):
            check_memory(state.get(part), self._wide, self._options)
        self._scheme.load_state_dict(state)
        self._steps = steps

    def _origin(self) -> dict[str, Any]:
        """What a state must have in common with this compression."""
        return {"scheme": self._kind, "rank": self._wire.rank, "ranks": self._wire.count}

    def exchange(self, bucket: Bucket) -> Any:
        """The mean of a bucket over all ranks, in a while."""
        buffer, step = bucket.buffer(), self._steps
        if not self._agreed:
            if any(id(parameter) not in self._names for parameter in bucket.parameters()):
                raise InvalidInput("this compression was made for another model; register it on the model it was given")
            self._wire.agree({"steps": step, **self._same})
            self._agreed = True
        plain = 2 * (self._wire.count - 1) * buffer.numel() * buffer.element_size() // self._wire.count
        self.statistics.plain += plain
        if bucket.is_last():
            self._steps += 1
            self.statistics.steps += 1
        if step < self._start:
            self.statistics.sent += plain
            reduced = dist.all_reduce(buffer.div_(self._wire.count), group=self._group, async_op=True).get_future()
            return reduced.then(lambda future: future.value()[0])
        return self._coded(bucket, step)

    def _coded(self, bucket: Bucket, step: int) -> Any:
        """The mean of a bucket by messages: one thread encodes, one sends, and one decodes.

        So while a bucket is on its way, the next one is encoded, and the one before it decoded.
        """
        names = [self._names[id(parameter)] for parameter in bucket.parameters()]
        grads = dict(zip(names, bucket.gradients(), strict=True))
        buffer, end, is_last = bucket.buffer(), torch.futures.Future(), bucket.is_last()  # type: ignore[var-annotated]
        failures, failed = self._failures, end.set_result

        def encode() -> None:
            send = self._scheme.encode({name: grad.detach().cpu() for name, grad in grads.items()}, step)
            self.statistics.left_out(self._scheme.error, step)
            self._sending.do(lambda: pass_on(send()), failed)

        def pass_on(put: Put) -> None:
            self._decoding.do(lambda: decode(put), failed)

        def decode(put: Put) -> None:
            try:
                with self._wire.coding():
                    put(grads)
            except Exception as error:  # the other ranks hear of it with the last bucket
                failures.append(error)
            if is_last:
                self._sending.do(settle, failed)
            else:
                end.set_result(None)

        def settle() -> None:
            self._wire.settle(failures[0] if failures else None)
            end.set_result(None)

        self._coding.do(encode, failed)
        self._ends.append(end)
        if is_last:
            self._failures = []
            torch.autograd.Variable._execution_engine.queue_callback(self._wait)
        return end.then(lambda done: _raised(done, buffer))

    def _wait(self) -> None:
        """Wait for the buckets of this step. Raises what failed first.

        Torch waits in a callback that follows this one, where its futures would make a RuntimeError
        of it.
        """
        ends, self._ends = self._ends, []
        for end in ends:
            _raised(end, None)


def _raised(end: Any, buffer: torch.Tensor | None) -> Any:
    """The buffer. end: a future of nothing, or of an error, which is raised."""
    failure = end.wait()
    if failure is not None:
        raise failure
    return buffer


class Worker:
    """A thread that does one thing after another, until `end` is called."""

    def __init__(self, name: str) -> None:
        self._jobs: queue.SimpleQueue[tuple[Callable[[], None], Callable[[BaseException], object]] | None]
        self._jobs = queue.SimpleQueue()
        threading.Thread(target=_work, args=(self._jobs,), daemon=True, name=name).start()

    def do(self, job: Callable[[], None], failed: Callable[[BaseException], object]) -> None:
        """Do it in a while. failed: is given what it raises."""
        self._jobs.put((job, failed))

    def end(self) -> None:
        """Have the thread end once it has done what it was given."""
        self._jobs.put(None)


def _work(jobs: queue.SimpleQueue[Any]) -> None:
    while given := jobs.get():
        job, failed = given
        try:
            job()
        except BaseException as error:  # whatever it is, the training must hear of it
            failed(error)
        del given, job, failed  # nothing else may live until the next job comes


def hook(state, bucket):  # type: ignore[no-untyped-def]  # torch looks at annotations
    """The communication hook, for `register_comm_hook`; `compress` registers it."""
    return state.exchange(bucket)
