"""`--json`: one object for every command, with the keys of docs/json.md; and the manual page."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from checks import call_cli, run_cli
from safetensors.numpy import save_file

from gcodec import errors
from gcodec.cli import failure, man

DOCS = Path(__file__).parents[1] / "docs"
TYPES = {"string": str, "int": int, "number": (int, float), "bool": bool, "list": list, "object": dict}


def documented():
    """The keys of each section of the page: path → (types, whether it is always there)."""
    sections: dict = {}
    for section in re.split(r"^## ", (DOCS / "json.md").read_text(encoding="utf-8"), flags=re.M)[1:]:
        name = section.splitlines()[0]
        rows = re.findall(r"^\| `([^`]+)` \| ([a-z ]+) \| (.*) \|$", section, re.M)
        sections[name] = {path: (kind, "not always" not in words) for path, kind, words in rows}
    return sections


def paths(data, prefix=""):
    """Every place in an object: its path, and the value there."""
    if isinstance(data, dict):
        for key, value in data.items():
            yield from paths(value, f"{prefix}.{key}" if prefix else key)
    elif isinstance(data, list):
        for value in data:
            yield from paths(value, f"{prefix}[]")
    else:
        yield prefix, data


def fits(value, kind):
    if value is None:
        return "null" in kind
    allowed = tuple(TYPES[word] for word in kind.split(" or ") if word in TYPES)
    return any(isinstance(value, one) and (not isinstance(value, bool) or one is bool) for one in allowed)


def check(command, data):
    """Whether an object has the documented keys, and no others."""
    page = documented()
    known = page["Every command"] | page[command]
    if known.get("tensors[].*"):
        known |= {f"tensors[].{path}": about for path, about in page["A tensor"].items()}
    open_ended = [path[:-1] for path in known if path.endswith(".*") and path != "tensors[].*"]
    found = set()
    for path, value in paths(data):
        if any(path.startswith(start) for start in open_ended):
            continue
        listed = next((key for key in known if path == key or (known[key][0] == "list" and path.startswith(key))), None)
        assert listed is not None, f"{command}: {path} is not in docs/json.md"
        assert known[listed][0] == "list" or fits(value, known[listed][0]), (command, path, value)
        found.add(listed)
    if data["ok"]:
        needed = {path for path, (_, always) in known.items() if always and not path.endswith("*")}
        assert {path for path in needed - found if "[]" not in path or path.split("[]")[0] not in data} == set()
    return found


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("json")
    rng = np.random.default_rng(0)
    np.save(folder / "x.npy", rng.normal(size=(40, 40)).astype("f4"))
    save_file({name: rng.normal(size=(40, 40)).astype("f4") for name in "ab"}, folder / "m.safetensors")
    assert call_cli("encode", folder / "x.npy", "--method", "sd")[0] == 0
    assert call_cli("encode", folder / "m.safetensors", "--method", "sd", "--alpha", 0.1)[0] == 0
    return folder


def test_the_keys_of_every_command(files):
    x, m = files / "x.npy", files / "m.safetensors"
    for command, *args in (
        ("encode", m, "--alpha", 0.1, "--method", "sd", "-f"),
        ("encode --plan", m, "--alpha", 0.1, "--method", "sd"),
        ("encode", x, "--omega", 1, "--method", "rsd", "-o", files / "o.gcz", "-f"),
        ("decode", f"{m}.gcz", "-o", files / "back.npz", "-f"),
        ("verify", f"{x}.gcz", "--against", x),
        ("verify", f"{m}.gcz"),
        ("info", f"{m}.gcz"),
        ("inspect", f"{m}.gcz"),
        ("bounds", "--dim", 100, "--alpha", 0.1),
        ("info", "--time", f"{m}.gcz"),
        ("compare", x, "--alpha", 0.5, "--methods", "sd"),
        ("compare", x, "--alpha", 0.5, "--methods", "sd", "--link", "1Gbit"),
    ):
        code, out, err = call_cli(*command.split(), *args, "--json")
        data = json.loads(out)
        assert (code, err) == (0, "") and data["ok"] is True
        check(command, data)


def test_errors_of_every_command(files, tmp_path):
    (tmp_path / "cut.gcz").write_bytes(Path(f"{files}/m.safetensors.gcz").read_bytes()[:-100])
    np.save(tmp_path / "nan.npy", np.full(9, np.nan, "f4"))
    for exit_code, code, command, *args in (
        (5, "io", "encode", tmp_path / "none.npy"),
        (2, "non-finite", "encode", tmp_path / "nan.npy"),
        (2, "invalid-input", "encode", files / "m.safetensors"),
        (2, "invalid-input", "encode", files / "x.npy", "--alpha", 7),
        (3, "truncated", "decode", tmp_path / "cut.gcz", "-o", tmp_path / "x.npz"),
        (2, "missing-tensor", "decode", files / "m.safetensors.gcz", "--tensor", "c"),
        (3, "not-gcodec", "info", files / "x.npy"),
        (3, "truncated", "verify", tmp_path / "cut.gcz"),
        (3, "truncated", "inspect", tmp_path / "cut.gcz"),
        (2, "invalid-input", "bounds", "--dim", 9),
        (5, "io", "compare", tmp_path / "none.npy"),
        (2, "invalid-input", "experiment", "nothing"),
        (2, "usage", "info", "--nothing"),
        (2, "usage", "nothing"),
        (2, "usage", "bounds"),
    ):
        status, out, err = call_cli(command, *args, "--json")
        data = json.loads(out)
        assert (status, data["ok"], data["error"]["code"]) == (exit_code, False, code), (command, args, out)
        assert data["error"]["exit_code"] == exit_code and data["error"]["message"] in err and err.count("\n") == 1
        check("info", data)
        if code in ("io", "non-finite", "truncated", "not-gcodec"):
            assert data["error"]["file"] == str(args[0]) and str(args[0]) in data["error"]["message"]


def test_the_codes_are_listed():
    listed = dict(re.findall(r"`([a-z-]+)`(?=[^|]*\| (\d+) \|)", (DOCS / "json.md").read_text(encoding="utf-8")))
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    raised = {kind.code: kind.exit_code for kind in kinds} | {"io": 5, "memory": 5, "usage": 2, "interrupted": 130}
    for abstract in ("error", "format"):
        del raised[abstract]
    assert {code: int(exit_code) for code, exit_code in listed.items()} == raised
    for error in (OSError(5, "words"), MemoryError(), KeyboardInterrupt(), ValueError("unforeseen")):
        assert failure.failure_of(error).code in listed


def test_a_salvaged_file_is_one_object(files, tmp_path):
    data = bytearray(Path(f"{files}/m.safetensors.gcz").read_bytes())
    data[len(data) // 4] ^= 1  # in the first tensor
    (tmp_path / "x.gcz").write_bytes(data)
    code, out, err = call_cli("decode", tmp_path / "x.gcz", "-o", tmp_path / "x.npz", "--salvage", "--json")
    found = json.loads(out)
    assert code == 3 and found["tensors"] == ["b"] and found["missing"] == ["a"] and not found["ok"], err
    assert found["error"]["code"] == "checksum" and found["error"]["file"] == str(tmp_path / "x.gcz")
    assert err.startswith(f"gcodec: {tmp_path}/x.gcz: ")
    check("decode", found)


def test_warnings_are_in_the_object(files, tmp_path):
    np.save(tmp_path / "x.npy", np.zeros(4))
    script = "import warnings, gcodec.cli.main as main, gcodec.cli.commands.info as info\n"
    script += "true = info._read\ninfo._read = lambda file: (warnings.warn('words', stacklevel=1), true(file))[1]\nmain.main()"
    command = [sys.executable, "-c", script, "info", f"{files}/x.npy.gcz", "--json"]
    done = subprocess.run(command, capture_output=True, check=False, timeout=60)
    assert done.returncode == 0 and done.stderr == b"" and json.loads(done.stdout)["warnings"] == ["words"]


def test_the_object_goes_to_standard_error_when_data_goes_to_standard_output(files):
    for source, exit_code in (("x.npy", 0), ("none.npy", 5)):
        done = subprocess.run(
            [sys.executable, "-m", "gcodec", "encode", str(files / source), "-o", "-", "--json"],
            capture_output=True, check=False, timeout=60,
        )  # fmt: skip
        assert done.returncode == exit_code and json.loads(done.stderr)["ok"] is (exit_code == 0)


def test_numbers_that_json_lacks(files):
    code, out, _ = call_cli("bounds", "--dim", 1, "--alpha", 0.999999, "--json")
    assert code == 0 and "NaN" not in out and "Infinity" not in out


def test_the_manual_page_is_that_of_the_help_texts():
    """After a change of them: python -m gcodec.cli.man > docs/gcodec.1"""
    text = man.page()
    assert (DOCS / "gcodec.1").read_text(encoding="utf-8") == text
    for word in (r"\fBencode\fR", r"\fB\-\-alpha\fR", r"\fB\-o\fR, \fB\-\-output\fR", ".SH EXIT STATUS"):
        assert word in text


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell):
    environment = os.environ | {"_GCODEC_COMPLETE": f"complete_{shell}", "COMP_WORDS": "gcodec dec", "COMP_CWORD": "1",
                                "_TYPER_COMPLETE_ARGS": "gcodec dec", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}  # fmt: skip
    script = "import sys; sys.argv[0] = 'gcodec'; from gcodec.cli.main import main; main()"
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, check=False, timeout=60)
    assert b"decode" in done.stdout and b"encode\n" not in done.stdout, done


def test_help_in_plain_letters():
    for command in ((), ("encode",), ("decode",), ("experiment",)):
        done = subprocess.run(
            [sys.executable, "-m", "gcodec", *command, "--help"], env=os.environ | {"PYTHONIOENCODING": "ascii"},
            capture_output=True, check=False, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0 and not done.stderr
    assert run_cli("--version")[0] == 0
