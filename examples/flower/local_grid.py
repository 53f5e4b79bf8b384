"""A grid in one process: it hands messages to a ClientApp as the bytes that Flower would send."""

import uuid
from collections.abc import Collection, Iterable
from typing import Any

from flwr.app import Context, Error, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.common.constant import ErrorCode
from flwr.common.serde import message_from_proto, message_to_proto
from flwr.proto.message_pb2 import Message as Proto
from flwr.serverapp import Grid
from flwr.supercore.task_identity import TaskIdentity


class LocalGrid(Grid):
    """down, up: all bytes that were sent to clients, and by them."""

    def __init__(
        self, app: ClientApp, nodes: int, config: dict[str, Any], away: Collection[tuple[int, int]] = ()
    ) -> None:
        """away: pairs (round, node) of clients that do not answer."""
        self._app, self._away = app, away
        self.down = self.up = 0
        self.contexts = {
            node: Context(1, node, {"partition-id": node - 1, "num-partitions": nodes}, RecordDict(), config)
            for node in range(1, nodes + 1)
        }
        TaskIdentity.run_id, TaskIdentity.node_id, TaskIdentity.task_id = 1, 0, 1  # as in a process of a run

    def get_node_ids(self) -> list[int]:
        return list(self.contexts)

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> list[Message]:
        replies = [self._reply(message) for message in messages]
        return [reply for reply in replies if reply is not None]

    def _reply(self, message: Message) -> Message | None:
        node, now = message.metadata.dst_node_id, message.content["config"]["server-round"]
        message.metadata.__dict__["_message_id"] = str(uuid.uuid4())
        sent = message_to_proto(message).SerializeToString()
        self.down += len(sent)
        if (now, node) in self._away:
            return None
        arrived = message_from_proto(Proto.FromString(sent))
        try:
            reply = self._app(arrived, self.contexts[node])
        except Exception as error:  # as Flower does, so that the round goes on
            reply = Message(Error(ErrorCode.CLIENT_APP_RAISED_EXCEPTION, str(error)), reply_to=arrived)
        sent = message_to_proto(reply).SerializeToString()
        self.up += len(sent)
        return message_from_proto(Proto.FromString(sent))

    def create_message(self, *_: Any, **__: Any) -> Message:
        raise NotImplementedError

    push_messages = pull_messages = set_run = run = create_message
