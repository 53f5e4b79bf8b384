"""Federated rounds of Flower with NaN, and with hostile clients and servers."""

import io
import pickle

import numpy as np
import pytest

pytest.importorskip("flwr", minversion="1.42")
from federation import averaging, client, first_model, reasons, run
from flwr.app import Array, ArrayRecord

import gcodec
from gcodec.errors import InvalidInput, NonFinite
from gcodec.integrations.flower import Compressed, CompressionMod
from gcodec.integrations.flower.records import STYPE, arrays_of, change_of, channel_of, record_of


def test_nan_names_the_tensor(caplog):
    def spoil(now, node, arrays):
        if (now, node) == (2, 1):
            arrays["half"][3, 4] = np.nan

    found, _ = run(Compressed(averaging(), alpha=0.1), client(spoil), rounds=3)
    assert len(reasons(caplog)) == 1 and "half" in reasons(caplog)[0] and "node 1" in reasons(caplog)[0]
    assert all(np.isfinite(x).all() for x in arrays_of(found.arrays).values())
    with pytest.raises(NonFinite, match="w"):
        run(Compressed(averaging(), alpha=0.1), client(), model=first_model() | {"w": np.full((64, 96), np.inf, "f4")})


def hostile(msg, ctxt, call_next):
    """A mod outside of gcodec's: in the second round each client but the first alters its reply."""
    reply = call_next(msg, ctxt)
    if ctxt.node_id > 1 and msg.content["config"]["server-round"] == 2:
        list(BAD.values())[ctxt.node_id - 2][0](reply.content)
    return reply


def replace(key, data, **more):
    def change(content):
        fields = {"dtype": "uint8", "shape": (len(data),), "stype": STYPE, "data": data} | more
        content["arrays"] = ArrayRecord({key: Array(**fields)})

    return change


class Evil:
    def __reduce__(self):
        return (pytest.fail, ("something was unpickled",))


def message_of(array, **options):
    """A valid message, but not of the model's change."""
    return gcodec.Channel({"w": array}, **options).encode([array])


def too_large():
    """A change within the limits of float32 but not of float16."""
    changes = {name: change_of(x, x) for name, x in first_model().items()}
    return channel_of(first_model(), lossless=True).encode(changes | {"half": np.full((80, 70), 1e6, np.float32)})


BAD = {
    "garbage": (replace("change 2", b"\x00" * 100), "does not start with GCM"),
    "nothing": (replace("change 2", b""), "does not start with GCM"),
    "other shapes": (
        replace("change 2", message_of(np.ones((64, 97), "f4"), alpha=0.1)),
        "other names, shapes or dtypes",
    ),
    "huge": (replace("change 2", message_of(np.zeros((1 << 14, 1 << 14), "f4"), alpha=0.1)), "other names, shapes"),
    "huge claims": (replace("change 2", b"GCM\x01" + b"\xff" * 60), "checksum"),
    "an old base": (replace("change 1", too_large()), "a change from the model of step 1; that of this round is 2"),
    "a step beyond": (replace("change " + "9" * 400, b""), "is none of gcodec's"),
    "another kind": (replace("update 2", b""), "a client sends one change"),
    "too large": (
        replace("change 2", too_large()),
        "half: after the client's change, the model has 5600 values that are NaN or infinite",
    ),
    "plain arrays": (lambda content: content.update(arrays=record_of(first_model())), "is none of gcodec's"),
    "a pickle": (replace("change 2", pickle.dumps(Evil()), stype="numpy.ndarray"), "is none of gcodec's"),
    "no arrays": (lambda content: content.pop("arrays"), "0 ArrayRecords"),
    "two records": (lambda content: content.update(more=ArrayRecord()), "2 ArrayRecords"),
}


def test_hostile_clients(caplog):
    """Their replies are errors that say why, and the round goes on with the others."""
    app = client(mods=[hostile, CompressionMod()])
    found, _ = run(Compressed(averaging(), alpha=0.1), app, rounds=2, nodes=1 + len(BAD))
    said = " ".join(reasons(caplog))
    assert len(reasons(caplog)) == len(BAD)
    for node, (name, (_, says)) in enumerate(BAD.items(), start=2):
        assert any(f"node {node}: gcodec: " in reason and says in reason for reason in reasons(caplog)), (name, said)
    assert all(np.isfinite(x).all() for x in arrays_of(found.arrays).values())
    assert int(arrays_of(found.arrays)["batches"]) == 20
    assert [node for now, node, _ in app.seen if now == 2].count(1) == 1


def test_hostile_servers(caplog):
    """Damaged, missing and oversized models are errors by which a client asks anew."""
    bomb = io.BytesIO()
    with gcodec.Writer(bomb, gcodec.Policy(lossless=True)) as writer:
        writer.add("w", np.zeros((1 << 14, 1 << 11), np.float32))
    sent = {
        1: ("whole 1", bomb.getvalue(), "1,000,000 and"),
        2: ("whole 1", b"garbage", "not a gcodec"),
        3: ("change 1", b"", "does not send a client's change"),
        4: ("update 2", b"GCU", "needs the whole model"),
        5: ("have 1", b"", "needs the whole model"),
    }

    def damage(msg, ctxt, call_next):
        replace(*sent[ctxt.node_id][:2])(msg.content)
        return call_next(msg, ctxt)

    app = client(mods=[damage, CompressionMod(limit=1_000_000)])
    run(Compressed(averaging(), alpha=0.1), app, rounds=1, nodes=5)
    assert len(reasons(caplog)) == 5 and not app.seen
    for node, (_, _, says) in sent.items():
        assert any(f"node {node}: gcodec lost the model: " in one and says in one for one in reasons(caplog)), says


def test_clients_of_other_shapes(caplog):
    def cut(now, node, arrays):
        if node == 1:
            arrays["w"] = arrays["w"][1:]
        if node == 2:
            del arrays["w"]

    run(Compressed(averaging(), alpha=0.1), client(cut), rounds=1)
    assert "w: float32 of shape (63, 96) is given; the model has float32 of shape (64, 96)" in " ".join(reasons(caplog))
    assert "differ from those of the model in 'w'" in " ".join(reasons(caplog))


@pytest.mark.parametrize(
    "options", [{}, {"alpha": 2.0}, {"alpha": 0.1, "lossless": True}, {"alpha": 0.1, "initial_alpha": 0}]
)
def test_bad_arguments(options):
    with pytest.raises(InvalidInput):
        Compressed(averaging(), **options)


def test_bad_options_of_the_mod():
    with pytest.raises(InvalidInput):
        CompressionMod(alpha=3)
