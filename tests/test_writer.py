"""`gcodec.Writer`: array by array onto any binary file object.

Its state is known after whatever goes wrong.
"""

import io
import os
import threading
from io import BytesIO

import numpy as np
import pytest
from checks import call_cli

import gcodec
from gcodec.errors import Closed, InvalidInput, NonFinite, Truncated
from gcodec.request.rules import Rules

X = np.random.default_rng(0).normal(size=(60, 40)).astype(np.float32)
POLICY = gcodec.Policy(method="sd", alpha=0.1)


def test_arrays_one_by_one():
    file = BytesIO()
    writer = gcodec.Writer(file, POLICY, threads=1)
    writer.add("w", X)
    writer.add("step", 7)
    writer.close()
    writer.close()
    assert not file.closed
    with gcodec.open(file) as archive:
        assert list(archive) == ["w", "step"] and archive["step"] == 7
        assert archive.header("w").guarantee.bound == 0.1 and archive.header("step").guarantee.kind == "exact"
    with pytest.raises(Closed, match="was closed"):
        writer.add("v", X)
    assert gcodec.verify(file.getvalue(), {"w": X, "step": np.array(7)}).ok


def test_several_arrays_at_once():
    small = {f"bias.{i}": np.full(7, i, np.float32) for i in range(40)}
    file = BytesIO()
    with gcodec.Writer(file, POLICY, threads=2) as writer:
        arrays = [
            ("w", X, None),
            *((name, array, None) for name, array in small.items()),
            ("v@30", X[30:], ("v", X.shape)),
        ]
        headers = list(writer.add_all(arrays))
        assert [header.name for header in headers] == ["w", *small, "v@30"]
        assert headers[0].guarantee.bound == headers[-1].guarantee.bound == 0.1
        with pytest.raises(InvalidInput, match="two tensors have the name 'a'"):
            list(writer.add_all([("a", X, None), ("a", X, None)]))
        with pytest.raises(InvalidInput, match="two tensors have the name 'bias.3'"):
            list(writer.add_all([("bias.3", X, None)]))
        with pytest.raises(NonFinite, match="bad"):
            list(writer.add_all([("good", X, None), ("bad", X * np.nan, None)]))
        writer.add("last", 7)
    data = file.getvalue()
    assert data.count(b"JOIN") == 1
    found = gcodec.load(BytesIO(data))
    assert {"w", *small, "v@30", "good", "last"} <= set(found)
    assert all((found[name] == array).all() for name, array in small.items())
    with pytest.raises(Closed):
        list(writer.add_all([]))


def test_each_choice_is_made_in_the_order_of_the_arrays(monkeypatch):
    """A role may rest on the arrays before, so no thread asks for one out of turn."""
    asked = []

    def choice(rules, name, source):
        asked.append((name, threading.current_thread() is threading.main_thread()))
        return Rules._choice(rules, name, source)

    monkeypatch.setattr(Rules, "_choice", Rules.choice, raising=False)
    monkeypatch.setattr(Rules, "choice", choice)
    arrays = [(str(i), np.full((40, 40), i + 1, np.float32), None) for i in range(20)]
    with gcodec.Writer(BytesIO(), gcodec.Policy(alpha=0.1), threads=4) as writer:
        assert len(list(writer.add_all(arrays))) == 20
    assert asked == [(str(i), True) for i in range(20)]


def test_no_array_is_a_container_too():
    file = BytesIO()
    with gcodec.Writer(file, POLICY):
        pass
    file.seek(0)
    assert gcodec.load(file) == {}


@pytest.mark.parametrize("buffering", [0, -1])
def test_onto_a_pipe(buffering):
    """…which cannot seek, and of which a raw file takes only a part of a large record at a time."""
    reader, writer = os.pipe()
    found: dict[str, np.ndarray] = {}
    big = np.random.default_rng(1).integers(0, 2**62, 300_000)

    def read():
        with open(reader, "rb") as file:
            found.update(gcodec.load(file))

    thread = threading.Thread(target=read)
    thread.start()
    with open(writer, "wb", buffering=buffering) as file, gcodec.Writer(file, gcodec.Policy(lossless=True)) as out:
        out.add("big", big)
        out.add("w", X)
    thread.join(60)
    assert np.array_equal(found["big"], big) and np.array_equal(found["w"], X)


class Piecewise(io.RawIOBase):
    """A raw file that takes at most 7 bytes at a time."""

    def __init__(self):
        self.data = b""

    def writable(self):
        return True

    def write(self, data):
        self.data += bytes(data[:7])
        return len(data[:7])


