"""The vectors of spec/vectors.

Every good file decodes to the bits that its JSON states, and every other is refused by name.
"""

import hashlib
import re
from io import BytesIO

import pytest
from reference_files import reference
from vectors import FOLDER, stated, tensors, vectors

from gcodec.compressors import registry
from gcodec.container.reader import RandomAccess, Stream
from gcodec.errors import GcodecError
from gcodec.pipeline.archive import Archive
from gcodec.pipeline.bases.bases import Bases
from gcodec.pipeline.bases.places import Container

REFUSED = vectors("bad") + vectors("unsupported")
BASED = vectors("based")
EVERY = vectors("good") + REFUSED + BASED


@pytest.mark.parametrize("vector", EVERY + vectors("messages"), ids=str)
def test_files_are_small_and_never_change(vector):
    assert len(vector.data) < 2048
    assert hashlib.sha256(vector.data).hexdigest() == vector.about["sha256"]


@pytest.mark.parametrize("vector", vectors("good"), ids=str)
def test_good(vector):
    assert tensors(vector.data) == stated(vector.about)
    with Archive(BytesIO(vector.data)) as archive:
        assert [archive[name].tobytes() for name in archive] == [values for *_, values in stated(vector.about)]
        assert archive.meta == vector.about.get("meta", {})


@pytest.mark.parametrize("vector", vectors("good"), ids=str)
def test_good_says_how_it_was_coded(vector):
    for record, about in zip(Stream(BytesIO(vector.data)), vector.about["tensors"], strict=True):
        header = record.header
        assert registry.by_id(header.compressor).name == about["method"]
        assert (header.guarantee.kind, header.guarantee.bound) == (about["guarantee"], about.get("bound", 0.0))
        assert header.chunk == about["chunk"]


@pytest.mark.parametrize("vector", REFUSED, ids=str)
def test_refused(vector):
    with pytest.raises(GcodecError) as caught:
        tensors(vector.data)
    assert caught.value.code == vector.about["error"]


@pytest.mark.parametrize("vector", [v for v in vectors("unsupported") if "tensors" in v.about], ids=str)
def test_records_beside_an_unsupported_one_are_read(vector):
    with Archive(BytesIO(vector.data)) as archive:
        for name, dtype, shape, values in stated(vector.about):
            array = archive[name]
            assert (array.dtype.name, array.shape, array.tobytes()) == (dtype, shape, values)


@pytest.mark.parametrize("vector", BASED, ids=str)
def test_files_that_need_bases(vector):
    """Both decoders, with the bases and without; a chain is resolved from its files."""
    files = [(FOLDER / f"{path}.gcz").read_bytes() for path in vector.about["bases"]]
    error = vector.about.get("error")
    bases = [Container(RandomAccess(BytesIO(data), len(data)), len(data), "bases") for data in files]
    known = []
    for data in files:
        known.append({record.name: b"".join(chunks) for record, chunks in reference.decode_file(data, known)})
    if error is not None:
        with pytest.raises(GcodecError) as caught:
            tensors(vector.data, bases=Bases(bases, 1))
        with pytest.raises(reference.FormatError) as refused:
            [b"".join(chunks) for _, chunks in reference.decode_file(vector.data, known)]
        assert caught.value.code == refused.value.code == error
        return
    assert tensors(vector.data, bases=Bases(bases, 1)) == stated(vector.about)
    found = [b"".join(chunks) for _, chunks in reference.decode_file(vector.data, known)]
    assert found == [values for *_, values in stated(vector.about)]
    with pytest.raises(GcodecError, match="was coded against a base") as caught:
        tensors(vector.data)
    assert caught.value.code == "missing-base"


@pytest.mark.parametrize("method", [entry.name for entry in registry.ENTRIES])
def test_every_method_has_good_and_bad_files(method):
    good = [v for v in vectors("good") if any(t["method"] == method for t in v.about["tensors"])]
    bad = [v for v in vectors("bad") if v.path.stem.startswith(f"{method}-")]
    assert len(good) >= 4 and len(bad) >= 3


def test_folders_hold_what_their_names_say():
    assert {v.about["error"] for v in vectors("bad")} == {"not-gcodec", "truncated", "checksum", "corrupt"}
    assert {v.about["error"] for v in vectors("unsupported")} == {"unsupported-version", "unsupported-feature"}
    assert len(vectors("unsupported")) >= 5
    paths = [path for path in FOLDER.glob("*/*") if path.parent.name not in ("__pycache__", "messages")]
    assert {path.suffix for path in paths} == {".gcz", ".json"} and len(paths) == 2 * len(EVERY)


def test_readme_lists_exactly_the_files():
    listed = re.findall(r"^\| \[[^]]*\]\(([^)]*)\) \| (\d+) \| (.*) \|$", (FOLDER / "README.md").read_text(), re.M)
    every = EVERY + vectors("messages")
    assert [path for path, *_ in listed] == [f"{v.path.parent.name}/{v.path.name}" for v in every]
    for (_, size, text), vector in zip(listed, every, strict=True):
        assert int(size) == len(vector.data) and text.endswith(vector.about["about"])
