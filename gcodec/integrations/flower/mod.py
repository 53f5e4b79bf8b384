"""The client's side: a mod that follows the server's model, and codes what training changed."""

import io
import logging
from collections.abc import Callable, Sequence
from typing import Any, cast

from flwr.app import ConfigRecord, Context, Message, MessageType

import gcodec
from gcodec.errors import Corrupt, GcodecError, MissingBase

from .records import (
    Arrays,
    Entry,
    arrays_of,
    change_of,
    channel_of,
    check_like,
    failed,
    is_coded,
    only_arrays,
    packed,
    record_of,
    unpacked,
    with_arrays,
)

MODEL, MEMORY, STEPS = "gcodec.model", "gcodec.memory", "gcodec.steps"  # the records in `Context.state`
LOST = "gcodec lost the model"  # so begins the reason by which a client asks for all of it
SECURE = "secaggplus_configs"  # the record by which secure aggregation is known
DEFAULTS = {"effort": "fast"}

State = Any  # the RecordDict of a Context, whose records are of three types

logger = logging.getLogger("flwr")


class CompressionMod:
    """A mod for Flower's ClientApp, for servers whose strategy is `Compressed`.

    It must be the first of the mods: then it is the last that changes what is sent, after clipping
    and noise. The ClientApp sees plain arrays. Of a train reply the change from what was received
    is coded, within the bound. What is left out is kept in `Context.state`, as the model is, and is
    added to the next change.

    A message whose arrays are plain is passed on, and so is its reply, with a warning.
    """

    def __init__(self, *, limit: int | None = None, **options: Any) -> None:
        """options: those of `gcodec.Channel`, such as alpha, omega, scope, feedback, method, effort
        and threads. Without a bound, alpha is 0.1; effort is "fast".
        limit: the decoded bytes that are accepted of a model; None is as for `gcodec.load`.

        Raises InvalidInput.
        """
        self._options, self._limit = DEFAULTS | options, limit
        gcodec.Channel({}, **self._options)  # refuses what no channel takes

    def __call__(self, msg: Message, ctxt: Context, call_next: Callable[[Message, Context], Message]) -> Message:
        """The ClientApp's reply, coded; an error reply with the reason where that cannot be."""
        if SECURE in msg.content:
            return failed(
                "gcodec: secure aggregation adds masked integers, which do not compress; use one of both", msg
            )
        if not any(map(is_coded, msg.content.array_records.values())):
            logger.warning("gcodec: the model came plainly, and the reply goes plainly; is the strategy Compressed?")
            return call_next(msg, ctxt)
        try:
            key, record = only_arrays(msg.content)
            model, step = self._follow(ctxt.state, unpacked(record))
        except GcodecError as error:
            return failed(f"{LOST}: {error}", msg)
        msg.content = with_arrays(msg.content, key, record_of(model))
        reply = call_next(msg, ctxt)
        if reply.has_error() or msg.metadata.message_type.partition(".")[0] != MessageType.TRAIN:
            return reply
        try:
            key, record = only_arrays(reply.content)
            data = self._coded(ctxt, arrays_of(record), model)
        except GcodecError as error:
            return failed(f"gcodec: {error}", msg)
        reply.content = with_arrays(reply.content, key, packed([Entry("change", step, data)]))
        return reply

    def _follow(self, state: State, entries: Sequence[Entry]) -> tuple[Arrays, int]:
        """(the model after these entries, its step), which the state then has, too."""
        receiver = _remembered(state)
        for kind, step, data in entries:
            if kind == "whole":
                model = gcodec.load(io.BytesIO(data), threads=self._options.get("threads"), limit=self._limit)
                receiver = _receiver(model, step, receiver, state)
            elif kind == "change":
                raise Corrupt("a server does not send a client's change")
            elif receiver is not None and kind == "update" and step > receiver.step:
                receiver.apply(data)
        if not entries or receiver is None or receiver.step != entries[-1].step:
            raise MissingBase("this client lacks what the update is a change from, and needs the whole model")
        model = dict(zip(receiver.manifest.names, receiver.decoded, strict=True))
        sent = int(state[STEPS]["sent"]) if STEPS in state else 0
        state[MODEL], state[STEPS] = record_of(model), ConfigRecord({"model": receiver.step, "sent": sent})
        return model, receiver.step

    def _coded(self, ctxt: Context, trained: Arrays, model: Arrays) -> bytes:
        """The message of what training has changed, and of what was left out before."""
        check_like(trained, model)
        channel, state = channel_of(model, **{"rank": ctxt.node_id} | self._options), cast(State, ctxt.state)
        memory = arrays_of(state[MEMORY]) if MEMORY in state else {}
        channel.load_state_dict({"step": state[STEPS]["sent"], "memory": memory})
        data = channel.encode({name: change_of(trained[name], have) for name, have in model.items()})
        after = channel.state_dict()
        state[MEMORY], state[STEPS]["sent"] = record_of(after["memory"]), after["step"]
        return data


def _remembered(state: State) -> gcodec.UpdateReceiver | None:
    """What follows the model of the last message; None if there was none."""
    if MODEL not in state or STEPS not in state:
        return None
    model = arrays_of(state[MODEL])
    receiver = gcodec.UpdateReceiver(model, threads=1)
    receiver.decoded, receiver.step = list(model.values()), int(state[STEPS]["model"])
    return receiver


def _receiver(model: Arrays, step: int, before: gcodec.UpdateReceiver | None, state: State) -> gcodec.UpdateReceiver:
    """What follows a model that came whole; the memory goes if it is for other tensors."""
    receiver = gcodec.UpdateReceiver(model, threads=1)
    receiver.decoded, receiver.step = list(model.values()), step
    if before is not None and before.manifest != receiver.manifest:
        state.pop(MEMORY, None)
    return receiver
