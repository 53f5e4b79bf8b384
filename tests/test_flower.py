"""Federated rounds of Flower, in one process: bytes, bounds, who is away, the order of mods."""

import io
import random
import re
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("flwr", minversion="1.42")
from federation import (
    EXAMPLE,
    NODES,
    LocalGrid,
    averaging,
    client,
    first_model,
    in_state,
    reasons,
    run,
    squares,
    weights,
)
from flwr.app import ConfigRecord
from flwr.clientapp.mod import LocalDpMod
from flwr.serverapp.strategy import (
    DifferentialPrivacyClientSideFixedClipping,
    DifferentialPrivacyServerSideFixedClipping,
    FedAdam,
)

import gcodec
from gcodec.errors import InvalidInput
from gcodec.integrations.flower import Compressed, CompressionMod
from gcodec.integrations.flower.chain import Chain
from gcodec.integrations.flower.records import arrays_of, record_of

NOISE = LocalDpMod(clipping_norm=1.0, sensitivity=1.0, epsilon=100.0, delta=1e-3)


def test_rounds():
    """Clients have what the server says, near its model, and all bytes are counted."""
    app, strategy = client(alpha=0.1), Compressed(averaging(fraction_evaluate=1.0), alpha=0.1)
    found, grid = run(strategy, app)
    plain, _ = run(averaging(), client(mods=[]))
    model, exact = arrays_of(found.arrays), arrays_of(plain.arrays)
    for node in grid.contexts:
        assert {n: x.tobytes() for n, x in in_state(grid, node).items()} == {
            n: x.tobytes() for n, x in strategy._chain.known.items()
        }
        assert {n: x.dtype for n, x in in_state(grid, node).items()} == {n: x.dtype for n, x in first_model().items()}
    assert squares(in_state(grid, 1)["w"], model["w"]) <= 0.1 * squares(model["w"], first_model()["w"])
    assert squares(model["w"], exact["w"]) <= 0.5 * squares(exact["w"], first_model()["w"])
    assert int(model["batches"]) == int(exact["batches"]) == 40
    train, evaluation = found.train_metrics_clientapp, found.evaluate_metrics_clientapp
    assert train[1]["gcodec-bytes-plain"] == 2 * NODES * record_of(first_model()).count_bytes()
    for key, of in (("down", strategy.traffic.down), ("up", strategy.traffic.up), ("plain", strategy.traffic.plain)):
        assert of == sum(int(one[f"gcodec-bytes-{key}"]) for rounds in (train, evaluation) for one in rounds.values())
    assert 0 <= grid.down - strategy.traffic.down < 500 * 24 and 0 <= grid.up - strategy.traffic.up < 500 * 24
    # the model of the last evaluation is not sent again
    assert all(train[now]["gcodec-bytes-down"] < 100 < evaluation[now]["gcodec-bytes-down"] for now in (2, 3, 4))
    assert strategy.traffic.ratio > 6


def test_lossless_clients_have_the_model():
    app = client()
    found, grid = run(Compressed(averaging(fraction_evaluate=1.0), lossless=True), app, rounds=2)
    model = {name: x.astype(first_model()[name].dtype) for name, x in arrays_of(found.arrays).items()}
    assert all(in_state(grid, 2)[name].tobytes() == x.tobytes() for name, x in model.items())


def test_the_first_model():
    """With a bound of its own, the training begins with what clients got."""
    app, strategy = client(), Compressed(averaging(), alpha=0.1, initial_alpha=0.01)
    run(strategy, app, rounds=1)
    got, true = app.seen[0][2], first_model()
    assert 0 < squares(got["w"], true["w"]) <= 0.01 * squares(true["w"])
    assert all(strategy._chain.model[name].tobytes() == x.tobytes() for name, x in got.items())


def test_what_is_left_out_is_sent_later():
    """What one client has sent, and its memory, make up what its training changed."""
    changes = []
    app = client(lambda now, node, arrays: changes.append(arrays["w"] - app.seen[-1][2]["w"]), alpha=0.3)
    strategy = Compressed(averaging(min_available_nodes=1, min_train_nodes=1), alpha=0.1)
    found, grid = run(strategy, app, nodes=1)
    sent = arrays_of(found.arrays)["w"].astype(np.float64) - first_model()["w"]
    left = arrays_of(grid.contexts[1].state["gcodec.memory"])["w"]
    assert squares(left) > 0.2 * squares(changes[-1])
    assert squares(sent + left, sum(changes)) < 1e-9 * squares(sum(changes))


def test_who_was_away_comes_back(caplog):
    """It gets the updates that it has missed; one that lost the model gets it whole."""
    app, strategy = client(), Compressed(averaging(), alpha=0.1)

    def lose(now, node, arrays):
        if (now, node) == (4, 1):
            grids[0].contexts[2].state.clear()

    app = client(lose)
    grids = []
    random.seed(0)
    grids.append(LocalGrid(app, NODES, {}, away=[(2, 3), (3, 3)]))
    found = strategy.start(grids[0], record_of(first_model()), num_rounds=6)
    down = {now: int(one["gcodec-bytes-down"]) for now, one in found.train_metrics_clientapp.items()}
    assert [len([1 for now, node, _ in app.seen if node == n]) for n in (1, 2, 3)] == [6, 5, 4]
    assert all("gcodec lost the model: this client lacks" in reason for reason in reasons(caplog))
    update = down[3] / 4  # two clients get one update each, and the third one two
    assert 3 * update < down[4] < 6.5 * update and max(down[5], down[6]) > down[1] / NODES
    assert [x.tobytes() for x in in_state(grids[0], 2).values()] == [
        x.tobytes() for x in in_state(grids[0], 3).values()
    ]


