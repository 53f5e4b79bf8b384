"""Good files: the forms of the container, and every method.

Each method has the dtypes, sizes and parameters that its page speaks of.
"""

import json
import struct
from zlib import crc32

import ml_dtypes
import numpy as np
from cases import Good
from gcz import Record, container, record, u32

from gcodec.compressors.lossless import tuples
from gcodec.container.fields import pack_text
from gcodec.container.layout import MAGIC, pack_block
from gcodec.dtypes import _DTYPES as DTYPES

BF16, E4M3, E5M2 = ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2
E3M4, E4M3_IEEE = ml_dtypes.float8_e3m4, ml_dtypes.float8_e4m3
SPECIALS = np.array([0x00000000, 0x80000000, 0x7F800000, 0xFF800000, 0x7FC00001, 0xFFA12345, 1, 0x80000001], np.uint32)


def normal(*shape: int, dtype: object = np.float32, seed: int = 1, scale: float = 1.0) -> np.ndarray:
    return (np.random.default_rng(seed).normal(size=shape) * scale).astype(dtype)


def sparse(*shape: int, dtype: object = np.float32, share: float = 0.05) -> np.ndarray:
    rng = np.random.default_rng(2)
    return (rng.normal(size=shape) * (rng.random(shape) < share)).astype(dtype)


def heavy(*shape: int, dtype: object = np.float32) -> np.ndarray:
    return np.random.default_rng(3).standard_t(2, size=shape).astype(dtype)


def ternary(size: int, dtype: object = np.float32) -> np.ndarray:
    return (np.random.default_rng(2).choice([-1, 0, 1], size, p=[0.25, 0.5, 0.25]) * 0.017).astype(dtype)


def matrix(rows: int, columns: int, dtype: object = np.float32) -> np.ndarray:
    """A few directions and noise, as gradients of a layer are."""
    rng = np.random.default_rng(4)
    values = rng.normal(size=(rows, 2)) @ rng.normal(size=(2, columns)) + 0.2 * rng.normal(size=(rows, columns))
    return values.astype(dtype)


def flat(*values: float, dtype: object = np.float32) -> np.ndarray:
    return np.array(values).astype(dtype)


def meta(**value: object) -> bytes:
    return pack_block(b"META", json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())


def every_dtype() -> bytes:
    """A record for each code: the smallest, a middle and the largest value."""
    blocks = []
    for dtype in DTYPES.values():
        if dtype.kind in "iu":
            info = np.iinfo(dtype)
            values = np.array([info.min, 5, info.max], dtype)
        elif dtype.kind == "b":
            values = np.array([True, False, True])
        else:
            values = np.array([-1.5, 0.0, 0.25]).astype(dtype) * (
                dtype.type(1j) if dtype.kind == "c" else dtype.type(1)
            )
        blocks.append(record(dtype.name[0] + str(len(blocks)), values, "lossless"))
    return container(*blocks)


def newer_minor() -> bytes:
    start = MAGIC + bytes((1, 9, 0, 0xFF))
    return container(record("", normal(3), "lossless"), start=start + u32(crc32(start)))


