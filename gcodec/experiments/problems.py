"""Ridge and logistic regression over several workers, with the constants that step sizes need.

f = (1/n)·Σ f_i over n workers. f_i(x) = (n/N)·Σ_rows loss(a·x, b) + (λ/2)‖x‖² on the rows of worker
i, where N is the number of all rows. The data is cut into consecutive runs of rows, so workers
differ as much as the data does.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..errors import InvalidInput

GENERATED_ROWS, GENERATED_DIMENSION = 2048, 512
NOISE = 0.1
MOST_NEWTON = 50


class Problem(ABC):
    """A strongly convex problem, named by `data`. All numbers are float64.

    smoothness, convexity: L and μ of f.
    local_smoothness: the L_i of the f_i, shape (n,).
    solution: x*, shape (d,).
    """

    curvature: float  # the largest second derivative of the loss

    def __init__(self, data: str, features: np.ndarray, targets: np.ndarray, workers: int, condition: float) -> None:
        rows, self.dimension = features.shape
        if not 1 <= workers <= rows:
            raise InvalidInput(f"the number of workers must be between 1 and the {rows} rows of {data}, not {workers}")
        if not 1 < condition < np.inf:
            raise InvalidInput(f"the condition number must be above 1, not {condition}")
        self.data, self.workers = data, workers
        self.features = np.array_split(features, workers)
        self.targets = np.array_split(targets, workers)
        self.weight = workers / rows
        spectrum = np.linalg.eigvalsh(features.T @ features) * (self.curvature / rows)
        least = self._least_curvature(spectrum)
        # (largest + λ) / (least + λ) = condition, unless the data alone is better conditioned.
        self.penalty = max((spectrum[-1] - condition * least) / (condition - 1), 0.0)
        self.smoothness = float(spectrum[-1] + self.penalty)
        self.convexity = float(least + self.penalty)
        scale = self.curvature * self.weight
        self.local_smoothness = np.array(
            [scale * np.linalg.norm(part, 2) ** 2 + self.penalty for part in self.features]
        )
        self.solution = self._solve(features, targets)

    @property
    def condition(self) -> float:
        """L/μ."""
        return self.smoothness / self.convexity

    def gradient(self, worker: int, x: np.ndarray) -> np.ndarray:
        """∇f_i(x), shape (d,)."""
        slopes = self._slope(self.features[worker] @ x, self.targets[worker])
        gradient: np.ndarray = self.weight * (self.features[worker].T @ slopes) + self.penalty * x
        return gradient

    @abstractmethod
    def gap(self, x: np.ndarray) -> float:
        """f(x) − f(x*)."""

    @abstractmethod
    def _least_curvature(self, spectrum: np.ndarray) -> float:
        """μ of f without its penalty.

        `spectrum` has the eigenvalues of the largest Hessian, rising.
        """

    @abstractmethod
    def _slope(self, predicted: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """The derivative of the loss by the prediction."""

    @abstractmethod
    def _solve(self, features: np.ndarray, targets: np.ndarray) -> np.ndarray: ...


class Ridge(Problem):
    """loss = ½(a·x − b)²."""

    curvature = 1.0

    def gap(self, x: np.ndarray) -> float:
        away = x - self.solution
        squares = sum(float(np.sum((part @ away) ** 2)) for part in self.features)
        return float(0.5 * (squares * self.weight / self.workers + self.penalty * float(away @ away)))

    def _least_curvature(self, spectrum: np.ndarray) -> float:
        return max(float(spectrum[0]), 0.0)

    def _slope(self, predicted: np.ndarray, targets: np.ndarray) -> np.ndarray:
        slopes: np.ndarray = predicted - targets
        return slopes

    def _solve(self, features: np.ndarray, targets: np.ndarray) -> np.ndarray:
        rows = len(targets)
        hessian = features.T @ features / rows + self.penalty * np.eye(self.dimension)
        return np.linalg.solve(hessian, features.T @ targets / rows)


class Logistic(Problem):
    """loss = ln(1 + exp(−b·(a·x))), b = ±1.

    Its curvature is at most ¼ and has no positive least value.
    """

    curvature = 0.25

    def gap(self, x: np.ndarray) -> float:
        """The gap as an integral of the gradient's difference, which keeps its digits.

        It is Σ over rows of loss(z) − loss(z*) − slope(z*)·(z − z*), and (λ/2)‖x − x*‖².
        """
        total = 0.0
        for part, signs in zip(self.features, self.targets, strict=True):
            at, best = signs * (part @ x), signs * (part @ self.solution)
            total += float(np.sum(np.logaddexp(0, -at) - np.logaddexp(0, -best) + (at - best) / (1 + np.exp(best))))
        away = x - self.solution
        return float(total * self.weight / self.workers + 0.5 * self.penalty * float(away @ away))

    def _least_curvature(self, spectrum: np.ndarray) -> float:
        return 0.0

    def _slope(self, predicted: np.ndarray, targets: np.ndarray) -> np.ndarray:
        slopes: np.ndarray = -targets / (1 + np.exp(targets * predicted))
        return slopes

    def _solve(self, features: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Newton's method, to the precision of float64.

        From 0 it needs some ten rounds on data of variance 1.
        """
        x = np.zeros(self.dimension)
        for _ in range(MOST_NEWTON):
            chance = 1 / (1 + np.exp(targets * (features @ x)))
            gradient = -features.T @ (targets * chance) / len(targets) + self.penalty * x
            weighted = features * (chance * (1 - chance))[:, None]
            hessian = features.T @ weighted / len(targets) + self.penalty * np.eye(self.dimension)
            step = np.linalg.solve(hessian, gradient)
            x = x - step
            if np.linalg.norm(step) <= 1e-15 * np.linalg.norm(x):
                break
        return x


