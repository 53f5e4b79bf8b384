"""`warm_up` compiles all that a method needs, and the command says that it compiles."""

import numpy as np
import pytest
from programs import SOURCES, run

import gcodec
from gcodec.compressors import registry

LEFT_BY_WARM_UP = """
import sys
from pathlib import Path
import numpy as np
import gcodec
from gcodec.kernels.compiler import cache

needed = []
load = cache.KernelCache.load_overload

def noted(kept, signature, context):
    needed.append((kept._place, signature))
    return load(kept, signature, context)

cache.KernelCache.load_overload = noted
method = sys.argv[1]
gcodec.warm_up([method])
assert needed or method == "lossless"
needed.clear()
for path in sorted(Path(sys.argv[2]).glob("*.npy")):
    x = np.load(path)
    for bounds in ({"alpha": 0.3}, {"alpha": 0.01}, {"omega": 0.5}, {"lossless": True}):
        if x.dtype.kind != "f" or "omega" in bounds and x.dtype == np.float16:
            continue
        try:
            data = gcodec.encode(x if method != "sc" else x.reshape(-1)[:20_000], method, **bounds)
        except gcodec.errors.InvalidInput:  # not a bound of this method
            continue
        gcodec.decode(data)
print(*needed, sep="\\n", end="")
"""


@pytest.mark.parametrize("method", [entry.name for entry in registry.ENTRIES])
def test_after_warm_up_nothing_is_left_to_compile(method):
    """Real tensors, at bounds that `warm_up` does not use, need no more kernels."""
    assert run(LEFT_BY_WARM_UP, method, SOURCES.parent / "corpora")[0] == []


def test_warm_up_refuses_what_is_unknown():
    with pytest.raises(gcodec.errors.InvalidInput, match="method 'zip' is unknown"):
        gcodec.warm_up(["zip"])
    with pytest.raises(gcodec.errors.InvalidInput, match="dtype 'float80' is unknown"):
        gcodec.warm_up(["sd"], ["float80"])


COMMAND = """
import sys
from gcodec.cli import main
main.COMPILING_IS_LONG = float(sys.argv.pop(1))
main.main()
"""


def test_the_command_says_that_it_compiles(tmp_path):
    arguments = ["bounds", "--dim", 10, "--alpha", 0.1]
    assert run(COMMAND, 0, *arguments, XDG_CACHE_HOME=str(tmp_path))[1] == ""  # it needs no kernels
    (tmp_path / "x.gcz").write_bytes(gcodec.encode(np.eye(9), "sd"))
    arguments = ["decode", tmp_path / "x.gcz", "-f", "-o", tmp_path / "x.npy"]
    said = [
        run(COMMAND, seconds, *arguments, *quiet, XDG_CACHE_HOME=str(tmp_path / cache))[1]
        for seconds, quiet, cache in [(0.05, [], "a"), (0.05, [], "a"), (0.05, ["-q"], "b"), (600, [], "c")]
    ]
    assert said == ["gcodec: compiling kernels, once\n", "", "", ""]
