"""No input can hurt the reader.

Cut, flipped, mutated and hostile containers are refused by name, in little time and memory.
"""

import multiprocessing
import os
import random
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from io import BytesIO
from itertools import islice
from pathlib import Path

import pytest
from checks import NIGHTLY
from fuzz import arrays, costly, engine, hostile, mutate, oracle, outcomes
from hypothesis import given
from hypothesis import strategies as st
from vectors import stated, tensors, vectors

from gcodec.compressors import registry
from gcodec.container.budget import Budget
from gcodec.container.reader import Stream
from gcodec.errors import GcodecError, Truncated
from gcodec.pipeline.archive import Archive
from gcodec.pipeline.decompress import decompress
from gcodec.verification.verify import verify

HERE = Path(__file__).parent
METHODS = [entry.name for entry in registry.ENTRIES]
SPARE_MEMORY, PER_DECODED_BYTE = 64 << 20, 4
MOST_SECONDS = 2.0 if NIGHTLY else 4.0  # on a core of its own; of other tests, some run beside


@pytest.mark.parametrize("vector", vectors("good"), ids=str)
def test_every_prefix_is_truncated(vector):
    data = vector.data
    for length in range(len(data)):
        with pytest.raises(Truncated):
            tensors(data[:length])
        with pytest.raises(Truncated):
            Archive(BytesIO(data[:length]))


@pytest.mark.parametrize("vector", vectors("good"), ids=str)
def test_every_flipped_bit_of_a_good_file_is_noticed_or_ignorable(vector):
    ignored = 0
    every = 1 if NIGHTLY or len(vector.data) < 500 else 7
    for data in islice(flipped(vector.data), 0, None, every):
        with suppress(GcodecError):
            assert tensors(data) == stated(vector.about)
            ignored += 1
    assert bool(ignored) == (vector.path.stem == "container-skippable-block")  # whose bodies have no checksum


@pytest.mark.parametrize("folder", ["bad", "unsupported"])
def test_flipped_bits_of_other_files_do_no_harm(folder):
    for i, vector in enumerate(vectors(folder)):
        for number, data in enumerate(flipped(vector.data)):
            if NIGHTLY or (number + i) % 8 == 0:
                with suppress(GcodecError):
                    tensors(data)


def flipped(data: bytes):
    """The data with each of its bits flipped, one at a time."""
    for at in range(len(data)):
        for bit in range(8):
            yield data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]


@given(st.randoms(use_true_random=False), st.sampled_from(METHODS))
def test_mutations(rng, method):
    """Found by hypothesis, so that what fails is made small."""
    oracle.check(engine.mutant(rng, method))


@pytest.mark.parametrize("path", outcomes.KEPT, ids=lambda path: path.stem)
def test_kept_cases(path):
    """What once went wrong."""
    oracle.check(engine.Mutant(path.read_bytes(), "", mended=True))


@pytest.mark.parametrize("method", [*METHODS, *arrays.FORMATS])
def test_many_mutations_in_bounded_memory_and_time(method):
    tally = mutate.guarded(7, range(20_000 if NIGHTLY else 500), method)
    assert not tally.failures and not tally.slow
    assert tally.peak <= SPARE_MEMORY + PER_DECODED_BYTE * 16 * hostile.MOST  # a mutant may have a chunk of complex128


@pytest.mark.parametrize("case", hostile.cases(), ids=lambda case: case.name)
def test_hostile_files(case):
    assert len(case.data) <= 1 << 16 or case.outcome == "corrupt"
    outcome, seconds = limited(case.data, SPARE_MEMORY + PER_DECODED_BYTE * case.decoded)
    assert outcome in case.outcome.split(" or ")
    assert seconds <= MOST_SECONDS


@pytest.mark.parametrize("case", costly.cases(), ids=lambda case: case.name)
def test_the_most_that_a_container_may_ask_for(case):
    """Of 64 kB or less, chunk by chunk; `verify` does more."""
    data = case.data()
    assert len(data) <= costly.LONGEST
    for read in (decode_chunks, partial(verify, threads=1)) if NIGHTLY else (decode_chunks,):
        outcome, seconds = limited(data, SPARE_MEMORY + PER_DECODED_BYTE * case.chunk_bytes, read)
        assert outcome == "values"
        assert seconds <= MOST_SECONDS


def decode_chunks(data: bytes) -> None:
    for _ in decompress(Stream(BytesIO(data)), 1, Budget(length=len(data))):
        pass


def limited(data: bytes, memory: int, read: Callable[[bytes], object] = tensors) -> tuple[str, float]:
    """What reading gives, and its processor time.

    It runs in a process that may take only so much more memory than it has.
    """
    mutate.warm()
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_read, args=(data, memory, read, sender))
    process.start()
    sender.close()
    try:
        return receiver.recv()
    finally:
        process.join()


def _read(data: bytes, memory: int, read: Callable[[bytes], object], sender) -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + memory
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    start = time.process_time()
    try:
        read(data)
        outcome = "values"
    except GcodecError as error:
        outcome = error.code
    except MemoryError:
        outcome = "too much memory"
    sender.send((outcome, time.process_time() - start))


@pytest.mark.parametrize("setting", ["NUMBA_DISABLE_JIT", "NUMBA_BOUNDSCHECK"])
def test_kernels_stay_within_their_arrays_and_agree_with_plain_python(setting):
    """Mutated payloads decode to the same bits or errors in every mode.

    They have no checksum of decoded values.
    """
    last = 10_000 if NIGHTLY else 600
    environment = os.environ | {setting: "1"}
    command = [sys.executable, str(HERE / "fuzz" / "outcomes.py"), "0", str(last)]
    found = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.splitlines()
    assert found == outcomes.lines(0, last)
    assert not [line for line in found if line.startswith("crash")]


def test_mutants_are_functions_of_their_number():
    assert engine.mutant(random.Random(5)) == engine.mutant(random.Random(5))
