"""URLs: the same commands on files behind fsspec.

Of a remote container only what is needed is fetched.
"""

import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from checks import call_cli, run_cli

import gcodec
from gcodec.io import network, remote

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

    def do_POST(self):
        """Reads what is sent before it refuses: a closed connection would hide the answer."""
        if "Content-Length" in self.headers:
            self.rfile.read(int(self.headers["Content-Length"]))
        else:
            while size := int(self.rfile.readline(), 16):
                self.rfile.read(size + 2)
            self.rfile.readline()
        self.send_error(501)

    do_PUT = do_POST

    def reply(self, body):
        data = self.files.get(self.path)
        if data is None:
            status = self.path[1:4]
            self.send_error(int(status) if status.isdigit() else 404)
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


@pytest.mark.parametrize("suffix", [".npy", ".npy.gcz"])
def test_a_source_behind_a_file_url_is_kept(tmp_path, suffix):
    np.save(tmp_path / "x.npy", np.arange(5.0))
    (tmp_path / "x.npy.gcz").write_bytes(gcodec.encode(np.arange(5.0), lossless=True))
    path = tmp_path / f"x{suffix}"
    before = path.read_bytes()
    command = "encode" if suffix == ".npy" else "decode"
    url = f"file://{path}"
    for source, output in ((url, url), (path, url), (url, path)):
        code, _, err = call_cli(command, source, "-f", "-o", output)
        assert code == 2 and "the input itself" in err and path.read_bytes() == before


def test_a_source_behind_another_url_is_kept():
    with fsspec.open("memory://folder/x.gcz", "wb") as file:
        file.write(gcodec.encode(np.arange(7), lossless=True))
    code, _, err = call_cli("decode", "memory://folder/x.gcz", "-f", "-o", "memory:///folder/x.gcz")
    assert code == 2 and "the input itself" in err


def test_uploads_appear_whole(tmp_path, monkeypatch):
    """Where a filesystem can rename, the final name never stands for a part of the file."""
    seen = []

    class Renaming(fsspec.get_filesystem_class("memory")):
        protocol = "renaming"
        store = {}
        pseudo_dirs = [""]

        def put_file(self, local, remote, **options):
            seen.append(remote)
            super().put_file(local, remote, **options)

        def mv(self, old, new, **options):
            super().mv(old, new, **options)
            seen.append(new)

    fsspec.register_implementation("renaming", Renaming, clobber=True)
    np.save(tmp_path / "x.npy", np.arange(5.0))
    assert call_cli("encode", tmp_path / "x.npy", "--lossless", "-o", "renaming://r/x.gcz")[0] == 0
    assert seen[0].endswith(".part") and seen[1].endswith("r/x.gcz")
    monkeypatch.setattr(Renaming, "mv", lambda *_, **__: 1 / 0)
    code, _, err = call_cli("encode", tmp_path / "x.npy", "--lossless", "-o", "renaming://r/y.gcz")
    assert code == 5 and "y.gcz" in err
    assert [name.rpartition("/")[2] for name in Renaming.store] == ["x.gcz"]


def test_outputs_of_urls_are_local_by_default(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with fsspec.open("memory://m/x.npy", "wb") as file:
        np.save(file, np.arange(7.0))
    assert call_cli("encode", "memory://m/x.npy", "--lossless")[0] == 0
    assert [p.name for p in tmp_path.iterdir()] == ["x.npy.gcz"]
    with fsspec.open("memory://m/y.npy.gcz", "wb") as file:
        file.write((tmp_path / "x.npy.gcz").read_bytes())
    assert call_cli("decode", "memory://m/y.npy.gcz")[0] == 0
    assert np.array_equal(np.load("y.npy"), np.arange(7.0))


def test_remote_errors_say_why(server, tmp_path):
    np.save(tmp_path / "x.npy", np.arange(5.0))
    RangeHandler.files = {}
    code, _, err = call_cli("info", f"{server}/none.gcz")
    assert code == 5 and ("404" in err or "No such file" in err) and "none.gcz" in err
    code, _, err = call_cli("info", "http://127.0.0.1:1/x.gcz")
    assert code == 5 and "onnect" in err and "127.0.0.1:1/x.gcz" in err
    code, _, err = call_cli("encode", tmp_path / "x.npy", "--lossless", "-o", f"{server}/x.gcz")
    assert code in (2, 5) and "x.gcz" in err and ("501" in err or "not written" in err), err


@pytest.mark.parametrize(
    ("status", "remedy"),
    [
        (401, "sign in to the server, or ask its owner for the right"),
        (403, "sign in to the server, or ask its owner for the right"),
        (404, "check the name"),
        (418, "check the URL"),
        (429, "try again later"),
        (503, "the server has a fault; try again later"),
    ],
)
def test_a_remedy_for_each_answer_of_a_server(server, status, remedy):
    RangeHandler.files = {}
    code, _, error = call_cli("info", f"{server}/{status}.gcz")
    assert code == 5 and error.endswith(f"; {remedy}\n") and error.count("\n") == 1


@pytest.mark.parametrize(
    ("url", "remedy"),
    [
        ("http://127.0.0.1:1/x.npy", "check the address and the port, and that the server runs"),
        ("http://[::1/x.npy", "check the URL"),
        ("https://", "check the URL"),
        ("nonsense://x", "check the URL"),
    ],
)
def test_a_remedy_where_there_is_no_server(tmp_path, url, remedy):
    code, _, error = call_cli("encode", url, "--lossless", "-o", tmp_path / "x.gcz")
    assert code in (2, 5) and error.endswith(f"; {remedy}\n")


def test_a_remedy_for_a_name_that_nobody_has():
    """As the system and two other libraries say it."""
    unknown = socket.gaierror(-2, "Name or service not known")
    for error in (unknown, OSError("[Errno -2] Name or service not known"), OSError("Failed to resolve 'x.invalid'")):
        with pytest.raises(OSError, match="check the name of the server"), network.reporting("https://x.invalid/w"):
            raise OSError("could not connect") from error


def test_a_server_that_says_nothing(monkeypatch):
    monkeypatch.setattr(remote, "SILENCE", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        code, _, error = call_cli("info", f"http://127.0.0.1:{silent.getsockname()[1]}/x.gcz")
    assert code == 5 and error.endswith("; try again, or fetch the file first and name the copy\n")
