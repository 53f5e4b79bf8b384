"""Seeds of unbiased methods: fresh unless one is given, and never shared by two records."""

from io import BytesIO

import numpy as np
import pytest

import gcodec
from gcodec.container.reader import Stream
from gcodec.errors import InvalidInput
from gcodec.pipeline.seeds import BYTES, record_seed

METHODS = ("rsd", "dither", "sc", "auto")


def values(size: int = 300) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(size).astype(np.float32)


@pytest.mark.parametrize("method", METHODS)
def test_a_seed_gives_the_same_bytes_and_none_gives_fresh_ones(method):
    x = values()
    first, second = (gcodec.encode(x, method, omega=0.5, seed=7) for _ in range(2))
    assert first == second
    unseeded = {gcodec.encode(x, method, omega=0.5) for _ in range(4)}
    assert len(unseeded) == 4 and first not in unseeded


@pytest.mark.parametrize("method", METHODS)
def test_any_integer_is_a_seed(method):
    x = values(64)
    numbers = (0, -1, 3, 2**63 - 1, 2**64 + 3)
    files = [gcodec.encode(x, method, omega=0.5, seed=number) for number in numbers]
    assert len(set(files)) == len(numbers)
    for dtype in (np.int8, np.uint16, np.int64, np.uint64):
        assert gcodec.encode(x, method, omega=0.5, seed=dtype(3)) == files[2]
    with pytest.raises(InvalidInput, match="whole number"):
        gcodec.encode(x, method, omega=0.5, seed=0.5)


def test_sc_with_alpha_takes_any_integer_too():
    x = values(64)
    files = {gcodec.encode(x, "sc", alpha=0.3, seed=seed) for seed in (np.int64(3), 3, 2**64 + 3)}
    assert len(files) == 1 and gcodec.encode(x, "sc", alpha=0.3, seed=np.int8(-1)) not in files


@pytest.mark.parametrize("seeds", [{}, {"seed": 5}])
def test_tensors_of_a_file_do_not_share_noise(tmp_path, seeds):
    """Equal tensors of one file: the mean of four has a quarter of the error of one."""
    x = values(20_000)
    gcodec.save(tmp_path / "x.gcz", {f"w{i}": x for i in range(4)}, "rsd", omega=0.5, **seeds)
    decoded = np.array(list(gcodec.load(tmp_path / "x.gcz").values()), np.float64)
    single = ((decoded - x) ** 2).sum(axis=1) / (x.astype(float) ** 2).sum()
    mean = ((decoded.mean(axis=0) - x) ** 2).sum() / (x.astype(float) ** 2).sum()
    assert mean == pytest.approx(single.mean() / 4, rel=0.1)


def test_workers_without_a_seed_average_out():
    rng = np.random.default_rng(0)
    gradient = rng.standard_normal(5000)
    messages = [(gradient + 0.1 * rng.standard_normal(5000)).astype(np.float32) for _ in range(16)]
    decoded = [gcodec.decode(gcodec.encode(x, "rsd", omega=0.25)).astype(float) for x in messages]
    mean = np.mean(messages, axis=0)
    error = ((np.mean(decoded, axis=0) - mean) ** 2).sum() / (mean**2).sum()
    assert error == pytest.approx(0.167 / 16, rel=0.2)  # with one seed for all it would be 0.12


def test_the_seed_of_a_record():
    assert record_seed(3, "w") == record_seed(np.uint8(3), "w")
    seeds = {record_seed(seed, name) for seed in range(50) for name in ("", "a", "b", "1", "2")}
    assert len(seeds) == 250 and max(seeds) < 1 << 8 * BYTES
    assert len({record_seed(None, "w") for _ in range(100)}) == 100


def test_a_head_does_not_grow_with_the_seed():
    """The stored seed has at most four bytes, whatever integer was given."""
    x = values(64)
    heads = [next(iter(Stream(BytesIO(gcodec.encode(x, "dither", omega=0.5, seed=s))))).header for s in (0, 2**80)]
    assert abs(heads[0].head_length - heads[1].head_length) <= 1


def test_the_help_says_what_to_pass_per_rank_and_round():
    """In `encode --help` and on the manual page, which is made from it."""
    from gcodec.cli.man import page

    assert "round * ranks + rank" in page()
