"""Small language models that PyTorch trains, and their checkpoints as arrays by name.

Models are functions of a dictionary of tensors, so a checkpoint is that dictionary beside the
optimizer's state. Batches depend on a seed and their number alone: a run that goes on from a
checkpoint sees what the first one saw.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import InvalidInput

Arrays = dict[str, np.ndarray]
Tensors = dict[str, Any]  # those of PyTorch
_MOMENTS = {"adamw": ("exp_avg", "exp_avg_sq"), "momentum": ("momentum_buffer",), "sgd": ()}
_HEADS = 4


def pytorch(name: str = "resume") -> Any:
    """PyTorch, on one thread, as sums in another order give other losses.

    name: of the experiment that needs it. Raises InvalidInput where it is not installed.
    """
    try:
        import torch
    except ImportError:
        raise InvalidInput(f"experiment {name} needs torch: pip install 'gcodec[experiments,gloo]'") from None
    torch.set_num_threads(1)
    return torch


@dataclass(frozen=True)
class Model:
    """start: makes the weights. loss: the mean cross-entropy of the next token, in nats, of
    weights and tokens. vocabulary, batch, length: of the tokens, rows × columns.
    """

    start: Callable[[np.random.Generator], Arrays]
    loss: Callable[[Tensors, Any], Any]
    vocabulary: int
    batch: int
    length: int

    def tokens(self, seed: int, number: int) -> np.ndarray:
        """Batch `number`: each token follows from the one before, or is drawn from Zipf's law.

        Token i has a chance of about 1/i, so most rows of an embedding are seldom met.
        """
        law = 1 / np.arange(1, self.vocabulary + 1)
        law /= law.sum()
        follows = np.random.default_rng(seed).choice(self.vocabulary, (self.vocabulary, 4), p=law)
        rng = np.random.default_rng((seed, number))
        drawn = rng.choice(self.vocabulary, (self.batch, self.length), p=law)
        kept, which = rng.random(drawn.shape) < 0.6, rng.choice(4, drawn.shape, p=(0.5, 0.25, 0.15, 0.1))
        for i in range(1, self.length):
            drawn[:, i] = np.where(kept[:, i], follows[drawn[:, i - 1], which[:, i]], drawn[:, i])
        return drawn


def embedding_model(vocabulary: int = 4096, width: int = 64) -> Model:
    """Two tokens foretell the next one: two tables of a row for each token, and a layer between."""

    def start(rng: np.random.Generator) -> Arrays:
        shapes = {
            "embed.weight": (vocabulary, width),
            "mix.weight": (width, 2 * width),
            "head.weight": (vocabulary, width),
        }
        return {name: _normal(rng, shape, 0.1) for name, shape in shapes.items()}

    def loss(weights: Tensors, tokens: Any) -> Any:
        torch = pytorch()
        seen = weights["embed.weight"][tokens]
        hidden = torch.tanh(torch.cat((seen[:, 1:-1], seen[:, :-2]), -1) @ weights["mix.weight"].T)
        scores = hidden @ weights["head.weight"].T
        return torch.nn.functional.cross_entropy(scores.flatten(0, 1), tokens[:, 2:].flatten())

    return Model(start, loss, vocabulary, 8, 32)


def transformer(vocabulary: int = 512, width: int = 128, blocks: int = 4, length: int = 64) -> Model:
    """A transformer of about a million weights."""
    shapes = {
        "norm1.weight": (width,), "qkv.weight": (3 * width, width), "out.weight": (width, width),
        "norm2.weight": (width,), "up.weight": (4 * width, width), "down.weight": (width, 4 * width),
    }  # fmt: skip

    def start(rng: np.random.Generator) -> Arrays:
        found = {"embed.weight": (vocabulary, width), "position.weight": (length, width), "norm.weight": (width,)}
        found |= {f"blocks.{i}.{name}": shape for i in range(blocks) for name, shape in shapes.items()}
        found["head.weight"] = (vocabulary, width)
        ones = {name for name in found if "norm" in name}
        return {name: np.ones(s, "f4") if name in ones else _normal(rng, s, 0.05) for name, s in found.items()}

    def loss(weights: Tensors, tokens: Any) -> Any:
        functional = pytorch().nn.functional
        x = weights["embed.weight"][tokens[:, :-1]] + weights["position.weight"][: tokens.shape[1] - 1]
        for i in range(blocks):
            own = {name: weights[f"blocks.{i}.{name}"] for name in shapes}
            heads = (functional.layer_norm(x, (width,), own["norm1.weight"]) @ own["qkv.weight"].T).unflatten(
                -1, (3, _HEADS, -1)
            )
            q, k, v = heads.permute(2, 0, 3, 1, 4)
            mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2)
            x = x + mixed @ own["out.weight"].T
            inner = functional.gelu(functional.layer_norm(x, (width,), own["norm2.weight"]) @ own["up.weight"].T)
            x = x + inner @ own["down.weight"].T
        scores = functional.layer_norm(x, (width,), weights["norm.weight"]) @ weights["head.weight"].T
        return functional.cross_entropy(scores.flatten(0, 1), tokens[:, 1:].flatten())

    return Model(start, loss, vocabulary, 4, length)


def _normal(rng: np.random.Generator, shape: tuple[int, ...], deviation: float) -> np.ndarray:
    return (deviation * rng.standard_normal(shape)).astype(np.float32)


class Training:
    """A model in training: its weights and its optimizer.

    arrays: a checkpoint, or weights alone, under `model.`. optimizer: "adamw", "momentum" or "sgd".
    """

    def __init__(self, model: Model, optimizer: str, rate: float, arrays: Arrays) -> None:
        torch, self._model, self._moments = pytorch(), model, _MOMENTS[optimizer]
        copies = {name: torch.from_numpy(array.copy()) for name, array in arrays.items()}
        self._weights = {
            name.removeprefix("model."): tensor.requires_grad_()
            for name, tensor in copies.items()
            if name.startswith("model.")
        }
        if optimizer == "adamw":
            self._optimizer = torch.optim.AdamW(self._weights.values(), lr=rate)
        else:
            self._optimizer = torch.optim.SGD(self._weights.values(), lr=rate, momentum=0.9 * (optimizer == "momentum"))
        for name, weight in self._weights.items():
            state = {moment: copies.get(f"optimizer.{name}.{moment}") for moment in self._moments}
            if all(tensor is not None for tensor in state.values()):
                self._optimizer.state[weight] |= state
                if optimizer == "adamw":
                    self._optimizer.state[weight]["step"] = copies["optimizer.step"].clone()

    def step(self, tokens: np.ndarray) -> float:
        """Learn from a batch; its loss before that."""
        loss = self._backward(tokens)
        self._optimizer.step()
        return loss

    def gradients(self, tokens: np.ndarray) -> Arrays:
        """Copies of the gradients of a batch, by name."""
        self._backward(tokens)
        return {name: weight.grad.numpy().copy() for name, weight in self._weights.items()}

    def apply(self, gradients: Arrays) -> None:
        """Learn from gradients."""
        for name, weight in self._weights.items():
            weight.grad = pytorch().from_numpy(gradients[name])
        self._optimizer.step()

    def _backward(self, tokens: np.ndarray) -> float:
        self._optimizer.zero_grad()
        loss = self._model.loss(self._weights, pytorch().from_numpy(tokens))
        loss.backward()
        return float(loss.detach())

    def loss(self, tokens: np.ndarray) -> float:
        with pytorch().no_grad():
            return float(self._model.loss(self._weights, pytorch().from_numpy(tokens)))

    def checkpoint(self) -> Arrays:
        """Copies of the weights under `model.`, and of the optimizer's state under `optimizer.`."""
        found = {f"model.{name}": weight.detach().numpy().copy() for name, weight in self._weights.items()}
        for name, weight in self._weights.items():
            state = self._optimizer.state[weight]
            found |= {f"optimizer.{name}.{moment}": state[moment].numpy().copy() for moment in self._moments}
            if "step" in state:
                found["optimizer.step"] = state["step"].numpy().copy()
        return found
