import * as wire from "../../wire/ops.ts";
import { GuestFailure } from "../guest-failure.ts";
import type { Native } from "./native.ts";

/** Bytes that one call may hand in: what any native takes, and a key beside it. */
const MAX_INPUT = 17 * 1024 * 1024;
/** Characters of what goes to a native: a text to encode is the longest. */
const MAX_TEXT = 16 * 1024 * 1024;

/**
 * The host's end of the synchronous calls of one isolate. Bytes go through a scratch area of shared memory in pieces:
 * the guest announces each piece with `wire.NATIVE_FEED`, then calls a native by its name, and takes what is left of the
 * result with `wire.NATIVE_READ`.
 */
export class Natives {
  readonly #registry: ReadonlyMap<string, Native>;
  readonly #scratch: Uint8Array;
  #pieces: Buffer[] = [];
  #fed = 0;
  #result: Uint8Array = none;

  constructor(registry: ReadonlyMap<string, Native>, scratch: Uint8Array) {
    this.#registry = registry;
    this.#scratch = scratch;
  }

  /**
   * @param name of a native or of a step.
   * @param amount bytes that lie in the scratch area; for NATIVE_READ the offset to read from.
   * @returns the length of a result of bytes, the first of which lie in the scratch area; or a text, after `=` a result
   * and after `!` the name of an error, a colon and its message.
   */
  call(name: string, amount: number, text: string): number | string {
    try {
      return this.#call(name, amount, text);
    } catch (error) {
      this.#forget();
      return error instanceof GuestFailure
        ? `!${error.name}:${error.message}`
        : "!Error:it failed on the host";
    }
  }

  #call(name: string, amount: number, text: string): number | string {
    if (name === wire.NATIVE_READ) return this.#read(amount);
    const length = amount >= 0 && amount <= wire.SCRATCH ? amount | 0 : 0;
    if (name === wire.NATIVE_FEED) {
      // Only the last piece is shorter, and it is not announced: any number of small ones would take more than their bytes.
      if (length !== wire.SCRATCH) throw new GuestFailure("Error", "a piece is too short");
      if (this.#fed + length > MAX_INPUT) {
        throw new GuestFailure("RangeError", `more than ${MAX_INPUT} bytes at once`);
      }
      this.#fed += length;
      this.#pieces.push(Buffer.from(this.#scratch.subarray(0, length)));
      return 0;
    }
    const native = this.#registry.get(name);
    if (native === undefined || typeof text !== "string")
      throw new GuestFailure("Error", "there is no such function on the host");
    if (text.length > MAX_TEXT) throw new GuestFailure("RangeError", `more than ${MAX_TEXT} characters`);
    // Copied even when it is small: the guest could change the shared memory under native code.
    const last = Buffer.from(this.#scratch.subarray(0, length));
    const bytes = this.#pieces.length === 0 ? last : Buffer.concat([...this.#pieces, last]);
    this.#forget();
    const result = native(text, bytes);
    if (typeof result === "string") return `=${result}`;
    this.#result = result;
    return this.#read(0);
  }

  #read(from: number): number {
    const result = this.#result;
    const size = result.length;
    this.#scratch.set(result.subarray(from, from + wire.SCRATCH));
    if (from + wire.SCRATCH >= size) this.#result = none;
    return size;
  }

  #forget(): void {
    this.#pieces = [];
    this.#fed = 0;
    this.#result = none;
  }
}

const none = new Uint8Array(0);