@dataclass(frozen=True)
class Setting:
    """What makes a problem, as plain data: `make` gives the same problem in every process.

    kind: "ridge" or "logistic". data: a name of DATA[kind].
    """

    kind: str
    data: str
    workers: int
    condition: float
    seed: int


def make(setting: Setting) -> Problem:
    """The problem of a setting.

    Raises InvalidInput for unknown names, and when it needs scikit-learn and that is not installed.
    """
    if setting.kind not in DATA:
        raise InvalidInput(f"experiment {setting.kind!r} is unknown; known are {', '.join(DATA)}")
    if setting.data not in DATA[setting.kind]:
        raise InvalidInput(f"data {setting.data!r} is unknown; {setting.kind} has {', '.join(DATA[setting.kind])}")
    features, targets = DATA[setting.kind][setting.data](setting.seed)
    cls = {"ridge": Ridge, "logistic": Logistic}[setting.kind]
    return cls(setting.data, features, targets, setting.workers, setting.condition)


def shipped(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Data that scikit-learn ships: features and labels of mean 0 and variance 1.

    Constant features are dropped. Raises InvalidInput when scikit-learn is not installed.
    """
    try:
        from sklearn import datasets
    except ImportError:
        raise InvalidInput("this data needs scikit-learn: pip install 'gcodec[experiments]'") from None
    features, labels = getattr(datasets, f"load_{name}")(return_X_y=True)
    return standard(features[:, features.std(axis=0) > 0]), standard(labels)


def standard(values: np.ndarray) -> np.ndarray:
    """The values with mean 0 and variance 1, each column by itself. No column may be constant."""
    near_1 = np.ldexp(values, -np.frexp(np.abs(values).max(axis=0))[1])  # so that no square overflows
    scaled: np.ndarray = (near_1 - near_1.mean(axis=0)) / near_1.std(axis=0)
    return scaled


def _classes(name: str, is_positive: Callable[[np.ndarray], np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Shipped data for logistic regression: targets are ±1."""
    features, labels = shipped(name)
    return features, np.where(is_positive(np.unique(labels, return_inverse=True)[1]), 1.0, -1.0)


def _generated(seed: int, signs: bool) -> tuple[np.ndarray, np.ndarray]:
    """Gaussian rows, and targets of a random linear model with noise.

    The eigenvalues of the rows' covariance fall as 1/k.
    """
    rng = np.random.default_rng(seed)
    basis = np.linalg.qr(rng.standard_normal((GENERATED_DIMENSION, GENERATED_DIMENSION)))[0]
    scales = np.arange(1, GENERATED_DIMENSION + 1) ** -0.5
    features = rng.standard_normal((GENERATED_ROWS, GENERATED_DIMENSION)) * scales @ basis
    targets = features @ rng.standard_normal(GENERATED_DIMENSION)
    targets = targets / targets.std() + NOISE * rng.standard_normal(GENERATED_ROWS)
    return features, np.where(targets > 0, 1.0, -1.0) if signs else targets


# DATA[experiment][name] is a function of the seed. It gives features (N, d) and targets (N,).
DATA: dict[str, dict[str, Callable[[int], tuple[np.ndarray, np.ndarray]]]] = {
    "ridge": {
        "diabetes": lambda seed: shipped("diabetes"),
        "digits": lambda seed: shipped("digits"),
        "generated": lambda seed: _generated(seed, signs=False),
    },
    "logistic": {
        "breast_cancer": lambda seed: _classes("breast_cancer", lambda labels: labels == 1),
        "digits": lambda seed: _classes("digits", lambda labels: labels % 2 == 1),
        "generated": lambda seed: _generated(seed, signs=True),
    },
}
