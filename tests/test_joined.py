"""Small tensors that are joined in one block (spec/format.md §3.7)."""

import io
import json
import random
import time
from concurrent.futures import ThreadPoolExecutor
from zlib import crc32

import numpy as np
import pytest
from checks import call_cli as run
from fuzz.engine import joined as damaged
from vectors import gcz

import gcodec
from gcodec import errors
from gcodec.container.describe import describe, names_in_meta, record_bytes
from gcodec.container.fields import pack_varint
from gcodec.container.layout import FileHeader, Footer, Frame, pack_block
from gcodec.container.reader import RandomAccess, Stream
from gcodec.container.records.joined import MAX_NAMES
from gcodec.container.resume import AFTER, Part, left_out
from gcodec.errors import ChecksumMismatch, Corrupt, FormatError, LimitExceeded, Truncated, UnsupportedFeature
from gcodec.pipeline.convert import encode_tensors
from gcodec.pipeline.salvage import Salvage
from gcodec.request.rules import Rules
from gcodec.source import ArraySource


def many(count: int = 40, size: int = 10, dtype: object = np.float32, prefix: str = "layer") -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    return {f"{prefix}.{i}.bias": rng.normal(size=size).astype(dtype) for i in range(count)}


def large() -> dict[str, np.ndarray]:
    return {"weight": np.random.default_rng(4).normal(size=(64, 64)).astype(np.float32)}


def saved(tensors: dict[str, np.ndarray], path, **options) -> bytes:
    gcodec.save(path, tensors, **({"alpha": 1e-2} | options))
    return path.read_bytes()


def blocks(data: bytes) -> list[str]:
    """The types of the blocks of a file."""
    found, at = [], FileHeader.SIZE
    while at < len(data) - Footer.SIZE:
        frame = Frame.unpack(data[at : at + Frame.SIZE])
        found.append(frame.type.decode())
        at += Frame.SIZE + frame.header_length + 4 + frame.body_length
    return found


def same(found, tensors) -> None:
    assert list(found) == list(tensors)
    for name, array in tensors.items():
        assert found[name].dtype == array.dtype and found[name].shape == array.shape
        assert found[name].tobytes() == array.tobytes()


def test_neighbours_are_joined_and_come_back(tmp_path):
    tensors = many() | large() | many(prefix="other", dtype=np.float16) | {"last": np.zeros((0, 3), np.float32)}
    tensors |= many(prefix="flags", dtype=bool) | many(prefix="phases", dtype=np.complex64)
    data = saved(tensors, tmp_path / "x.gcz", lossless=True, alpha=None)
    assert blocks(data) == ["META", "JOIN", "TENS", "JOIN", "TENS", "JOIN", "JOIN", "JIDX"]
    same(gcodec.load(io.BytesIO(data)), tensors)
    with gcodec.open(tmp_path / "x.gcz") as archive:
        same(archive, tensors)
        assert (archive.rows("layer.7.bias", 2, 5) == tensors["layer.7.bias"][2:5]).all()
        assert archive.header("layer.7.bias").guarantee.kind == "exact"


def test_shapes_and_names_of_all_kinds_come_back(tmp_path):
    rng = np.random.default_rng(5)
    shapes = [(), (1,), (2, 3), (2, 3), (1, 1, 1, 7), (256,), ()]
    tensors = {f"{'ü' * (i % 5)}{i // 3}/x{'y' * (i % 2)}": rng.normal(size=shapes[i % 7]) for i in range(50)}
    tensors |= {"": np.float64(3.0), "x" * 5000: np.ones(3)}
    data = saved(tensors, tmp_path / "x.gcz")
    assert blocks(data).count("JOIN") == 1
    same(gcodec.load(io.BytesIO(data)), {name: np.asarray(value) for name, value in tensors.items()})