def test_who_joins_late():
    """Old updates are dropped once they are larger than the model, which then goes out whole."""
    chain = Chain(None, None, alpha=0.1, effort="fast")
    model = {"w": np.random.default_rng(0).standard_normal((64, 80)).astype(np.float32)}
    chain.start(model)
    rng, sizes = np.random.default_rng(1), []
    for _ in range(30):
        model = {"w": model["w"] + rng.standard_normal(model["w"].shape).astype(np.float32)}
        chain.move(model)
        for step in (None, 1, chain.step - 1, chain.step):
            entries = chain.since(step)
            sizes.append(sum(len(entry.data) for entry in entries))
            receiver = gcodec.UpdateReceiver(model)
            for kind, _, data in entries if step is None else ():
                if kind == "whole":
                    receiver.decoded = list(gcodec.load(io.BytesIO(data)).values())
                else:
                    receiver.apply(data)
            assert step is not None or receiver.decoded[0].tobytes() == chain.known["w"].tobytes()
        assert entries == [("have", chain.step, b"")]
    assert max(sizes) <= 1.01 * model["w"].nbytes
    assert chain.since(chain.step - 1)[0].kind == "update" and chain.since(1)[0].kind == "whole"
    before = chain.step
    chain.move(model)
    assert chain.step == before


def test_noise_of_clients_comes_before():
    """The order of mods: local noise within, and a clear error the other way round."""
    app = client(mods=[CompressionMod(), NOISE])
    found, _ = run(Compressed(averaging(), alpha=0.1), app, rounds=1, model=weights())
    assert np.isfinite(arrays_of(found.arrays)["w"]).all()


def test_clipping_at_the_server_bounds_what_was_decoded():
    clipped = DifferentialPrivacyServerSideFixedClipping(averaging(), 1e-9, 0.1, NODES)
    found, _ = run(Compressed(clipped, alpha=0.1), client(alpha=0.5), rounds=1, model=weights())
    model, first = arrays_of(found.arrays), weights()
    moved = sum(squares(model[name], first[name]) for name in first)
    assert 0 < moved <= 0.1**2 * 1.01
    with pytest.raises(InvalidInput, match="clip at the server"):
        Compressed(DifferentialPrivacyClientSideFixedClipping(averaging(), 1.0, 1.0, NODES), alpha=0.1)


def test_orders_that_do_not_work(caplog):
    """Noise after coding, and Compressed within a strategy that clips: errors, not silence."""
    app = client(mods=[NOISE, CompressionMod()])
    run(Compressed(averaging(), alpha=0.1), app, rounds=1, model=weights())
    assert len(reasons(caplog)) == NODES and all("keys in the ArrayRecord" in reason for reason in reasons(caplog))
    outer = DifferentialPrivacyServerSideFixedClipping(Compressed(averaging(), alpha=0.1), 1.0, 1.0, NODES)
    with pytest.raises(TypeError, match="gcodec"):
        run(outer, client(), rounds=1, model=weights())


def test_secure_aggregation_is_refused(caplog):
    def masked(msg, ctxt, call_next):
        msg.content["secaggplus_configs"] = ConfigRecord({"stage": "setup"})
        return call_next(msg, ctxt)

    run(averaging(), client(mods=[masked, CompressionMod()]), rounds=1)
    assert len(reasons(caplog)) == NODES and all("masked integers" in reason for reason in reasons(caplog))


def test_plain_servers_get_plain_replies(caplog):
    found, _ = run(averaging(), client(), rounds=1)
    exact, _ = run(averaging(), client(mods=[]), rounds=1)
    assert arrays_of(found.arrays)["w"].tobytes() == arrays_of(exact.arrays)["w"].tobytes()
    assert sum("came plainly" in record.getMessage() for record in caplog.records) == NODES


def test_other_strategies():
    adam = FedAdam(fraction_evaluate=0.0, min_available_nodes=NODES, min_train_nodes=NODES, eta=0.01)
    model = {"w": first_model()["w"], "batches": np.zeros(1, np.float32)}
    found, _ = run(Compressed(adam, alpha=0.1), client(), rounds=2, model=model)
    assert np.isfinite(arrays_of(found.arrays)["w"]).all()


def test_the_example():
    """Four clients, six rounds, one of them away in the third one: fewer bytes, as good a loss."""
    pytest.importorskip("sklearn")
    done = subprocess.run([sys.executable, EXAMPLE / "run.py", "--drop"], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    (_, plain), (fewer, loss) = (map(float, found) for found in re.findall(r"([\d.]+) x   loss ([\d.]+)", done.stdout))
    assert fewer >= 15 and loss <= plain + 0.01, done.stdout
