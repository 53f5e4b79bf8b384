// Levels, their classes, tables and lanes (spec/levels.md).

import { Bits, corruptIf } from "./bytes.mjs";

const FIRST = [12, 16, 24, 40, 64];
const THIRD = [1, 1.2599210498948732, 1.5874010519681994];
const div = Math.floor;

const token = (s) => div((s + 1) / 2);
const cellOf = (s) => (s % 2 ? token(s) : -token(s)); // of s <= 22
const rangeOf = (s) => 2 * div(token(s) / 14) + ((s + 1) % 2); // of s >= 23

// §4: 32 frequencies whose sum is 4096.
export function readTable(bits, { width = 0, book = 0, zero = 1, law = null } = {}) {
  const kind = bits.number(2);
  if (kind === 3) {
    corruptIf(!law, "a law where there is none");
    return normalise(lawWeights(law, width, book, zero));
  }
  const last = bits.number(5);
  if (kind === 0) return Array.from({ length: 32 }, (_, s) => (s === last ? 4096 : 0));
  corruptIf(kind === 1 && last > 20, "a paired table of more than 21 entries");
  const weights = readWeights(bits, last + 1);
  corruptIf(weights.every((weight) => weight === 0), "a table whose weights are all 0");
  const placeOf = (s) => (kind === 2 ? s : entryOf(s, width, book, zero));
  return normalise(Array.from({ length: 32 }, (_, s) => weights[placeOf(s)] ?? 0));
}

function entryOf(s, width, book, zero) {
  if (s >= 23) return s - 11;
  const z = cellOf(s);
  if (width > 0) return Math.abs(div(z / 2));
  return book === 1 && zero === 0 ? Math.max(z, -1 - z) : Math.abs(z);
}

function readWeights(bits, count) {
  let exponent = 12;
  return Array.from({ length: count }, () => {
    const v = bits.rice(1);
    corruptIf(v > 26, "the change of a weight");
    exponent += v % 2 ? (v + 1) / 2 : -v / 2;
    corruptIf(exponent < 0 || exponent > 13, "the exponent of a weight");
    if (exponent === 0) return 0;
    const k = Math.min(3, exponent - 1);
    return (2 ** k + bits.number(k)) * 2 ** (exponent - 1 - k);
  });
}

function normalise(weights) {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const f = weights.map((weight) => (weight > 0 ? Math.max(1, div((weight * 4096 + div(total / 2)) / total)) : 0));
  let sum = f.reduce((a, b) => a + b, 0);
  const largest = () => f.indexOf(Math.max(...f));
  if (sum < 4096) f[largest()] += 4096 - sum;
  for (; sum > 4096; sum--) f[largest()] -= 1;
  return f;
}

function lawWeights({ lambda, h, peak, last, scale }, width, book, zero) {
  const k = lambda + scale;
  const s = THIRD[k % 3] * 2 ** (div(k / 3) - 10);
  const density = (x) => {
    let d = 1 + ((x / s) * (x / s)) / 2 ** h;
    for (let i = 0; i < h; i++) d *= d;
    return 1 / d;
  };
  const mass = (a, b) => (density(a) + density(b) + 4 * density((a + b) * 0.5)) * (b - a);
  const R = 2 ** (width + 1);
  const massOf = (s) => {
    if (s >= 23) return mass(FIRST[rangeOf(s)] * R, FIRST[rangeOf(s) + 1] * R);
    const z = cellOf(s);
    if (width > 0) return mass((2 * div(z / 2) - 1) * R, (2 * div(z / 2) + 1) * R) * 0.5;
    if (book === 0) return mass(2 * z - 1, 2 * z + 1) * (z === 0 ? peak : 1);
    if (zero === 0) return mass(2 * z, 2 * z + 2);
    if (z === 0) return mass(-0.5, 0.5) * peak;
    if (Math.abs(z) === 1) return z > 0 ? mass(0.5, 2) : mass(-2, -0.5);
    return z > 0 ? mass(2 * z - 2, 2 * z) : mass(2 * z, 2 * z + 2);
  };
  const masses = Array.from({ length: 31 }, (_, s) => (token(s) <= last ? massOf(s) : null));
  const total = masses.reduce((sum, one) => sum + (one ?? 0), 0);
  return [...masses, null].map((one) => (one === null ? 0 : Math.max(1, div((one / total) * 2 ** 24))));
}