def test_only_long_runs_of_small_exact_tensors_of_one_dtype_are_joined(tmp_path):
    def joins(tensors, **options) -> int:
        return blocks(saved(tensors, tmp_path / "x.gcz", **options)).count("JOIN")

    assert joins(many(16)) == 1
    assert joins(many(15)) == 0
    assert joins(many(16, size=256)) == 1
    assert joins(many(16, size=257)) == 0
    mixed = {name: array.astype(f"f{4 << i % 2}") for i, (name, array) in enumerate(many().items())}
    assert joins(mixed) == 0
    assert joins({name: array > 0 for name, array in many().items()}) == 1
    assert joins(many(dtype=np.complex64)) == 1
    assert joins({name: array.astype(np.int64) for name, array in many().items()}) == 1
    assert joins(many(size=33), small=0) == 0  # a bound is kept for each tensor by itself
    assert joins(many(size=32), small=0) == 1  # as values these take less than a record does
    assert joins(many(size=32), small=0, method="tcq") == 0
    assert joins(many(), small=0, lossless=True, alpha=None) == 1
    assert joins(many(2), base=many(2)) == 1  # with bases two are enough
    assert joins(many(2), base={name: -array for name, array in many(2).items()}) == 0


def test_tiny_tensors_that_have_a_bound_are_still_refused_for_what_is_not_finite(tmp_path):
    tensors = many() | {"layer.7.bias": np.array([1, np.nan], np.float32)}
    with pytest.raises(errors.NonFinite, match="layer.7.bias"):
        saved(tensors, tmp_path / "x.gcz", alphas={"*": 1e-2})


def test_a_bool_that_is_none_is_refused_by_its_name(tmp_path):
    tensors = {name: array > 0 for name, array in many().items()}
    tensors["layer.7.bias"] = np.array([0, 2], np.uint8).view(bool)
    with pytest.raises(errors.InvalidInput, match=r"layer\.7\.bias: holds a bool"):
        saved(tensors, tmp_path / "x.gcz")


def test_bytes_do_not_depend_on_threads_and_are_those_of_a_mapping(tmp_path):
    tensors = many() | large() | many(prefix="other")
    one, three = (saved(tensors, tmp_path / f"{n}.gcz", threads=n) for n in (1, 3))
    assert one == three


def test_not_a_number_and_signed_zeros_are_kept(tmp_path):
    tensors = {f"x{i}": np.array([np.nan, -0.0, np.inf, i], np.float32) for i in range(20)}
    same(gcodec.load(io.BytesIO(saved(tensors, tmp_path / "x.gcz"))), tensors)


def test_each_tensor_costs_few_bytes_and_little_time(tmp_path):
    """10,000 tensors of 100 floats: at most 20 bytes for each beside its values."""
    tensors = many(10_000, 100)
    vector = len(gcodec.encode(np.concatenate(list(tensors.values())), lossless=True))
    start = time.process_time()
    data = saved(tensors, tmp_path / "x.gcz", threads=1)
    encoded = time.process_time()
    found = gcodec.load(io.BytesIO(data), threads=1)
    decoded = time.process_time()
    assert len(data) - vector <= 20 * len(tensors)
    assert encoded - start < 4 and decoded - encoded < 2, "far slower than 1.5 s and 1 s"
    same(found, tensors)


def test_bytes_of_members_add_up_to_the_file(tmp_path):
    data = saved(many(), tmp_path / "x.gcz")
    headers = [record.header for record in Stream(io.BytesIO(data))]
    frame = Frame.unpack(data[data.index(b"JOIN") :][: Frame.SIZE])
    block = Frame.SIZE + frame.header_length + 4 + frame.body_length
    assert block - len(headers) < sum(map(record_bytes, headers)) <= block  # shares are rounded down
    about = describe(headers[3])
    assert (about["method"], about["guarantee"]["class"], about["shape"]) == ("lossless", "exact", [10])


def test_names_are_left_out_of_meta_where_they_are_long():
    names = [f"layer.{i}.bias" for i in range(10_000)]
    assert names_in_meta(names, 4_000_000) == {}
    assert names_in_meta(names, 40_000_000) == {"names": names}
    assert names_in_meta(names[:100], 100) == {"names": names[:100]}