DEEPEST = '{"x":' + "[" * 63 + "-" + "9" * 299 + "]" * 63 + "}"
CONTAINERS = (
    Good("container-empty", "No record at all.", container),
    Good("container-all-dtypes", "A record of each dtype code.", every_dtype),
    Good(
        "container-several",
        "Three records of other methods; one name is empty, one has slashes, one is not ASCII.",
        lambda: container(
            record("", normal(5), "lossless"),
            record("layer/0/weight", normal(8, 6), "sd", 0.1),
            record("größe · 大きさ", normal(4), "rsd", 0.5),
        ),
    ),
    Good(
        "container-meta",
        "META with every known key and one unknown.",
        lambda: container(
            meta(format="npy", names=["a"], bytes=12, scope={"alpha": 0.5, "norm2": {"a": 3}}, later=[None, {}]),
            record("a", flat(1, 1, 1), "sd", 0.5),
        ),
    ),
    Good(
        "container-meta-without-bytes",
        "META with a header of no bytes, which stands for an empty object.",
        lambda: container(pack_block(b"META", b""), record("", flat(1, 2), "lossless")),
    ),
    Good(
        "container-meta-format-unknown",
        "META.format is a string that this version does not know: no error.",
        lambda: container(meta(format="tar", members=2), record("a", flat(1, 2), "lossless")),
    ),
    Good(
        "container-json-at-its-limits",
        "META and attributes that are nested 64 deep and hold an integer of 300 characters.",
        lambda: container(
            pack_block(b"META", DEEPEST.encode()),
            record("", flat(1, 2), "lossless").but(attributes=pack_text(DEEPEST)),
        ),
    ),
    Good(
        "container-skippable-block",
        "Blocks of lower-case types with headers and bodies, before, between and after records: to be skipped.",
        lambda: container(
            pack_block(b"note", b"of this\0", 5) + b"HELLO",
            record("a", flat(1, 2), "lossless"),
            pack_block(b"xYZZ", b"", 64) + bytes(64),
            record("b", flat(3, 4), "lossless"),
            pack_block(b"zzzz", b"nothing else"),
        ),
    ),
    Good(
        "container-later-minor",
        "A later minor version, with all ignorable flags set: to be read as version 1.0.",
        newer_minor,
    ),
    Good(
        "container-attributes",
        "A record with attributes: a JSON object whose keys a reader need not know.",
        lambda: container(
            record("", flat(1, 2), "lossless").but(attributes=pack_text('{"unit":"µm","n":[1,2.5,null,true]}'))
        ),
    ),
    Good("container-scalar", "A tensor without dimensions: one value.", lambda: one(np.float64(-2.5), "lossless")),
    Good(
        "container-64-dimensions",
        "The most dimensions that a tensor may have.",
        lambda: one(np.arange(6, dtype=np.int16).reshape(2, *62 * (1,), 3), "lossless"),
    ),
    Good(
        "container-no-values",
        "Tensors without values: of no chunks, with a head of no bytes, one with a huge dimension beside the 0.",
        lambda: container(
            record("a", np.empty(0, np.float32), "lossless"),
            record("b", np.empty((3, 0, 2), np.complex64), "lossless"),
            record("c", np.empty((0, 2**47 - 1), bool), "lossless"),
        ),
    ),
    Good("container-zeros", "All values are zero, one of them negative.", lambda: one(np.array([0, -0.0, 0], "f4"), "lossless")),
    Good(
        "container-expected-above-bound",
        "Certificates are read, not judged: distortion and expectation above the bound are the business of a verifier.",
        lambda: container(
            record("", flat(1, 2, 3), "rsd", 0.5).but(distortion=struct.pack("<d", 9.0), expected=struct.pack("<d", 7.0))
        ),
    ),
)  # fmt: skip


def one(array: np.ndarray, method: str, bound: float = 0.0, **options: int) -> bytes:
    return container(record("", np.asarray(array), method, bound, **options))


def case(name: str, about: str, array: np.ndarray, method: str, bound: float = 0.0, **options: int) -> Good:
    shown = {key: value for key, value in options.items() if key not in ("chunk", "lane_bytes")}
    return Good(name, about, lambda: one(array, method, bound, **options), shown)


def stored_as_frames() -> bytes:
    """Two planes as frames of raw blocks: a frame of a single segment, and one with a window."""
    base = record("", np.array([0x0102, 0x0304], np.uint16), "lossless")
    block = struct.pack("<I", 1 | 2 << 3)[:3]
    single = b"\x28\xb5\x2f\xfd" + b"\x20\x02" + block + b"\x02\x04"
    window = b"\x28\xb5\x2f\xfd" + b"\x80\x00" + u32(2) + block + b"\x01\x03"
    return container(base.holding(chunks=[b"".join(b"\x01" + u32(len(frame)) + frame for frame in (single, window))]))


