"""The part of a stream that was cut: what it keeps, and what may follow."""

import io

import numpy as np
import pytest
from checks import NIGHTLY, names_in

import gcodec
from gcodec.container.resume import Part, left_out, mark_of, original_crc
from gcodec.errors import Corrupt, FormatError, GcodecError, InvalidInput, Truncated
from gcodec.pipeline.convert import encode_tensors
from gcodec.request.policy import Policy
from gcodec.request.rules import Rules
from gcodec.source import ArraySource

RNG = np.random.default_rng(0)
TENSORS = {
    "a": RNG.normal(size=(40, 30)).astype(np.float32), "none": np.empty((0, 3)), "ids": np.arange(50),
    "b": RNG.normal(size=(9, 300)), "zeros": np.zeros((64, 64)), "half": RNG.normal(size=2000).astype(np.float16),
}  # fmt: skip
SOURCES = [(name, ArraySource(array)) for name, array in TENSORS.items()]


def sent(mark: str | None = None, sources=SOURCES, **more) -> bytes:
    """A stream of these tensors, or of those that come after what arrived."""
    file, meta = io.BytesIO(), {"names": [name for name, _ in sources], **more}
    if mark is not None:
        meta["after"], sources = mark, sources[left_out(sources, mark) :]
    chooser = Rules(Policy(method="sd", alpha=1e-2), 1).choice
    list(encode_tensors(sources, meta, file, chooser, 1, originals=True))
    return file.getvalue()


def received(file: io.BytesIO, data: bytes) -> Part:
    """The part after some bytes more, or after a cut."""
    part = Part(file)
    try:
        part.receive(io.BytesIO(data))
    except Truncated:
        assert not part.whole
    return part


WHOLE = sent()


@pytest.mark.parametrize("cut", range(0, len(WHOLE), 1 if NIGHTLY else 61))
def test_a_cut_anywhere(cut):
    """The part and what comes after it are the container that a whole stream is."""
    file = io.BytesIO()
    part = received(file, WHOLE[:cut])
    arrived = names_in(WHOLE[:cut]) if cut >= 16 else []
    assert part.names == arrived and Part(io.BytesIO(file.getvalue())).names == arrived
    rest = sent(part.mark if arrived else None)
    assert names_in(rest) == list(TENSORS)[len(arrived) :]
    part = received(file, rest)
    assert part.whole and file.getvalue() == WHOLE


@pytest.mark.parametrize("seed", range(40 if NIGHTLY else 8))
def test_many_cuts(seed):
    rng, file, total, part = np.random.default_rng(seed), io.BytesIO(), 0, None
    while part is None or not part.whole:
        data = sent(part.mark if part is not None and part.names else None)
        before = 0 if part is None else len(part.names)
        part = received(file, data[: int(rng.integers(len(data) * 2))])
        total += len(part.names) - before
    assert total == len(TENSORS) and file.getvalue() == WHOLE
    back = gcodec.load(io.BytesIO(file.getvalue()))
    for name, x in TENSORS.items():
        assert ((back[name].astype(float) - x) ** 2).sum() <= 1e-2 * (x.astype(float) ** 2).sum()


def test_marks_know_names_order_and_values():
    known = [(name, original_crc(source)) for name, source in SOURCES]
    marks = {mark_of(known), mark_of(known[::-1]), mark_of([("x", crc) for _, crc in known]), mark_of(known[:-1])}
    assert len(marks) == 4 and mark_of([]) == "0-00000000"
    assert mark_of([("a", 1), ("b", 2)]) == "2-1c4f97c5"  # as spec/format.md has it
    assert left_out(SOURCES, mark_of(known[:3])) == 3
    changed = [("a", ArraySource(np.nextafter(TENSORS["a"], 9)[:])), *SOURCES[1:]]
    for sources, mark, words in (
        (changed, mark_of(known[:3]), "are not those that arrived; it changed since"),
        (SOURCES[:2], mark_of(known[:3]), "has 2 records, so it is not what was sent"),
        (SOURCES, "3-3fa91c0", "is no mark such as"),
        (SOURCES, "", "is no mark such as"),
    ):
        with pytest.raises(InvalidInput, match=words):
            left_out(sources, mark)


def test_streams_that_do_not_go_on_where_the_part_ends():
    file = io.BytesIO()
    part = received(file, WHOLE[: len(WHOLE) // 2])
    before, count = file.getvalue(), len(part.names)
    assert count > 1
    for data, words in (
        (WHOLE, f"repeat both commands, its with --skip {part.mark}"),
        (sent(mark_of([(name, original_crc(source)) for name, source in SOURCES[:1]])), f"--skip {part.mark}"),
        (sent(other=1), "another stream comes than the one whose part was kept"),
    ):
        with pytest.raises(InvalidInput, match=words):
            Part(file).receive(io.BytesIO(data))
        assert file.getvalue() == before
    with pytest.raises(InvalidInput, match="leaves out what nothing here has"):
        Part(io.BytesIO()).receive(io.BytesIO(sent(part.mark)))
    twice = sent(part.mark).replace(b"half", b"a\x00\x00\x00")[:-40]
    with pytest.raises(FormatError):
        Part(file).receive(io.BytesIO(twice))


def test_a_record_that_comes_twice():
    file = io.BytesIO()
    mark = received(file, WHOLE[: len(WHOLE) // 2]).mark
    again, meta = io.BytesIO(), {"names": list(TENSORS), "after": mark}
    list(encode_tensors(SOURCES[:1], meta, again, Rules(Policy(method="sd", alpha=1e-2), 1).choice, 1))
    with pytest.raises(Corrupt, match="the record 'a' comes a second time"):
        Part(file).receive(io.BytesIO(again.getvalue()))


def test_damage_on_the_way_and_in_the_part():
    file, data = io.BytesIO(), bytearray(WHOLE)
    data[len(data) // 2] ^= 8
    with pytest.raises(FormatError):
        Part(file).receive(io.BytesIO(data))
    part = Part(file)
    arrived = part.names
    assert 0 < len(arrived) < len(TENSORS) and received(file, sent(part.mark)).whole
    assert file.getvalue() == WHOLE
    kept = bytearray(WHOLE[: len(WHOLE) // 2])
    kept[300] ^= 8
    with pytest.raises(FormatError):
        Part(io.BytesIO(kept))


@pytest.mark.parametrize("seed", range(300 if NIGHTLY else 40))
def test_damage_anywhere(seed):
    """A damaged stream leaves a part that another one completes; a damaged part is refused."""
    rng, file, data = np.random.default_rng(seed), io.BytesIO(), bytearray(WHOLE)
    data[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
    try:
        Part(file).receive(io.BytesIO(data))
    except GcodecError:
        part = Part(file)
        assert received(file, sent(part.mark if part.names else None)).whole
    loaded = gcodec.load(io.BytesIO(file.getvalue()))
    assert list(loaded) == list(TENSORS)
    try:
        names = Part(io.BytesIO(data[: int(rng.integers(16, len(data)))])).names
    except GcodecError:
        return
    assert names == list(TENSORS)[: len(names)]
