"""What coded bytes pay for.

Files that ask for more are refused, and gcodec writes none.
"""

from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from checks import call_cli, run_cli
from fuzz.hostile import all_zero_bitmap, base, zeros
from vectors import gcz

import gcodec
from gcodec.compressors import registry
from gcodec.container.budget import BYTES_PER_BYTE, FREE_BYTES, FREE_WORK, WORK_PER_BYTE, Budget
from gcodec.container.reader import Stream
from gcodec.errors import LimitExceeded, Truncated
from gcodec.pipeline.archive import Archive, read_tensor

SPARSE = np.eye(1, 26 << 20, 5, dtype=np.float32)[0]  # 104 MiB, of which one value is not 0


def record_of(data: bytes):
    return Archive(BytesIO(data)).record("")


def sparse_and_unpaid() -> bytes:
    """What another writer might make of it: the same records without the zeros that pay."""
    return gcz.container(*(block for block in gcz.split(gcodec.encode(SPARSE, "sd")) if not is_fill(block)))


def is_fill(block) -> bool:
    return not isinstance(block, gcz.Record) and block[:4] == b"fill"


def test_more_than_the_bytes_pay_for_needs_a_limit():
    data = sparse_and_unpaid()
    with pytest.raises(LimitExceeded, match=f"--limit {SPARSE.nbytes},"):
        gcodec.decode(data)
    assert np.allclose(gcodec.decode(data, limit=SPARSE.nbytes), SPARSE)
    with pytest.raises(LimitExceeded):
        gcodec.decode(data, limit=SPARSE.nbytes - 1)


@pytest.mark.parametrize("method", ["sd", "lossless"])
def test_what_is_encoded_is_decoded(tmp_path, method):
    """Of a file, of one tensor, and of a stream; a tensor pays for its zeros, and for no more."""
    tensors = {"thin": SPARSE, "noise": noise(1 << 12), "none": np.zeros(17 << 20, np.float32), "last": noise(99)}
    path = tmp_path / "x.gcz"
    guarantee = {"lossless": True} if method == "lossless" else {"alpha": 1e-3}
    gcodec.save(path, tensors, None if method == "lossless" else method, **guarantee)
    data = path.read_bytes()
    unpaid = gcz.container(*(block for block in gcz.split(data) if not is_fill(block)))
    assert len(data) - len(unpaid) <= sum(x.nbytes for x in tensors.values()) / BYTES_PER_BYTE + 200
    found = gcodec.load(path)
    assert all(np.allclose(found[name], x, atol=1e-1) for name, x in tensors.items())
    assert all(np.array_equal(read_all(Pipe(data))[name], found[name]) for name in tensors)
    for name in tensors:
        with gcodec.open(path) as archive:
            assert archive[name].shape == tensors[name].shape
        budget = Budget()
        record = next(record for record in Stream(Pipe(data)) if record.header.name == name)
        assert read_tensor(record, 1, budget).shape == tensors[name].shape  # alone, of a stream
    if method == "sd":  # lossless has long frames, which pay by themselves
        with pytest.raises(LimitExceeded):
            read_all(Pipe(unpaid))
    assert gcodec.verify(path).ok


def noise(size: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=size).astype(np.float32)


def test_what_is_encoded_is_written_to_its_own_format(tmp_path):
    """Packing zeros takes time, which is paid for too."""
    np.savez_compressed(tmp_path / "x.npz", zeros=np.zeros(80 << 20, np.float32), pattern=np.tile([0, 1.0], 10 << 20))
    assert call_cli("encode", tmp_path / "x.npz", "--lossless")[0] == 0
    for source, options in ((tmp_path / "x.npz.gcz", None), ("-", (tmp_path / "x.npz.gcz").read_bytes())):
        code, _, err = run_cli("decode", source, "-f", "-o", tmp_path / "y.npz", stdin=options)
        assert code == 0, err


def test_auto_takes_what_needs_the_fewest_bytes_in_all():
    data = gcodec.encode(SPARSE, effort="fast")
    assert len(data) < 10_000 and np.allclose(gcodec.decode(data), SPARSE)


@pytest.mark.parametrize("ask", [dict(decoded=FREE_BYTES + 1), dict(decoded=FREE_BYTES + 5 * BYTES_PER_BYTE),
                                 dict(work=FREE_WORK + 1), dict(work=FREE_WORK + 9 * WORK_PER_BYTE), {}])  # fmt: skip
def test_what_is_lacking(ask):
    budget = Budget(**ask)
    lacking = budget.lacking
    assert (lacking > 0) == budget.exceeded == bool(ask)
    budget.receive(lacking - 1)
    assert budget.exceeded == bool(ask)
    budget.receive(1)
    assert not budget.exceeded and budget.lacking == 0


def test_other_records_pay_too(tmp_path):
    """Wherever they are in a file; in a stream, those before."""
    dense = np.random.default_rng(0).normal(size=1 << 16)
    for names in ("dense", "thin"), ("thin", "dense"):
        tensors = {name: {"dense": dense, "thin": SPARSE}[name] for name in names}
        gcodec.save(tmp_path / "x.gcz", tensors, "sd", alpha=1e-3)
        blocks = list(gcz.split((tmp_path / "x.gcz").read_bytes()))
        assert any(map(is_fill, blocks)) == (names[0] == "thin")
        unpaid = gcz.container(*(block for block in blocks if not is_fill(block)))
        assert np.allclose(gcodec.load(BytesIO(unpaid))["thin"], SPARSE)
        if names[0] == "dense":
            assert np.allclose(read_all(Pipe(unpaid))["thin"], SPARSE)
        else:
            with pytest.raises(LimitExceeded):
                read_all(Pipe(unpaid))


class Pipe(BytesIO):
    def seekable(self) -> bool:
        return False


def read_all(file: BytesIO) -> dict[str, np.ndarray]:
    budget = Budget.of(file, None)
    return {record.header.name: read_tensor(record, 1, budget) for record in Stream(file)}


def test_what_is_only_declared_pays_for_nothing():
    """A body that is as long as the format allows, of which the end is missing."""
    record = zeros("sd", base().head, all_zero_bitmap(), 20)
    data = gcz.container(record.holding(chunks=[*record.chunks[:-1], bytes(1 << 25)]))[: -(1 << 25)]
    for file in BytesIO(data), Pipe(data):
        with pytest.raises((LimitExceeded, Truncated)):
            read_all(file)


def test_work_counts():
    """A record may have few decoded bytes and take long."""
    header = record_of(gcodec.encode(np.ones(9, np.float32), "tcq")).header
    budget = Budget(length=1000)
    budget.add(header, FREE_WORK >> 1)
    budget.check("a")
    budget.add(header, FREE_WORK >> 1)
    with pytest.raises(LimitExceeded, match=f"'b'.* s of work .*--limit {budget.needed},"):
        budget.check("b")
    for limit, accepted in ((budget.needed, True), (budget.needed - 1, False)):
        assert replace(budget, limit=limit).exceeded != accepted


@pytest.mark.parametrize("entry", registry.ENTRIES, ids=lambda entry: entry.name)
def test_honest_tensors_are_accepted(entry):
    """At bounds at which hardly anything is left as well."""
    x = np.random.default_rng(1).normal(size=(300, 200)).astype(np.float32)
    kind = entry.load().kinds[0]
    bounds = {"exact": {"lossless": True}, "omega": {"omega": 100.0}}.get(kind, {kind: 0.99})
    assert gcodec.decode(gcodec.encode(x, entry.name, **bounds)).shape == x.shape
