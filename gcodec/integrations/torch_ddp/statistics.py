"""What a rank has sent so far, and what it took."""

from dataclasses import asdict, dataclass


@dataclass
class Statistics:
    """Sums over the steps of this rank since `compress` was called.

    steps: optimizer steps. plain: the bytes that it would have sent to reduce plain gradients in a
    ring: 2(n − 1)/n of their bytes among n ranks. sent, received: the bytes that it did send to
    other ranks, and got from them. coding, waiting: seconds that its threads, which work at the
    same time, took for encoding and decoding, and for the network. error: the largest share of the
    energy that a message of this rank's gradients left out in the last step, at most. What an owner
    leaves out of means is not in it.
    """

    steps: int = 0
    plain: int = 0
    sent: int = 0
    received: int = 0
    coding: float = 0.0
    waiting: float = 0.0
    error: float = 0.0

    def __post_init__(self) -> None:
        self._step = -1  # the step that `error` is of

    def left_out(self, error: float, step: int) -> None:
        """Count the share that the messages of a bucket or module left out in a step."""
        self.error, self._step = (max(self.error, error) if step == self._step else error), step

    @property
    def ratio(self) -> float:
        """How many times fewer bytes were sent than plain gradients take."""
        return self.plain / self.sent if self.sent else 1.0

    def as_dict(self) -> dict[str, float]:
        """All of them by name, with `ratio`, as loggers take them."""
        return asdict(self) | {"ratio": self.ratio}
