"""What the contract asks of every compressor of the registry, and what its entry says."""

import ast
import re
from dataclasses import FrozenInstanceError
from io import BytesIO
from pathlib import Path

import checks
import numpy as np
import pytest

import gcodec
from gcodec.compressors import registry
from gcodec.compressors.contract import Check, Compressor, Guarantee, TensorSpec
from gcodec.compressors.guard import ForeignEntry
from gcodec.compressors.plugins import Plugin
from gcodec.container.reader import RandomAccess, Record
from gcodec.dtypes import narrow
from gcodec.pipeline.seeds import record_seed
from gcodec.source import ArraySource

ROOT = Path(__file__).parents[1]
CASES = [case for case in checks.CASES if case[0] != "auto"]
BOUNDED = [case for case in CASES if case[1] != "exact"]
SEED = 4
X = np.random.default_rng(0).normal(size=(37, 19)).astype(np.float32)
ROOMS = {entry.path.split(".")[2] for entry in registry.ENTRIES}
MOST_OF_BOUND = 16  # times its bound, an unbiased code's distortion stays below


def entry_of(method: str) -> registry.Entry:
    return registry.by_name(method)


def record(method: str, kind: str, bound: float, x: np.ndarray = X) -> Record:
    """The record of an array as a method codes it."""
    asked = {"lossless": True} if kind == "exact" else {kind: bound}
    if kind == "omega":
        asked["seed"] = SEED
    data = gcodec.encode(x, method, **asked)
    return RandomAccess(BytesIO(data), len(data)).record("")


@pytest.mark.parametrize("entry", registry.ENTRIES, ids=lambda entry: entry.name)
def test_the_entry(entry):
    """It is as spec/format.md §5 lists it, and its class has what the contract asks of a class."""
    assert 0 < entry.id < 128 and entry.summary and "\n" not in entry.summary
    assert set(entry.efforts) <= set(registry.EFFORTS)
    kinds = ", ".join(sorted(entry.load().kinds))
    page = (ROOT / "spec" / "format.md").read_text(encoding="utf-8")
    assert re.search(rf"^\| {entry.id} \| {entry.name} \| {kinds} \|", page, re.MULTILINE)
    assert Plugin(entry.name, "gcodec", ForeignEntry(**vars(entry), package="gcodec")).problem == ""
    with pytest.raises(FrozenInstanceError):
        entry.load()().seed = 1


def test_ids_and_names_differ():
    assert len({entry.id for entry in registry.ENTRIES}) == len(registry.ENTRIES)
    assert len({entry.name for entry in registry.ENTRIES} | {"auto"}) == len(registry.ENTRIES) + 1


@pytest.mark.parametrize(("method", "kind", "bound"), CASES)
@pytest.mark.parametrize("x", [X, X[:, 0]], ids=["matrix", "vector"])
def test_an_honest_file_is_verified(method, kind, bound, x):
    if entry_of(method).matrix and x.ndim < 2:
        pytest.skip("it is made for matrices")
    bounds = {"lossless": True} if kind == "exact" else {kind: bound}
    report = gcodec.verify(gcodec.encode(x, method, **bounds), x, trials=20 * (kind == "omega"), threads=1)
    assert not report.failures, report.failures
    (tensor,) = report.tensors
    assert ("unbiased" in {check.name for check in tensor.checks}) == (tensor.header.guarantee.kind == "omega")


@pytest.mark.parametrize(("method", "kind", "bound"), CASES)
def test_the_upper_bound_is_kept(method, kind, bound):
    """A certain one by every payload, one of the mean by the mean over many."""
    found, bits = [], []
    for seed in range(40):
        x = np.random.default_rng(seed).normal(size=24).astype(np.float32).reshape(6, 4)
        coded = record(method, kind, bound, x)
        if coded.header.guarantee.kind != kind:
            continue
        upper = entry_of(method).load().upper_bound(coded.coded())
        if upper is None:
            return
        found.append(upper.bits)
        bits.append(8 * coded.header.body_length)
        assert not upper.certain or bits[-1] <= upper.bits
    assert np.mean(bits) <= np.mean(found)


def test_which_have_an_upper_bound():
    """So that the test above is about something."""
    found = {
        method
        for method, kind, bound in CASES
        if entry_of(method).load().upper_bound(record(method, kind, bound, X[:4, :4]).coded())
    }
    assert found >= {"lossless", "sd", "rsd", "sc"}


