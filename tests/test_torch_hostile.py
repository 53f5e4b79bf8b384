"""Files of torch.save that were made to harm: each is refused by one clear sentence, quickly."""

import io
import pickle
import struct
import time
import zipfile

import numpy as np
import pytest
import torch_files as made

from gcodec.container.budget import Budget
from gcodec.errors import InvalidInput, LimitExceeded
from gcodec.io.places import free
from gcodec.io.torch_file import machine, names
from gcodec.io.torch_file.machine import load
from gcodec.io.torch_file.names import tensors_in
from gcodec.io.torch_file.survey import survey

DATA = np.arange(16, dtype=np.float32).tobytes()


def look(data: bytes, pay=free):
    file = io.BytesIO(data)
    with Named(file) as named:
        return survey(named, len(data), "x.pt", pay)


class Named:
    """Bytes as a file that has a descriptor, as those of the reader have."""

    def __init__(self, data):
        import tempfile

        self.file = tempfile.NamedTemporaryFile()  # noqa: SIM115 (closed by __exit__)
        self.file.write(data.getvalue())
        self.file.flush()

    def __enter__(self):
        return self.file

    def __exit__(self, *_):
        self.file.close()


def refused(data: bytes, words: str):
    start = time.perf_counter()
    with pytest.raises(InvalidInput) as caught:
        look(data)
    assert words in str(caught.value) and "x.pt" in str(caught.value)
    assert any(remedy in str(caught.value) for remedy in ("again", "save "))
    assert len(str(caught.value)) < 500
    assert time.perf_counter() - start < 5


@pytest.mark.parametrize("call", [
    ("os", "system"), ("posix", "system"), ("builtins", "eval"), ("builtins", "getattr"), ("torch", "load"), ("torch", "hub.load"),
    ("torch._utils", "_rebuild_qtensor"), ("torch._utils", "_rebuild_sparse_tensor"), ("torch", "QInt8Storage"),
    ("numpy._core.multiarray", "scalar"), ("collections", "defaultdict"), ("torch.serialization", "_get_layout"),
    ("torch", "floatStorage"), ("gcodec.io.torch_file.kinds", "known"), ("torch.storage", "float32"),
])  # fmt: skip
def test_what_is_not_known_is_refused_by_its_name(call):
    for steps in (made.name(*call), made.text(call[0]) + made.text(call[1]) + b"\x93"):
        refused(made.archive(made.mapping(a=steps + b"(" + made.text("echo") + b"tR")), f"{call[0]}.{call[1]}")


def test_nothing_is_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "made"), "w"))

    refused(made.archive(pickle.dumps({"a": Evil()}, 2)[2:-1]), "io.open, which gcodec never runs")
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(("steps", "words"), [
    (b"", "no sound pickle"),
    (b"0", "no sound pickle"),
    (b"(", "a mark stands where a value should"),
    (b"K\x01K\x02", "values are left over"),
    (b"(K\x01\x80\x02}u", "no sound pickle"),
    (b"}(K\x01u", "a key has no value"),
    (b"]K\x01e", "a mark is missing"),
    (b"K\x01K\x02a", "what is no list"),
    (b"K\x01(K\x01K\x02u", "what is no dictionary"),
    (b"K\x01)R", "called that is no function"),
    (made.name("torch", "Tensor") + b")R", "is no function"),
    (made.name("torch._utils", "_rebuild_tensor_v2") + b")R", "no sound pickle"),
    (made.name("collections", "OrderedDict") + b"(K\x01tR", "has no pairs"),
    (made.name("collections", "OrderedDict") + b"(](K\x01K\x02etR", "not made of pairs"),
    (made.name("torch._tensor", "_rebuild_from_type_v2") + b"(K\x01K\x02)NtR", "by what is no function"),
    (b"h\x05", "no sound pickle"),
    (b"]]\x93", "no sound pickle"),
    (b"K\x01r\xff\xff\xff\x7f", "numbers its values in jumps"),
    (b"\x8d" + (1 << 62).to_bytes(8, "little"), "no sound pickle"),
    (b"X\xff\xff\xff\x7fab", "no sound pickle"),
    (b"\x82\x01", "a step EXT1"),
    (b"(cos\nsystem\no", "os.system"),
    (b"(S'a'\nios\nsystem\n", "a step INST"),
    (b"\x97", "a step NEXT_BUFFER"),
    (b"Pabc\n", "a step PERSID"),
    (b"}" + made.name("torch", "Size") + b"\x81", "a step NEWOBJ"),
    (b"(K\x01tQ", "no sound pickle"),
    (made.storage("0", "Tensor", 1).replace(b"ctorch\nTensor\n", b"ctorch\nSize\n"), "not that of a storage"),
    (made.storage("0", "FloatStorage", -1), "no key or no size"),
    (b"I" + b"9" * 5000 + b"\n", "no sound pickle"),
])  # fmt: skip
def test_pickles_that_are_not_sound(steps, words):
    refused(made.archive(steps, DATA), words)


