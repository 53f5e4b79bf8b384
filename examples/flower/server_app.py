"""The server: FedAvg with few bytes, and what the model has learned after each round."""

from digits import evaluate, held_out, initial_model
from flwr.app import Array, ArrayRecord, Context, MetricRecord
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg

from gcodec.integrations.flower import Compressed

app = ServerApp()


def evaluated(server_round: int, arrays: ArrayRecord) -> MetricRecord:
    loss, right = evaluate({name: array.numpy() for name, array in arrays.items()}, held_out())
    return MetricRecord({"loss": loss, "right": right})


@app.main()
def main(grid: Grid, context: Context) -> None:
    config = context.run_config
    strategy = Compressed(
        FedAvg(fraction_evaluate=0.0, min_available_nodes=4),
        alpha=float(config["alpha"]),
        initial_alpha=float(config["initial-alpha"]),
    )
    model = ArrayRecord({name: Array(array) for name, array in initial_model().items()})
    strategy.start(grid, model, num_rounds=int(config["num-rounds"]), evaluate_fn=evaluated)
    print(f"{strategy.traffic.ratio:.1f} times fewer bytes than plain arrays: {strategy.traffic}")