@pytest.mark.parametrize(("method", "kind", "bound"), [case for case in CASES if case[1] == "omega"])
def test_encoding_again_with_another_seed(method, kind, bound):
    """Another seed gives other values that keep the promise; the record's seed gives its values."""
    coded, compressor = record(method, kind, bound).coded(), entry_of(method).load()

    def again(seed: int) -> np.ndarray:
        payload = compressor.encode_again(coded, ArraySource(X), seed)
        decode = compressor.decoder(payload.head, coded.spec)
        return narrow(decode(payload.code(0, X.size), 0, X.size), X.dtype).reshape(X.shape)

    first, second = again(record_seed(SEED, "")), again(1)
    decoded = compressor.decoder(coded.payload.head, coded.spec)(coded.payload.code(0, X.size), 0, X.size)
    assert first.tobytes() == narrow(decoded, X.dtype).tobytes() != second.tobytes()
    assert checks.distortion(X, second) <= MOST_OF_BOUND * bound


@pytest.mark.parametrize(("method", "kind", "bound"), BOUNDED)
@pytest.mark.parametrize("size", [1, 30, 5000])
def test_options_of_messages(method, kind, bound, size):
    x = np.random.default_rng(0).normal(size=size).astype(np.float32)
    options = entry_of(method).load().message_options(TensorSpec(x.dtype, x.shape), Guarantee(kind, bound))
    assert set(options) <= set(registry.option_names(method))
    if not entry_of(method).matrix:
        checks.check_promise(x, method, kind, bound, **options)


def test_a_record_as_its_compressor_sees_it():
    x = np.arange(5, dtype=np.float64)
    coded = record("lossless", "exact", 0.0, x).coded()
    assert (coded.spec, coded.guarantee) == (TensorSpec(x.dtype, x.shape), Guarantee("exact"))
    assert coded.spans == [(0, 5)] and coded.payload.expected is None
    decode = registry.EXACT.load().decoder(coded.payload.head, coded.spec)
    assert decode(coded.payload.code(0, 5), 0, 5).tolist() == x.tolist()


def test_the_checks_of_a_compressor_are_reported(monkeypatch):
    """Each of them, with the original and the number of trials that the user gave."""
    asked = []

    def checks_of(coded, original, trials):
        asked.append((coded.payload.code(0, 3) != b"", original, trials))
        yield Check("odd", trials == 0, "as asked")

    monkeypatch.setattr(registry.by_name("rsd").load(), "checks", checks_of)
    x = np.arange(1, 4, dtype=np.float32)
    data = gcodec.encode(x, "rsd", omega=0.1)
    assert gcodec.verify(data).ok and not gcodec.verify(data, x, trials=10).ok
    assert [(read, trials) for read, _, trials in asked] == [(True, 0), (True, 10)]
    assert asked[0][1] is None and asked[1][1].read(0, 3).tolist() == x.tolist()


def test_what_the_contract_gives_by_default():
    """No bound, no check and no option, so a new compressor need not say anything."""
    coded = record("lossless", "exact", 0.0).coded()
    assert Compressor.upper_bound(coded) is None and Compressor.message_options(coded.spec, coded.guarantee) == {}
    assert list(Compressor.checks(coded, None, 0)) == []


OF_CERTAIN_METHODS = {
    ROOT / f"gcodec/experiments/studies/{name}.py"
    for name in ("both_ways", "network", "paper", "sweep", "training", "workers")
}


@pytest.mark.parametrize("room", ["pipeline", "verification", "container", "comparison", "experiments", "cli", "io"])
def test_general_rooms_know_no_method_by_name(room):
    """Only exact storage, which is an option of the user as well, has a name there.

    Some experiments are about certain methods.
    """
    names = {entry.name for entry in registry.ENTRIES} - {registry.EXACT.name}
    for path in sorted({*(ROOT / "gcodec" / room).rglob("*.py")} - OF_CERTAIN_METHODS):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            assert not (isinstance(node, ast.Constant) and node.value in names), f"{path}:{node.lineno}"
            imported = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
            assert not any(f"compressors.{method_room}." in imported for method_room in ROOMS), f"{path}:{node.lineno}"
