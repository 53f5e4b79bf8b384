"""The public surface: what may be imported, and every option by its name and type."""

import doctest
import inspect
import subprocess
import sys
from dataclasses import fields
from importlib import import_module, resources, util
from pathlib import Path

import numpy as np
import pytest

import gcodec
from gcodec.compressors import registry
from gcodec.errors import InvalidInput
from gcodec.request.choice import choose

X = np.random.default_rng(0).normal(size=(64, 48)).astype(np.float32)
SAME_BYTES = [entry.name for entry in registry.ENTRIES if entry.name not in ("tcq", "klt", "structured")]


def test_importing_gcodec_is_light():
    code = "import sys, gcodec; dir(gcodec); print(sorted({'numba', 'h5py', 'typer', 'numpy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_encoding_imports_no_host():
    code = """if 1:
        import io, sys, gcodec, numpy as np
        gcodec.load(io.BytesIO(gcodec.encode(np.ones(3), lossless=True)))
        print(sorted({'h5py', 'typer', 'torch', 'numba'} & set(sys.modules)))"""
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {"h5py", "typer", "torch"} & set(eval(out))


def test_every_public_name_is_there():
    for name in gcodec.__all__:
        assert getattr(gcodec, name) is not None and name in dir(gcodec)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = gcodec.nothing


@pytest.mark.parametrize("module", ["gcodec", "gcodec.api", "gcodec.request.policy", "gcodec.pipeline.writer"])
def test_examples_of_docstrings(module):
    found = doctest.testmod(import_module(module))
    assert found.attempted and not found.failed


@pytest.mark.parametrize("function", [gcodec.encode, gcodec.decode, gcodec.save, gcodec.load, gcodec.open, choose])
def test_every_option_has_a_name_a_type_and_a_word(function):
    for name, parameter in inspect.signature(function).parameters.items():
        assert parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
        assert parameter.annotation is not parameter.empty
        assert function is choose or name in inspect.getdoc(function) or function is gcodec.save
    if function is gcodec.save:
        assert all(field.name in gcodec.Policy.__doc__ for field in fields(gcodec.Policy))


def test_the_type_marker_is_part_of_the_package():
    assert (resources.files("gcodec") / "py.typed").is_file()
    settings = (Path(__file__).parents[1] / "pyproject.toml").read_text()
    assert 'gcodec = ["py.typed"]' in settings


@pytest.mark.skipif(util.find_spec("mypy") is None, reason="mypy is not installed")
def test_a_type_checker_sees_the_signatures(tmp_path):
    (tmp_path / "caller.py").write_text(
        "import gcodec, numpy as np\n"
        "data: bytes = gcodec.encode(np.ones(3), 'sd', alpha=0.1, effort='fast')\n"
        "gcodec.encode(np.ones(3), 'sd', alfa=0.1)\n"
        "gcodec.save('x', {}, effort='slow')\n"
        "gcodec.nothing\n"
    )
    root = Path(gcodec.__file__).parents[1]  # whose settings and cache are those of the check of gcodec itself
    command = [sys.executable, "-m", "mypy", tmp_path / "caller.py"]
    run = subprocess.run(command, capture_output=True, text=True, cwd=root, check=False)
    found = [line.split(":")[1] for line in run.stdout.splitlines() if "caller.py" in line and "error" in line]
    assert found == ["3", "4", "5"], run.stdout


@pytest.mark.parametrize("method", ["auto", *(entry.name for entry in registry.ENTRIES)])
def test_effort_is_taken_by_every_method(method):
    seed = {"seed": 3} if method in ("rsd", "dither") else {}  # without one, each call draws its own
    best, fast = (gcodec.encode(X[:8], method, effort=effort, **seed) for effort in ("best", "fast"))
    assert gcodec.decode(best).shape == gcodec.decode(fast).shape == (8, 48)
    assert method not in SAME_BYTES or best == fast
    with pytest.raises(InvalidInput, match='effort must be "best" or "fast", not \'slow\''):
        gcodec.encode(X, method, effort="slow")


@pytest.mark.parametrize(
    ("method", "option", "values"),
    [
        ("rsd", "seed", (1, 2)),
        ("auto", "seed", (1, 2)),
        ("dither", "seed", (1, 2)),
        ("dither", "states", (1, 8)),
        ("sc", "block", (2, 5)),
        ("sc", "max_draws", (64, 1 << 22)),
    ],
)
def test_options_that_change_the_bytes(method, option, values):
    one, again, other = (
        gcodec.encode(X[0], method, omega=1.0, **{"seed": 3, option: value})
        for value in (values[0], values[0], values[1])
    )
    assert one == again != other
    assert one == gcodec.encode(X[0], method, omega=1.0, options={"seed": 3, option: values[0]})


@pytest.mark.parametrize(
    ("method", "options", "words"),
    [
        ("ecsq", {"block": 8}, "method ecsq has no option block"),
        ("tcq", {"max_draws": 100}, "method tcq has no option max_draws; it has effort"),
        ("lossless", {"states": 8}, "method lossless has no option states"),
        ("sd", {"options": {"depth": 3}}, "method sd has no option depth"),
        ("rsd", {"seed": 0.5}, "seed must be a whole number, not 0.5"),
        ("sc", {"block": "8"}, "block must be a whole number, not '8'"),
        ("dither", {"states": 4}, "not of 4"),
        ("sd", {"nonfinite": "keep"}, 'nonfinite must be "refuse" or "lossless"'),
    ],
)
def test_options_that_make_no_sense(method, options, words):
    with pytest.raises(InvalidInput, match=words):
        gcodec.encode(X, method, **options)


def test_options_of_a_wrong_name_are_a_type_error():
    with pytest.raises(TypeError, match="alfa"):
        gcodec.encode(X, alfa=0.1)


def test_numbers_of_numpy_count_threads():
    data = gcodec.encode(X, lossless=True, threads=np.int64(1))
    assert np.array_equal(gcodec.decode(data, threads=np.uint8(2)), X)
    for wrong in (0, 1.0, "2", True):
        with pytest.raises(InvalidInput, match="number of threads"):
            gcodec.decode(data, threads=wrong)


def test_decode_takes_any_bytes():
    data = gcodec.encode(X, lossless=True)
    for same in (data, bytearray(data), memoryview(data), np.frombuffer(data, np.uint8)):
        assert np.array_equal(gcodec.decode(same, threads=2, limit=X.nbytes), X)
    for wrong in ("x.gcz", 5, None, X.tolist()):
        with pytest.raises(InvalidInput, match="decode takes bytes, not"):
            gcodec.decode(wrong)


def test_decode_wants_one_tensor(tmp_path):
    for tensors, count in (({}, 0), ({"a": X, "b": X}, 2)):
        gcodec.save(tmp_path / "x.gcz", tensors, lossless=True)
        with pytest.raises(InvalidInput, match=f"holds {count} tensors, not one"):
            gcodec.decode((tmp_path / "x.gcz").read_bytes())
