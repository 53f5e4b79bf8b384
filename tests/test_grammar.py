"""The grammar of spec/gcodec.ksy reads the vectors as they are meant.

Kaitai Struct compiles it. This needs node, npm's kaitai-struct-compiler (found from the project's
folder or by NODE_PATH), and PyPI's kaitaistruct and pyyaml.
"""

import json
import math
import shutil
import subprocess
from pathlib import Path

import pytest
from vectors import FOLDER, vectors

kaitaistruct = pytest.importorskip("kaitaistruct")
yaml = pytest.importorskip("yaml")
GRAMMAR = FOLDER.parent / "gcodec.ksy"
STRUCTURE = (
    "magic",
    "empty",
    "header",
    "block",
    "meta-body",
    "record",
    "index",
    "footer",
)  # beginnings of vectors' names
BEYOND = [
    "block-type-digit",
    "footer-offset",
    "footer-offset-of-record",
    "index-missing-entry",
    "index-name",
    "index-needed-for-two",
    "index-name-twice",
    "index-of-too-many",
    "index-offset",
    "index-order",
    "record-2-48-beside-zero",
    "record-2-48-values",
    "record-attributes-array",
    "record-attributes-cut",
    "record-attributes-equal-keys",
    "record-attributes-integer-long",
    "record-attributes-nested",
    "record-base-alpha-1",
    "record-base-crc-2-32",
    "record-base-crc-missing",
    "record-base-crc-negative",
    "record-base-depth-0",
    "record-base-name-number",
    "record-base-of-lossless",
    "record-base-string",
    "record-empty-of-sd",
    "record-empty-with-chunk",
    "record-guarantee-exact-of-sd",
    "record-guarantee-not-of-method",
    "record-sd-of-int32",
    "record-shape-beyond-table",
]  # rules that bind fields to each other, and JSON
COMPILE = """
const compiler = require("kaitai-struct-compiler");
const grammar = JSON.parse(require("fs").readFileSync(0));
Promise.resolve(compiler.compile ? compiler.compile("python", grammar) : new compiler().compile("python", grammar))
  .then(files => process.stdout.write(JSON.stringify(files)), error => { console.error(String(error)); process.exit(1); });
"""


@pytest.fixture(scope="module")
def parse():
    """bytes → the parsed container; raises what Kaitai's runtime raises."""
    node = shutil.which("node")
    root = Path(__file__).parents[1]
    if (
        not node
        or subprocess.run([node, "-e", 'require("kaitai-struct-compiler")'], cwd=root, capture_output=True).returncode
    ):
        pytest.skip("npm's kaitai-struct-compiler is not there")
    grammar = json.dumps(yaml.safe_load(GRAMMAR.read_text()))
    done = subprocess.run([node, "-e", COMPILE], cwd=root, input=grammar, capture_output=True, text=True)
    assert not done.returncode, done.stderr
    module: dict = {"__name__": "gcodec_grammar"}
    exec(compile(json.loads(done.stdout)["gcodec.py"], "gcodec.py", "exec"), module)
    return module["Gcodec"].from_bytes


@pytest.mark.parametrize("vector", vectors("good"), ids=str)
def test_good(parse, vector):
    file = parse(vector.data)
    tensors = vector.about["tensors"]
    records = [block for block in file.blocks if block.kind == "TENS"]
    joined = [block for block in file.blocks if block.kind == "JOIN"]
    count = sum(block.header.count.value for block in joined)
    assert len(records) + count == len(tensors)
    for block in joined:
        shapes, record = [], block.header.record
        for tensor in block.header.tensors:
            shapes.append([n.value for n in tensor.dims] if tensor.dimensions.value else shapes[-1])
        wanted = [about["shape"] for about in tensors if about["dtype"] == record.dtype.name]
        assert all(shape in wanted for shape in shapes) and len(block.header.crcs) == len(shapes)
        assert sum(map(math.prod, shapes)) == record.dims[0].value
    names = [tensor.name.between for block in joined for tensor in block.header.tensors]
    assert all(any(name in about["name"].encode() for about in tensors) for name in names)
    alone = tensors if not joined else [about for about in tensors if about["guarantee"] != "exact"]
    for block, about in zip(records, alone, strict=True):
        record = block.header
        assert record.name.value == about["name"]
        assert record.dtype.name == about["dtype"]
        assert [n.value for n in record.dims] == about["shape"]
        assert record.compressor.name == about["method"]
        assert record.guarantee.name == about["guarantee"]
        assert about["guarantee"] == "exact" or record.bound == about["bound"]
        assert record.chunk.value == about["chunk"]
        assert len(block.body.head) + sum(map(len, block.body.chunks)) == block.len_body
    if file.blocks[-1].kind == "JIDX":
        assert file.blocks[-1].header.count.value == len(tensors)
        assert sum(entry.distance.value == 0 for entry in file.blocks[-1].header.entries) == count - len(joined)
    elif file.blocks[-1].kind == "INDX":
        entries = file.blocks[-1].header.entries
        assert [entry.name.value for entry in entries] == [about["name"] for about in vector.about["tensors"]]
    else:
        assert len(records) == 1


def test_bad_structure_is_refused(parse):
    for vector in vectors("bad"):
        if (
            vector.path.stem.startswith(STRUCTURE)
            and vector.path.stem not in BEYOND
            and vector.about["error"] != "checksum"
        ):
            with pytest.raises((kaitaistruct.KaitaiStructError, EOFError, UnicodeDecodeError)):
                parse(vector.data)
