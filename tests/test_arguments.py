"""Arguments that make no sense: one sentence at each public door, never a bare error of Python."""

import io
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

import gcodec
from gcodec.errors import Closed, GcodecError, InvalidInput

X = np.random.default_rng(0).normal(size=(6, 4))
DATA = gcodec.encode(X, lossless=True)


class Bare:
    """A reader that says nothing of seeking."""

    def __init__(self) -> None:
        self.read = io.BytesIO(DATA).read


def closed():
    file = io.BytesIO(DATA)
    file.close()
    return file


def save(**options):
    gcodec.save("/nowhere/x.gcz", {"w": X}, **options)


def archive():
    return gcodec.open(io.BytesIO(DATA))


CALLS = [
    (lambda: gcodec.encode(X, ["sd"]), r"method must be a string, not \['sd'\]"),
    (lambda: gcodec.encode(X, lossless="yes"), "lossless must be True or False, not 'yes'"),
    (lambda: gcodec.encode(X, options=[1]), r"options must be a dict with strings as keys, not \[1\]"),
    (lambda: gcodec.encode(X, options="ab"), "options must be a dict with strings as keys, not 'ab'"),
    (lambda: save(lossless=True, methods={"w": ["sd"]}), r"the method of 'w' must be a string, not \['sd'\]"),
    (lambda: save(policy={"alpha": 0.1}), "the policy must be a gcodec.Policy"),
    (lambda: save(lossless=True, exact=None), "exact must be a list, such as .*, not None"),
    (lambda: save(lossless=True, exact=5), "exact must be a list, such as .*, not 5"),
    (lambda: gcodec.decode(DATA, limit="5"), "limit must be a whole number, 0 or more, not '5'"),
    (lambda: gcodec.decode(DATA, limit=-1), "limit must be a whole number, 0 or more, not -1"),
    (lambda: gcodec.load(io.BytesIO(DATA), limit="5"), "limit must be a whole number"),
    (lambda: gcodec.open(io.BytesIO(DATA), limit=-1), "limit must be a whole number"),
    (lambda: gcodec.verify(DATA, limit=0.5), "limit must be a whole number"),
    (lambda: gcodec.decode(memoryview(DATA)[::2]), "bytes that lie side by side"),
    (lambda: gcodec.open(closed()), "the file was closed before"),
    (lambda: gcodec.load(closed()), "the file was closed before"),
    (lambda: gcodec.verify(closed()), "the file was closed before"),
    (lambda: gcodec.verify(3), "a path or a binary file object .* is needed, not 3"),
    (lambda: gcodec.verify(None), "a path or a binary file object .* is needed, not None"),
    (lambda: gcodec.verify(io.StringIO("x")), "a path or a binary file object .* is needed"),
    (lambda: gcodec.verify(DATA, X, trials="3"), "trials must be a whole number, 0 or more, not '3'"),
    (lambda: gcodec.verify(DATA, X, trials=-20), "trials must be a whole number, 0 or more, not -20"),
    (lambda: archive().rows("", 0.0, 3), "start must be a whole number, not 0.0"),
    (lambda: archive().rows("", 0, "3"), "stop must be a whole number, not '3'"),
    (lambda: archive()[["w"]], r"there is no tensor named \['w'\]"),
    (lambda: gcodec.warm_up(3), "methods must be a list, such as .*, not 3"),
    (lambda: gcodec.warm_up("sd"), "methods must be a list, such as .*, not 'sd'"),
    (lambda: gcodec.warm_up([["sd"]]), r"method must be a string, not \['sd'\]"),
    (lambda: gcodec.warm_up(["sd"], [3]), "3 is no dtype"),
    (lambda: gcodec.warm_up(["sd"], "float32"), "dtypes must be a list"),
    (lambda: gcodec.open(Bare()), "not seekable"),
]


@pytest.mark.parametrize(("call", "words"), CALLS, ids=range(len(CALLS)))
def test_what_makes_no_sense_is_refused_by_a_sentence(call, words):
    with pytest.raises(GcodecError, match=words) as caught:
        call()
    assert isinstance(caught.value, InvalidInput | Closed | KeyError) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("method", 3, "method must be a string"),
        ("alpha", "x", "alpha must be a number, not 'x'"),
        ("omega", [1], "omega must be a number"),
        ("lossless", "no", "lossless must be True or False, not 'no'"),
        ("exact", [3], "each glob of exact must be a string, not 3"),
        ("alphas", {"a": "x"}, "the alpha of 'a' must be a number, not 'x'"),
        ("seed", "x", "seed must be a whole number, not 'x'"),
        ("max_draws", 0.5, "max_draws must be a whole number"),
        ("effort", "zz", 'effort must be "best" or "fast"'),
        ("nonfinite", 1, 'nonfinite must be "refuse" or "lossless"'),
        ("small", 0.5, "small must be a whole number, 0 or more"),
        ("small", -1, "small must be a whole number, 0 or more"),
        ("options", [1], "options must be a dict"),
    ],
)
def test_a_field_of_a_policy_of_the_wrong_type(field, value, words):
    with pytest.raises(InvalidInput, match=words):
        gcodec.Policy(**{field: value})


def test_numbers_of_numpy_are_numbers():
    policy = gcodec.Policy(alpha=np.float32(0.1), small=np.int64(5), seed=np.uint8(3), lossless=np.bool_(False))
    assert policy.small == 5 and type(policy.small) is int
    assert gcodec.decode(DATA, limit=np.int64(1 << 20)).shape == X.shape
    assert archive().rows("", np.int8(1), np.int8(3)).shape == (2, 4)


def test_a_reader_that_does_not_say_whether_it_seeks_is_a_stream():
    assert np.array_equal(gcodec.load(Bare())[""], X) and gcodec.verify(Bare()).ok


def test_names_that_are_no_strings_are_not_there():
    assert 3 not in archive() and ["w"] not in archive() and archive().get(3) is None


def test_urls_are_taken_by_every_door(tmp_path):
    pytest.importorskip("aiohttp")
    gcodec.save(f"file://{tmp_path}/x.gcz", {"w": X}, lossless=True)
    gcodec.save("memory://gcodec-save/x.gcz", {"w": X}, lossless=True)
    assert np.array_equal(gcodec.load("memory://gcodec-save/x.gcz")["w"], X)
    assert gcodec.verify("memory://gcodec-save/x.gcz", {"w": X}).ok
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        assert gcodec.verify(f"http://127.0.0.1:{server.server_port}/x.gcz", {"w": X}).ok
    finally:
        server.shutdown()
        server.server_close()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: gcodec.encode(np.array([np.nan])), 'nonfinite="lossless" in Python'),
        (lambda: gcodec.decode(DATA, limit=1), "limit=192 in Python"),
        (lambda: gcodec.verify(DATA, trials=20), "against= in Python"),
    ],
)
def test_what_to_do_is_said_in_words_of_python_too(call, words):
    with pytest.raises(GcodecError, match=words):
        call()
