"""The model as clients follow it: whole once, and then one update after the other."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import gcodec
from gcodec.errors import InvalidInput

from .records import Arrays, Entry, check_finite, is_float


class Chain:
    """One chain of updates for all clients: whoever missed some gets these, or the whole model.

    model: the server's, float by float as it is. known: what a client has after the last update, as
    arrays by name. step: how many updates there were, and the whole model is the first.
    """

    def __init__(self, initial_alpha: float | None, threads: int | None, **bound: Any) -> None:
        """initial_alpha: the bound of the first model; None for bit for bit. bound: alpha or
        lossless, and effort, of `gcodec.UpdateSender`. Raises InvalidInput.
        """
        self._first = gcodec.Policy(lossless=True) if initial_alpha is None else gcodec.Policy(alpha=initial_alpha)
        self._bound, self._threads = bound | {"threads": threads}, threads
        self._sender = gcodec.UpdateSender({}, **self._bound)
        gcodec.Writer(io.BytesIO(), self._first)  # refuses a bound that no file can have
        self._whole = Entry("whole", 0, b"")
        self._updates: list[Entry] = []
        self.model: Arrays = {}

    @property
    def step(self) -> int:
        return self._sender.step

    @property
    def known(self) -> Arrays:
        return dict(zip(self.model, self._sender.decoded, strict=True))

    def start(self, model: Arrays) -> Arrays:
        """Begin with a model, and return what clients will have of it: that is the model now.

        Raises InvalidInput for a dtype that gcodec lacks, and NonFinite.
        """
        for name, array in model.items():
            check_finite(f"{name}: the first model has", array)
        self._whole = Entry("whole", 1, self._container(model, self._first))
        self.model = gcodec.load(io.BytesIO(self._whole.data), threads=self._threads)
        self._sender = gcodec.UpdateSender(self.model, **self._bound)
        self._sender.decoded, self._sender.step = list(self.model.values()), 1
        self._updates = []
        return self.model

    def move(self, model: Mapping[str, np.ndarray]) -> None:
        """Go on to another model; nothing happens if it is the one that it is.

        Raises InvalidInput for other names or shapes, and NonFinite; then the model stays.
        """
        new = self._like_the_first(model)
        if all(new[name].tobytes() == array.tobytes() for name, array in self.model.items()):
            return
        data = self._sender.update(new)
        self.model = new
        self._updates.append(Entry("update", self.step, data))
        plain = sum(array.nbytes for array in new.values())
        while _size(self._updates) > plain:
            del self._updates[0]
        if _size(self._from_whole()) > plain:
            self._whole = Entry("whole", self.step, self._container(self.known, gcodec.Policy(lossless=True)))

    def since(self, step: int | None) -> list[Entry]:
        """What brings a client here that has the model of a step; None for one that has none."""
        if step == self.step:
            return [Entry("have", self.step, b"")]
        missed = [entry for entry in self._updates if step is not None and entry.step > step]
        if missed and missed[0].step - 1 == step:
            return min(missed, self._from_whole(), key=_size)
        return self._from_whole()

    def _from_whole(self) -> list[Entry]:
        return [self._whole, *(entry for entry in self._updates if entry.step > self._whole.step)]

    def _container(self, model: Mapping[str, np.ndarray], policy: gcodec.Policy) -> bytes:
        file = io.BytesIO()
        with gcodec.Writer(file, policy, threads=self._threads) as writer:
            for name, array in model.items():
                writer.add(name, array)
        return file.getvalue()

    def _like_the_first(self, model: Mapping[str, np.ndarray]) -> Arrays:
        """A model in the dtypes of the first one: a mean of integers is a float, and is rounded."""
        if set(model) != set(self.model):
            other = sorted(set(model) ^ set(self.model))[0]
            raise InvalidInput(f"the model has changed in {other!r}: each round must have the tensors of the first")
        return {name: _in_dtype(name, model[name], first) for name, first in self.model.items()}


def _in_dtype(name: str, array: np.ndarray, first: np.ndarray) -> np.ndarray:
    if array.shape != first.shape:
        raise InvalidInput(f"{name}: the shape {array.shape} is given; in the first round it was {first.shape}")
    check_finite(f"{name}: the model has", array)
    if is_float(array.dtype) and not is_float(first.dtype):
        array = np.rint(array)
    return array.astype(first.dtype)


def _size(entries: Sequence[Entry]) -> int:
    return sum(len(entry.data) for entry in entries)
