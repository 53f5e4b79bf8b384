"""Compiled kernels on disk: never stale, made once by processes that start together."""

import os
import shutil
import signal
import subprocess
import sys
from itertools import cycle
from pathlib import Path

import numba
import pytest
from programs import SOURCES, run, start

FILL_COINS = """
import numpy as np
from numba.core import event
from gcodec.kernels import spherical

class Count(event.Listener):
    compiled = 0
    def on_start(self, event):  # kernels, but no functions of numba's own
        self.compiled += event.data["dispatcher"].py_func.__module__.startswith("gcodec.")
    def on_end(self, event):
        pass

count = Count()
event.register("numba:compile", count)
out = np.zeros(4)
spherical.fill_coins(np.uint64(7), np.arange(4), out)
print(out.tobytes().hex(), count.compiled)
"""
MAKE_KERNELS = """
from numba.extending import intrinsic
from gcodec.kernels.compiler import cache
from gcodec.kernels.compiler.jit import njit

written = []
write = cache._write
cache._write = lambda path, data: (written.append(path), write(path, data))

def add(n):
    @njit
    def kernel(x):
        return x + n
    return kernel

def twice(inner):
    @njit
    def kernel(x):
        return inner(inner(x))
    return kernel

def by_intrinsic(n):
    @intrinsic
    def step(typingctx, x):
        def code(context, builder, signature, args):
            return builder.add(args[0], args[0].type(n))
        return signature_of(x), code
    @njit
    def kernel(x):
        return step(x)
    return kernel

signature_of = lambda x: x(x)
print(twice(add(1))(0), twice(add(2))(0), by_intrinsic(3)(0), by_intrinsic(4)(0), len(written))
"""
CODE_AND_SAY_WHAT_WAS_LOADED = """
import sys
import gcodec
import numpy as np
values = np.random.default_rng(0).standard_normal((64, 64), np.float32)
for method in ("tcq", "ecsq", "lossless"):
    gcodec.decode(gcodec.encode(values, method))
print(*(name for name in ("numba.np.arraymath", "numba.np.linalg", "scipy.linalg") if name in sys.modules))
"""
HOLD = """
import sys, time
from pathlib import Path
from gcodec.kernels.compiler.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""
TAKE = """
import sys, time
from pathlib import Path
from gcodec.kernels.compiler import lock
lock.PATIENCE = float(sys.argv[2])
start = time.monotonic()
for name in ("one", "one", "other"):
    with lock.locked(Path(sys.argv[1]).with_name(name)):
        pass
print(time.monotonic() - start)
"""


@pytest.fixture
def package(tmp_path):
    """A copy of the package."""
    return shutil.copytree(SOURCES, tmp_path / "copy" / "gcodec", ignore=shutil.ignore_patterns("__pycache__"))


def test_a_change_in_a_kernel_that_others_call_is_seen(package, tmp_path):
    cache = {"XDG_CACHE_HOME": str(tmp_path)}
    (before, compiled), _ = run(FILL_COINS, package=package, **cache)
    assert int(compiled) > 3
    assert run(FILL_COINS, package=package, **cache)[0] == [before, "0"]
    source = package / "kernels" / "rng.py"
    text = source.read_text()
    broken = text.replace("float(bits >> 11)", "float(bits >> 12)")
    assert broken != text
    source.write_text(broken)
    (after, _), _ = run(FILL_COINS, package=package, **cache)
    (plain, _), _ = run(FILL_COINS, package=package, NUMBA_DISABLE_JIT="1")
    assert after == plain != before
    source.write_text(text)
    assert run(FILL_COINS, package=package, **cache)[0] == [before, "0"]


def test_settings_of_numba_have_files_of_their_own(tmp_path):
    place = {"XDG_CACHE_HOME": str(tmp_path)}
    (out, compiled), _ = run(FILL_COINS, **place)
    assert run(FILL_COINS, NUMBA_BOUNDSCHECK="1", **place)[0] == [out, compiled]
    assert run(FILL_COINS, NUMBA_BOUNDSCHECK="1", **place)[0] == [out, "0"]
    assert run(FILL_COINS, **place)[0] == [out, "0"]
    assert run(FILL_COINS, NUMBA_DISABLE_JIT="1", **place)[0] == [out, "0"]


def test_kernels_that_one_function_makes_have_files_of_their_own(tmp_path):
    assert run(MAKE_KERNELS, XDG_CACHE_HOME=str(tmp_path))[0] == ["2", "4", "3", "4", "6"]
    assert run(MAKE_KERNELS, XDG_CACHE_HOME=str(tmp_path))[0] == ["2", "4", "3", "4", "0"]


def test_kernels_are_loaded_without_what_only_a_compilation_needs():
    """Numba's functions for arrays import scipy, where it is installed, which takes 0.2 s."""
    run(CODE_AND_SAY_WHAT_WAS_LOADED)
    assert run(CODE_AND_SAY_WHAT_WAS_LOADED)[0] == []


def test_processes_that_start_together_compile_once(tmp_path):
    (out, compiled), _ = run(FILL_COINS, XDG_CACHE_HOME=str(tmp_path / "alone"))
    together = [start(FILL_COINS, XDG_CACHE_HOME=str(tmp_path / "together")) for _ in range(6)]
    found = [process.communicate()[0].split() for process in together]
    assert [word for word, _ in found] == 6 * [out]
    assert sum(int(count) for _, count in found) == int(compiled)


