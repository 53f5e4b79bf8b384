"""The example in one process, without Ray, beside the same rounds with plain arrays.

    python examples/flower/run.py [--non-iid] [--drop] [--alpha A] [--rounds N]

With --drop, the last client is away in the third round. Bytes are those of whole messages. The same
apps run in Flower's own simulation by `flwr run examples/flower`.
"""

import argparse
import logging
import random

from client_app import with_mods
from digits import evaluate, held_out, initial_model
from flwr.app import Array, ArrayRecord
from flwr.serverapp.strategy import FedAvg
from local_grid import LocalGrid

from gcodec.integrations.flower import Compressed, CompressionMod

CLIENTS = 4


def run(mods: list, wrap, asked: argparse.Namespace) -> tuple[float, float, LocalGrid]:
    """(loss, share of held-out digits that are right, the grid, which has counted bytes)."""
    random.seed(asked.seed)  # by which FedAvg puts clients in order
    config = {"local-steps": asked.steps, "non-iid": asked.non_iid, "seed": asked.seed}
    grid = LocalGrid(with_mods(mods), CLIENTS, config, away=[(3, CLIENTS)] if asked.drop else ())
    strategy = wrap(FedAvg(fraction_evaluate=0.0, min_available_nodes=CLIENTS))
    model = ArrayRecord({name: Array(array) for name, array in initial_model().items()})
    found = strategy.start(grid, model, num_rounds=asked.rounds)
    loss, right = evaluate({name: array.numpy() for name, array in found.arrays.items()}, held_out())
    return loss, right, grid


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--non-iid", action="store_true", help="each client has only a few of the digits")
    parser.add_argument("--drop", action="store_true", help="the last client is away in the third round")
    parser.add_argument("--alpha", type=float, default=0.1, help="the bound, in both directions")
    parser.add_argument("--initial-alpha", type=float, default=0.01, help="the bound of the first model; 0 is exact")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--steps", type=int, default=10, help="of each client in a round")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    logging.getLogger("flwr").setLevel(logging.WARNING)
    ways = {
        "plain": ([], lambda strategy: strategy),
        "gcodec": (
            [CompressionMod(alpha=asked.alpha)],
            lambda strategy: Compressed(strategy, alpha=asked.alpha, initial_alpha=asked.initial_alpha or None),
        ),
    }
    plain = 0
    for name, (mods, wrap) in ways.items():
        loss, right, grid = run(mods, wrap, asked)
        total = grid.down + grid.up
        plain = plain or total
        print(
            f"{name:8}{grid.down:>12,} bytes down{grid.up:>12,} up{plain / total:7.1f} x   loss {loss:.4f}, {right:.1%} right"
        )


if __name__ == "__main__":
    main()
