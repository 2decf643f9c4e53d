import * as wire from "../../wire/ops.ts";
import { errorOf } from "../web/named-error.ts";
import {
  MathMin,
  StringIndexOf,
  StringSlice,
  TypedArrayLength,
  TypedArraySet,
  Uint8ArrayNative,
  viewBuffer,
  viewOffset,
} from "../web/primordials.ts";

type Callback = (name: string, amount: number, text: string) => number | string;

let callback: Callback = () => "!Error:there is no host";
let scratch: Uint8Array = new Uint8ArrayNative(0);

/** Called once, by the runtime's entry. @param area of shared memory, `wire.SCRATCH` bytes. */
export function setNatives(call: Callback, area: Uint8Array): void {
  callback = call;
  scratch = area;
}

/**
 * Work that native code on the host does while the guest waits; see src/isolate/natives/native.ts. For work that may
 * take long there is HostCalls, off the main thread.
 *
 * @param name of the native. @param bytes are copied.
 * @returns what the native gives: bytes of their own, or a text.
 * @throws the error that the native names: TypeError, RangeError, or a DOMException of its name.
 */
export function native(name: string, text: string, bytes: Uint8Array | null = null): Uint8Array | string {
  const result = callback(name, bytes === null ? 0 : feed(bytes), text);
  if (typeof result === "string") {
    if (result[0] === "=") return StringSlice(result, 1);
    throw failure(result);
  }
  const out = new Uint8ArrayNative(result);
  for (let from = 0; from < result; from += wire.SCRATCH) {
    if (from > 0) callback(wire.NATIVE_READ, from, "");
    TypedArraySet(out, piece(scratch, 0, MathMin(result - from, wire.SCRATCH)), from);
  }
  return out;
}

/** `native` for those that give bytes. */
export function nativeBytes(name: string, text: string, bytes: Uint8Array | null = null): Uint8Array {
  return native(name, text, bytes) as Uint8Array;
}

/** `native` for those that give a text. */
export function nativeText(name: string, text: string, bytes: Uint8Array | null = null): string {
  return native(name, text, bytes) as string;
}

/** Hands over all but the last piece, which is left in the scratch area; gives its length. */
function feed(bytes: Uint8Array): number {
  const size = TypedArrayLength(bytes);
  let from = 0;
  for (; size - from > wire.SCRATCH; from += wire.SCRATCH) {
    TypedArraySet(scratch, piece(bytes, from, wire.SCRATCH));
    const refused = callback(wire.NATIVE_FEED, wire.SCRATCH, "");
    if (typeof refused === "string") throw failure(refused);
  }
  TypedArraySet(scratch, piece(bytes, from, size - from));
  return size - from;
}

function piece(bytes: Uint8Array, from: number, length: number): Uint8Array {
  return new Uint8ArrayNative(viewBuffer(bytes), viewOffset(bytes) + from, length);
}

/** @param result `!`, a name, `:` and a message. */
function failure(result: string): Error {
  const colon = StringIndexOf(result, ":");
  return errorOf(StringSlice(result, 1, colon), StringSlice(result, colon + 1));
}
