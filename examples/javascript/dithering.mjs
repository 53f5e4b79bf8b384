// sd and rsd (spec/compressors/02-sparse-dithering.md).

import { corruptIf } from "./bytes.mjs";
import { largestWork, toWork } from "./dtypes.mjs";

export function decodeDithering(head, { dtype }) {
  corruptIf(head.length !== 4 && head.length !== 8, "the scale has 4 or 8 bytes");
  const view = new DataView(Uint8Array.from(head).buffer);
  const scale = head.length === 4 ? view.getFloat32(0, true) : view.getFloat64(0, true);
  const size = Math.abs(scale);
  corruptIf(!(size > 0 && size < Infinity) || (head.length === 4 && size < 2 ** -126), "the scale");
  return (bytes, start, count) => {
    const values = [];
    let isFirst = start === 0;
    for (const { k, sign } of readLevels(bytes, count, start === 0)) {
      const value = toWork(Math.min(Number(k) * size, largestWork(dtype)), dtype);
      const isNegative = isFirst && k > 0n ? scale < 0 : sign === 1;
      if (k > 0n) isFirst = false;
      values.push(k > 0n && isNegative ? -value : value);
    }
    return values;
  };
}

// The number in whose interval all choices are.
class Interval {
  constructor(bytes, n) {
    this.bytes = bytes;
    this.read = 0;
    this.code = this.next(62);
    this.width = 2n ** 62n / BigInt(n + 1);
  }

  next(count) {
    let value = 0n;
    for (let i = 0; i < count; i++, this.read++) {
      const byte = this.bytes[this.read >> 3] ?? 0;
      value = (value << 1n) | BigInt((byte >> (7 - (this.read & 7))) & 1);
    }
    return value;
  }

  refill() {
    while (this.width <= 2n ** 46n) {
      this.code = this.code * 65536n + this.next(16);
      this.width *= 65536n;
    }
  }

  choice(p) {
    const isZero = this.code < p;
    if (!isZero) this.code -= p;
    this.width = isZero ? p : this.width - p;
    return isZero ? 0 : 1;
  }

  bit() {
    this.refill();
    return this.choice(this.width / 2n);
  }

  bits(count) {
    let value = 0n;
    for (let i = 0; i < count; i++) value = 2n * value + BigInt(this.bit());
    return value;
  }

  end() {
    this.refill();
    if (this.bytes.length === 0) return;
    const b = this.bytes[this.bytes.length - 1];
    const left = this.read - 8 * this.bytes.length;
    corruptIf(b === 0 || left < 0, "the end of a chunk");
    const u = 2n ** BigInt(left);
    corruptIf(!(u > this.code && BigInt(256 - b) * u >= this.width - this.code), "a number that is not the shortest");
  }
}

function* readLevels(bytes, n, isFirstChunk) {
  const interval = new Interval(bytes, n);
  let zeros = interval.code / interval.width;
  corruptIf(zeros > BigInt(n), "more zeros than values");
  interval.code -= zeros * interval.width;
  let r = 0;
  if (zeros < BigInt(n)) {
    interval.refill();
    if (interval.choice((interval.width / 16n) * 15n)) r = 1 + Number(interval.bits(6));
    corruptIf(r > 53, "a parameter above 53");
  }
  let isFirst = isFirstChunk;
  for (let left = BigInt(n); left > 0n; left--) {
    let isZero = zeros > 0n;
    if (zeros > 0n && zeros < left) {
      interval.refill();
      isZero = interval.choice((interval.width / left) * zeros) === 0;
    }
    if (isZero) {
      zeros -= 1n;
      yield { k: 0n, sign: 0 };
      continue;
    }
    const sign = isFirst ? 0 : interval.bit();
    isFirst = false;
    yield { k: readLevel(interval, r), sign };
  }
  interval.end();
}

function readLevel(interval, r) {
  let quotient = 0n;
  while (interval.bit() === 0) {
    quotient += 1n;
    const isEndless = interval.code === 0n && interval.read >= 8 * interval.bytes.length;
    corruptIf(isEndless, "a level that no byte ends");
  }
  const k = 1n + quotient * 2n ** BigInt(r) + interval.bits(r);
  corruptIf(k > 2n ** 53n, "a level above 2^53");
  return k;
}
