"""The server's side: a strategy around any other one, which sees plain arrays."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord
from flwr.serverapp import Grid
from flwr.serverapp.strategy import (
    DifferentialPrivacyClientSideAdaptiveClipping,
    DifferentialPrivacyClientSideFixedClipping,
    Strategy,
)

from gcodec.errors import Corrupt, GcodecError, InvalidInput, MissingBase

from .chain import Chain
from .mod import LOST, logger
from .records import (
    Arrays,
    arrays_of,
    channel_of,
    check_finite,
    failed,
    is_float,
    only_arrays,
    packed,
    record_of,
    unpacked,
    wide,
    with_arrays,
)

CLIPPED_BEFORE = (DifferentialPrivacyClientSideFixedClipping, DifferentialPrivacyClientSideAdaptiveClipping)


@dataclass
class Traffic:
    """Bytes of arrays. down: to clients. up: from them. plain: both, without gcodec."""

    down: int = 0
    up: int = 0
    plain: int = 0

    @property
    def ratio(self) -> float:
        """How many times fewer bytes were sent than plain arrays take."""
        return self.plain / (self.down + self.up) if self.down + self.up else 1.0

    def add(self, other: "Traffic") -> None:
        self.down, self.up, self.plain = self.down + other.down, self.up + other.up, self.plain + other.plain


class Compressed(Strategy):
    """A strategy whose messages are coded, for clients that have a `CompressionMod`.

    It must be the outermost strategy: the one within, also one that clips and adds noise, gets the
    replies as plain arrays: its model and the decoded change of the client. A reply that cannot be
    decoded becomes an error of that client, and the round goes on with the others.

    The model goes out as one chain of updates for all clients. A client that missed some gets
    these; one that has nothing, or has lost it, gets the whole model. What clients have differs
    from the model by at most alpha of its last change, and the next update makes up for that.

    traffic: all bytes so far. Those of a round are in its metrics: `gcodec-bytes-down`,
    `gcodec-bytes-up` and `gcodec-bytes-plain`.
    """

    def __init__(
        self,
        strategy: Strategy,
        *,
        alpha: float | None = None,
        lossless: bool = False,
        initial_alpha: float | None = None,
        effort: Literal["best", "fast"] = "fast",
        threads: int | None = None,
    ) -> None:
        """alpha: ‖x̂ − x‖² ≤ alpha·‖x − have‖² for each tensor x of the model and what clients have
        of it. lossless: clients get the model bit for bit. One of the two is needed.
        initial_alpha: the bound of the first model, relative to itself; None is bit for bit. The
        training then begins with what clients got. effort, threads: as for `gcodec.encode`.

        Raises InvalidInput, also for a strategy whose clients clip: coding can lengthen a change.
        """
        if isinstance(strategy, CLIPPED_BEFORE):
            raise InvalidInput(
                "clients that clip do not bound what is decoded from their coded changes; clip at the server, by "
                "DifferentialPrivacyServerSideFixedClipping or DifferentialPrivacyServerSideAdaptiveClipping"
            )
        self.strategy, self.traffic = strategy, Traffic()
        self._about = f"gcodec: {'lossless' if lossless else f'alpha {alpha}'}"
        self._chain = Chain(initial_alpha, threads, alpha=alpha, lossless=lossless, effort=effort)
        self._steps: dict[int, int] = {}  # by node: the model that it is known to have
        self._asked: dict[int, Message] = {}
        self._round = Traffic()

    def summary(self) -> None:
        """Log what is coded how, and the summary of the strategy within."""
        logger.info("\t├──> %s", self._about)
        self.strategy.summary()

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """What the strategy within sends, coded. Raises InvalidInput and NonFinite."""
        arrays = self._started(arrays)
        return self._coded(arrays, self.strategy.configure_train(server_round, arrays, config, grid))

    def configure_evaluate(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """As `configure_train`."""
        arrays = self._started(arrays)
        return self._coded(arrays, self.strategy.configure_evaluate(server_round, arrays, config, grid))

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """What the strategy within makes of the decoded replies; metrics have the bytes."""
        arrays, metrics = self.strategy.aggregate_train(
            server_round, [self._plain(one) for one in self._heard(replies)]
        )
        return arrays, self._counted(metrics)

    def aggregate_evaluate(self, server_round: int, replies: Iterable[Message]) -> MetricRecord | None:
        """As `aggregate_train`; replies to an evaluation have no arrays."""
        heard = self._heard(replies)
        self._steps |= {one.metadata.src_node_id: self._chain.step for one in heard if not one.has_error()}
        return self._counted(self.strategy.aggregate_evaluate(server_round, heard))

    def _started(self, arrays: ArrayRecord) -> ArrayRecord:
        """The model; at first, as clients will have it."""
        return arrays if self._chain.model else record_of(self._chain.start(arrays_of(arrays)))

    def _coded(self, arrays: ArrayRecord, messages: Iterable[Message]) -> list[Message]:
        found, self._asked, self._round = list(messages), {}, Traffic()
        if found:
            self._chain.move(arrays_of(arrays))
        for message in found:
            (key, record), node = only_arrays(message.content), message.metadata.dst_node_id
            if record is not arrays and record != arrays:
                raise InvalidInput(
                    f"the strategy sends node {node} another model than the others; gcodec codes one for all"
                )
            coded = packed(self._chain.since(self._steps.get(node)))
            message.content, self._asked[node] = with_arrays(message.content, key, coded), message
            self._round.add(Traffic(down=coded.count_bytes(), plain=record.count_bytes()))
        return found

    def _heard(self, replies: Iterable[Message]) -> list[Message]:
        """Replies of those who were asked, and errors. Who lost the model will get it whole."""
        heard = [reply for reply in replies if reply.has_error() or reply.metadata.src_node_id in self._asked]
        for reply in heard:
            if reply.has_error() and (reply.error.reason or "").startswith(LOST):
                self._steps.pop(reply.metadata.src_node_id, None)
        return heard

    def _plain(self, reply: Message) -> Message:
        """A train reply with the model that the client has come to; an error reply if it is bad."""
        if reply.has_error():
            return reply
        node = reply.metadata.src_node_id
        up = sum(record.count_bytes() for record in reply.content.array_records.values())
        try:
            key, record = only_arrays(reply.content)
            plain = record_of(self._trained(record))
        except GcodecError as error:
            self._round.add(Traffic(up=up))
            return failed(f"gcodec: {error}", self._asked[node])
        self._round.add(Traffic(up=up, plain=plain.count_bytes()))
        self._steps[node] = self._chain.step
        reply.content = with_arrays(reply.content, key, plain)
        return reply

    def _trained(self, record: ArrayRecord) -> Arrays:
        """The model with a client's change. Raises an error of gcodec for a reply that is bad."""
        entries = unpacked(record)
        if len(entries) != 1 or entries[0].kind != "change":
            raise Corrupt("a client sends one change")
        if entries[0].step != self._chain.step:
            raise MissingBase(
                f"a change from the model of step {entries[0].step}; that of this round is {self._chain.step}"
            )
        model = self._chain.model
        changes = channel_of(model).decode(entries[0].data)
        return {name: _sum(name, model[name], change) for name, change in zip(model, changes, strict=True)}

    def _counted(self, metrics: MetricRecord | None) -> MetricRecord | None:
        """The metrics with the bytes of this round, which the sum has, too."""
        now, self._round = self._round, Traffic()
        if now == Traffic():
            return metrics
        self.traffic.add(now)
        found = MetricRecord() if metrics is None else metrics
        for name in ("down", "up", "plain"):
            found[f"gcodec-bytes-{name}"] = getattr(now, name)
        return found


def _sum(name: str, have: np.ndarray, change: np.ndarray) -> np.ndarray:
    """The array after a change. Raises NonFinite."""
    if not is_float(have.dtype):
        return change
    with np.errstate(all="ignore"):
        changed: np.ndarray = (wide(have) + change).astype(have.dtype)
    check_finite(f"{name}: after the client's change, the model has", changed)
    return changed