def repeated_byte() -> bytes:
    """500 bools that are 1, in a frame of one block that repeats a byte."""
    content = (
        b"\x28\xb5\x2f\xfd\x60" + struct.pack("<H", 500 - 256) + struct.pack("<I", 1 | 1 << 1 | 500 << 3)[:3] + b"\x01"
    )
    return container(record("", np.ones(500, bool), "lossless").holding(chunks=[b"\x01" + u32(len(content)) + content]))


def as_numbers() -> bytes:
    """A plane of many values, as numbers of a byte each."""
    plane = (np.random.default_rng(5).geometric(0.02, 1200) % 251).astype(np.uint8)
    content = tuples.pack(plane, 1)
    return container(record("", plane, "lossless").holding(chunks=[b"\x03" + u32(len(content)) + content]))


def saturating() -> bytes:
    """The worked example of 02 with a scale at which level 3 lies beyond the largest float32."""
    base = record("", flat(3, -1, 0, 0.5), "sd", 0.1)
    return rescaled(base, struct.pack("<f", 3e38), flat(3.4028235e38, -3e38, 0, 0))


def rescaled(base: Record, head: bytes, values: np.ndarray) -> bytes:
    """The same chunk under another head, which decodes to `values`."""
    changed = Record(base.fields, base.head, base.chunks, (crc32(values.tobytes()),))
    return container(changed.holding(head=head))


SPECIAL = np.array([0x7FC00001, 0x80000000, 0x7FC00001, 0x3F800000] * 9, np.uint32).view("f4")
QUANTISED = np.clip(np.rint(3 * normal(12, 40, dtype="f8", seed=6)), -8, 7) + 0.0

