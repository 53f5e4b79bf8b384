"""Roles that follow from other tensors of a file, and from names that libraries use."""

import numpy as np
import pytest
from checks import call_cli
from safetensors.numpy import save_file

import gcodec
from gcodec.request.policy import Policy
from gcodec.request.rules import Rules
from gcodec.source import ArraySource

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 40)).astype(np.float32)
LINE = RNG.normal(size=1600).astype(np.float32)


def chosen(tensors: dict[str, np.ndarray]) -> dict[str, str]:
    """The role of each tensor, and nothing for those without one."""
    rules = Rules(Policy(alpha=1e-3), 1)
    sources = {name: ArraySource(x) for name, x in tensors.items()}
    rules.note(sources.items())
    found = {name: rules.decide(name, source).role for name, source in sources.items()}
    return {name: one.name for name, one in found.items() if one is not None}


def adam(steps: int = 20, rows: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Both moments after some steps with gradients of all sizes.

    rows: how far those of rows differ.
    """
    gradients = RNG.normal(size=(steps, 80, 60)) * np.exp(RNG.normal(size=(80, 60)) + rows * RNG.normal(size=(80, 1)))
    m, v = np.zeros((2, 80, 60))
    for g in gradients:
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
    return m.astype(np.float32), v.astype(np.float32)


def test_moments_of_any_name_are_known_beside_each_other():
    (m, v), w = adam(), RNG.normal(size=(80, 60)).astype(np.float32)
    both = {"a": "second moment by its values", "c": "first moment"}
    assert chosen({"a": v, "b": w, "c": m}) == both == chosen({"c": m, "b": w, "a": v})
    assert chosen({"optimizer/vars/2": m, "optimizer/vars/3": v})["optimizer/vars/2"] == "first moment"
    assert chosen({"a": v, "b": w}) == {} == chosen({"a": v, "b": w, "c": m[::-1].copy()})


@pytest.mark.parametrize("names", ["0.exp_avg 0.exp_avg_sq", "optimizer/vars/2 optimizer/vars/3", "2 1"])
@pytest.mark.parametrize("alpha", [1e-2, 1e-3, 1e-5])
def test_no_update_of_adam_becomes_much_larger_than_any_was(names, alpha, tmp_path):
    """Also where gradients differ so much that the error of the norm of m is far above some √v."""
    m, v = adam(rows=1.5)
    first, second = names.split()
    gcodec.save(tmp_path / "x.gcz", {first: m, second: v}, alpha=alpha)
    saved = gcodec.load(tmp_path / "x.gcz")
    before, after = m / (np.sqrt(v) + 1e-10), saved[first] / (np.sqrt(saved[second]) + 1e-10)
    assert np.abs(after).max() < 2.1 * np.abs(before).max()
    assert (m * saved[first] >= 0).all() and (np.abs(saved[first]) <= 2.1 * np.abs(m)).all()


def test_other_data_that_is_never_negative_gets_the_bound_that_was_asked_for():
    logits = (4 * RNG.normal(size=(80, 60))).astype(np.float32)
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    rain, image = RNG.gamma(0.2, size=(80, 60)).astype(np.float32), RNG.random((80, 60)).astype(np.float32) ** 3
    data = {"rain": rain, "wind": 5 * logits, "p": probabilities, "logits": logits, "image": image, "spread": rain**2}
    assert chosen(data | {"centred": (image - image.mean()) / image.std()}) == {}


V, LONG = X**2, LINE**2


@pytest.mark.parametrize(
    ("tensors", "roles"),
    [
        ({"nav_lat": X, "nav_lon": X, "TLAT": X, "lat_rho": X}, "coordinate"),
        ({"state.0.square_avg": V, "state.0.grad_avg": X}, "statistic that is subtracted"),
        ({"rmsprop/k_velocity": V, "rmsprop/k_average_gradient": X}, "statistic that is subtracted"),
        ({"vq.cluster_size": LONG, "vq.ema_cluster_size": LONG}, "step, count or rate"),
        ({"x.std": LONG, "x.mean": LINE, "buffer_state.std": LONG}, "gain, norm or statistic"),
        ({"t0.momentum1": V, "t0.momentum2": V, "s_dW1": V, "v_dW1": None}, "second moment"),
        ({"s/dW1": V, "v/dW1": None, "m1": None, "m2": V}, "second moment"),
        ({"t0.momentum1": X, "t0.momentum2": None, "v_dW1": X, "s_dW1": None}, "first moment"),
        ({"optimizer.state.0.q": X, "optimizer/shampoo/l": X, "opt.r": X}, "preconditioner"),
        ({"state.0.GG.0": X, "state.0.Q.0": X}, "preconditioner"),
        ({"state.l": None, "state.r": None, "state.q": None}, ""),
    ],
)
def test_names_of_libraries(tensors, roles):
    """None stands for a tensor of which the role does not matter, or is none."""
    found = chosen({name: X if x is None else x for name, x in tensors.items()})
    known = {name: role for name, role in found.items() if tensors[name] is not None}
    assert known == {name: roles for name, x in tensors.items() if x is not None}
    assert roles or not found


def test_the_command_gathers_the_roles_once_for_all_tensors(tmp_path, monkeypatch):
    asked, protected = [], Rules.protected.fget
    monkeypatch.setattr(Rules, "protected", property(lambda rules: asked.append(rules) or protected(rules)))
    save_file({f"layer{i}.weight": X for i in range(3)} | {"norm.weight": LINE}, tmp_path / "model.safetensors")
    code, text, error = call_cli("encode", tmp_path / "model.safetensors", "--alpha", "1e-3", "--method", "sd")
    assert code == 0 and len(asked) == 1, error
    assert "role" in text
