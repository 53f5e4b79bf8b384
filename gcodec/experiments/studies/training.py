"""The loss of training against the bits that workers send for their gradients, step after step."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from ...errors import InvalidInput
from ..gradients import Channels, Plain, PowerSGD, Remembered, Way, int8, top_k
from ..run import Progress
from ..training import Arrays, Model, Training, transformer

PLAIN, SEEDS, COUNTS = "plain", 3, (1, 2)  # the name of float32; seeds; numbers of workers
START, RATE = 5, 2e-3  # steps that are sent plainly first; the optimizer's rate
_HELD_OUT, _BATCHES = 10**6, 16  # number of the first batch that nobody trains on, and how many
Make = Callable[[Arrays, int], Way]  # gradients like those to come, and the number of workers
SETTINGS: dict[str, dict[str, Make]] = {
    **{
        method: {f"alpha {alpha:g}": partial(Channels, method=method, alpha=alpha) for alpha in (0.1, 0.3, 0.6)}
        for method in ("klt", "ecsq")
    },
    "PowerSGD": {f"rank {rank}": partial(PowerSGD, rank=rank) for rank in (4, 2, 1)},
    "Top-k + 2 bits": {f"{share:.0%}": partial(Remembered, code=top_k(share)) for share in (0.1, 0.03, 0.01)},
    "int8": {"": partial(Remembered, code=int8)},
}


@dataclass(frozen=True)
class Line:
    """A method with a setting, over all seeds.

    bits: for each parameter and step, of one worker, without the plain steps at the start. loss: on
    batches that nobody trains on, the mean over seeds. above: how far it is above that of plain
    gradients. spread: the largest distance from seed to seed of that.
    """

    method: str
    setting: str
    workers: int
    bits: float
    loss: float
    above: float
    spread: float


def small_transformer() -> Model:
    """A transformer of 277,000 parameters."""
    return transformer(vocabulary=256, width=96, blocks=2, length=64)


def chosen(names: Sequence[str] | None) -> dict[str, dict[str, Make]]:
    """The settings of these methods, or all. Raises InvalidInput."""
    for name in names or ():
        if name not in SETTINGS:
            raise InvalidInput(f"the method {name!r} is unknown here; known are {'; '.join(SETTINGS)}")
    return {name: SETTINGS[name] for name in names or SETTINGS}


def measure(
    settings: dict[str, dict[str, Make]], counts: Sequence[int], steps: int, seed: int, progress: Progress
) -> list[Line]:
    """Every setting for each number of workers, with several seeds."""
    todo = [(method, name, make) for method, own in settings.items() for name, make in own.items()]
    found: list[Line] = []
    done, total = 0, len(counts) * (1 + len(todo))
    for count in counts:
        plain, lines = [0.0] * SEEDS, list[Line]()
        for method, name, make in [(PLAIN, "", lambda like, workers: Plain()), *todo]:
            progress(done, total)
            runs = [_run(make, count, steps, seed + i) for i in range(SEEDS)]
            losses = [loss for loss, _ in runs]
            plain = losses if method == PLAIN else plain
            above = [loss - own for loss, own in zip(losses, plain, strict=True)]
            bits, loss = statistics.mean(bits for _, bits in runs), statistics.mean(losses)
            lines.append(Line(method, name, count, bits, loss, statistics.mean(above), max(above) - min(above)))
            done += 1
        found += lines
    progress(total, total)
    return found


def _run(make: Make, workers: int, steps: int, seed: int) -> tuple[float, float]:
    """(the loss at the end, bits for each parameter and step)."""
    model, plain = small_transformer(), Plain()
    start = {f"model.{name}": array for name, array in model.start(np.random.default_rng(seed)).items()}
    training = Training(model, "adamw", RATE, start)
    way, sent, size = plain, 0.0, sum(array.size for array in start.values())  # type: Way, float, int
    for number in range(steps):
        gradients = [training.gradients(model.tokens(seed, number * workers + rank)) for rank in range(workers)]
        if number == START:
            way = make(gradients[0], workers)
        mean, bits = way.mean(gradients)
        sent += bits if number >= START else 0.0
        training.apply(mean)
    losses = [training.loss(model.tokens(seed, _HELD_OUT + i)) for i in range(_BATCHES)]
    return statistics.mean(losses), sent / size / max(steps - START, 1)
