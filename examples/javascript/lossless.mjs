// lossless (spec/compressors/01-lossless.md): bytes of words, or indices of what its head says.

import { Bits, corruptIf, Fields } from "./bytes.mjs";
import { toWork } from "./dtypes.mjs";
import { readPlane } from "./planes.mjs";

export function decodeLossless(head, { dtype, size }) {
  const parts = dtype.parts ?? 1;
  const width = dtype.width / parts;
  const indices = head.length > 0 ? readHead(head, dtype, width, size) : null;
  const isRotated = dtype.float || parts === 2;
  return (bytes, start, count) => {
    const n = count * parts;
    const fields = new Fields(bytes, "chunk");
    const planes = Array.from({ length: indices ? 1 : width }, () => readPlane(fields, n, indices));
    fields.end();
    if (indices) {
      corruptIf(planes[0].some((index) => index >= indices.count), "an index beyond the head's");
      return indices.valuesOf(planes[0], start);
    }
    const words = fromPlanes(planes, n, width, isRotated);
    corruptIf(dtype.name === "bool" && words.some((byte) => byte > 1), "a bool that is neither 0 nor 1");
    return words;
  };
}

// How many indices there are, whether contexts may code them, and the function from indices to values.
function readHead(head, dtype, width, size) {
  const form = head[0];
  corruptIf(form > 3 || width === 1, "a head that these values cannot have");
  const read = form % 2 === 0 ? readPalette : readMultiples;
  return { ...read(head.subarray(1), dtype, width, size), hasContexts: form >= 2 };
}

function readPalette(data, dtype, width) {
  const count = data[0] || 256;
  corruptIf(data.length !== 1 + count * width, "the length of a palette");
  const words = Array.from({ length: count }, (_, i) => data.subarray(1 + i * width, 1 + (i + 1) * width));
  const value = (word) => word.reduceRight((sum, byte) => sum * 256n + BigInt(byte), 0n);
  corruptIf(words.some((word, i) => i > 0 && value(word) <= value(words[i - 1])), "a palette that does not ascend");
  const valuesOf = (indices) => {
    const bytes = new Uint8Array(indices.length * width);
    indices.forEach((index, i) => bytes.set(words[index], i * width));
    return bytes;
  };
  return { count, valuesOf };
}

function readMultiples(data, dtype, width, size) {
  corruptIf(!dtype.float, "multiples of values that are not floats");
  const bits = new Bits(data, "multiples");
  const [low, integers] = [bits.number(8), bits.number(8) + 1];
  const [length, inner] = [bits.big(bits.number(6)), bits.big(bits.number(6))];
  const group = length * inner;
  corruptIf(group < 1n || group > BigInt(Math.max(size, 1)), "the length of a group");
  const [outer, step] = [Number(group), Number(inner)];
  const scaleWidth = bits.number(1) ? 8 : 4;
  bits.fill();
  const total = step * Math.ceil(size / outer);
  corruptIf(total > 1 && 8 * total > size, "more scales than an eighth of the values");
  const scales = readScales(bits.rest(), total, scaleWidth);
  const valueOf = (index, i) => {
    if (index === integers) return -0;
    return toWork((index - low) * scales[Math.floor(i / outer) * step + (i % step)], dtype);
  };
  const valuesOf = (indices, start) => Array.from(indices, (index, i) => valueOf(index, start + i));
  return { count: Math.min(integers + 1, 256), valuesOf };
}

function readScales(data, count, width) {
  const fields = new Fields(data, "scales");
  const planes = Array.from({ length: width }, () => readPlane(fields, count));
  fields.end();
  const view = new DataView(fromPlanes(planes, count, width, false).buffer);
  const scales = Array.from({ length: count }, (_, i) =>
    width === 8 ? view.getFloat64(8 * i, true) : view.getFloat32(4 * i, true),
  );
  corruptIf(scales.some((scale) => !(scale < Infinity) || scale < 0 || Object.is(scale, -0)), "a scale");
  return scales;
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
