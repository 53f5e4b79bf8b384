"""What tests of Flower share: a small model, clients that add noise to it, and their rounds."""

import random
import sys
from pathlib import Path

import numpy as np
from flwr.app import Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp.strategy import FedAvg

from gcodec.integrations.flower import CompressionMod
from gcodec.integrations.flower.records import arrays_of, record_of

EXAMPLE = Path(__file__).parents[1] / "examples" / "flower"
sys.path.append(str(EXAMPLE))
from local_grid import LocalGrid  # noqa: E402

NODES = 3


def first_model():
    rng = np.random.default_rng(0)
    return {
        "w": rng.standard_normal((64, 96)).astype(np.float32),
        "half": rng.standard_normal((80, 70)).astype(np.float16),
        "double": rng.standard_normal(5),
        "scalar": np.float32(0.5) * np.ones((), np.float32),
        "batches": np.array(0),
        "mask": np.array([True, False]),
    }


def weights():
    """The float32 arrays of the first model: Flower's own clipping takes no others."""
    return {name: x for name, x in first_model().items() if x.dtype == np.float32}


def client(change=None, mods=None, **options):
    """A ClientApp whose training adds seeded noise; `change` may then alter the arrays in place."""
    app = ClientApp(mods=[CompressionMod(**options)] if mods is None else mods)

    @app.train()
    def train(message, context):
        key, record = next(iter(message.content.array_records.items()))
        arrays, node, now = arrays_of(record), context.node_id, message.content["config"]["server-round"]
        seen.append((now, node, dict(arrays)))
        rng = np.random.default_rng([node, now])
        for name, x in arrays.items():
            if np.issubdtype(x.dtype, np.floating):
                arrays[name] = (x + 0.01 * rng.standard_normal(x.shape)).astype(x.dtype)
        if "batches" in arrays:
            arrays["batches"] = arrays["batches"] + 10
        if change is not None:
            change(now, node, arrays)
        metrics = MetricRecord({"num-examples": 10})
        return Message(RecordDict({key: record_of(arrays), "metrics": metrics}), reply_to=message)

    @app.evaluate()
    def evaluate(message, context):
        arrays = arrays_of(next(iter(message.content.array_records.values())))
        seen.append((-message.content["config"]["server-round"], context.node_id, arrays))
        return Message(RecordDict({"metrics": MetricRecord({"num-examples": 1, "loss": 1.0})}), reply_to=message)

    seen = app.seen = []
    return app


def averaging(**options):
    return FedAvg(**{"fraction_evaluate": 0.0, "min_available_nodes": NODES, "min_train_nodes": NODES} | options)


def run(strategy, app, rounds=4, nodes=NODES, model=None):
    random.seed(0)
    grid = LocalGrid(app, nodes, {})
    found = strategy.start(grid, record_of(model or first_model()), num_rounds=rounds)
    return found, grid


def squares(x, y=0):
    return float(((x.astype(np.float64) - y) ** 2).sum())


def in_state(grid, node):
    return arrays_of(grid.contexts[node].state["gcodec.model"])


def reasons(caplog):
    return [record.getMessage() for record in caplog.records if "error in reply" in record.getMessage()]
