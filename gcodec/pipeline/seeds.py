"""The seed of one record: what the random numbers of an unbiased compressor follow from.

Errors average out over messages only if no two of them share their noise. So without a seed every
record draws a fresh one, and a seed that is given is mixed with the record's name: tensors of one
file never share it, and workers and rounds do not if each has a seed of its own.
"""

import hashlib
import secrets

BYTES = 4  # what `sc` and `dither` store of it; two records share it with probability 2⁻³²


def record_seed(seed: int | None, name: str) -> int:
    """The seed (0…2³²−1) of the record `name`: equal for equal seeds and names, fresh if None."""
    if seed is None:
        return secrets.randbits(8 * BYTES)
    digest = hashlib.blake2b(f"{int(seed)} {name}".encode(), digest_size=BYTES)
    return int.from_bytes(digest.digest(), "little")