@pytest.mark.parametrize(("step", "words"), [
    (made.tensor("0", 16, (17,), (1,)), "beyond the end of its storage"),
    (made.tensor("0", 16, (4, 4), (1 << 60, 1)), "beyond the end of its storage"),
    (made.tensor("0", 16, (1,), (1,), 16), "beyond the end of its storage"),
    (made.tensor("0", 16, (-1,), (1,)), "has no storage, offset, shape or strides"),
    (made.tensor("0", 16, (4,), (-1,)), "has no storage, offset, shape or strides"),
    (made.tensor("0", 16, (4,), (1,), -1), "has no storage, offset, shape or strides"),
    (made.tensor("0", 16, (4,), (1, 1)), "not as many strides as axes"),
    (made.tensor("0", 16, (1,) * 65, (1,) * 65), "too many"),
    (made.tensor("0", 17, (17,), (1,)), "of 'a' should have 68 bytes, and has 64; fetch"),
    (made.tensor("0", 1 << 40, (1 << 40,), (1,)), "should have 4398046511104 bytes, and has 64"),
    (made.tensor("1", 16, (16,), (1,)), "the storage of 'a' is missing"),
    (made.tensor("../data.pkl", 16, (16,), (1,)), "missing"),
])  # fmt: skip
def test_tensors_that_lie_elsewhere(step, words):
    refused(made.archive(made.mapping(a=step), DATA), words)


def test_repeated_values_take_nothing():
    """A view that repeats one value 2⁴⁰ times is kept, never made."""
    found = look(made.archive(made.mapping(a=made.tensor("0", 16, (1 << 20, 1 << 20), (0, 0))), DATA))
    assert found.places == [] and found.kept == 1


def test_nested_values_are_bounded():
    deep = b"]" * 200 + b"a" * 199
    refused(made.archive(deep), "nested deeper than 100")
    doubled = (
        b"]q\x00"
        + b"".join(b"](h" + bytes([i]) + b"h" + bytes([i]) + b"eq" + bytes([i + 1]) for i in range(60))
        + b"\x85"
    )
    refused(made.archive(b"(" + doubled + b"l"), "again and again")
    refused(made.archive(b"]q\x00h\x00a"), "a dictionary or list in it holds itself; save its tensors")
    refused(made.archive(b"}q\x00X\x01\0\0\0ah\x00s"), "holds itself")
    refused(made.archive(made.tensor("1", 16, (16,), (1,)), DATA), "of the only tensor is missing")


def test_steps_and_letters_are_bounded(monkeypatch):
    monkeypatch.setattr(machine, "MAX_STEPS", 1000)
    assert load(io.BytesIO(b"](" + b"N" * 996 + b"e."), "x", free) == [None] * 996
    with pytest.raises(InvalidInput, match="x: the pickle has more than 1,000 steps"):
        load(io.BytesIO(b"](" + b"N" * 997 + b"e."), "x", free)
    monkeypatch.setattr(names, "MAX_LETTERS", 10)
    assert tensors_in([None] * 10, 11)[1] == 10
    with pytest.raises(InvalidInput, match="very long names"):
        tensors_in([None] * 11, 12)


def test_a_pair_of_lists_is_not_copied():
    """Dictionaries of one list of pairs share it, else a short pickle would take much memory."""
    pairs = b"](" + (b"K\x01K\x02\x86" * 2000) + b"eq\x00"
    calls = (made.name("collections", "OrderedDict") + b"(h\x00tR") * 2000
    made_of = load(io.BytesIO(b"](" + pairs + calls + b"e."), "x", free)
    assert all(item.items is made_of[0] for item in made_of[1:])


