// The adaptive range coder (spec/arithmetic.md). All its numbers are integers below 2^53.

import { corruptIf } from "./bytes.mjs";

const HALF = 2 ** 21;
const STEP = Array.from({ length: 1024 }, (_, n) => Math.floor(2 ** 17 / (2 * n + 3)));

export class RangeCode {
  constructor(bytes, what) {
    this.bytes = bytes;
    this.what = what;
    this.taken = 0;
    this.code = (this.word() * 65536 + this.word()) * 65536 + this.word();
    this.width = 2 ** 48;
  }

  word() {
    this.taken += 2;
    return (this.bytes[this.taken - 2] ?? 0) * 256 + (this.bytes[this.taken - 1] ?? 0);
  }

  adaptive({ p, n }, i) {
    const bound = Math.floor(this.width / 65536) * (p[i] >> 6);
    const bit = this.code < bound ? 1 : 0;
    if (bit === 0) this.code -= bound;
    this.width = bit ? bound : this.width - bound;
    const goal = bit ? 2 ** 22 - 2 ** 7 : 2 ** 7;
    p[i] += Math.floor(((goal - p[i]) * STEP[n[i]]) / 65536);
    n[i] = Math.min(n[i] + 1, 1023);
    while (this.width < 2 ** 32) {
      this.code = this.code * 65536 + this.word();
      this.width *= 65536;
    }
    return bit;
  }

  end() {
    const dropped = this.taken - this.bytes.length;
    corruptIf(dropped < 0 || dropped > 64, `${this.what}: a code of another length`);
  }
}

// What the code has learnt of that many adaptive bits: nothing yet.
export const adaptiveBits = (count) => ({ p: new Int32Array(count).fill(HALF), n: new Int32Array(count) });
