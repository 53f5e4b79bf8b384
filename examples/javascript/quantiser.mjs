// ecsq and tcq (spec/compressors/05-ecsq.md, 06-tcq.md).

import { Bits, corruptIf } from "./bytes.mjs";
import { largestWork, toWork } from "./dtypes.mjs";
import { readLevels, readSequence } from "./levels.mjs";

const TRELLISES = [{ states: 1, P: 0, Q: 0 }, { states: 8, P: 5, Q: 2 }, { states: 32, P: 18, Q: 4 }];

// A decoder of those trellises that a method may have.
export const quantiser = (allowed) => (headBytes, { dtype, shape, size }) => {
  const bits = new Bits(headBytes, "head");
  const points = readPoints(bits, allowed);
  const classes = readClasses(bits, shape, size);
  corruptIf(bits.rest().length > 0, "head: bytes are left over");
  return (bytes, start, count) => {
    const chunk = new Bits(bytes, "chunk");
    const levels = readLevels(chunk, classes(chunk, start, count), points.trellis);
    return levels.map((level) => valueOf(level, points, dtype));
  };
};

// levels.md §1
function readPoints(bits, allowed) {
  const number = bits.number(2);
  corruptIf(!allowed.includes(number), "the trellis is not one of this method");
  const trellis = { ...TRELLISES[number], zero: number > 0 ? bits.number(1) : 0 };
  const mantissa = bits.number(12);
  const e = bits.number(12) - 2048;
  corruptIf(Math.abs(e) > 1100, "the exponent of the step");
  const count = number > 0 ? 4 : 2;
  const signed = () => (bits.number(8) << 24) >> 24;
  const offsets = bits.number(1) ? Array.from({ length: count }, signed) : Array(count).fill(0);
  const m = Math.min(Math.max(e, -1000), 1000);
  const offsetOf = (size) => offsets[number > 0 ? size - 1 : size / 2 - 1] ?? 0;
  return { trellis, offsetOf, step: (4096 + mantissa) * 2 ** (m - 12), unit: 2 ** (e - m) };
}

function valueOf(level, { step, unit, offsetOf }, dtype) {
  const size = Number(level < 0n ? -level : level);
  const value = Math.min((size + offsetOf(size) / 128) * step * unit, largestWork(dtype));
  return toWork(level < 0n ? -value : value, dtype);
}

// levels.md §2: a function that reads the classes of a chunk.
function readClasses(bits, shape, size) {
  const long = shape.filter((n) => n !== 1);
  const width = long.length > 1 ? size / long[0] : size;
  const mode = bits.number(2);
  corruptIf(mode === 3 || (mode === 1 && width > 2 ** 20), "the mode of classes");
  const offset = mode === 1 ? bits.number(5) : 0;
  const block = mode === 2 ? 64 * 2 ** bits.number(2) : 0;
  bits.fill();
  const columns = mode === 1 ? readSequence(bits, width) : [];
  return (chunk, start, count) => {
    const flat = Array.from({ length: count }, (_, i) => start + i);
    if (mode === 0) return flat.map(() => 0);
    if (mode === 2) {
      const numbers = readSequence(chunk, Math.ceil(count / block));
      return flat.map((i) => numbers[Math.floor((i - start) / block)]);
    }
    const first = Math.floor(start / width);
    const rows = readSequence(chunk, Math.floor((start + count - 1) / width) - first + 1);
    const clip = (c) => Math.min(Math.max(c, 0), 31);
    return flat.map((i) => clip(rows[Math.floor(i / width) - first] + columns[i % width] - offset));
  };
}