@pytest.fixture
def holder(tmp_path):
    """A process that holds the lock of tmp_path/one."""
    process = start(HOLD, tmp_path / "one")
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_lock_is_waited_for_until_its_process_dies(holder, tmp_path):
    waiting = start(TAKE, tmp_path / "one", 60)
    with pytest.raises(subprocess.TimeoutExpired):
        waiting.wait(1.5)
    holder.kill()
    out, _ = waiting.communicate(timeout=30)
    assert waiting.returncode == 0 and float(out) < 30


def test_a_process_that_stands_still_is_waited_for_once(holder, tmp_path):
    holder.send_signal(signal.SIGSTOP)
    (seconds,), _ = run(TAKE, tmp_path / "one", 1)
    assert 1 <= float(seconds) < 1.9


def homeless(package: Path, temporary: Path) -> dict[str, str]:
    """An environment in which nothing but the folder for temporary files can be written to."""
    (package / "kernels" / "__pycache__").touch()
    temporary.mkdir(exist_ok=True)
    return {"HOME": "/dev/null", "XDG_CACHE_HOME": "", "TMPDIR": str(temporary)}


def test_without_a_home_kernels_are_kept_in_a_temporary_folder_which_is_said_once(package, tmp_path):
    environment = homeless(package, tmp_path / "temporary")
    (out, compiled), err = run(FILL_COINS, package=package, **environment)
    assert err.count("RuntimeWarning: ") == 1
    kept = tmp_path / "temporary" / f"gcodec-{os.geteuid()}"
    assert f"kept in {kept} until it is emptied; set NUMBA_CACHE_DIR" in err
    assert kept.stat().st_mode & 0o777 == 0o700
    assert int(compiled) > 0
    assert run(FILL_COINS, package=package, **environment) == ([out, "0"], "")


@pytest.mark.parametrize("kind", ["writable by others", "a link", "a file"])
def test_a_temporary_folder_that_others_may_have_filled_is_not_used(kind, package, tmp_path):
    environment = homeless(package, tmp_path / "temporary")
    place = tmp_path / "temporary" / f"gcodec-{os.geteuid()}"
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    if kind == "writable by others":
        place.mkdir()
        place.chmod(0o777)
    elif kind == "a link":
        place.symlink_to(tmp_path / "elsewhere")
    else:
        place.touch()
    (_, compiled), err = run(FILL_COINS, package=package, **environment)
    assert err.count("kernels are compiled by each process anew; set NUMBA_CACHE_DIR") == 1
    assert int(compiled) > 0
    assert not (place.is_dir() and list(place.iterdir()))


def test_the_users_choice_of_a_folder_is_honoured(package, tmp_path):
    chosen = {"NUMBA_CACHE_DIR": str(tmp_path / "chosen"), "XDG_CACHE_HOME": str(tmp_path / "other")}
    (out, _), err = run(FILL_COINS, package=package, **chosen)
    assert not err
    assert run(FILL_COINS, package=package, **chosen) == ([out, "0"], "")
    assert not (tmp_path / "other").exists()
    assert [path.name[:8] for path in (tmp_path / "chosen").iterdir()] == ["kernels-"]


def test_a_folder_of_the_user_that_cannot_be_written_to_is_said_once(tmp_path):
    (tmp_path / "file").touch()
    (_, compiled), err = run(FILL_COINS, NUMBA_CACHE_DIR=str(tmp_path / "file"))
    assert int(compiled) > 3
    assert err.count("RuntimeWarning: compiled kernels cannot be kept in") == 1


def test_damaged_files_are_made_anew(tmp_path):
    place = {"XDG_CACHE_HOME": str(tmp_path)}
    (out, compiled), _ = run(FILL_COINS, **place)
    kernels = list(tmp_path.glob("gcodec/kernels-*/*-*"))
    assert len(kernels) == int(compiled)
    damages = (lambda data: data[:-1], lambda data: b"", lambda data: data[:99] + bytes([~data[99] & 255]) + data[100:])
    for path, damage in zip(kernels, cycle(damages)):
        path.write_bytes(damage(path.read_bytes()))
    assert run(FILL_COINS, **place)[0] == [out, compiled]
    assert run(FILL_COINS, **place)[0] == [out, "0"]


def test_states_that_were_not_used_for_long_are_deleted(tmp_path):
    place = tmp_path / "gcodec"
    place.mkdir(mode=0o700)
    olds = [place / f"kernels-{i:016x}" for i in range(12)]
    for i, old in enumerate(olds):
        old.mkdir()
        (old / "file").touch()
        os.utime(old, (i, i))
    others = [place / "kernels-of-mine", place / f"kernels-{0:017x}", place / f"{0:016x}"]
    for other in others:
        other.mkdir()
    run(FILL_COINS, XDG_CACHE_HOME=str(tmp_path))
    assert [old.exists() for old in olds] == 5 * [False] + 7 * [True]  # with the new one, 8
    assert all(other.exists() for other in others)


IDENTITIES = """
import hashlib, pkgutil
from importlib import import_module
import gcodec.kernels
for module in pkgutil.walk_packages(gcodec.kernels.__path__, "gcodec.kernels."):
    for name, value in sorted(vars(import_module(module.name)).items()):
        for one in value.values() if isinstance(value, dict) else [value]:
            if hasattr(one, "_cache") and hasattr(one._cache, "_identity"):
                print(module.name, name, hashlib.sha256(repr(one._cache._identity).encode()).hexdigest())
"""


def test_each_kernel_is_the_same_one_in_every_process():
    """Else each process would compile it anew, and find nothing that another one has kept."""
    runs = [subprocess.run([sys.executable, "-c", IDENTITIES], capture_output=True, check=True) for _ in range(2)]
    assert runs[0].stdout == runs[1].stdout
    assert runs[0].stdout.count(b"\n") > 100 or numba.config.DISABLE_JIT
