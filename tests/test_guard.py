"""Faults of other packages' compressors: one sentence names the package, and no harm is done."""

import inspect

import checks
import numpy as np
import pytest
from packages import copy_package

import gcodec
from gcodec.compressors import registry
from gcodec.compressors.contract import Compressor, Guarantee
from gcodec.compressors.guard import _RESULTS
from gcodec.compressors.lossless.compressor import Lossless
from gcodec.errors import Corrupt, InternalError, PluginError
from gcodec.source import ArraySource

X = np.arange(1.0, 9.0)
SAYS = "^compressor bad of package gcodec-bad failed: "
MODULE = """
import numpy as np
from dataclasses import replace
from gcodec.errors import Corrupt

@dataclass(frozen=True)
class Copy(Lossless):
    {member}
"""
ENCODE = "def encode(self, source, guarantee): return {0}"
MADE = "super().encode(source, guarantee)"
DECODER = "decoder = classmethod(lambda cls, head, spec: lambda data, start, count: {0})"
RIGHT = "Lossless.decoder(head, spec)(data, start, count)"

POST_INIT = """effort: str = 'best'
    def __post_init__(self):
        if self.effort == 'fast': None + 3"""


@pytest.fixture
def bad(plugins, tmp_path):
    """Installs a compressor `bad`, which is lossless with one other member."""
    return lambda member: plugins(copy_package(tmp_path, "gcodec_bad", "bad", body=MODULE.format(member=member)))


@pytest.mark.parametrize(
    ("member", "words"),
    [
        (DECODER.format(f"{RIGHT}[:1]"), r"its decoder gives float64 of shape \(1,\), where .* \(8,\) is wanted"),
        (DECODER.format(f"{RIGHT}.reshape(1, -1)"), r"its decoder gives float64 of shape \(1, 8\)"),
        (DECODER.format(f"{RIGHT}.astype('f4')"), "its decoder gives float32 of shape"),
        (DECODER.format(f"{RIGHT}.astype('>f8')"), "its decoder gives >f8 of shape"),
        (DECODER.format(f"list({RIGHT})"), "its decoder gives list, not a numpy array"),
        (DECODER.format("1 / 0"), r"ZeroDivisionError: division by zero \(gcodec_bad.py, line \d+\); please report"),
        (DECODER.format("exec('raise Corrupt(\"the tail\")')"), r"it cannot decode what it made \(the tail\)"),
        ("decoder = classmethod(lambda cls, head, spec: None)", "TypeError: 'NoneType' object is not callable"),
        ("decoder = classmethod(lambda cls, head: None)", "TypeError: .*positional argument"),
        ("work = classmethod(lambda cls, head, spec: 'much')", "its work is 'much', not a whole number"),
        (ENCODE.format("None"), "its encoder gives None, not a Payload"),
        (ENCODE.format(f"replace({MADE}, head='h')"), "the head of its payload is of type str, not bytes"),
        (ENCODE.format(f"replace({MADE}, chunk=0)"), "its payload has chunks of 0 values, not of 1 to 1048576"),
        (ENCODE.format(f"replace({MADE}, chunk=1 << 21)"), "its payload has chunks of 2097152 values"),
        (ENCODE.format(f"replace({MADE}, code=3)"), "the code of its payload is of type int, not a function"),
        (ENCODE.format(f"replace({MADE}, code=lambda start, stop: None)"), "its code of a chunk is None, not bytes"),
        (ENCODE.format(f"replace({MADE}, expected='x')"), "its payload expects of type str, not a number"),
        (ENCODE.format("source.nothing"), "AttributeError: .*nothing"),
        (ENCODE.format("exit()"), "(SystemExit|NameError)"),
        (ENCODE.format("source.read(0, 8).fill(0)"), "ValueError: assignment destination is read-only"),
        (POST_INIT, "TypeError: unsupported operand"),
    ],
)
def test_faults_while_encoding(bad, member, words):
    x = X.copy()
    bad(member)
    with pytest.raises(PluginError, match=SAYS + words) as caught:
        gcodec.encode(x, "bad", effort="fast")
    assert "\n" not in str(caught.value) and np.array_equal(x, X)


def test_a_plan_of_another_type(bad):
    bad("def plan(self, source, guarantee): return 3")
    with pytest.raises(PluginError, match=SAYS + "its plan is of type int, not a Plan"):
        registry.by_name("bad").load()().plan(ArraySource(X), Guarantee("exact"))


def test_a_fault_is_said_in_one_line(bad, tmp_path):
    bad(DECODER.format("1 / 0"))
    np.save(tmp_path / "x.npy", X)
    code, _, err = checks.call_cli("encode", tmp_path / "x.npy", "--method", "bad")
    assert (
        code == 70 and err.startswith("gcodec: compressor bad of package gcodec-bad failed: ") and err.count("\n") == 1
    )
    assert "fault of gcodec" not in err


@pytest.mark.parametrize(
    ("member", "words"),
    [
        (DECODER.format(f"{RIGHT}[:1] if __import__('os').environ.get('BAD') else {RIGHT}"), "its decoder gives"),
        ("checks = classmethod(lambda cls, coded, original, trials: (1 / 0 for _ in '1'))", "ZeroDivisionError"),
        ("sections = classmethod(lambda cls, coded: 1 / 0)", "ZeroDivisionError"),
    ],
)
def test_faults_while_reading(bad, monkeypatch, member, words):
    bad(member)
    data = gcodec.encode(X, "bad")
    monkeypatch.setenv("BAD", "1")
    with pytest.raises(PluginError, match=SAYS + words):
        gcodec.verify(data, sections=True)


def test_damage_is_no_fault(bad):
    """What a compressor says of damaged bytes passes as it is, and so does a refused tensor."""
    bad("decoder = classmethod(lambda cls, head, spec: Lossless.decoder(head, spec))")
    cls = registry.by_name("bad").load()
    with pytest.raises(Corrupt):
        cls.decoder(b"", checks.header_of(gcodec.encode(X, "bad")).spec)(b"\xff\xff", 0, 8)
    assert cls is registry.by_id(130).load() and cls.__name__ == "Copy"


def test_every_method_is_guarded():
    public = {name for name, member in vars(Compressor).items() if callable(getattr(Compressor, name))}
    assert {name for name in public if not name.startswith("_")} | {"__init__"} == set(_RESULTS)
    for name in set(_RESULTS) - {"__init__", "encode", "plan"}:
        assert isinstance(inspect.getattr_static(Compressor, name), classmethod)


def test_a_decoder_of_our_own_that_gives_less(monkeypatch):
    """It is a fault of gcodec, not a damaged input, and no value beyond the array is read."""
    data = gcodec.encode(X, "lossless")
    right = Lossless.decoder
    monkeypatch.setattr(Lossless, "decoder", lambda head, spec: lambda *at: right(head, spec)(*at)[:1])
    for call in (lambda: gcodec.encode(X, "lossless"), lambda: gcodec.decode(data)):
        with pytest.raises(InternalError, match=r"^lossless: its decoder gives float64 of shape \(1,\)"):
            call()


def test_an_encoder_of_our_own_whose_bytes_are_refused(monkeypatch, gradient):
    def refuse(*_):
        raise Corrupt("the levels end too early")

    monkeypatch.setattr("gcodec.compressors.sparse_dithering.compressor.SparseDithering.decoder", refuse)
    code, _, err = checks.call_cli("encode", gradient, "--method", "sd")
    assert code == 70 and "sd: it cannot decode what it made (the levels end too early)" in err
