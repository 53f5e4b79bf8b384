"""Random numbers by key and counter, which all methods draw from."""

import numpy as np

from gcodec.kernels import rng as counter_rng


def test_random_numbers():
    """The table of the specification, and the array form."""
    table = {(0, 0, 0): 0x33FE8BD4F9C57863, (0, 0, 1): 0x568A9B0B1A2C05EC, (1, 2, 3): 0x76E36D629CAE6121}
    table[2**64 - 1, 0, 2**40] = 0x9E23D5065C80E73A
    for (seed, stream, counter), expected in table.items():
        assert int(counter_rng.random_u64(np.uint64(seed), stream, counter)) == expected
    out = np.zeros(1000, np.uint64)
    counter_rng.fill_u64(np.uint64(1), 2, 3, out)
    assert int(out[0]) == table[1, 2, 3] and np.unique(out).size == 1000
    assert int(out[-1]) == int(counter_rng.random_u64(np.uint64(1), 2, 1002))


def test_random_numbers_look_random():
    out = np.zeros(1 << 16, np.uint64)
    for seed, stream in ((0, 0), (0, 1), (1, 0)):
        counter_rng.fill_u64(np.uint64(seed), stream, 0, out)
        ones = np.unpackbits(out.view(np.uint8).reshape(-1, 8), axis=1, bitorder="little").mean(axis=0)
        assert np.abs(ones - 0.5).max() < 5 * 0.5 / 256
        assert abs(np.corrcoef(out[:-1] / 2.0**64, out[1:] / 2.0**64)[0, 1]) < 5 / 256
