// Decode gcodec files, written from spec/ alone: node decode.mjs FILE.gcz …
//
// For each file it prints a line of JSON: the tensors with their values as hexadecimal bytes, or the
// code of an error. It has lossless, sd, rsd, ecsq and tcq, but no joined tensors and no bases. It
// needs Node 20 and nothing else.

import { readFileSync } from "node:fs";
import { tensors } from "./container.mjs";

for (const path of process.argv.slice(2)) {
  try {
    const found = [...tensors(new Uint8Array(readFileSync(path)))];
    console.log(JSON.stringify({ tensors: found.map((one) => ({ ...one, values: one.values.toString("hex") })) }));
  } catch (error) {
    if (!error.code) throw error;
    console.log(JSON.stringify({ error: error.code, message: error.message }));
  }
}
