// The container (spec/format.md): file header, blocks, records, footer.

import { corruptIf, crc32, Fields, GczError } from "./bytes.mjs";
import { decodeDithering } from "./dithering.mjs";
import { dtypeOf, pack } from "./dtypes.mjs";
import { decodeLossless } from "./lossless.mjs";
import { quantiser } from "./quantiser.mjs";

const MAGIC = [0x89, 0x47, 0x43, 0x5a, 0x0d, 0x0a, 0x1a, 0x0a];
const KNOWN = ["META", "TENS", "INDX", "fill"];
// The compressors that this program has, by id: name, guarantees (0 exact, 1 alpha, 2 omega), and a
// function from a head and what all chunks share to a decoder of chunks.
const COMPRESSORS = {
  1: { name: "lossless", guarantees: [0], decoder: decodeLossless },
  2: { name: "sd", guarantees: [1], decoder: decodeDithering },
  3: { name: "rsd", guarantees: [2], decoder: decodeDithering },
  5: { name: "ecsq", guarantees: [1], decoder: quantiser([0]) },
  6: { name: "tcq", guarantees: [1], decoder: quantiser([1, 2]) },
};

// All tensors of a file: name, dtype, shape, method, and values as little-endian bytes in C order.
export function* tensors(file) {
  checkHeader(file);
  const offsets = [];
  let at = 16;
  for (let first = true; ; first = false) {
    if (isFooter(file, at)) break;
    const block = readBlock(file, at);
    corruptIf(block.type === "META" && !first, "META is not the first block");
    if (block.type === "TENS") {
      offsets.push(at);
      yield readRecord(block);
    }
    at = block.end;
    if (block.type === "INDX") {
      corruptIf(!isFooter(file, at), "the index is not the last block");
      return checkFooter(file, at, block.start);
    }
  }
  corruptIf(offsets.length !== 1, "a file of several records, or none, has no index");
  checkFooter(file, at, offsets[0]);
}

function checkHeader(file) {
  const begins = MAGIC.every((byte, i) => i >= file.length || file[i] === byte);
  if (!begins || file.length === 0) throw new GczError("not-gcodec", "the magic is missing");
  if (file.length < 16) throw new GczError("truncated", "the file ends in its header");
  if (file[8] > 1) throw new GczError("unsupported-version", `major version ${file[8]}`);
  const fields = new Fields(file.subarray(12, 16), "file header");
  if (crc32(file.subarray(0, 12)) !== fields.number(4)) throw new GczError("checksum", "file header");
  corruptIf(file[8] < 1, "major version 0");
  if (file[10]) throw new GczError("unsupported-feature", "an unknown required flag");
}

const isFooter = (file, at) => file.length - at === 16 && String.fromCharCode(...file.subarray(-4)) === "GCZE";

function checkFooter(file, at, last) {
  const fields = new Fields(file.subarray(at), "footer");
  const offset = fields.number(8);
  if (crc32(file.subarray(at, at + 8)) !== fields.number(4)) throw new GczError("checksum", "footer");
  corruptIf(offset !== last, "the footer names another block");
}

function readBlock(file, start) {
  if (start + 16 > file.length) throw new GczError("truncated", "the file ends in a block");
  const frame = new Fields(file.subarray(start, start + 16), "block");
  const type = String.fromCharCode(...frame.take(4));
  const [headerLength, bodyLength] = [frame.number(4), frame.number(8)];
  corruptIf(!/^[A-Za-z]{4}$/.test(type) || headerLength > 2 ** 24 || bodyLength >= 2 ** 62, "a block's frame");
  const body = start + 16 + headerLength + 4;
  if (body > file.length) throw new GczError("truncated", "the file ends in a block's header");
  const crc = new Fields(file.subarray(body - 4, body), "block").number(4);
  if (crc32(file.subarray(start, body - 4)) !== crc) throw new GczError("checksum", "a block's header");
  if (!KNOWN.includes(type) && type[0] < "a") throw new GczError("unsupported-feature", `block ${type}`);
  if (body + bodyLength > file.length) throw new GczError("truncated", "the file ends in a block's body");
  const header = file.subarray(start + 16, body - 4);
  return { type, header, body: file.subarray(body, body + bodyLength), start, end: body + bodyLength };
}

function readRecord({ header, body }) {
  const fields = new Fields(header, "record");
  const name = fields.text();
  const dtype = dtypeOf(fields.varint());
  const ndim = fields.varint();
  corruptIf(ndim > 64, "more than 64 dimensions");
  const shape = Array.from({ length: ndim }, () => fields.varint());
  const size = shape.reduce((product, n) => product * Number(n), 1);
  corruptIf(shape.reduce((product, n) => product * (Number(n) || 1), 1) >= 2 ** 48, "too many values");
  const attributes = readAttributes(fields.text());
  const [id, version] = [fields.varint(), fields.varint()];
  const compressor = COMPRESSORS[id];
  if (!compressor || version !== 1) throw new GczError("unsupported-feature", `compressor ${id}, version ${version}`);
  const kind = fields.number(1);
  corruptIf(!compressor.guarantees.includes(kind) || (kind > 0 && !dtype.float), "the guarantee does not fit");
  if (kind > 0) checkBounds(fields, kind);
  corruptIf(attributes.base !== undefined && kind !== 1, "a base where none is possible");
  if (attributes.base !== undefined) throw new GczError("missing-base", "this program has no bases");
  const chunk = fields.varint();
  corruptIf(chunk < 1 || chunk > 2 ** 20 || (size === 0 && kind > 0), "the size of a chunk");
  corruptIf(size > chunk * 2 ** 19, "too many chunks");
  const [headLength, headCrc] = [fields.varint(), fields.number(4)];
  const table = Array.from({ length: Math.ceil(size / chunk) }, () => [fields.varint(), fields.number(4), fields.number(4)]);
  fields.end();
  const total = table.reduce((sum, [length]) => sum + length, headLength);
  corruptIf(total !== body.length, "the lengths of head and chunks are not that of the body");
  const coded = new Fields(body, "body");
  const head = checked(coded.take(headLength), headCrc, "head");
  const decode = compressor.decoder(head, { dtype, shape, size });
  const parts = table.map(([length, crc, decodedCrc], i) => {
    const bytes = checked(coded.take(length), crc, `chunk ${i}`);
    const count = Math.min(chunk, size - i * chunk);
    const values = decode(bytes, i * chunk, count);
    return checked(values instanceof Uint8Array ? values : pack(values, dtype), decodedCrc, `values of chunk ${i}`);
  });
  return { name, dtype: dtype.name, shape, method: compressor.name, values: Buffer.concat(parts) };
}

// The rules of JSON that JSON.parse does not check, such as equal keys, are not checked here either.
function readAttributes(text) {
  try {
    const attributes = JSON.parse(text || "{}");
    corruptIf(attributes === null || typeof attributes !== "object" || Array.isArray(attributes), "the attributes");
    return attributes;
  } catch (error) {
    throw error instanceof GczError ? error : new GczError("corrupt", "attributes that are not JSON");
  }
}

function checkBounds(fields, kind) {
  const [bound, distortion] = [fields.f64(), fields.f64()];
  const expected = kind === 2 ? fields.f64() : 0;
  corruptIf(!(bound > 0 && bound < (kind === 1 ? 1 : Infinity)), "the bound");
  corruptIf([distortion, expected].some((value) => !(value >= 0 && value < Infinity)), "the certificate");
}

function checked(bytes, crc, what) {
  if (crc32(bytes) !== crc) throw new GczError("checksum", what);
  return bytes;
}
