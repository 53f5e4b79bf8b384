// Dtypes, and the rounding of work values to them (spec/format.md §4, spec/arithmetic.md).

import { GczError } from "./bytes.mjs";

const float = (name, width, exponent, mantissa, largest) => ({ name, width, exponent, mantissa, largest, float: true });
const exact = (name, width, parts = 1) => ({ name, width, parts, float: false });

const DTYPES = {
  1: float("float16", 2, 5, 10, 65504),
  2: float("bfloat16", 2, 8, 7, 2 ** 127 * (2 - 2 ** -7)),
  3: float("float32", 4, 8, 23, 2 ** 127 * (2 - 2 ** -23)),
  4: float("float64", 8, 11, 52, Number.MAX_VALUE),
  5: float("float8_e4m3fn", 1, 4, 3, 448),
  6: float("float8_e5m2", 1, 5, 2, 57344),
  7: float("float8_e3m4", 1, 3, 4, 15.5),
  8: float("float8_e4m3", 1, 4, 3, 240),
  16: exact("int8", 1), 17: exact("int16", 2), 18: exact("int32", 4), 19: exact("int64", 8),
  20: exact("uint8", 1), 21: exact("uint16", 2), 22: exact("uint32", 4), 23: exact("uint64", 8),
  32: exact("bool", 1),
  33: exact("complex64", 8, 2), 34: exact("complex128", 16, 2),
  35: exact("float8_e8m0fnu", 1),
  36: exact("float8_e4m3fnuz", 1), 37: exact("float8_e5m2fnuz", 1),
  38: exact("float4_e2m1fn", 1),
};

export function dtypeOf(code) {
  const found = DTYPES[code];
  if (!found) throw new GczError("unsupported-feature", `dtype ${code} is not known`);
  return found;
}

// The work dtype: float64 for float64, float32 for all other floating dtypes.
export const isWide = (dtype) => dtype.name === "float64";
export const largestWork = (dtype) => (isWide(dtype) ? Number.MAX_VALUE : DTYPES[3].largest);
export const toWork = (value, dtype) => (isWide(dtype) ? value : Math.fround(value));

// Work values as little-endian bytes of the dtype.
export function pack(values, dtype) {
  const bytes = new Uint8Array(values.length * dtype.width);
  const view = new DataView(bytes.buffer);
  values.forEach((value, i) => {
    const v = Math.max(-dtype.largest, Math.min(value, dtype.largest));
    if (dtype.width === 8) view.setFloat64(8 * i, v, true);
    else if (dtype.width === 4) view.setFloat32(4 * i, v, true);
    else if (dtype.width === 2) view.setUint16(2 * i, word(v, dtype), true);
    else view.setUint8(i, word(v, dtype));
  });
  return bytes;
}

// The bits of a float of 8 or 16 bits that is nearest to a float32, ties to even.
function word(value, { width, exponent, mantissa }) {
  const sign = value < 0 || Object.is(value, -0) ? 1 : 0;
  const bias = 2 ** (exponent - 1) - 1;
  const size = Math.abs(value);
  let e = 1 - bias;
  while (e < bias + 1 && size >= 2 ** (e + 1)) e += 1;
  const units = halfToEven(size / 2 ** (e - mantissa));
  return sign * 2 ** (8 * width - 1) + (e - 1 + bias) * 2 ** mantissa + units;
}

function halfToEven(value) {
  const low = Math.floor(value);
  const rest = value - low;
  return rest > 0.5 || (rest === 0.5 && low % 2 === 1) ? low + 1 : low;
}
