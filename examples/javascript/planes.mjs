// The planes of lossless (spec/compressors/01-lossless.md). Zstandard needs a Node that has it (22.15).

import zlib from "node:zlib";
import { Bits, corruptIf, Fields, GczError } from "./bytes.mjs";
import { readLanes, readSequence, readTable } from "./levels.mjs";
import { adaptiveBits, RangeCode } from "./range.mjs";

// A plane of n bytes. indices: where its bytes are indices, { count, hasContexts }; they are below count.
export function readPlane(fields, n, indices = null) {
  const coding = fields.number(1);
  if (coding === 0) return fields.take(n);
  const isPacked = indices !== null && coding === 8 + widthOf(indices.count) && coding < 16;
  if (isPacked) return readPacked(fields, n, coding - 8);
  const isContexts = coding === 4 && indices !== null && indices.hasContexts && indices.count <= 16;
  corruptIf(coding > 3 && !isContexts, "a coding that the plane cannot have");
  const data = fields.take(fields.number(4));
  return [null, readFrame, readSymbols, readNumbers, readContexts][coding](data, n, indices);
}

// The bits of an index.
const widthOf = (count) => Math.max(Math.ceil(Math.log2(count)), 1);

function readPacked(fields, n, width) {
  const bits = new Bits(fields.take(Math.ceil((n * width) / 8)), "packed indices");
  const plane = Array.from({ length: n }, () => bits.number(width));
  bits.fill();
  return plane;
}

function readContexts(data, n, { count }) {
  const fields = new Fields(data, "contexts");
  const m = fields.number(1);
  corruptIf(![0, 1, 2, 4].includes(m) || count ** m > 256, "how many neighbours an index has");
  const columns = m > 1 ? fields.number(4) : 0;
  corruptIf(m > 1 && columns < 2, "fewer than 2 columns");
  const back = [1, columns, columns + 1, columns - 1].slice(0, m);
  const code = new RangeCode(data.subarray(fields.at), "contexts");
  const width = widthOf(count);
  const states = adaptiveBits(count ** m * 2 ** width);
  const plane = [];
  for (let i = 0; i < n; i++) {
    const context = back.reduce((sum, distance, j) => sum + (plane[i - distance] ?? 0) * count ** j, 0);
    let node = 1;
    for (let b = 0; b < width; b++) node = 2 * node + code.adaptive(states, context * 2 ** width + node);
    corruptIf(node - 2 ** width >= count, "an index beyond the head's");
    plane.push(node - 2 ** width);
  }
  code.end();
  return plane;
}

function readListed(fields, count) {
  const listed = fields.take(count);
  corruptIf(listed.some((byte, i) => i > 0 && byte <= listed[i - 1]), "listed bytes that do not ascend");
  return listed;
}

function readSymbols(data, n) {
  const fields = new Fields(data, "symbols");
  const count = fields.number(1);
  corruptIf(count < 1 || count > 31, "the count of listed bytes");
  const listed = readListed(fields, count);
  const bits = new Bits(data.subarray(fields.at), "symbols");
  const symbols = readSequence(bits, n);
  const apart = new Fields(bits.rest(), "bytes apart");
  const plane = symbols.map((symbol) => {
    corruptIf(symbol < 31 && symbol >= count, "a symbol without a byte");
    return symbol === 31 ? apart.number(1) : listed[symbol];
  });
  apart.end();
  return plane;
}

function readNumbers(data, n) {
  const fields = new Fields(data, "numbers");
  const count = fields.number(1) || 256;
  const listed = readListed(fields, count);
  const bits = new Bits(data.subarray(fields.at), "numbers");
  const m = bits.number(4);
  corruptIf(m < 1 || m > 10 || count ** m > 1024, "how many bytes a number stands for");
  const total = Math.ceil(n / m);
  const [upper, numbers] = [Array(total).fill(0), []];
  if (count ** m > 32) {
    const table = readTable(bits);
    readLanes(bits, total, () => table, (i, lane, symbol) => (upper[i] = symbol));
  }
  const tables = [];
  for (const symbol of [...new Set(upper)].sort((a, b) => a - b)) tables[symbol] = readTable(bits);
  readLanes(bits, total, (i) => tables[upper[i]], (i, lane, symbol) => numbers.push(32 * upper[i] + symbol));
  corruptIf(bits.rest().length > 0, "numbers: bytes are left over");
  return numbers.flatMap((number, i) => {
    corruptIf(number >= count ** m, "a number that is too large");
    const bytes = Array.from({ length: m }, (_, j) => Math.floor(number / count ** j) % count);
    const used = Math.min(m, n - i * m);
    corruptIf(bytes.slice(used).some((index) => index > 0), "a last number that is not filled up with 0");
    return bytes.slice(0, used).map((index) => listed[index]);
  });
}

function readFrame(data, n) {
  checkFrame(data, n);
  if (!zlib.zstdDecompressSync) throw new GczError("no-zstd", "this Node has no Zstandard");
  try {
    const plane = zlib.zstdDecompressSync(data);
    corruptIf(plane.length !== n, "a frame of another size");
    return plane;
  } catch (error) {
    throw error instanceof GczError ? error : new GczError("corrupt", "a frame that is not valid");
  }
}

// The rules of the page for a library's frames.
function checkFrame(frame, n) {
  const fields = new Fields(frame, "frame");
  corruptIf(fields.number(4) !== 0xfd2fb528, "no frame of Zstandard");
  const flags = fields.number(1);
  corruptIf(flags & 0b1100, "a reserved bit, or a checksum");
  const isSingle = (flags >> 5) & 1;
  const byte = isSingle ? 0 : fields.number(1);
  corruptIf(fields.number([0, 1, 2, 4][flags & 3]) !== 0, "a dictionary");
  const width = [isSingle, 2, 4, 8][flags >> 6];
  corruptIf(width === 0, "no content size");
  corruptIf(fields.number(width) + (width === 2 ? 256 : 0) !== n, "another content size");
  const window = isSingle ? n : (8 + (byte % 8)) * 2 ** (7 + (byte >> 3));
  corruptIf(window > 2 ** 27, "a window that is too large");
  for (let isLast = false; !isLast; ) {
    const header = fields.number(3);
    corruptIf(header >> 3 > Math.min(window, 2 ** 17), "a block that is too large");
    fields.take(((header >> 1) & 3) === 1 ? 1 : header >> 3);
    isLast = (header & 1) === 1;
  }
  fields.end();
}
