"""A client: it trains on its own digits, and gcodec codes what training changed."""

from digits import data_of, evaluate, train
from flwr.app import Array, ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from gcodec.integrations.flower import CompressionMod


def _data(context: Context):
    node = context.node_config
    return data_of(int(node["partition-id"]), int(node["num-partitions"]), bool(context.run_config["non-iid"]))


def train_here(message: Message, context: Context) -> Message:
    model = {name: array.numpy() for name, array in message.content["arrays"].items()}
    data, config = _data(context), message.content["config"]
    seed = [int(context.run_config["seed"]), int(config["server-round"]), int(context.node_config["partition-id"])]
    loss = train(model, data, int(context.run_config["local-steps"]), seed)
    arrays = ArrayRecord({name: Array(array) for name, array in model.items()})
    metrics = MetricRecord({"loss": loss, "num-examples": len(data[1])})
    return Message(RecordDict({"arrays": arrays, "metrics": metrics}), reply_to=message)


def evaluate_here(message: Message, context: Context) -> Message:
    model = {name: array.numpy() for name, array in message.content["arrays"].items()}
    data = _data(context)
    loss, right = evaluate(model, data)
    metrics = MetricRecord({"loss": loss, "right": right, "num-examples": len(data[1])})
    return Message(RecordDict({"metrics": metrics}), reply_to=message)


def with_mods(mods: list) -> ClientApp:
    made = ClientApp(mods=mods)
    made.train()(train_here)
    made.evaluate()(evaluate_here)
    return made


app = with_mods([CompressionMod(alpha=0.1)])
