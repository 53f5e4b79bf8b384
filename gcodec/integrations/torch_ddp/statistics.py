"""What a rank has sent so far, and what it took."""

from dataclasses import asdict, dataclass


@dataclass
class Statistics:
    """Sums over all steps of this rank.

    steps: optimizer steps. plain: the bytes that it would have sent to reduce plain gradients in a
    ring: 2(n − 1)/n of their bytes among n ranks. sent, received: the bytes that it did send to
    other ranks, and got from them. coding, waiting: seconds of the worker thread that went into
    encoding and decoding, and into the network. error: the share of the energy that the messages of
    the last step left out, at most.
    """

    steps: int = 0
    plain: int = 0
    sent: int = 0
    received: int = 0
    coding: float = 0.0
    waiting: float = 0.0
    error: float = 0.0

    @property
    def ratio(self) -> float:
        """How many times fewer bytes were sent than plain gradients take."""
        return self.plain / self.sent if self.sent else 1.0

    def as_dict(self) -> dict[str, float]:
        """All of them by name, with `ratio`, as loggers take them."""
        return asdict(self) | {"ratio": self.ratio}
