"""Damaged and hostile checkpoints of many ranks: errors of ours, and no code runs."""

import io
import os
import pickle
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
if not torch.distributed.is_available():
    pytest.skip("this torch has no distributed package", allow_module_level=True)

import torch.distributed.checkpoint as dcp  # noqa: E402 (torch may not be there)
from torch.distributed.checkpoint.metadata import ChunkStorageMetadata, Metadata  # noqa: E402

import gcodec  # noqa: E402
from gcodec.errors import Corrupt, FormatError, LimitExceeded  # noqa: E402
from gcodec.integrations import torch_dcp  # noqa: E402
from gcodec.integrations.torch_dcp.metadata import unpickled  # noqa: E402

WEIGHT = torch.randn(40, 60, generator=torch.Generator().manual_seed(0))
pytestmark = pytest.mark.filterwarnings(
    "ignore:torch.distributed is disabled", "ignore:Detected an existing checkpoint"
)


def save(folder: Path, **state) -> None:
    writer = torch_dcp.Writer(folder, gcodec.Policy(method="ecsq", alpha=1e-3), threads=1, sync_files=False)
    dcp.save(state, storage_writer=writer, no_dist=True)


@pytest.fixture
def saved(tmp_path):
    save(tmp_path / "x", w=WEIGHT, v=WEIGHT[:4], step=torch.tensor(3), note={"a": "text"})
    return tmp_path / "x"


def load(folder: Path, **options):
    target = {"w": torch.zeros(40, 60), "v": torch.zeros(4, 60), "step": torch.tensor(0), "note": {"a": ""}}
    dcp.load(target, storage_reader=torch_dcp.Reader(folder, threads=1, **options), no_dist=True)
    return target


def refused(folder: Path, words: str, kind: type[Exception] = FormatError, **options) -> None:
    """Loading fails by an error of ours, which torch has among the failures."""
    with pytest.raises(dcp.CheckpointException) as caught:
        load(folder, **options)
    ((cause, _),) = caught.value.failures.values()
    assert isinstance(cause, kind), cause
    assert words in str(cause)


def edit(folder: Path, change) -> None:
    """Change what `.metadata` says."""
    path = folder / ".metadata"
    found = pickle.loads(path.read_bytes())
    change(found)
    path.write_bytes(pickle.dumps(found))


def set_place(metadata: Metadata, name: str, place: object) -> None:
    (index,) = (index for index in metadata.storage_data if index.fqn == name)
    metadata.storage_data[index] = place


def test_a_file_that_was_cut(saved):
    path = saved / "__0_0.gcz"
    data = path.read_bytes()
    for size in (0, 10, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:size])
        refused(saved, "__0_0.gcz: ")


def test_damage_in_a_file_is_noticed(saved):
    path = saved / "__0_0.gcz"
    data = path.read_bytes()
    for at in np.random.default_rng(0).integers(0, len(data), 20).tolist():
        path.write_bytes(data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :])
        try:
            found = load(saved)
        except dcp.CheckpointException as error:
            ((cause, _),) = error.failures.values()
            assert isinstance(cause, gcodec.errors.GcodecError) and "__0_0.gcz" in str(cause)
        else:  # in bytes that no value depends on
            assert ((found["w"] - WEIGHT) ** 2).sum() <= 1e-3 * (WEIGHT**2).sum()


def test_a_missing_file(saved):
    (saved / "__0_0.gcz").unlink()
    refused(saved, "__0_0.gcz is missing; .metadata says that the checkpoint has it")


def test_a_file_of_another_rank_or_another_save(saved, tmp_path):
    save(tmp_path / "other", other=WEIGHT)
    shutil.copy(tmp_path / "other" / "__0_0.gcz", saved)
    refused(saved, "it is not the file that .metadata speaks of")
    save(tmp_path / "next", w=WEIGHT + 1, v=WEIGHT[:4], step=torch.tensor(3), note={"a": "text"})
    shutil.copy(tmp_path / "next" / "__0_0.gcz", saved)
    refused(saved, "'w' is not the record that .metadata speaks of; another save wrote over it")


def test_a_checkpoint_of_torch_itself(tmp_path):
    state = {"w": WEIGHT, "v": WEIGHT[:4], "step": torch.tensor(3), "note": {"a": "text"}}
    dcp.save(state, storage_writer=dcp.FileSystemWriter(tmp_path / "plain"), no_dist=True)
    refused(tmp_path / "plain", "load it with its FileSystemReader")


@pytest.mark.parametrize("file", ["../x/__0_0.gcz", "/etc/passwd", "", "..", "."])
def test_a_path_that_leads_out_of_the_folder(saved, file):
    edit(saved, lambda metadata: set_place(metadata, "w", (file, "w", 0)))
    refused(saved, "which is no file of the checkpoint's folder")


