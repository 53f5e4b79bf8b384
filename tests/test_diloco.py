"""The example of local updates runs, and says what it should."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
EXAMPLE = Path(__file__).parent.parent / "examples" / "diloco.py"


def test_channels_lose_less_than_top_k_at_equal_bytes():
    command = [sys.executable, EXAMPLE, "--rounds", "10", "--steps", "12", "--seeds", "1"]
    done = subprocess.run(command, check=True, capture_output=True, timeout=300)
    lines = done.stdout.decode().splitlines()[1:]
    found = {line[:20].strip(): tuple(map(float, line[20:].split())) for line in lines}
    assert list(found) == ["plain", "int8", "Top-k 3 % + 2 bits", "channel, klt", "channel, ecsq"]
    bits, loss, _ = found["Top-k 3 % + 2 bits"]
    for method in ("klt", "ecsq"):
        own = found[f"channel, {method}"]
        assert own[0] <= 1.02 * bits and own[1] < loss - 0.1
    assert found["plain"][0] == 32 and found["plain"][1] < loss
