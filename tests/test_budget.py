"""What coded bytes pay for.

Files that ask for more are refused, and gcodec warns when it writes one.
"""

import warnings
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from checks import call_cli
from fuzz.hostile import all_zero_bitmap, base, zeros
from vectors import gcz

import gcodec
from gcodec.compressors import registry
from gcodec.container.budget import FREE_BYTES, FREE_WORK, Budget
from gcodec.container.reader import Stream
from gcodec.errors import LimitExceeded, Truncated
from gcodec.pipeline.archive import Archive, read_tensor

SPARSE = np.eye(1, 26 << 20, 5, dtype=np.float32)[0]  # 104 MiB, of which one value is not 0


def record_of(data: bytes):
    return Archive(BytesIO(data)).record("")


def sparse(method: str) -> bytes:
    with pytest.warns(UserWarning, match=f"limit of {SPARSE.nbytes} "):
        return gcodec.encode(SPARSE, method)


def test_more_than_the_bytes_pay_for_needs_a_limit():
    data = sparse("sd")
    with pytest.raises(LimitExceeded, match=f"--limit {SPARSE.nbytes},"):
        gcodec.decode(data)
    assert np.allclose(gcodec.decode(data, limit=SPARSE.nbytes), SPARSE)
    with pytest.raises(LimitExceeded):
        gcodec.decode(data, limit=SPARSE.nbytes - 1)


def test_auto_takes_what_a_reader_accepts():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = gcodec.encode(SPARSE, effort="fast")
    assert len(data) < 10_000
    assert np.allclose(gcodec.decode(data), SPARSE)


def test_tensors_of_a_file_add_up(tmp_path):
    half = SPARSE[: FREE_BYTES // 5]
    path = tmp_path / "x.gcz"
    with pytest.warns(UserWarning, match="limit of"):
        gcodec.save(path, {"a": half, "b": half}, "sd")
    with pytest.raises(LimitExceeded, match="'b'"):
        gcodec.load(path)
    assert set(gcodec.load(path, limit=2 * half.nbytes)) == {"a", "b"}
    with gcodec.open(path) as archive:  # one at a time is little enough
        assert np.allclose(archive["b"], half) and np.allclose(archive.rows("b", 3, 9), half[3:9])
    with pytest.raises(LimitExceeded):
        gcodec.verify(path)
    code, _, err = call_cli("decode", path, "-o", tmp_path / "x.npz")
    assert code == 5 and "--limit" in err and not (tmp_path / "x.npz").exists()
    assert call_cli("decode", path, "-o", tmp_path / "x.npz", "--limit", 2 * half.nbytes)[0] == 0


def test_other_records_pay_too(tmp_path):
    """Wherever they are in a file; in a stream, those before."""
    dense = np.random.default_rng(0).normal(size=1 << 16)
    for names in ("dense", "thin"), ("thin", "dense"):
        tensors = {name: {"dense": dense, "thin": SPARSE}[name] for name in names}
        gcodec.save(tmp_path / "x.gcz", tensors, "sd", alpha=1e-3)
        assert np.allclose(gcodec.load(tmp_path / "x.gcz")["thin"], SPARSE)
        pipe = Pipe((tmp_path / "x.gcz").read_bytes())
        if names[0] == "dense":
            assert np.allclose(read_all(pipe)["thin"], SPARSE)
        else:
            with pytest.raises(LimitExceeded):
                read_all(pipe)


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
    bounds = {"exact": {"lossless": True}, "alpha": {"alpha": 0.99}, "omega": {"omega": 100.0}}[kind]
    assert gcodec.decode(gcodec.encode(x, entry.name, **bounds)).shape == x.shape


def test_the_command_warns(tmp_path):
    np.save(tmp_path / "x.npy", SPARSE)
    with pytest.warns(UserWarning, match="--limit"):
        assert call_cli("encode", tmp_path / "x.npy", "--method", "sd")[0] == 0