def test_a_file_that_takes_a_few_bytes_at_a_time():
    file, whole = Piecewise(), BytesIO()
    for target in (file, whole):
        with gcodec.Writer(target, POLICY) as writer:
            writer.add("w", X)
    assert file.data == whole.getvalue()


@pytest.mark.parametrize("answer", [None, 0])
def test_a_file_that_takes_nothing(answer):
    file = Piecewise()
    file.write = lambda data: answer
    with pytest.raises(BlockingIOError):
        gcodec.Writer(file, POLICY)


def test_a_refused_array_leaves_no_trace():
    file, plain = BytesIO(), BytesIO()
    with gcodec.Writer(plain, POLICY) as writer:
        writer.add("w", X)
        writer.add("v", X)
    with gcodec.Writer(file, POLICY) as writer:
        writer.add("w", X)
        for name, array, error in (
            ("nan", np.full((60, 40), np.nan), NonFinite),
            ("text", "text", InvalidInput),
            ("w", X, InvalidInput),
            (3, X, InvalidInput),
            ("n" * 70000, X, InvalidInput),
        ):
            with pytest.raises(error):
                writer.add(name, array)
        writer.add("v", X)
    assert file.getvalue() == plain.getvalue()


class Failing(BytesIO):
    """A file on a disk that is full, or whose writer is stopped, from some byte on."""

    def __init__(self, room, error):
        super().__init__()
        self.room, self.error = room, error

    def write(self, data):
        if self.tell() + len(data) > self.room:
            raise self.error
        return super().write(data)


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("room", [700, 1800])
def test_when_the_file_fails_the_container_is_cut_for_good(room, error):
    file = Failing(room, error)
    writer = gcodec.Writer(file, gcodec.Policy(lossless=True))
    with pytest.raises(type(error)):
        for i in range(9):
            writer.add(f"w{i}", np.random.default_rng(i).integers(0, 255, 500, np.uint8))
    file.room = 1 << 30
    for call in (lambda: writer.add("v", X), writer.close):
        with pytest.raises(Closed, match="an earlier write to the container's file failed"):
            call()
    file.seek(0)
    with pytest.raises(Truncated):
        gcodec.load(file)


def test_a_block_that_ends_by_an_error_leaves_the_container_cut(tmp_path):
    file = (tmp_path / "x.gcz").open("wb")
    with pytest.raises(ZeroDivisionError), file, gcodec.Writer(file, POLICY) as writer:
        writer.add("w", X)
        writer.add("v", X / (1 // 0))
    with pytest.raises(Closed, match="abandoned"):
        writer.add("v", X)
    with pytest.raises(Truncated):
        gcodec.load(tmp_path / "x.gcz")
    code, _, err = call_cli("decode", tmp_path / "x.gcz", "--salvage", "-o", tmp_path / "x.npz")
    assert code == 3 and "whole are: 'w'" in err
    with np.load(tmp_path / "x.npz") as found:
        assert found.files == ["w"]


def test_the_command_line_decodes_what_a_writer_wrote(tmp_path):
    for name, file in (("w", "many.npz"), ("", "one.npy")):
        with (tmp_path / f"{file}.gcz").open("wb") as target, gcodec.Writer(target, POLICY) as writer:
            writer.add(name, X)
        assert call_cli("decode", tmp_path / f"{file}.gcz")[0] == 0 and (tmp_path / file).exists()


def test_rules_that_matched_nothing_are_named():
    policy = gcodec.Policy(method="sd", alpha=0.1, exact=["*nrom*"], alphas={"w*": 0.5})
    with pytest.warns(UserWarning, match=r"'\*nrom\*' has matched none"), gcodec.Writer(BytesIO(), policy) as writer:
        writer.add("w.norm", X)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: gcodec.Writer("x.gcz", POLICY), "needs a binary file object"),
        (lambda: gcodec.Writer(io.StringIO(), POLICY), "needs a binary file object"),
        (lambda: gcodec.Writer(BytesIO(), {"alpha": 0.1}), "needs a gcodec.Policy"),
        (lambda: gcodec.Writer(BytesIO(), gcodec.Policy()), "needs a choice"),
        (lambda: gcodec.Writer(BytesIO(), gcodec.Policy(alpha=7.0)), "between 0 and 1"),
        (lambda: gcodec.Writer(BytesIO(), gcodec.Policy(alpha=0.1, scope="file")), "use gcodec.save"),
        (lambda: gcodec.Writer(BytesIO(), POLICY, threads=0), "number of threads"),
    ],
)
def test_writers_that_cannot_be(make, words):
    with pytest.raises(InvalidInput, match=words):
        make()
