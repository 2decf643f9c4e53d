import { nativeBytes } from "../bridge/natives.ts";
import { Buffer } from "../parts/node-buffer.ts";
import { answer } from "./crypto-answers.ts";
import { bytesOf } from "./crypto-keys.ts";
import { type Done, given } from "./crypto-streams.ts";
import { invalidType, outOfRange, validateNumber } from "./errors.ts";

/** Bytes that one native gives at the most. */
const randomPiece = 1 << 20;

export function randomBytes(size: unknown, done?: Done): unknown {
  validateNumber(size, "size", 0, 0x7fffffff);
  if (done !== undefined) return answer(done, () => randomBytes(size));
  if (size <= randomPiece) return given(nativeBytes("crypto.random", String(Math.trunc(size))));
  return randomFillSync(Buffer(new Uint8Array(size)));
}

export function randomFillSync<T extends ArrayBufferView | ArrayBuffer>(
  target: T,
  offset = 0,
  size?: number,
): T {
  const bytes = bytesOf(target, "buf");
  validateNumber(offset, "offset", 0, bytes.length);
  const count = size ?? bytes.length - offset;
  validateNumber(count, "size", 0, bytes.length - offset);
  for (let from = 0; from < count; from += randomPiece) {
    const length = Math.min(randomPiece, count - from);
    bytes.set(nativeBytes("crypto.random", String(length)), offset + from);
  }
  return target;
}

export function randomFill(target: ArrayBufferView, ...rest: unknown[]): void {
  const done = rest.pop() as Done;
  answer(done, () => randomFillSync(target, rest[0] as number | undefined, rest[1] as number | undefined));
}

/** Whole numbers from `min` up to, but without, `max`; all equally likely. */
export function randomInt(first: unknown, second?: unknown, third?: unknown): unknown {
  const [min, max, done] = typeof second === "number" ? [first, second, third] : [0, first, second];
  if (!Number.isSafeInteger(min)) throw invalidType("min", "a safe integer", min);
  if (!Number.isSafeInteger(max)) throw invalidType("max", "a safe integer", max);
  const [low, high] = [min as number, max as number];
  if (high <= low) throw outOfRange("max", `greater than the value of "min" (${low})`, high);
  const range = high - low;
  if (range > 2 ** 48 - 1) throw outOfRange("max - min", "<= 281474976710655", range);
  if (done !== undefined) return answer(done as Done, () => randomInt(low, high));
  const limit = 2 ** 48 - (2 ** 48 % range);
  for (;;) {
    const value = Buffer(nativeBytes("crypto.random", "6")) as unknown as {
      readUIntBE(at: number, size: number): number;
    };
    const drawn = value.readUIntBE(0, 6);
    if (drawn < limit) return low + (drawn % range);
  }
}
