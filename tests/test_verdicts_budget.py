"""What bytes pay for, by the numbers of spec/format.md §7.

Each limit is tried at its value and one beyond, and the work of each method is counted.
"""

from io import BytesIO

import numpy as np
import pytest
from checks import call_cli
from vectors import gcz
from verdicts import streamed, work_of

import gcodec
from gcodec.container.budget import Budget
from gcodec.errors import LimitExceeded
from gcodec.io import formats

FREE_BYTES, FREE_WORK = 67_108_864, 1_073_741_824
LENGTHS = [(0, 0, 0), (1000, 32_768_000, 0), (65_536, 2_147_483_648, 0), (65_537, 2_147_516_416, 131_072),
           (100_000, 3_276_800_000, 34_464 * 131_072)]  # fmt: skip # of a file, and the bytes and the work that it pays for


def accepts(budget: Budget, work: int, nbytes: int) -> bool:
    try:
        budget.spend("a", work, nbytes)
    except LimitExceeded as error:
        assert "'a'" in str(error)
        return False
    return True


@pytest.mark.parametrize(("length", "more_bytes", "more_work"), LENGTHS)
@pytest.mark.parametrize("stream", [False, True])
def test_what_a_file_pays_for(length, more_bytes, more_work, stream):
    nbytes, work = FREE_BYTES + more_bytes, FREE_WORK + more_work

    def budget() -> Budget:
        made = Budget() if stream else Budget(length=length)
        made.receive(length if stream else 1 << 30)  # what arrives pays only where the length is not known
        return made

    assert accepts(budget(), work, nbytes)
    assert not accepts(budget(), work + 1, nbytes) and not accepts(budget(), work, nbytes + 1)
    halves = budget()
    assert accepts(halves, work - 5, nbytes - 7) and accepts(halves, 5, 7) and not accepts(halves, 1, 0)


@pytest.mark.parametrize(("limit", "work"), [(0, FREE_WORK), (8_388_608, FREE_WORK), (8_388_609, 128 * 8_388_609)])
def test_what_a_limit_accepts(limit, work):
    assert accepts(Budget(limit, 1 << 30), work, limit)
    assert not accepts(Budget(limit, 1 << 30), work + 1, limit)
    assert not accepts(Budget(limit, 1 << 30), work, limit + 1)


@pytest.mark.parametrize(
    ("work", "nbytes", "least"),
    [(FREE_WORK, 5, 5), (FREE_WORK + 1, 5, 8_388_609), (FREE_WORK + 128, 5, 8_388_609),
     (FREE_WORK + 129, 5, 8_388_610), (FREE_WORK + 129, 1 << 40, 1 << 40)],
)  # fmt: skip
def test_the_limit_that_is_asked_for(work, nbytes, least):
    """It is the least one that accepts a file, and the error says it."""
    asking = Budget(0, 0)
    with pytest.raises(LimitExceeded, match=f"--limit {least},"):
        asking.spend("a", work, nbytes)
    assert accepts(Budget(least), work, nbytes) and not accepts(Budget(least - 1), work, nbytes)


def test_a_file_begins_where_it_is_read_from():
    file = BytesIO(bytes(100_000))
    file.seek(99_000)
    assert Budget.of(file, None).length == 1000 and file.tell() == 99_000


WORK = {"lossless": lambda n, width: n * width // 2, "sd": lambda n, width: 8 * n, "rsd": lambda n, width: 8 * n,
        "sc": lambda n, width: 128 * n}  # fmt: skip


@pytest.mark.parametrize(("dtype", "chunk", "chunks"), [("float16", 96, 1), ("float32", 8, 12), ("float64", 80, 2)])
@pytest.mark.parametrize("method", WORK)
def test_the_work_of_methods(method, dtype, chunk, chunks):
    """Head and chunks, 2¹⁷ each; 2 a decoded byte; and what the method takes."""
    x = np.random.default_rng(0).normal(size=96).astype(dtype)
    chunk, chunks = (96, 1) if method == "sc" else (chunk, chunks)
    work, nbytes = work_of(gcz.record("", x, method, 0.5, chunk=chunk))
    assert nbytes == 96 * x.itemsize
    assert work == WORK[method](96, x.itemsize) + 2 * nbytes + 131_072 * (1 + chunks)


def test_the_work_of_an_empty_tensor_is_that_of_its_head():
    assert work_of(gcz.record("", np.zeros((0, 3)), "lossless")) == (131_072, 0)


def test_records_of_a_file_add_up(tmp_path):
    """48 bytes, wherever they are decoded together."""
    records = [gcz.record(name, np.arange(3.0), "lossless") for name in "ab"]
    path = tmp_path / "x.gcz"
    path.write_bytes(gcz.container(*records))
    for limit, code in ((48, 0), (47, 5)):
        assert call_cli("decode", path, "-f", "-o", tmp_path / "x.npz", "--limit", limit)[0] == code
        assert call_cli("verify", path, "--limit", limit)[0] == code
        if code:
            with pytest.raises(LimitExceeded, match="'b'"):
                gcodec.load(path, limit=limit)
        else:
            assert len(gcodec.load(path, limit=limit)) == 2
    for limit, least in ((24, True), (23, False)):
        with gcodec.open(path, limit=limit) as archive:
            if least:
                assert archive["b"].tolist() == archive["a"].tolist() == archive.rows("b", 0, 3).tolist()
            else:
                with pytest.raises(LimitExceeded):
                    archive["a"]
    assert streamed(gcz.container(gcz.record("", np.zeros(0), "lossless"))) == "values"


@pytest.mark.parametrize("piece", [1000, 250])
def test_the_work_of_deflate(tmp_path, piece):
    """A byte takes 4, and 28 more in a value that differs from the one before in its piece."""
    x = np.repeat(np.arange(100, dtype=np.float32), 10)
    for deflate, work in ((True, 4 * 4000 + 28 * 4 * (99 - (0 if piece == 1000 else 3))), (False, 0)):
        budget = Budget(length=0)
        with formats.writer(tmp_path / "x.npz", "npz", {"format": "npz", "deflate": deflate}, budget) as writer:
            sink = writer.add("a", x.dtype, x.shape)
            for start in range(0, 1000, piece):
                sink.write(start, x[start : start + piece])
        assert budget.work == work and np.array_equal(np.load(tmp_path / "x.npz")["a"], x)


@pytest.mark.parametrize(("left", "accepted"), [(16_000, True), (15_999, False)])
def test_deflate_is_done_only_when_it_is_paid_for(tmp_path, left, accepted):
    budget = Budget(length=0)
    budget.spend("before", FREE_WORK - left)
    with formats.writer(tmp_path / "x.npz", "npz", {"format": "npz", "deflate": True}, budget) as writer:
        sink = writer.add("a", np.dtype("f4"), (1000,))
        if accepted:
            sink.write(0, np.zeros(1000, np.float32))
        else:
            with pytest.raises(LimitExceeded, match=r"'a\.npy'"):
                sink.write(0, np.zeros(1000, np.float32))
