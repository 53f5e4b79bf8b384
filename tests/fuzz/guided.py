"""The same checks under atheris, which keeps inputs that reach new code of the reader.

    python tests/fuzz/guided.py FOLDER [-max_total_time=60] [other options of libFuzzer]

FOLDER gets the inputs that were found. Begin with a copy of the good vectors. Mutations are
libFuzzer's own and those of `engine`, which mend the checksums. This needs `pip install atheris`.
"""

import importlib
import pkgutil
import random
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

import atheris  # noqa: E402

import gcodec.kernels  # noqa: E402

for module in pkgutil.walk_packages(gcodec.kernels.__path__, "gcodec.kernels."):
    importlib.import_module(module.name)  # first, as what atheris has changed cannot be compiled
with atheris.instrument_imports(include=["gcodec"]):
    from fuzz import engine, oracle


def one_input(data: bytes) -> None:
    oracle.check(engine.Mutant(data, "", mended=True))


def mutate(data: bytes, most: int, seed: int) -> bytes:
    """One more mutation of an input that libFuzzer kept.

    It changes a field if the input is a container, else raw bytes.
    """
    rng = random.Random(seed)
    if rng.random() < 0.2:
        return atheris.Mutate(data, most)
    try:
        blocks = list(engine.gcz.split(data))
        at = rng.choice([i for i, block in enumerate(blocks) if isinstance(block, engine.gcz.Record)])
    except Exception:  # the input is no container that can be taken apart
        return engine.mutant(rng).data[:most]
    rng.choice((engine.payload, engine.payload, engine.fields))(rng, blocks, at)
    return engine.gcz.container(*blocks)[:most]


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input, custom_mutator=mutate)
    atheris.Fuzz()