LOSSLESS = (
    case("lossless-specials", "Signed zeros, infinities, NaN payloads and subnormals of float32.", SPECIALS.view("f4"), "lossless"),
    case("lossless-zstd", "A plane that Zstandard makes smaller, and planes that it does not.", normal(150), "lossless"),
    case("lossless-huffman", "Small integers whose frame has Huffman-coded literals.",
         np.random.default_rng(5).binomial(6, 0.5, 1000).astype(np.uint8), "lossless"),
    case("lossless-symbols", "A plane of exponents as symbols.", normal(500, dtype=BF16), "lossless"),
    case("lossless-symbols-apart", "Symbols of the 31 most frequent bytes, and the others apart.",
         (np.random.default_rng(5).geometric(0.06, 700) * 3 % 256).astype(np.uint8), "lossless"),
    case("lossless-sequences", "A period that Zstandard codes as matches.",
         np.arange(600, dtype=np.int32) % 7 * 1000 + np.arange(600) // 2, "lossless"),
    case("lossless-chunks", "Three chunks of seven values and one of two.", normal(23, dtype="f8"), "lossless", chunk=7),
    case("lossless-complex", "Complex numbers: each part is a word of its own.", normal(6).view("c8"), "lossless"),
    Good("lossless-bool", "Bools, in a frame of one byte repeated.", repeated_byte),
    case("lossless-ternary", "Multiples of one scale: three integers.", ternary(900), "lossless"),
    case("lossless-mask", "A palette of two words and rarely the second: indices in contexts without neighbours.", sparse(3000, share=0.02).astype(bool).astype("f4"), "lossless"),
    case("lossless-before", "Runs of three words: the context is the index before.", np.repeat(SPECIAL, 9), "lossless"),
    case("lossless-blocks", "A matrix of blocks of two words: the contexts of four neighbours.", np.kron(ternary(20).reshape(4, 5) > 0, np.ones((7, 8))).astype(BF16), "lossless"),
    case("lossless-three-in-blocks", "A matrix of blocks of ten words, in chunks: the contexts of two neighbours.", np.kron(np.random.default_rng(8).permutation(48).reshape(6, 8) % 10, np.ones((9, 8))).astype("i4") + sparse(54, 64, share=0.03).astype(bool), "lossless", chunk=900),
    case("lossless-packed", "A palette of 16 words, whose indices have four bits each.", normal(16)[np.random.default_rng(3).permutation(256) % 16], "lossless"),
    case("lossless-packed-cut", "21 indices of three bits each, and one bit of filling.", np.array([3, 1000, 30, 77, 500])[np.random.default_rng(8).permutation(21) % 5].astype("i8"), "lossless"),
    case("lossless-rows", "Multiples of a scale for each row.", (QUANTISED * 2.0 ** np.arange(12)[:, None] / 3).astype("f4"), "lossless"),
    case("lossless-columns", "Multiples of a scale for each column, of float64, one of them zero.", QUANTISED.T * (np.arange(12) / 7), "lossless"),
    case("lossless-groups", "Multiples of a scale for 32 values each, of bfloat16, in chunks.", (QUANTISED.reshape(-1, 32) * np.exp(normal(15, 1))).astype(BF16), "lossless", chunk=100),
    case("lossless-multiples-signs", "Multiples of float16, with zeros of both signs.", (np.rint(normal(20, 30)) * (1 + np.arange(20)[:, None] / 9)).astype("f2"), "lossless"),
    case("lossless-palette-of-256", "A palette of 256 words, the most that there can be.", (np.random.default_rng(4).permutation(1280) % 256 * 251 - 30000).astype("i2"), "lossless"),
    case("lossless-palette-chunks", "A palette over chunks of 100 values, of complex numbers.", ternary(500).view("c8"), "lossless", chunk=100),
    Good("lossless-numbers", "A plane of many values: numbers of a byte each.", as_numbers),
    case("lossless-float8", "Every float8_e4m3fn.", np.arange(256, dtype=np.uint8).view(E4M3), "lossless"),
    Good("lossless-raw-frames", "Frames larger than their planes: one of a single segment, one with a window.", stored_as_frames),
)  # fmt: skip

SPARSE_DITHERING = (
    case("sd-example", "The worked example of 02-sparse-dithering.", flat(3, -1, 0, 0.5), "sd", 0.1),
    case("sd-first-negative", "The first level that is not zero is negative, so the scale is.", flat(0, 0.1, -5, 2, 0), "sd", 0.1),
    case("sd-float32", "A float32 matrix.", normal(20, 16), "sd", 0.1),
    case("sd-fine", "A small bound: long levels, a Rice parameter above 0.", normal(100), "sd", 1e-6),
    case("sd-float64", "float64 under a bound so small that the scale has 8 bytes.", normal(40, dtype="f8"), "sd", 1e-15),
    case("sd-bfloat16", "Values are rounded to bfloat16.", normal(9, 11, dtype=BF16), "sd", 0.01),
    case("sd-float16", "Subnormal numbers of float16: the scale is a normal float32.", normal(50, dtype="f2", scale=1e-6), "sd", 0.05),
    case("sd-float8", "Values are rounded to float8_e5m2.", normal(60, dtype=E5M2), "sd", 0.02),
    case("sd-float8-e3m4", "Values are rounded to float8_e3m4.", normal(60, dtype=E3M4), "sd", 0.02),
    case("sd-float8-e4m3", "Values are rounded to float8_e4m3.", normal(60, dtype=E4M3_IEEE), "sd", 0.02),
    case("sd-float8-ends", "The largest numbers of float8_e4m3fn and its subnormal ones.",
         np.array([448, -448, 416, 2**-9, -(2**-8), 7 * 2**-9, 2**-6, -0.0], E4M3), "sd", 1e-12),
    case("sd-float8-wide-ends", "The largest numbers of float8_e5m2, and smaller ones.",
         np.array([57344, -57344, 49152, -1, 0.125, 2**-14], E5M2), "sd", 1e-20),
    case("sd-bfloat16-subnormal", "Subnormal numbers of bfloat16.",
         np.array([2.0**-133, -(2.0**-132), 127 * 2.0**-133, 2.0**-126], BF16), "sd", 1e-5),
    case("sd-sparse", "Mostly zeros: the bitmap takes few bits.", sparse(1000), "sd", 0.05),
    case("sd-one-value", "A tensor of one value, without dimensions.", np.float32(-7), "sd", 0.5),
    case("sd-chunks", "Chunks of 16 values, one of which has only zeros.",
         np.concatenate([normal(16), np.zeros(16, "f4"), normal(9)]), "sd", 0.1, chunk=16),
    case("sd-tiny-scale", "float64 near 1e-310: the scale is a subnormal number, in 8 bytes.", normal(12, dtype="f8", scale=1e-310), "sd", 0.01),
    case("sd-huge", "float64 near 1e300.", normal(12, dtype="f8", scale=1e300), "sd", 0.01),
    Good("sd-saturating", "A level times the scale is above the largest float32 and becomes it.", saturating),
    Good("sd-overflow", "A level times an 8-byte scale overflows float64 and becomes the largest float32.",
         lambda: rescaled(record("", flat(3, -1, 0, 0.5), "sd", 0.1), struct.pack("<d", 1e308),
                          flat(3.4028235e38, -3.4028235e38, 0, 0))),
    case("rsd-float32", "A float32 vector, unbiased.", normal(200), "rsd", 0.25, seed=7),
    case("rsd-float64", "A float64 tensor of three dimensions.", normal(3, 4, 5, dtype="f8"), "rsd", 0.01, seed=2**64 - 1),
    case("rsd-bfloat16", "Levels are drawn so that the rounding to bfloat16 is unbiased too.", normal(64, dtype=BF16), "rsd", 0.25, seed=1),
    case("rsd-coarse", "A bound above 1: most levels are zero.", normal(300), "rsd", 3.0, seed=3),
    case("rsd-chunks", "Chunks of 10 values.", heavy(37), "rsd", 0.1, seed=4, chunk=10),
)  # fmt: skip

SPHERICAL = (
    case("sc-example", "The worked example of 04-spherical for one block.", flat(3, -1, 0.5), "sc", 0.1),
    case("sc-one-value", "One block of one value.", np.float32(-2.5), "sc", 0.25),
    case("sc-one-block", "One block of a float32 vector.", normal(12), "sc", 0.4),
    case("sc-one-block-seed", "One block with a seed of two bytes.", normal(10), "sc", 0.4, seed=513),
    case("sc-one-block-float64", "One block of float64, with a large exponent.", normal(6, dtype="f8", scale=1e290), "sc", 0.3),
    case("sc-one-block-bfloat16", "One block, rounded to bfloat16.", normal(7, dtype=BF16), "sc", 0.3),
    case("sc-blocks", "Blocks of a float32 matrix.", normal(24, 20), "sc", 0.2),
    case("sc-blocks-seed", "Blocks with a seed of eight bytes.", heavy(300), "sc", 0.1, seed=2**63 + 5),
    case("sc-blocks-float64", "Blocks of float64 far below the smallest float32.", normal(90, dtype="f8", scale=1e-200), "sc", 0.05),
    case("sc-blocks-loud", "A value so much louder than the others that its level is beyond the unary part.",
         np.concatenate([normal(99), flat(1e6)]), "sc", 1e-12),
    case("sc-blocks-float8", "Blocks, rounded to float8_e4m3fn.", normal(100, dtype=E4M3), "sc", 0.1),
    case("sc-omega-one-block", "One block, unbiased.", normal(8), "sc:omega", 1.0, seed=9),
    case("sc-omega-blocks", "Blocks, unbiased: scales are binary32.", normal(200), "sc:omega", 0.5, seed=10),
)  # fmt: skip

GOOD: tuple[Good, ...] = CONTAINERS + LOSSLESS + SPARSE_DITHERING + SPHERICAL
