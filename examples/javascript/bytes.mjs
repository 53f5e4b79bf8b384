// Bytes, bits and errors (spec/format.md §1 and §8, spec/arithmetic.md).

export class GczError extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

export function corruptIf(condition, message) {
  if (condition) throw new GczError("corrupt", message);
}

const CRC_TABLE = Array.from({ length: 256 }, (_, n) => {
  for (let i = 0; i < 8; i++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n >>> 0;
});

export function crc32(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = CRC_TABLE[(crc ^ byte) & 255] ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

// Fields of whole bytes, one after the other.
export class Fields {
  constructor(bytes, what) {
    this.bytes = bytes;
    this.what = what;
    this.at = 0;
  }

  take(count) {
    corruptIf(this.at + count > this.bytes.length, `${this.what}: a field reaches beyond its data`);
    this.at += count;
    return this.bytes.subarray(this.at - count, this.at);
  }

  number(width) {
    return Number(this.take(width).reduceRight((sum, byte) => sum * 256n + BigInt(byte), 0n));
  }

  f64() {
    return new DataView(Uint8Array.from(this.take(8)).buffer).getFloat64(0, true);
  }

  varint() {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = this.number(1);
      value |= BigInt(byte & 127) << shift;
      corruptIf(value >= 1n << 64n || (byte === 0 && shift > 0n), `${this.what}: a varint is not the shortest`);
      if (byte < 128) return value < 1n << 53n ? Number(value) : value;
    }
  }

  text() {
    const bytes = this.take(this.varint());
    try {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch {
      throw new GczError("corrupt", `${this.what}: a text is not UTF-8`);
    }
  }

  end() {
    corruptIf(this.at !== this.bytes.length, `${this.what}: bytes are left over`);
  }
}

// A bit string; the most significant bit of each byte comes first.
export class Bits {
  constructor(bytes, what) {
    this.bytes = bytes;
    this.what = what;
    this.at = 0;
  }

  big(width) {
    let value = 0n;
    for (let i = 0; i < width; i++) {
      corruptIf(this.at >> 3 >= this.bytes.length, `${this.what}: bits are missing`);
      value = (value << 1n) | BigInt((this.bytes[this.at >> 3] >> (7 - (this.at & 7))) & 1);
      this.at += 1;
    }
    return value;
  }

  number(width) {
    return Number(this.big(width));
  }

  rice(parameter) {
    let quotient = 0;
    while (this.number(1) === 0) quotient += 1;
    return quotient * 2 ** parameter + this.number(parameter);
  }

  fill() {
    corruptIf(this.number((8 - (this.at & 7)) & 7) !== 0, `${this.what}: the filling is not 0`);
  }

  // Whole bytes; the bit string has been filled up.
  take(count) {
    const start = this.at >> 3;
    corruptIf(start + count > this.bytes.length, `${this.what}: a field reaches beyond its data`);
    this.at += 8 * count;
    return this.bytes.subarray(start, start + count);
  }

  rest() {
    return this.take(this.bytes.length - (this.at >> 3));
  }
}
