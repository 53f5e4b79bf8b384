"""Handwritten digits, and a network of two hidden layers that learns them, in numpy alone."""

import numpy as np
from sklearn.datasets import load_digits

SIZES = (64, 512, 256, 10)
RATE, MOMENTUM, BATCH = 0.05, 0.9, 32
Arrays = dict[str, np.ndarray]
Data = tuple[np.ndarray, np.ndarray]  # pixels between 0 and 1, and digits


def initial_model() -> Arrays:
    rng, model = np.random.default_rng(0), {}
    for i, (n, m) in enumerate(zip(SIZES, SIZES[1:], strict=False)):
        model[f"weight{i}"] = (rng.standard_normal((m, n)) * np.sqrt(2 / n)).astype(np.float32)
        model[f"bias{i}"] = np.zeros(m, np.float32)
    return model


def data_of(client: int, clients: int, non_iid: bool) -> Data:
    """A client's part of four fifths of all data; non-iid, only a few digits."""
    pixels, digits = _all()
    places = np.flatnonzero(np.arange(len(digits)) % 5)
    if non_iid:
        places = places[np.argsort(digits[places], kind="stable")]
        shards = np.array_split(places, 2 * clients)
        mine = np.concatenate([shards[client], shards[client + clients]])
    else:
        mine = places[client::clients]
    return pixels[mine], digits[mine]


def held_out() -> Data:
    """The last fifth, which nobody trains on."""
    pixels, digits = _all()
    return pixels[::5], digits[::5]


def train(model: Arrays, data: Data, steps: int, seed: list[int]) -> float:
    """Some steps of stochastic gradient descent, in place; the loss of the last one."""
    rng, speed, loss = np.random.default_rng(seed), {name: np.zeros_like(x) for name, x in model.items()}, 0.0
    for _ in range(steps):
        batch = rng.integers(0, len(data[1]), BATCH)
        loss, gradients = _backward(model, data[0][batch], data[1][batch])
        for name, gradient in gradients.items():
            speed[name] = np.float32(MOMENTUM) * speed[name] + gradient
            model[name] = model[name] - np.float32(RATE) * speed[name]
    return loss


def evaluate(model: Arrays, data: Data) -> tuple[float, float]:
    """(loss, share of digits that are right)."""
    chances = _forward(model, data[0])[-1]
    right = chances[np.arange(len(data[1])), data[1]]
    return float(-np.log(right + 1e-12).mean()), float((chances.argmax(1) == data[1]).mean())


def _all() -> Data:
    found = load_digits()
    order = np.random.default_rng(0).permutation(len(found.target))
    return (found.data[order] / 16).astype(np.float32), found.target[order]


def _forward(model: Arrays, x: np.ndarray) -> list[np.ndarray]:
    """What each layer gives; the last one, chances."""
    layers = [x]
    for i in range(len(SIZES) - 1):
        x = layers[-1] @ model[f"weight{i}"].T + model[f"bias{i}"]
        layers.append(np.maximum(x, 0))
    powers = np.exp(x - x.max(1, keepdims=True))
    return [*layers[:-1], powers / powers.sum(1, keepdims=True)]


def _backward(model: Arrays, x: np.ndarray, digits: np.ndarray) -> tuple[float, Arrays]:
    *layers, chances = _forward(model, x)
    rows, gradients = np.arange(len(digits)), {}
    loss, slope = float(-np.log(chances[rows, digits] + 1e-12).mean()), chances / np.float32(len(digits))
    slope[rows, digits] -= np.float32(1 / len(digits))
    for i in reversed(range(len(layers))):
        gradients[f"weight{i}"], gradients[f"bias{i}"] = slope.T @ layers[i], slope.sum(0)
        slope = (slope @ model[f"weight{i}"]) * (layers[i] > 0)
    return loss, gradients
