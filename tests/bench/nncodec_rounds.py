"""NNCodec's coder in the rounds of examples/flower: python tests/bench/nncodec_rounds.py

It needs an environment of its own, as NNCodec wants numpy below 2: nncodec, numpy<2, flwr and
scikit-learn. What NNCodec imports for pictures and other networks may be missing.

The rounds are those of its NNClient and NNCFedAvg: the first model goes out plainly, clients code
their changes and what was left out before, and the server does so with the mean change. Bytes are
those of its bitstreams.
"""

import contextlib
import io
import sys
import tempfile
from pathlib import Path
from unittest.mock import MagicMock

for name in ("torchvision", "torchvision.models", "torchvision.transforms", "cv2", "ptflops", "torchmetrics", "wandb"):
    try:
        __import__(name)
    except ImportError:
        sys.modules[name] = MagicMock()
sys.path.insert(0, str(Path(__file__).parents[2] / "examples" / "flower"))

import digits  # noqa: E402
import numpy as np  # noqa: E402
from nncodec import fl, nnc  # noqa: E402

CLIENTS, ROUNDS, STEPS, SEEDS = 4, 6, 10, 3
WAYS = {
    "QP -26, sparsity 0.6": {},
    "QP -18, sparsity 0.8": {"qp": -18, "diff_qp": -18, "sparsity": 0.8},
    "QP -18, dependent": {"qp": -18, "diff_qp": -18, "sparsity": 0.0, "struct_spars_factor": 0.0, "use_dq": True},
}
Arrays = dict[str, np.ndarray]


class Coder:
    """One end's coder, with the memory of what it has left out."""

    def __init__(self, options: dict, folder: str, number: int) -> None:
        self._options = {**fl.nncargs, "model": "model", "results": folder, **options}
        self._base = {"parameters": {}, "put_node_depth": {}, "device_id": number, "parameter_id": {}}
        self._number, self._left, self.sent = number, 0.0, 0

    def arrived(self, change: Arrays) -> Arrays:
        """What a change and the memory decode to, once they are coded."""
        if self.sent:
            change = {name: x + self._left[name] for name, x in change.items()}
        with contextlib.redirect_stdout(io.StringIO()):
            data = fl.encode(change, self._options, approx_param_base=self._base, device_id=self._number)
            found = nnc.decompress(bytearray(data), approx_param_base=self._base, update_base_param=True)
        decoded = {name: np.float32(found.get(name, np.zeros_like(x))).reshape(x.shape) for name, x in change.items()}
        self._left = {name: x - decoded[name] for name, x in change.items()}
        self.sent += len(data)
        return decoded


def run(options: dict, non_iid: bool, seed: int, folder: str) -> tuple[float, ...]:
    """(bytes down after the first model, bytes up, loss, share of digits that are right)."""
    model = digits.initial_model()
    clients, server = [Coder(options, folder, i) for i in range(CLIENTS)], Coder(options, folder, CLIENTS)
    parts, down = [digits.data_of(i, CLIENTS, non_iid) for i in range(CLIENTS)], 0
    for now in range(1, ROUNDS + 1):
        down = CLIENTS * server.sent
        changes = []
        for i, (coder, data) in enumerate(zip(clients, parts, strict=True)):
            trained = dict(model)
            digits.train(trained, data, STEPS, [seed, now, i])
            changes.append(coder.arrived({name: trained[name] - x for name, x in model.items()}))
        weights = [len(data[1]) for data in parts]
        mean = {name: np.float32(np.average([c[name] for c in changes], 0, weights)) for name in model}
        reached = {name: x + mean[name] for name, x in model.items()}
        arrived = server.arrived(mean)
        model = {name: x + arrived[name] for name, x in model.items()}
    return down, sum(coder.sent for coder in clients), *digits.evaluate(reached, digits.held_out())


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for non_iid in (False, True):
            for name, options in WAYS.items():
                found = np.mean([run(options, non_iid, seed, folder) for seed in range(SEEDS)], 0)
                kind = "non-iid" if non_iid else "iid"
                print(
                    f"{kind:8}{name:24}{found[0]:9,.0f} down{found[1]:9,.0f} up   loss {found[2]:.4f}, {found[3]:.1%} right"
                )


if __name__ == "__main__":
    main()