@pytest.mark.parametrize("place", [None, 7, ("a",), ("__0_0.gcz", "w", "0"), ["__0_0.gcz", "w", 0]])
def test_a_place_of_another_form(saved, place):
    edit(saved, lambda metadata: set_place(metadata, "w", place))
    refused(saved, ".metadata does not say where 'w' is")


def test_shapes_and_bytes_that_do_not_fit(saved):
    def larger(metadata):
        about = metadata.state_dict_metadata["v"]
        about.size = torch.Size((40, 60))
        about.chunks = [ChunkStorageMetadata(torch.Size((0, 0)), torch.Size((40, 60)))]

    path, before = saved / ".metadata", (saved / ".metadata").read_bytes()
    edit(saved, larger)
    target = {"v": torch.zeros(40, 60)}
    with pytest.raises(dcp.CheckpointException, match=r"'v' has the shape \(4, 60\)"):
        dcp.load(target, storage_reader=torch_dcp.Reader(saved), no_dist=True)
    path.write_bytes(before)
    edit(saved, lambda metadata: set_place(metadata, "note.a", (*_place_of(metadata, "note.a")[:4], 1 << 40)))
    refused(saved, "has not the bytes of 'note.a'")


def _place_of(metadata: Metadata, name: str) -> tuple:
    return next(place for index, place in metadata.storage_data.items() if index.fqn == name)


class Evil:
    def __init__(self, command) -> None:
        self.command = command

    def __reduce__(self):
        return self.command


def test_metadata_that_would_run_a_program(saved, tmp_path):
    proof, before = tmp_path / "proof", (saved / ".metadata").read_bytes()
    for command in ((os.system, (f"touch {proof}",)), (exec, (f"open({str(proof)!r}, 'w')",))):
        edit(saved, lambda metadata, command=command: setattr(metadata, "planner_data", Evil(command)))
        refused(saved, "which gcodec does not run")
        (saved / ".metadata").write_bytes(before)
    data = b"\x80\x04c" + b"builtins\ngetattr\n" + b"."
    with pytest.raises(Corrupt, match="builtins.getattr"):
        unpickled(io.BytesIO(data))
    assert not proof.exists()


def test_an_object_that_would_run_a_program(tmp_path):
    proof = tmp_path / "proof"
    save(tmp_path / "x", w=WEIGHT, v=WEIGHT[:4], step=torch.tensor(3), note={"a": Evil((os.mkdir, (str(proof),)))})
    refused(tmp_path / "x", "'note.a' is an object that torch does not load safely")
    assert not proof.exists()
    load(tmp_path / "x", trust=True)
    assert proof.exists()


def test_metadata_of_other_forms():
    for found in (
        None,
        {},
        Metadata({}, storage_data=None),
        Metadata({"w": 3}, storage_data={}),
        Metadata([], None, {}),
    ):
        with pytest.raises(Corrupt, match="does not hold what describes a checkpoint"):
            unpickled(io.BytesIO(pickle.dumps(found)))
    bomb = b"\x80\x04Nr\xff\xff\xff\xff."  # the memo's place 2³² − 1
    with pytest.raises(Corrupt, match="does not hold"):
        unpickled(io.BytesIO(bomb))


def test_damaged_metadata_are_an_error_or_metadata(saved):
    data = (saved / ".metadata").read_bytes()
    rng = np.random.default_rng(1)
    for _ in range(300):
        changed = bytearray(data)
        for at in rng.integers(0, len(data), rng.integers(1, 4)).tolist():
            changed[at] = int(rng.integers(256))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                assert isinstance(unpickled(io.BytesIO(changed)), Metadata)
            except Corrupt:
                pass
    for size in range(0, len(data), 7):
        with pytest.raises(Corrupt):
            unpickled(io.BytesIO(data[:size]))


@pytest.mark.parametrize("trust", [False, True])
def test_missing_and_unreadable_metadata(saved, trust, caplog):
    data = (saved / ".metadata").read_bytes()
    for damaged in (b"", data[: len(data) // 2], b"\xff" + data[1:]):
        (saved / ".metadata").write_bytes(damaged)
        refused(saved, "or take the tensors of each rank from its .gcz by gcodec decode", trust=trust)
    (saved / ".metadata").unlink()
    for folder in (saved, saved / "no"):
        refused(folder, "has no .metadata; it is no checkpoint, or its save did not end", trust=trust)
    assert not any(record.exc_info for record in caplog.records)


def test_the_limit_is_that_of_open(tmp_path):
    zeros = torch.zeros(1 << 22)
    save(tmp_path / "z", z=zeros)
    with pytest.raises(dcp.CheckpointException) as caught:
        dcp.load({"z": zeros}, storage_reader=torch_dcp.Reader(tmp_path / "z", limit=1000), no_dist=True)
    ((cause, _),) = caught.value.failures.values()
    assert isinstance(cause, LimitExceeded) and str(cause).startswith("__0_0.gcz: ")
