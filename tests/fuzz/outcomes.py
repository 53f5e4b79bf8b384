"""Prints what kept and mutated payloads decode to, a line for each.

    NUMBA_DISABLE_JIT=1 python tests/fuzz/outcomes.py FIRST LAST [METHOD]

The lines are the same on every machine, and however numba is set up. A line is `crash` and the
error when the error is none of gcodec's, as with NUMBA_BOUNDSCHECK=1 where a kernel leaves an
array.
"""

import random
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from fuzz.engine import mutant  # noqa: E402
from fuzz.oracle import decoded  # noqa: E402

KEPT = sorted((Path(__file__).parent / "corpus").glob("*.gcz"))  # what once went wrong


def lines(first: int, last: int, method: str = "") -> list[str]:
    """Of all kept files, and of the mutants with these numbers."""
    mutants = (mutant(random.Random(number), method).data for number in range(first, last))
    return [line(data) for data in (*(path.read_bytes() for path in KEPT), *mutants)]


def line(data: bytes) -> str:
    try:
        return decoded(data)
    except Exception as error:
        return f"crash {type(error).__name__}: {error}"


if __name__ == "__main__":
    print("\n".join(lines(int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:])))
