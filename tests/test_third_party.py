"""Compressors of other packages: the example works, and a broken one disturbs no other."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import checks
import numpy as np
import pytest
from packages import CLASS, HEAD, copy_package, package

import gcodec
from gcodec.compressors import registry
from gcodec.errors import InvalidInput, UnsupportedFeature

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "third_party_compressor"


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The example, installed as a package of its own: the folder that holds it."""
    source, target = tmp_path_factory.mktemp("source") / "package", tmp_path_factory.mktemp("site")
    shutil.copytree(EXAMPLE, source)  # a build leaves files beside the sources
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index"]
    command += ["--no-deps", "--no-build-isolation", "--target", target, source]
    subprocess.run(command, check=True, timeout=300)
    return target


def test_the_example_from_the_command_line(installed, plugins, tmp_path):
    def run(*args: object) -> str:
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (installed, ROOT)))}
        command = [sys.executable, "-m", "gcodec", *map(str, args)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    path, coded, back = tmp_path / "x.npy", tmp_path / "x.npy.gcz", tmp_path / "back.npy"
    x = np.random.default_rng(0).normal(size=(60, 50)).astype(np.float32)
    np.save(path, x)
    run("encode", path, "--method", "uniform", "--alpha", 0.01)
    run("decode", coded, "-o", back)
    assert 0.001 < checks.distortion(x, np.load(back)) <= 0.01
    (tensor,) = json.loads(run("info", coded, "--json"))["tensors"]
    assert tensor["method"] == "uniform" and tensor["guarantee"] == {"class": "alpha", "bound": 0.01}
    assert "every promise holds" in run("verify", coded, "--against", path)
    rows = json.loads(run("compare", path, "--alpha", 0.01, "--json"))["totals"]
    (row,) = (row for row in rows if row["name"] == "uniform")
    assert row["reaches"] and row["rate"] == pytest.approx(tensor["payload_bits"] / x.size, rel=0.01)
    plugins()
    assert checks.call_cli("decode", coded, "-o", tmp_path / "without.npy")[0] == 4


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("bound", checks.BOUNDS["alpha"])
def test_the_example_keeps_its_promise(installed, plugins, bound, dtype):
    plugins(installed)
    for x in checks.tensors(np.dtype(dtype)).values():
        checks.check_promise(x, "uniform", "alpha", bound)


def test_the_example_with_options_and_damage(installed, plugins):
    plugins(installed)
    x = np.random.default_rng(0).normal(size=(60, 50)).astype(np.float32)
    sizes = [len(gcodec.encode(x, "uniform", alpha=0.3, options={"level": level})) for level in (0, 9)]
    assert sizes[1] < sizes[0]
    checks.check_corrupt_payloads("uniform", "alpha", 0.1)


def test_the_shared_checks_of_an_installed_package(installed, tmp_path):
    """As their author runs them. They find a package that misses its bound."""
    bad = copy_package(tmp_path, "gcodec_off", "off", body=MISSES)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "float32 or verify"]
    runs = {}
    for folder in (installed, bad):
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (folder, ROOT)))}
        checked = [*command, ROOT / "tests" / "test_installed.py"]
        runs[folder] = subprocess.Popen(checked, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    said = {folder: run.communicate(timeout=300)[0] for folder, run in runs.items()}
    assert runs[installed].returncode == 0 and re.search(r"\d+ passed", said[installed]), said[installed]
    assert runs[bad].returncode == 1 and "missed alpha ≤ 0.1" in said[bad], said[bad]


def test_one_that_is_exact_is_used(plugins, tmp_path):
    plugins(copy_package(tmp_path, "gcodec_copy", "copy"))
    for x in (np.arange(5), np.full(3, np.nan), np.zeros(3)):
        data = gcodec.encode(x, "copy")
        assert checks.header_of(data).compressor == 130 and gcodec.decode(data).tobytes() == x.tobytes()
    assert checks.header_of(gcodec.encode(np.empty(0), "copy")).compressor == registry.EXACT.id


MISSES = """
import numpy as np
from gcodec.compressors.contract import Payload
@dataclass(frozen=True)
class Copy(Compressor):
    kinds = ("alpha",)
    work_per_value = 1
    def encode(self, source, guarantee):
        return Payload(b"", source.size, lambda start, stop: b"")
    @classmethod
    def decoder(cls, head, spec):
        return lambda data, start, count: np.zeros(count, np.float32)
"""


def test_one_that_misses_the_bound(plugins, tmp_path):
    """Its tensor is stored exactly, and a warning says whose fault that is."""
    plugins(copy_package(tmp_path, "gcodec_off", "off", body=MISSES))
    x = np.arange(1, 100, dtype=np.float32)
    with pytest.warns(
        UserWarning, match="^the array is stored exactly: .* off of package gcodec-off missed alpha ≤ 0.1"
    ):
        data = gcodec.encode(x, "off", alpha=0.1)
    assert checks.header_of(data).guarantee.kind == "exact" and gcodec.decode(data).tobytes() == x.tobytes()


def test_auto_takes_none(plugins, tmp_path):
    """What auto writes can be read without a package that only its writer has."""
    plugins(copy_package(tmp_path, "gcodec_copy", "copy"))
    for bounds in ({"alpha": 0.1}, {"omega": 1.0}, {"lossless": True}):
        assert checks.header_of(gcodec.encode(np.ones(9), **bounds)).compressor < 128


NO_SEED = """
@dataclass(frozen=True)
class Copy(Lossless):
    kinds = ("omega",)
"""
NO_WORK = """
@dataclass(frozen=True)
class Copy(Compressor):
    kinds = ("alpha",)
    encode = decoder = None
"""
NEEDS_AN_OPTION = """
@dataclass(frozen=True)
class Copy(Lossless):
    level: int
"""
BROKEN = [
    ("raise SystemExit('no licence')", {}, "importing it raises SystemExit: no licence"),
    ("raise RuntimeError('no\\n  licence')", {}, "importing it raises RuntimeError: no licence"),
    ("import a_module_that_is_not_there", {}, "importing it raises ModuleNotFoundError"),
    ("class Copy: pass", {}, "gcodec_bad:Copy is not a dataclass that is a Compressor"),
    ("", {}, "importing it raises AttributeError"),
    (NO_SEED, {}, "has no option seed"),
    (NO_WORK, {}, "neither work_per_value nor a work method"),
    (NEEDS_AN_OPTION, {}, "importing it raises TypeError"),
    (CLASS.replace("pass", "kinds = ('best',)"), {}, r"its kinds are \('best',\)"),
    (CLASS, {"number": 127}, "its id is 127, and ids for private use are whole numbers from 128"),
    (CLASS, {"number": 2**64}, f"its id is {2**64}"),
    (CLASS, {"number": "130"}, "its id is '130'"),
    (CLASS, {"efforts": ("best",)}, "its Entry has efforts"),
]


@pytest.mark.parametrize(("body", "options", "words"), BROKEN, ids=range(len(BROKEN)))
def test_one_that_cannot_be_used(plugins, tmp_path, body, options, words):
    bad = copy_package(tmp_path / "bad", "gcodec_bad", "bad", **{"number": 131, **options, "body": body})
    plugins(copy_package(tmp_path / "good", "gcodec_good", "good"), bad)
    says = f"^the compressor 'bad' of package gcodec-bad cannot be used: .*{words}"
    with pytest.raises(InvalidInput, match=says) as caught:
        gcodec.encode(np.ones(3), "bad")
    assert "\n" not in str(caught.value)
    with pytest.warns(UserWarning, match=says):
        assert [entry.name for entry in registry.entries() if entry.id >= 128] == ["good"]
    assert checks.header_of(gcodec.encode(np.ones(3), "good")).compressor == 130
    with pytest.raises(UnsupportedFeature, match="compressor 199 is a private one"):
        registry.by_id(199)


def test_an_entry_of_another_kind_or_name(plugins, tmp_path):
    plugins(package(tmp_path / "a", "gcodec_a", "ENTRY = 3", "three"))
    with pytest.raises(InvalidInput, match="its entry point names 3, which is no Entry"):
        registry.by_name("three")
    plugins(package(tmp_path / "b", "gcodec_b", HEAD + "ENTRY = Entry(150, 'four', 'gcodec_b:Copy', '')", "five"))
    with pytest.raises(InvalidInput, match="its Entry has another name, 'four'"):
        registry.by_name("five")
    with pytest.raises(InvalidInput, match="'four' is unknown; known are auto, lossless, .*delta$"):
        registry.by_name("four")


def test_the_same_id_twice(plugins, tmp_path):
    one, two = (copy_package(tmp_path / name, f"gcodec_{name}", name, 140) for name in ("one", "two"))
    plugins(one, two)
    with pytest.raises(InvalidInput, match="'two' of package gcodec-two has the same id 140; uninstall one of them"):
        registry.by_name("one")
    with pytest.raises(UnsupportedFeature, match="has the same id 140"):
        registry.by_id(140)


def test_the_same_name_twice(plugins, tmp_path):
    plugins(
        *(
            copy_package(tmp_path / name, f"gcodec_{name}", "same", number)
            for name, number in zip("ab", (140, 141), strict=True)
        )
    )
    with pytest.raises(InvalidInput, match="package gcodec-[ab] offers one of the same name; uninstall one of them"):
        registry.by_name("same")


@pytest.mark.parametrize("name", ["sd", "auto"])
def test_a_name_of_our_own(plugins, tmp_path, name):
    plugins(copy_package(tmp_path, "gcodec_bad", name, 140))
    with pytest.raises(UnsupportedFeature, match=f"'{name}' of package gcodec-bad .* belongs to gcodec itself"):
        registry.by_id(140)
    assert checks.header_of(gcodec.encode(np.arange(64.0), "sd")).compressor == 2


def test_a_name_of_a_known_operator_is_not_compared(plugins, tmp_path):
    from gcodec.comparison.measure import tasks

    plugins(copy_package(tmp_path, "gcodec_bad", "qsgd", 140))
    with pytest.warns(UserWarning, match="the compressor 'qsgd' cannot be compared"):
        assert {task.group for task in tasks(["qsgd"], [0.1])} == {"baseline"}


def test_packages_are_not_looked_through_for_what_is_ours(plugins, tmp_path):
    """Not for help, not with the format's compressors, not for an id that the format may get."""
    script = """
import gcodec, numpy as np
from gcodec.compressors import registry
from gcodec.compressors.plugins import Plugins
Plugins.found = property(lambda self: 1 / 0)
from gcodec.errors import UnsupportedFeature
data = gcodec.encode(np.ones(99), alpha=0.1)
assert gcodec.verify(data).ok and gcodec.decode(data).size == 99
try:
    registry.by_id(99)
except UnsupportedFeature as error:
    assert "a newer one may read it" in str(error)
from gcodec.cli.main import app
app(["--help"])
"""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "Commands" in done.stdout, done.stderr


def test_help_imports_no_plugin(plugins, tmp_path):
    folder = package(tmp_path, "gcodec_loud", "print('imported')", "loud")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (folder, ROOT)))}
    command = [sys.executable, "-m", "gcodec", "--help"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert "imported" not in done.stdout and "Commands" in done.stdout
