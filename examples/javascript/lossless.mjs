// lossless (spec/compressors/01-lossless.md). Planes of Zstandard need a Node that has it (22.15).

import zlib from "node:zlib";
import { Bits, corruptIf, Fields, GczError } from "./bytes.mjs";
import { readLanes, readSequence, readTable } from "./levels.mjs";

export function decodeLossless(head, { dtype, size }) {
  const width = dtype.width / (dtype.parts ?? 1);
  const palette = head.length > 0 ? readPalette(head, width, size) : null;
  const isRotated = dtype.float || dtype.parts === 2;
  return (bytes, start, count) => {
    const n = count * (dtype.parts ?? 1);
    const fields = new Fields(bytes, "chunk");
    const planes = Array.from({ length: palette ? 1 : width }, () => readPlane(fields, n));
    fields.end();
    const words = palette ? fromPalette(planes[0], palette, width) : fromPlanes(planes, n, width, isRotated);
    corruptIf(dtype.name === "bool" && words.some((byte) => byte > 1), "a bool that is neither 0 nor 1");
    return words;
  };
}

function readPalette(head, width, size) {
  const count = head[0] || 256;
  corruptIf(size === 0 || width === 1 || head.length !== 1 + count * width, "the length of a palette");
  const words = Array.from({ length: count }, (_, i) => head.subarray(1 + i * width, 1 + (i + 1) * width));
  const value = (word) => word.reduceRight((sum, byte) => sum * 256n + BigInt(byte), 0n);
  corruptIf(words.some((word, i) => i > 0 && value(word) <= value(words[i - 1])), "a palette that does not ascend");
  return words;
}

function fromPalette(plane, palette, width) {
  const words = new Uint8Array(plane.length * width);
  plane.forEach((index, i) => {
    corruptIf(index >= palette.length, "an index without a word");
    words.set(palette[index], i * width);
  });
  return words;
}

function fromPlanes(planes, n, width, isRotated) {
  const words = new Uint8Array(n * width);
  for (let i = 0; i < n; i++) {
    for (let p = 0; p < width; p++) {
      const byte = planes[p][i];
      const above = planes[p + 1 < width ? p + 1 : 0][i];
      words[i * width + p] = isRotated ? (byte >> 1) | ((above & 1) << 7) : byte;
    }
  }
  return words;
}

function readPlane(fields, n) {
  const coding = fields.number(1);
  corruptIf(coding > 3, "a coding above 3");
  if (coding === 0) return fields.take(n);
  const data = fields.take(fields.number(4));
  return [null, readFrame, readSymbols, readNumbers][coding](data, n);
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
