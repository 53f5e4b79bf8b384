"""Files of a stranger that name other files: none of these is opened, let alone written to, in
encoding or in decoding.
"""

import io
import os
import resource
import struct
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from checks import said
from fuzz.hdf5_damage import Seed
from hdf5_victims import KINDS, make_victims, state

from gcodec.container.writer import ContainerWriter
from gcodec.io.skeleton import SKELETON
from gcodec.pipeline.auto import compress
from gcodec.request.choice import choose
from gcodec.source import ArraySource

CPU = 10  # seconds that a command may take for some kB


@pytest.fixture
def victims(tmp_path):
    return make_victims(tmp_path / "victims")


def container(image):
    """A .gcz whose skeleton is this whole HDF5 file."""
    file = io.BytesIO()
    writer = ContainerWriter(file, {"format": "h5"})
    skeleton = np.frombuffer(struct.pack("<QQ", len(image), 0) + image, np.uint8)
    with compress(SKELETON, ArraySource(skeleton), choose("lossless")) as coded:
        writer.add(coded.header, coded.pieces(), coded.work)
    writer.close()
    return file.getvalue()


def limited(*args, cwd):
    """Exit code and standard error of a command that may use `CPU` seconds."""

    def limit():
        resource.setrlimit(resource.RLIMIT_CPU, (CPU, CPU))

    command = [sys.executable, "-m", "gcodec", *map(str, args)]
    done = subprocess.run(command, cwd=cwd, capture_output=True, preexec_fn=limit, timeout=60, check=False)
    return done.returncode, said(done.stderr)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_files_that_others_name_stay_as_they_are(tmp_path, victims, kind):
    sources = sorted(str(path) for path in victims.iterdir())
    kind(tmp_path / "x.h5", [*sources, *(os.path.relpath(source, tmp_path) for source in sources)])
    (tmp_path / "x.gcz").write_bytes(container((tmp_path / "x.h5").read_bytes()))
    before = state(victims)
    for command in (("decode", "x.gcz", "-o", "out.h5"), ("encode", "x.h5", "--lossless", "-o", "out.gcz")):
        code, err = limited(*command, cwd=tmp_path)
        assert (code, err) == (0, "")
    assert state(victims) == before
    assert (tmp_path / "out.h5").read_bytes() == (tmp_path / "x.h5").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.gcz", "out.h5", "victims", "x.gcz", "x.h5"]


def test_the_counts_of_an_index_are_bounded_by_the_file(tmp_path):
    """The implicit index of chunks claims 2²⁶ of them in some kB."""
    path = Path(tmp_path, "x.h5")
    with h5py.File(path, "w", libver="latest") as file:
        create = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        create.set_chunk((16,))
        create.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        h5py.h5d.create(file.id, b"w", h5py.h5t.IEEE_F32LE, h5py.h5s.create_simple((64,)), create)
    path.write_bytes(Seed.of("implicit index", path.read_bytes()).with_number(64, 1 << 30))
    assert limited("encode", path, "--lossless", "-o", tmp_path / "x.gcz", cwd=tmp_path) == (0, "")