def test_the_budget_pays_for_steps_and_members():
    file = made.archive(b"](" + b"N" * 400_000 + b"e")
    budget = Budget(length=len(file) // 100)  # as if the frame had been packed
    with pytest.raises(LimitExceeded):
        look(file, lambda work, nbytes: budget.spend("x", work, nbytes))
    many = made.archive(made.mapping(a=b"N"), *[b""] * 3000)
    budget = Budget(limit=1000)
    with pytest.raises(LimitExceeded):
        look(many, lambda work, nbytes: budget.spend("x", work, nbytes))


def changed(data: bytes, at: int, value: bytes) -> bytes:
    return data[:at] + value + data[at + len(value) :]


def test_archives_that_are_not_sound():
    whole = made.archive(made.mapping(a=made.tensor("0", 16, (16,), (1,))), DATA)
    assert len(look(whole).places) == 1
    directory, end = whole.index(b"PK\x01\x02"), len(whole) - 22
    second = whole.rindex(b"PK\x01\x02")
    refused(made.archive(made.mapping(a=b"N"), bytes(1 << 20), method=zipfile.ZIP_DEFLATED), "is packed or encrypted")
    for cut in (1, 30, len(whole) // 2):
        refused(whole[:-cut], "was cut")
    refused(whole + b"PK\x03\x04", "does not end in a directory")
    refused(changed(whole, end + 10, b"\xff\x7f"), "directory lies beyond")
    several = made.archive(made.mapping(a=b"N"), *[DATA] * 9)
    refused(changed(several, len(several) - 12, b"\x0b\x00"), "directory is cut")
    refused(changed(whole, end + 16, b"\xf0\xff\xff\x7f"), "directory lies beyond")
    refused(changed(whole, end + 16, b"\xff\xff\xff\xff"), "long directory is not where")
    refused(changed(whole, second + 8, b"\x01"), "packed or encrypted")
    scripted = whole.replace(b"archive/data/0", b"archive/code/0")
    refused(changed(scripted, second + 8, b"\x01"), "is a TorchScript archive, which holds code; save its state_dict()")
    refused(changed(whole, second + 20, struct.pack("<II", 1 << 20, 1 << 20)), "beyond the end")
    refused(changed(whole, second + 42, struct.pack("<I", 0)), "overlaps")
    refused(changed(whole, second + 42, struct.pack("<I", end)), "begins behind")
    refused(changed(whole, second + 42, struct.pack("<I", directory - 40)), "lies beyond")
    refused(whole.replace(b"archive/data/0", b"archive/data.p"), "missing")
    refused(whole.replace(b"archive/data/0", b"archive/../d/0"), 'has a component ".."')
    refused(whole.replace(b"data.pkl", b"data.pkx"), "has no data.pkl")
    twice = made.archive(made.mapping(a=b"N"), DATA, DATA).replace(b"archive/data/1", b"archive/data/0")
    refused(twice, "two members have one name")
    script = made.archive(made.mapping(a=b"N"), DATA).replace(b"data/0", b"xxxxxx")
    assert look(script).places == []


def test_legacy_files_that_are_not_sound():
    steps = made.mapping(a=made.tensor("0", 16, (16,), (1,)))
    whole = made.legacy(steps, (16, DATA))
    assert len(look(whole).places) == 1
    refused(whole[:-1], "was cut")
    refused(made.legacy(steps, (1 << 60, DATA)), "was cut")
    refused(made.legacy(steps, (15, DATA)), "should have 64 bytes, and has 60")
    refused(made.legacy(steps, (16, DATA), (16, DATA)), "a storage that is not there")
    refused(made.legacy(steps), "missing")
    refused(whole.replace(pickle.dumps(1001, 2), pickle.dumps(1002, 2), 1), "unknown version")


def test_damage_gives_errors_of_ours():
    """Files with changed, lost and doubled bytes; long directories, too."""
    steps = made.mapping(
        a=made.tensor("0", 16, (4, 4), (4, 1)), b=b"](K\x01" + made.tensor("1", 16, (4, 4), (1, 4)) + b"e",
        c=made.tensor("0", 16, (4, 4), (4, 1)), d=made.name("collections", "OrderedDict") + b")R",
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(zipfile, "ZIP64_LIMIT", 10)
        files = [made.archive(steps, DATA, DATA)]
    files += [made.archive(steps, DATA, DATA), made.legacy(steps, (16, DATA), (16, DATA))]
    for file in files:
        found = look(file)
        assert [place.name for place in found.places] == ["a", "b.1"] and found.tied == {"c": "a"}
    rng, refusals = np.random.default_rng(1), 0
    for _ in range(1500):
        data = bytearray(files[rng.integers(len(files))])
        at = int(rng.integers(len(data)))
        match rng.integers(4):
            case 0 | 1:
                data[at] = rng.integers(256)
            case 2:
                data[at : at + 4] = rng.choice([b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f"])
            case 3:
                data[at : at + 9] = data[max(at - 20, 0) : at]
        try:
            look(bytes(data))
        except InvalidInput:
            refusals += 1
    assert 1000 < refusals < 1500
