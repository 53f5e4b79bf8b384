"""Warnings of what a bound cost: heads in the rows of a matrix, first moments, and what to type."""

from fnmatch import fnmatchcase

import numpy as np
import pytest
from test_effects import GRADIENT, RNG, found_of, warned

import gcodec
from gcodec.compressors.contract import Guarantee
from gcodec.container.effects import Effects
from gcodec.pipeline.effects.found import Found
from gcodec.request.sentinels import Repeated


def in_blocks(*scales: float, rows: int = 32) -> np.ndarray:
    """A matrix whose blocks of so many rows have these scales."""
    return (np.repeat(scales, rows)[:, None] * RNG.normal(size=(len(scales) * rows, 128))).astype("f4")


def in_part(rows: int) -> np.ndarray:
    """Two of eight heads are much smaller than the others, and so are half the rows of a third."""
    x = in_blocks(1, 1e-2, 1, 1, 1, 1e-2, 1, 1, rows=rows)
    x[: 2 * rows : 2][: rows // 2] *= np.float32(1e-2)
    return x


@pytest.mark.parametrize("alpha", [1e-2, 1e-3])
@pytest.mark.parametrize(
    ("x", "lost"),
    [
        (in_blocks(1, 1, 1e-2, 1), "1 of the 4 blocks of 32 rows"),
        (in_blocks(1, 1, 1e-2, 1e-2), "1 of the 2 blocks of 64 rows"),  # two that lie together
        (in_blocks(1, 1e-2, rows=112), "1 of the 2 blocks of 112 rows"),
        (in_blocks(*[1] * 30, 1e-2, 1e-2), "1 of the 16 blocks of 64 rows"),
        (in_part(64), "2 of the 8 blocks of 64 rows"),  # beside one of which half of the rows are lost
    ],
)
def test_heads_in_the_rows_of_a_matrix_are_warned_of(x, lost, alpha, tmp_path):
    for method in ("auto", "ecsq"):
        (text,) = warned(lambda: gcodec.save(tmp_path / "x.gcz", {"k_proj": x}, method, alpha=alpha))  # noqa: B023
        assert text == (
            f"little is left of {lost} of k_proj, though alpha {alpha:g} holds; bound each slice by "
            f"--alpha k_proj={alpha:g}@rows (axes={{'k_proj': 0}} in Python)"
        )
    assert warned(lambda: gcodec.save(tmp_path / "x.gcz", {"k": x}, alpha=alpha, axes={"k": 0})) == []
    y = gcodec.decode(gcodec.encode(x, "ecsq", alpha=alpha))
    assert {found_of(x, y, chunk).erased for chunk in (100, 997, 4096)} == {found_of(x, y, x.size).erased}


def test_rows_that_are_lost_here_and_there_are_no_heads():
    rare = in_blocks(*np.arange(1, 65) ** -1.0, rows=16)[RNG.permutation(1024)]
    dying = in_blocks(*[1] * 31, 1e-2)  # one head of 32 of a layer
    falling = in_blocks(*np.arange(1, 33) ** -1.5, rows=32) * np.exp(RNG.normal(size=(1024, 1))).astype("f4")
    assert not any("blocks" in text for text in warned(lambda: gcodec.encode(falling, alpha=1e-2)))
    for x in (
        rare,
        dying,
        in_part(16)[RNG.permutation(128)],
        in_blocks(1, 1e-2, rows=8),
        in_blocks(*np.arange(1, 1025) ** -0.6, rows=1),
    ):
        assert warned(lambda: gcodec.encode(x, alpha=1e-2)) == []  # noqa: B023 (used at once)


def test_a_first_moment_may_forget_and_not_go_astray(tmp_path):
    decayed = GRADIENT * np.float32(0.9) ** RNG.integers(0, 1000, (256, 1)).astype("f4")
    assert warned(lambda: gcodec.save(tmp_path / "x.gcz", {"o.exp_avg": decayed}, alpha=1e-5)) == []
    assert warned(lambda: gcodec.save(tmp_path / "x.gcz", {"o.exp_avg": decayed}, alphas={"*": 1e-5})) == []
    (text,) = warned(lambda: gcodec.save(tmp_path / "y.gcz", {"weight": decayed}, alpha=1e-5))
    assert "became 0, though" in text
    assert not gcodec.verify(tmp_path / "x.gcz", {"o.exp_avg": decayed}).tensors[0].loss
    assert gcodec.verify(tmp_path / "y.gcz", {"weight": decayed}).tensors[0].loss
    for names in (("m", "v"), ("a", "b")):  # which tell it beside each other, and by their values
        tensors = dict(zip(names, (decayed, decayed**2), strict=True))
        assert warned(lambda: gcodec.save(tmp_path / "z.gcz", tensors, alpha=1e-5)) == []  # noqa: B023
        assert not any(one.loss for one in gcodec.verify(tmp_path / "z.gcz", tensors).tensors)
    astray = Found(Effects(lost=0.9, zeroed=0.1), False, 1000, moment=True)
    assert astray.ruins(Guarantee("alpha", 1e-4)) and not astray.ruins(Guarantee("alpha", 0.05))


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("", "--pointwise 0.05"),
        ("a.v", "--pointwise a.v=0.05"),
        ("a/v[0] *", "--pointwise 'a/v[[]0] [*]=0.05'"),
    ],
)
def test_remedies_name_the_tensor_as_a_shell_takes_it(name, rule):
    guarantee = Guarantee("alpha", 1e-3)
    assert rule in Found(Effects(lost=0.97), True, 1000).remedy(name, guarantee)
    kept = Found(Effects(), False, 1000, repeated=Repeated((-9999.0, 1e20), 0.1, 0.9)).remedy(name, guarantee)
    assert rule.replace("--pointwise", "--fill").replace("0.05", "-9999,1e+20") in kept
    assert fnmatchcase(name, rule.rpartition("=")[0].rpartition(" '")[2]) or not name or "'" not in rule