def test_damage_costs_the_joined_tensors_alone(tmp_path):
    tensors = many() | large() | many(prefix="other")
    data = bytearray(saved(tensors, tmp_path / "x.gcz", lossless=True, alpha=None))
    frames = [i for i in range(len(data)) if data[i : i + 4] == b"JOIN"]
    frame = Frame.unpack(data[frames[0] : frames[0] + Frame.SIZE])
    data[frames[0] + Frame.SIZE + frame.header_length + 4 + frame.body_length // 2] ^= 4
    with pytest.raises(ChecksumMismatch):
        gcodec.load(io.BytesIO(data))
    salvage = Salvage(io.BytesIO(data))
    assert [record.header.name for record in salvage] == [name for name in tensors if not name.startswith("layer")]
    assert len(salvage.lost) == 40
    data[frames[0] + 20] ^= 4  # in the header
    salvage = Salvage(io.BytesIO(data))
    assert len(list(salvage)) == 41 and len(salvage.lost) == 40


def test_wrong_crc_of_a_member_is_noticed_and_costs_that_one(tmp_path):
    data = gcz.FileHeader().pack()
    arrays = {f"x{i}": np.full(3, i, np.float32) for i in range(3)}
    crcs = [crc32(array.tobytes()) for array in arrays.values()]
    data += gcz.join(arrays, crcs=b"".join(map(gcz.u32, (crcs[0], 1, crcs[2]))))
    data += gcz.joined_index([(name, 16) for name in arrays]) + Footer(len(data)).pack()
    archive = gcodec.open(io.BytesIO(data))
    assert archive["x2"].tolist() == [2, 2, 2]
    with pytest.raises(ChecksumMismatch, match="'x1'"):
        archive["x1"]


def test_threads_may_share_an_archive(tmp_path):
    tensors = many(300)
    saved(tensors, tmp_path / "x.gcz")
    with gcodec.open(tmp_path / "x.gcz") as archive, ThreadPoolExecutor(8) as pool:
        same(dict(zip(tensors, pool.map(archive.__getitem__, tensors), strict=True)), tensors)


def test_arrays_own_their_values(tmp_path):
    found = gcodec.load(io.BytesIO(saved(many(), tmp_path / "x.gcz")))
    array = found["layer.3.bias"]
    array[:] = 0  # can be written to, and is no view of the others
    assert array.base is None or array.base.size == array.size


def sent(tensors: dict[str, np.ndarray], mark: str | None = None) -> bytes:
    """The stream of tensors, without those that arrived before."""
    items, meta = [(name, ArraySource(array)) for name, array in tensors.items()], {}
    if mark:
        items, meta = items[left_out(items, mark) :], {AFTER: mark}
    rules = Rules(gcodec.Policy(alpha=1e-2), 1)
    list(encode_tensors(items, meta, file := io.BytesIO(), rules.choice, 1, originals=True))
    return file.getvalue()


def test_cut_streams_go_on():
    tensors = many(60) | large() | many(60, prefix="other") | {"end": large()["weight"] + 1}
    whole, rests = sent(tensors), set()
    for cut in np.random.default_rng(1).integers(20, len(whole) - 1, 40):
        part = Part(file := io.BytesIO())
        with pytest.raises(Truncated):
            part.receive(io.BytesIO(whole[:cut]))
        assert len(part.names) in (0, 60, 61, 121, 122)  # a block is there as a whole, or not at all
        rest = sent(tensors, part.mark if part.names else None)
        part.receive(io.BytesIO(rest))
        assert part.whole and part.names == list(tensors)
        same({name: gcodec.load(io.BytesIO(file.getvalue()))[name] for name in many(60)}, many(60))
        assert blocks(file.getvalue()) == blocks(whole)
        rests.add(len(rest))
    assert len(rests) > 2


def test_commands_show_each_tensor(tmp_path):
    tensors = many() | large()
    np.savez(tmp_path / "x.npz", **tensors)
    assert run("encode", tmp_path / "x.npz", "--alpha", "0.01", "-q")[0] == 0
    coded = tmp_path / "x.npz.gcz"
    listed = json.loads(run("info", coded, "--json")[1])["tensors"]
    assert [one["name"] for one in listed] == list(tensors)
    report = json.loads(run("verify", coded, "--against", tmp_path / "x.npz", "--json")[1])
    assert report["ok"] and len(report["tensors"]) == 41
    run("decode", coded, "--tensor", "layer.5.bias", "-o", tmp_path / "one.npy")
    assert np.load(tmp_path / "one.npy").tobytes() == tensors["layer.5.bias"].tobytes()
    run("decode", coded, "-o", tmp_path / "back.npz")
    assert list(np.load(tmp_path / "back.npz")) == list(tensors)
    inspected = json.loads(run("inspect", coded, "--tensor", "layer.5.bias", "--json")[1])["tensors"][0]
    assert inspected["sections"][0]["share"] == 1


def test_rebase_copies_joined_tensors(tmp_path):
    tensors = many() | large()
    np.savez(tmp_path / "x.npz", **tensors)
    assert run("encode", tmp_path / "x.npz", "--alpha", "0.01", "-q")[0] == 0
    run("rebase", tmp_path / "x.npz.gcz", "-o", tmp_path / "y.gcz")
    assert "JOIN" in blocks((tmp_path / "y.gcz").read_bytes())
    report = gcodec.verify(tmp_path / "y.gcz", tensors, sections=True)
    assert report.ok and report.tensors[0].inspection.sections[0].name == "share of joined tensors"


def test_a_few_bytes_make_no_more_names_than_they_pay_for():
    """Names that share all but a byte of a long one before them."""
    long = b"n" * 60_000
    names = b"".join(pack_varint(len(long) * (i > 0)) + b"\0" + pack_varint(1 if i else len(long)) + (b"a" if i else long)
                     + (b"\0" if i else b"\x02\x01") for i in range(MAX_NAMES // len(long) + 1))  # fmt: skip
    count = MAX_NAMES // len(long) + 1
    record = gcz.record("", np.ones(count, np.float32), "lossless")
    header = b"".join(record.fields.values())
    block = pack_varint(len(header)) + header + pack_varint(count) + names + bytes(4 * count)
    body = record.head + record.chunks[0]
    data = FileHeader().pack() + pack_block(b"JOIN", block, len(body)) + body
    with pytest.raises(Corrupt, match="more than the format allows"):
        list(Stream(io.BytesIO(data)))


def test_limits_count_joined_tensors(tmp_path):
    data = saved(many(3000, 100), tmp_path / "x.gcz")
    with pytest.raises(LimitExceeded):
        gcodec.load(io.BytesIO(data), limit=100_000)
    zeros = saved({f"x{i}": np.zeros(256) for i in range(4000)}, tmp_path / "z.gcz")
    assert len(gcodec.load(io.BytesIO(zeros))) == 4000


def test_an_older_reader_refuses_the_file_by_name(tmp_path, monkeypatch):
    data = saved(many(), tmp_path / "x.gcz")
    monkeypatch.setattr("gcodec.container.reader._KNOWN", (b"TENS", b"META", b"INDX"))
    for read in (lambda: list(Stream(io.BytesIO(data))), lambda: RandomAccess(io.BytesIO(data), len(data))):
        with pytest.raises(UnsupportedFeature, match="JOIN|JIDX"):
            read()


def test_mutants_end_by_an_error_of_the_format():
    rng = random.Random(1)
    data = gcz.FileHeader().pack()
    arrays = {f"x{i}": np.full(3, i, np.float32) for i in range(5)}
    data += gcz.join(arrays)
    data += gcz.joined_index([(name, 16) for name in arrays]) + Footer(len(data)).pack()
    refused = 0
    for _ in range(500):
        try:
            gcodec.load(io.BytesIO(damaged(rng, data)))
        except (FormatError, UnsupportedFeature):
            refused += 1
    assert 300 < refused < 500