// §5: count symbols. tableOf(i, lane) gives the table of value i, and next(i, lane, symbol) takes its symbol.
export function readLanes(bits, count, tableOf, next) {
  const log = bits.number(3);
  corruptIf(log > 6, "more than 64 lanes");
  const lanes = 2 ** log;
  const width = lanes === 1 ? bits.number(2) + 1 : 4;
  const words = bits.number(bits.number(5));
  bits.fill();
  const least = lanes === 1 ? 1 : 2 ** 16;
  const little = (bytes) => bytes.reduceRight((sum, byte) => sum * 256 + byte, 0);
  const states = Array.from({ length: lanes }, () => little(bits.take(width)));
  corruptIf(states.some((x) => x < least), "a state that is too small");
  const data = bits.take(2 * words);
  let at = 0;
  for (let i = 0; i < count; i++) {
    const lane = i % lanes;
    const f = tableOf(i, lane);
    const slot = states[lane] % 4096;
    let [s, before] = [0, 0];
    while (slot >= before + f[s]) before += f[s++];
    let x = f[s] * div(states[lane] / 4096) + slot - before;
    if (x < 2 ** 16 && (lanes > 1 || at < data.length)) {
      corruptIf(at >= data.length, "words are missing");
      x = x * 2 ** 16 + data[at] + 256 * data[at + 1];
      at += 2;
    }
    states[lane] = x;
    next(i, lane, s);
  }
  corruptIf(states.some((x) => x !== least) || at !== data.length, "lanes that do not end as they must");
}

// §5: numbers below 32.
export function readSequence(bits, count) {
  const isDrift = bits.number(1);
  const table = readTable(bits);
  const numbers = [];
  let sum = 0;
  readLanes(bits, count, () => table, (i, lane, symbol) => {
    sum = (sum + symbol) % 32;
    numbers.push(isDrift ? sum : symbol);
  });
  return numbers;
}

// §6: levels as BigInts. classes: of each value. trellis: { P, Q, zero, states }.
export function readLevels(bits, classes, trellis) {
  const law = { lambda: bits.number(6), h: [1, 2, 3, 5][bits.number(2)], peak: [1, 1.5, 2, 3][bits.number(2)] };
  law.last = bits.number(4);
  const tables = [];
  let width = 0;
  for (const c of [...new Set(classes)].sort((a, b) => a - b)) {
    const v = bits.rice(0);
    corruptIf(v > 116, "the change of a raw width");
    width += v % 2 ? -(v + 1) / 2 : v / 2;
    corruptIf(width < 0 || width > 57, "a raw width");
    const one = (book) => readTable(bits, { width, book, zero: trellis.zero, law: { ...law, scale: c } });
    const even = one(0);
    tables[c] = { width, books: [even, trellis.states > 1 && width === 0 ? one(1) : even] };
    corruptIf(tables[c].books.some((f) => f[31] > 0), "symbol 31 in a table of levels");
  }
  const [symbols, books, states] = [[], [], Array(64).fill(0)];
  const tableOf = (i, lane) => tables[classes[i]].books[states[lane] % 2];
  readLanes(bits, classes.length, tableOf, (i, lane, symbol) => {
    const q = states[lane];
    symbols.push(symbol);
    books.push(q % 2);
    states[lane] = trellis.states > 1 ? (q >> 1) ^ ((q % 2) * trellis.P) ^ ((token(symbol) % 2) * trellis.Q) : 0;
  });
  const raw = new Bits(bits.rest(), "raw bits");
  const levels = symbols.map((s, i) => levelOf(readNumber(raw, s, tables[classes[i]].width), books[i], trellis.zero));
  corruptIf(8 * raw.bytes.length - raw.at >= 8, "raw bits that are left over");
  raw.fill();
  return levels;
}

// §3
function readNumber(raw, s, width) {
  let cell = BigInt(s <= 22 ? cellOf(s) : 0);
  if (s >= 23) {
    const g = rangeOf(s);
    const length = g < 3 ? g + 1 : raw.number(6);
    corruptIf(g === 3 && length + width > 58, "too many raw bits");
    const u = g < 3 ? raw.big(length) : 2n ** BigInt(length) - 1n + raw.big(length);
    cell = BigInt(FIRST[g]) + 2n * u + BigInt(token(s) % 2);
    if (raw.number(1)) cell = -cell;
  }
  if (width === 0) return cell;
  const odd = ((cell % 2n) + 2n) % 2n;
  const r = BigInt(width);
  return ((cell - odd) / 2n) * 2n ** (r + 1n) + 2n * raw.big(width) + odd - 2n ** r;
}

// §1
function levelOf(n, book, zero) {
  if (book === 0) return 2n * n;
  if (zero === 0) return 2n * n + 1n;
  return n > 0n ? 2n * n - 1n : n < 0n ? 2n * n + 1n : 0n;
}
