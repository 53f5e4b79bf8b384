"""What a worker sends: a real gcodec file, a baseline's message, or the plain float32 values.

The bits of a gcodec message are those of its payload, the head and the chunk. The container around
it has a name, a shape and checksums, which both ends of a connection know already. So it is sent
but not counted, and the other messages have nothing like it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any, NamedTuple, Protocol

import numpy as np

from .. import api
from ..baselines import BASELINES
from ..baselines.baseline import Baseline
from ..compressors import registry
from ..compressors.contract import Guarantee, TensorSpec
from ..container.writer import ContainerWriter
from ..errors import InvalidInput
from ..pipeline.writer import write_record
from ..request.choice import DEFAULT_ALPHA, DEFAULT_OMEGA, Choice, choose
from ..source import ArraySource, Source
from ..theory.report import BASELINE, METHOD

PLAIN = "uncompressed"


class Message(NamedTuple):
    """data: what is sent. bits: how many bits it counts as."""

    data: bytes
    bits: int


class Coder(Protocol):
    """A compressor of float32 vectors.

    kind: the class of its guarantee, "exact", "alpha" or "omega". group: METHOD or BASELINE. Random
    choices follow from `stamp` alone.
    """

    @property
    def name(self) -> str: ...

    @property
    def kind(self) -> str: ...

    @property
    def group(self) -> str: ...

    def constant(self, d: int) -> float:
        """α or ω in dimension d. It is 0 when exact."""

    def encode(self, values: np.ndarray, stamp: tuple[int, ...]) -> Message: ...

    def decode(self, data: bytes) -> np.ndarray: ...


@dataclass(frozen=True)
class Constants:
    """The bounds that methods are asked for. The defaults are the paper's choices."""

    alpha: float = DEFAULT_ALPHA
    omega: float = DEFAULT_OMEGA


@dataclass(frozen=True)
class Plain:
    """float32 as it is, 32 bits for each coordinate."""

    name: str = PLAIN
    kind: str = "exact"
    group: str = METHOD

    def constant(self, d: int) -> float:
        return 0.0

    def encode(self, values: np.ndarray, stamp: tuple[int, ...]) -> Message:
        return Message(values.tobytes(), 32 * values.size)

    def decode(self, data: bytes) -> np.ndarray:
        return np.frombuffer(data, np.float32)


@dataclass(frozen=True)
class Method:
    """A method of gcodec, with a class of guarantee that it has and the bound of that class.

    options: those of the method that take the place of its `message_options`.
    """

    name: str
    kind: str
    constants: Constants = Constants()
    group: str = METHOD
    options: Mapping[str, Any] | None = None

    def constant(self, d: int) -> float:
        return {"exact": 0.0, "alpha": self.constants.alpha, "omega": self.constants.omega}[self.kind]

    def encode(self, values: np.ndarray, stamp: tuple[int, ...]) -> Message:
        file = BytesIO()
        container, source = ContainerWriter(file), ArraySource(values)
        nbytes = write_record(container, "", source, self._choice(source, stamp)).body_length
        container.close()
        return Message(file.getvalue(), 8 * nbytes)

    def decode(self, data: bytes) -> np.ndarray:
        return api.decode(data, threads=1)

    def _choice(self, source: Source, stamp: tuple[int, ...]) -> Choice:
        bound = self.constant(source.size)
        spec, guarantee = TensorSpec(source.dtype, source.shape), Guarantee(self.kind, bound)
        own = self.options or registry.by_name(self.name).load().message_options(spec, guarantee)
        options = dict(own)
        if self.kind == "omega":
            options["seed"] = int(np.random.SeedSequence(stamp).generate_state(1, np.uint64)[0])
        return choose(self.name, threads=1, **{self.kind: bound} if bound else {}, **options)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Operator:
    """An operator of the literature, by default with its usual parameters.

    It counts its own bits. What is sent is C(x).
    """

    name: str
    baseline: Baseline | None = None
    group: str = BASELINE

    @property
    def kind(self) -> str:
        return self._operator.kind

    def constant(self, d: int) -> float:
        return self._operator.constant(d)

    def encode(self, values: np.ndarray, stamp: tuple[int, ...]) -> Message:
        decoded, bits = self._operator.compress(values, np.random.default_rng(stamp))
        return Message(decoded.tobytes(), bits)

    def decode(self, data: bytes) -> np.ndarray:
        return np.frombuffer(data, np.float32)

    @property
    def _operator(self) -> Baseline:
        return self.baseline or BASELINES[self.name]


def coders(d: int, names: Sequence[str] | None = None, constants: Constants = Constants()) -> list[Coder]:
    """All coders for dimension d, or those with these names. The plain one always comes first.

    Coders for which theory gives no step size are left out: contractive operators with α = 1 in
    dimension d, operators that claim no constant there, and methods that bound each value. Methods
    for matrices are left out unless they are named. Raises InvalidInput for an unknown name.
    """
    found: list[Coder] = [Plain()]
    entries = registry.entries()
    kinds = [(entry.name, kind) for entry in entries for kind in entry.load().kinds if kind != "pointwise"]
    found += [Method(name, kind, constants) for name, kind in kinds]
    found += [Operator(name) for name in BASELINES]
    known = dict.fromkeys(coder.name for coder in found)
    for name in names or ():
        if name not in known:
            raise InvalidInput(f"method {name!r} is unknown; known are {', '.join(known)}")
    fitting = [coder for coder in found if coder.constant(d) < (1 if coder.kind == "alpha" else math.inf)]
    for_matrices = {entry.name for entry in entries if entry.matrix}  # messages are vectors
    wanted = [name for name in known if name not in for_matrices] if names is None else [PLAIN, *names]
    return [coder for coder in fitting if coder.name in wanted]
