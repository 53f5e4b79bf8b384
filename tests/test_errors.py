"""Every error is ours and has a code; exit code 1 is a broken promise, and 70 a fault of gcodec."""

from pathlib import Path

import numpy as np
import pytest
from checks import call_cli
from safetensors.numpy import save_file

import gcodec
from gcodec import errors
from gcodec.cli import main
from gcodec.container.layout import FileHeader
from gcodec.errors import InternalError

X = np.random.default_rng(0).normal(size=(64, 48)).astype(np.float32)


def test_every_error_has_a_code_of_its_own():
    found = [cls for cls in vars(errors).values() if isinstance(cls, type) and issubclass(cls, Exception)]
    assert len({cls.code for cls in found}) == len(found) >= 13
    tree = {cls.__name__: cls.exit_code for cls in found if cls is not errors.GcodecError}
    stated = {
        words[-1 - len(rest)]: int(rest[0]) for words, rest in map(_tree_line, errors.__doc__.splitlines()) if rest
    }
    assert stated == tree
    assert not issubclass(InternalError, errors.GcodecError)  # who passes over bad files does not pass over faults


def _tree_line(line: str) -> tuple[list[str], list[str]]:
    """The words of a line of the tree up to its exit code, and that code."""
    words = line.split()
    at = next((i for i, word in enumerate(words) if word.isdigit()), None)
    return ([], []) if at is None or not line.startswith("    ") else (words[: at + 1], [words[at]])


@pytest.fixture
def coded(tmp_path):
    save_file({"a": X, "b": X[0]}, tmp_path / "m.safetensors")
    gcodec.save(tmp_path / "m.gcz", {"a": X, "b": X[0]}, "sd", alpha=0.1)
    return tmp_path / "m.gcz"


@pytest.mark.parametrize(
    ("change", "command", "code"),
    [
        (lambda data: data, ["info"], 0),
        (lambda data: data, ["decode", "--to", "npz", "--tensor", "c", "-o", "out.npz"], 2),
        (lambda data: data, ["decode", "--to", "zip", "-o", "out.npz"], 2),
        (lambda data: b"not ours" * 9, ["info"], 3),
        (lambda data: data[:-1], ["info"], 3),
        (lambda data: data[:30] + bytes([data[30] ^ 1]) + data[31:], ["info"], 3),
        (lambda data: FileHeader(major=2).pack() + data[16:], ["info"], 4),
        (lambda data: data, ["decode", "--to", "npz", "--limit", "5", "-o", "out.npz"], 5),
        (lambda data: data, ["decode", "--to", "npz", "-o", "no/such/folder/out.npz"], 2),
    ],
)
def test_exit_codes(coded, monkeypatch, change, command, code):
    monkeypatch.chdir(coded.parent)
    coded.write_bytes(change(coded.read_bytes()))
    found, _, err = call_cli(command[0], coded, *command[1:])
    assert found == code and err.count("\n") == (code != 0), err
    assert not Path("out.npz").exists()


FAULTS = [
    AssertionError("left = right"),
    InternalError("sd\nwent wrong"),
    ZeroDivisionError(),
    KeyError("v"),
    RecursionError("deep"),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
@pytest.mark.parametrize("command", ["encode", "decode", "verify"])
def test_a_fault_of_gcodec_is_exit_code_70(coded, monkeypatch, command, fault):
    """…and one line that asks for a report; 1 would mean that a bound is not met."""

    def fail(*_):
        raise fault

    monkeypatch.setattr("gcodec.compressors.sparse_dithering.compressor.SparseDithering.encode", fail)
    monkeypatch.setattr("gcodec.compressors.sparse_dithering.compressor.SparseDithering.decoder", fail)
    source = coded.with_suffix(".safetensors") if command == "encode" else coded
    out = coded.with_suffix(".npz")
    options = {"encode": ["--method", "sd", "-o", out], "decode": ["--to", "npz", "-o", out], "verify": []}[command]
    code, _, err = call_cli(command, source, *options)
    assert code == 70 and err.startswith("gcodec: this is a fault of gcodec") and err.count("\n") == 1, err
    assert type(fault).__name__ in err and "please report" in err and "test_errors.py, line" in err
    assert not out.exists()


def test_a_fault_outside_of_the_commands_is_exit_code_70(monkeypatch, capsys):
    def fail():
        raise ValueError("unforeseen")

    monkeypatch.setattr(main, "app", fail)
    monkeypatch.setattr(main.warnings, "showwarning", main.warnings.showwarning)
    with pytest.raises(SystemExit) as end:
        main.main()
    assert end.value.code == 70 and "ValueError: unforeseen" in capsys.readouterr().err


def test_a_compressor_that_does_not_keep_its_word_is_an_internal_error(monkeypatch):
    from gcodec.compressors.lossless.compressor import Lossless

    decoder = Lossless.decoder

    def wrong(head, spec):
        return lambda data, start, count: decoder(head, spec)(data, start, count) + 1

    monkeypatch.setattr(Lossless, "decoder", wrong)
    with pytest.raises(InternalError, match="^lossless: the array did not come back bit for bit"):
        gcodec.encode(np.arange(5), lossless=True)


def test_a_header_that_no_reader_takes_is_an_internal_error(monkeypatch):
    monkeypatch.setattr("gcodec.pipeline.compress.compressor_of", lambda header: None)
    with pytest.raises(InternalError, match="^lossless: no reader would take what it made of the array"):
        gcodec.encode(np.arange(5), lossless=True)


def test_verify_fails_with_exit_code_1_alone(coded):
    code, out, _ = call_cli("verify", coded, "--against", coded.with_suffix(".safetensors"))
    assert code == 0 and "every promise holds" in out
    save_file({"a": -X, "b": X[0]}, coded.with_suffix(".safetensors"))
    assert call_cli("verify", coded, "--against", coded.with_suffix(".safetensors"))[0] == 1
