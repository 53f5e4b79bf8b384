"""An object store of the kind of S3 on this machine: rows cost few ranges and few bytes."""

import threading
from dataclasses import dataclass, field

import numpy as np
import pytest
from stores import FAST, error, normal

pytest.importorskip("zarr", reason="the extra gcodec[zarr] is not installed")
pytest.importorskip("s3fs", reason="s3fs is not installed")
moto = pytest.importorskip("moto.server", reason="moto's server is not installed")
import zarr  # noqa: E402
from werkzeug.serving import make_server  # noqa: E402

from gcodec.integrations.zarr import encoding  # noqa: E402

ROWS, COLUMNS = 1 << 15, 256
CODEC = dict(alpha=0.1, **FAST)


@dataclass
class Counted:
    """A server with the requests that it got for the bytes of chunks."""

    url: str
    requests: list[tuple[str, str, int]] = field(default_factory=list)  # method, range, bytes of the answer

    def ranges(self):
        """How many answers had bytes of chunks, and how many bytes."""
        sizes = [size for method, _, size in self.requests if method == "GET"]
        return len(sizes), sum(sizes)


@pytest.fixture(scope="module")
def server():
    app = moto.DomainDispatcherApplication(moto.create_backend_app)
    counted = Counted("")

    def counting(environ, start_response):
        def start(status, headers, *rest):
            if "/c/" in environ["PATH_INFO"]:
                size = int(dict(headers).get("Content-Length", 0))
                counted.requests.append((environ["REQUEST_METHOD"], environ.get("HTTP_RANGE", ""), size))
            return start_response(status, headers, *rest)

        return app(environ, start)

    http = make_server("127.0.0.1", 0, counting, threaded=True)
    thread = threading.Thread(target=http.serve_forever)
    thread.start()
    counted.url = f"http://127.0.0.1:{http.server_port}"
    yield counted
    http.shutdown()
    thread.join()
    http.server_close()


@pytest.fixture(scope="module")
def bucket(server):
    import s3fs

    options = {"endpoint_url": server.url, "key": "nobody", "secret": "nothing"}
    s3fs.S3FileSystem(**options).mkdir("arrays")
    return lambda name: zarr.storage.FsspecStore.from_url(f"s3://arrays/{name}", storage_options=options)


@pytest.mark.parametrize(
    "name, sides",
    [
        ("one", {"chunks": (ROWS, COLUMNS)}),
        ("many", {"chunks": (1024, COLUMNS)}),
        ("shards", {"chunks": (512, COLUMNS), "shards": (ROWS, COLUMNS)}),
    ],
)
def test_rows_cost_few_ranges(server, bucket, name, sides):
    x = normal(ROWS, COLUMNS)
    array = zarr.create_array(bucket(name), shape=x.shape, dtype="f4", **sides, **encoding(**CODEC))
    array[:] = x
    server.requests.clear()
    whole = zarr.open_array(bucket(name), mode="r")[:]
    _, size = server.ranges()
    assert error(whole, x) <= CODEC["alpha"]
    for start in (0, 5000, ROWS - ROWS // 100):
        server.requests.clear()
        rows = zarr.open_array(bucket(name), mode="r")[start : start + ROWS // 100]
        count, read = server.ranges()
        print(f"{name}: rows from {start}: {count} ranges, {read / size:.1%} of {size} bytes")
        assert np.array_equal(rows, whole[start : start + ROWS // 100])
        assert count <= 8 and read <= size / 10 and len(server.requests) <= 10


def test_rows_in_two_pieces_of_a_large_chunk(server, bucket):
    """Each of its 8 pieces has 3.5 MB, which come in ranges that get longer."""
    x = normal(ROWS, COLUMNS)
    array = zarr.create_array(bucket("exact"), shape=x.shape, dtype="f4", chunks=x.shape, **encoding(lossless=True))
    array[:] = x
    server.requests.clear()
    start = ROWS // 8 - 100
    assert np.array_equal(zarr.open_array(bucket("exact"), mode="r")[start : start + 300], x[start : start + 300])
    count, read = server.ranges()
    print(f"{count} ranges, {read / x.nbytes:.1%} of {x.nbytes} bytes")
    assert count <= 8 and read <= 0.26 * x.nbytes
