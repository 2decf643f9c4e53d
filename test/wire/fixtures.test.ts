import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { describe, test } from "node:test";
import { RequestParser } from "../../src/http/http1/request-parser.ts";
import { ResponseParser } from "../../src/http/http1/response-parser.ts";
import { type Case, readCases } from "./fixture-file.ts";
import { defaultLimits, Recorder } from "./recorder.ts";

const options = new Set(["headerBytes", "headerFields", "targetBytes", "scheme", "answers", "then"]);

function recorderFor(one: Case, side: string): Recorder {
  const number = (key: keyof typeof defaultLimits) => Number(one.options.get(key) ?? defaultLimits[key]);
  for (const key of one.options.keys()) assert.ok(options.has(key), `option "${key}" is known`);
  const limits = {
    headerBytes: number("headerBytes"),
    headerFields: number("headerFields"),
    targetBytes: number("targetBytes"),
  };
  const hold = one.options.get("then") === "tunnel";
  if (side === "requests") {
    return new Recorder(
      new RequestParser(limits, one.options.get("scheme") === "https" ? "https" : "http"),
      hold,
    );
  }
  return new Recorder(new ResponseParser(limits), hold, (one.options.get("answers") ?? "GET").split(","));
}

/** Feeds the pieces in turn; the buffer of a piece is overwritten once the parser asks for more. */
function run(one: Case, side: string, pieces: readonly Uint8Array[]): string[] {
  const recorder = recorderFor(one, side);
  for (const piece of pieces) {
    const copy = Buffer.from(piece);
    recorder.feed(copy);
    if (one.options.get("then") !== "tunnel") copy.fill("?");
  }
  if (one.options.get("then") === "close") recorder.close();
  return recorder.finish();
}

/** Pushes each octet by itself before the first event is asked for. */
function runQueued(one: Case, side: string): string[] {
  const recorder = recorderFor(one, side);
  for (const octet of one.input) recorder.parser.push(Uint8Array.of(octet));
  recorder.drain();
  if (one.options.get("then") === "close") recorder.close();
  return recorder.finish();
}

for (const side of ["requests", "responses"]) {
  const directory = new URL(`${side}/`, import.meta.url);
  for (const file of readdirSync(directory).sort()) {
    describe(`${side}: ${file.replace(".txt", "").replaceAll("-", " ")}`, () => {
      for (const one of readCases(new URL(file, directory))) {
        test(one.title, () => {
          const { input, expected } = one;
          assert.deepEqual(run(one, side, [input]), expected, "as a whole");
          assert.deepEqual(
            run(
              one,
              side,
              [...input].map((octet) => Uint8Array.of(octet)),
            ),
            expected,
            "octet by octet",
          );
          assert.deepEqual(runQueued(one, side), expected, "octet by octet, read at the end");
          for (let at = 1; at < input.length; at++) {
            const pieces = [input.subarray(0, at), input.subarray(at)];
            assert.deepEqual(run(one, side, pieces), expected, `split at ${at}`);
          }
        });
      }
    });
  }
}
