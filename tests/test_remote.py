"""URLs: the same commands on files behind fsspec; of a remote container only what is needed is fetched."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from checks import run_cli

import gcodec

fsspec = pytest.importorskip("fsspec", reason="the extra gcodec[remote] is not installed")
pytest.importorskip("aiohttp", reason="the extra gcodec[remote] is not installed")


class RangeHandler(BaseHTTPRequestHandler):
    """Serves `files` with range requests, and counts the bytes."""

    files: dict[str, bytes] = {}
    sent = 0

    def do_HEAD(self):
        self.reply(body=False)

    def do_GET(self):
        self.reply(body=True)

    def reply(self, body):
        data = self.files.get(self.path)
        if data is None:
            self.send_error(404)
            return
        start, stop = 0, len(data)
        if asked := self.headers.get("Range"):
            first, last = asked.removeprefix("bytes=").split("-")
            start, stop = int(first), min(int(last) + 1, len(data)) if last else len(data)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(data)}")
        else:
            self.send_response(200)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(stop - start))
        self.end_headers()
        if body:
            self.wfile.write(data[start:stop])
            type(self).sent += stop - start

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    server = ThreadingHTTPServer(("127.0.0.1", 0), RangeHandler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_http(server, tmp_path):
    x = np.random.default_rng(0).normal(size=(1 << 12, 64)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    gcodec.save(tmp_path / "m.gcz", {"big": x, "small": x[:5], "last": x}, lossless=True)
    RangeHandler.files = {"/m.gcz": (tmp_path / "m.gcz").read_bytes(), "/x.npy": (tmp_path / "x.npy").read_bytes()}
    RangeHandler.sent = 0
    with gcodec.open(f"{server}/m.gcz") as tensors:
        assert np.array_equal(tensors["small"], x[:5])
    assert RangeHandler.sent < len(RangeHandler.files["/m.gcz"]) / 3
    assert run_cli("info", f"{server}/m.gcz")[0] == 0
    assert run_cli("encode", f"{server}/x.npy", "--lossless", "-o", tmp_path / "x.gcz")[0] == 0
    assert np.array_equal(gcodec.decode((tmp_path / "x.gcz").read_bytes()), x)
    code, out, err = run_cli("info", f"{server}/none.gcz")
    assert code == 5 and out == "" and "none.gcz" in err and err.count("\n") == 1


def test_file_urls(tmp_path):
    np.save(tmp_path / "x.npy", np.arange(5.0))
    url = f"file://{tmp_path}/x.gcz"
    assert run_cli("encode", f"file://{tmp_path}/x.npy", "--lossless", "-o", url)[0] == 0
    code, _, err = run_cli("encode", f"file://{tmp_path}/x.npy", "--lossless", "-o", url)
    assert code == 2 and "-f" in err
    assert run_cli("decode", url, "-o", f"file://{tmp_path}/y.npy")[0] == 0
    assert np.array_equal(np.load(tmp_path / "y.npy"), np.arange(5.0))
    code, _, err = run_cli("info", "nonsense://x")
    assert code == 2 and err.count("\n") == 1


def test_memory_urls():
    with fsspec.open("memory://m.gcz", "wb") as file:
        file.write(gcodec.encode(np.arange(7), lossless=True))
    with gcodec.open("memory://m.gcz") as tensors:
        assert np.array_equal(tensors[""], np.arange(7))
