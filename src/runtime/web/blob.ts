import { clockNow } from "./clock.ts";
import { viewBytes } from "./encoding.ts";
import { joinPieces } from "./pieces.ts";
import {
  ArrayBufferIsView,
  ArrayPush,
  isArrayBuffer,
  MathFloor,
  MathMax,
  MathMin,
  MathTrunc,
  promiseReject,
  promiseResolve,
  ReflectApply,
  StringCharCodeAt,
  StringSlice,
  StringToLowerCase,
  SymbolIterator,
  TypedArraySlice,
  TypedArraySubarray,
} from "./primordials.ts";
import { ByteController } from "./streams/readable-bytes.ts";
import { ReadableCore, type Source } from "./streams/readable-core.ts";
import { makeReadable, type ReadableStream } from "./streams/readable-stream.ts";
import { decodeUtf8, encodeUtf8 } from "./utf8.ts";
import {
  defineInterface,
  internal,
  isObject,
  requireArguments,
  toDictionary,
  toUSVString,
} from "./webidl.ts";

export type BlobPart = ArrayBuffer | ArrayBufferView | Blob | string;

export interface BlobOptions {
  type?: string;
  endings?: "transparent" | "native";
}

export let isBlob: (value: unknown) => value is Blob;
/** The bytes themselves: not to be changed, and not to be given to a Worker. */
export let blobBytes: (blob: Blob) => Uint8Array;

/** File API §3: bytes that never change, so that slices share them. */
export class Blob {
  readonly #bytes: Uint8Array;
  readonly #type: string;

  constructor(parts?: Iterable<BlobPart>, options?: BlobOptions) {
    if (parts === (internal as unknown)) {
      const made = options as unknown as { bytes: Uint8Array; type: string };
      this.#bytes = made.bytes;
      this.#type = made.type;
      return;
    }
    if (parts !== undefined && !isObject(parts)) {
      throw new TypeError("cannot make a Blob: blobParts is not iterable");
    }
    // Arguments are converted from left to right, members of a dictionary in the order of their names (Web IDL §3.6).
    const chunks = parts === undefined ? [] : readParts(parts);
    const dictionary = toDictionary(options, "options");
    const given = dictionary === null ? undefined : dictionary.endings;
    const endings = given === undefined ? "transparent" : `${given as string}`;
    if (endings !== "transparent" && endings !== "native") {
      throw new TypeError('cannot make a Blob: endings is neither "transparent" nor "native"');
    }
    this.#type = normalizeType(dictionary === null ? undefined : dictionary.type);
    this.#bytes = concatenate(chunks, endings === "native");
  }

  get size(): number {
    return this.#bytes.length;
  }

  get type(): string {
    return this.#type;
  }

  slice(start?: number, end?: number, contentType?: string): Blob {
    const { length } = this.#bytes;
    const from = clamp(start ?? 0, length);
    const to = clamp(end ?? length, length);
    return makeBlob(TypedArraySubarray(this.#bytes, from, MathMax(from, to)), normalizeType(contentType));
  }

  stream(): ReadableStream {
    const core = new ReadableCore();
    const controller = new ByteController(core, new BlobSource(core, this.#bytes), 0, 0);
    controller.start(null);
    core.length = this.#bytes.length;
    return makeReadable(core);
  }

  text(): Promise<string> {
    if (!isBlob(this)) return promiseReject(wrongReceiver("text"));
    return promiseResolve(decodeUtf8(this.#bytes));
  }

  arrayBuffer(): Promise<ArrayBuffer> {
    if (!isBlob(this)) return promiseReject(wrongReceiver("arrayBuffer"));
    return promiseResolve(TypedArraySlice(this.#bytes, 0).buffer as ArrayBuffer);
  }

  bytes(): Promise<Uint8Array> {
    if (!isBlob(this)) return promiseReject(wrongReceiver("bytes"));
    return promiseResolve(TypedArraySlice(this.#bytes, 0));
  }

  static {
    isBlob = (value): value is Blob => isObject(value) && #bytes in value;
    blobBytes = (blob) => blob.#bytes;
  }
}

/** A Blob over bytes that nobody changes any more. */
export function makeBlob(bytes: Uint8Array, type: string): Blob {
  return new Blob(internal as never, { bytes, type } as never);
}

function wrongReceiver(what: string): TypeError {
  return new TypeError(`cannot call ${what}: the receiver is not a Blob`);
}

/** A negative index counts from the end (File API §3.3.1); a fraction is rounded to even (Web IDL, [Clamp]). */
function clamp(value: number, length: number): number {
  const number = +value || 0;
  const floor = MathFloor(number);
  const half = number - floor;
  const index = half > 0.5 || (half === 0.5 && floor % 2 !== 0) ? floor + 1 : floor;
  return index < 0 ? MathMax(length + index, 0) : MathMin(index, length);
}

/** Lower case, or empty when a character is not printable ASCII (File API §3.1). */
function normalizeType(value: unknown): string {
  if (value === undefined) return "";
  const text = `${value as string}`;
  for (let i = 0; i < text.length; i++) {
    const code = StringCharCodeAt(text, i);
    if (code < 0x20 || code > 0x7e) return "";
  }
  return StringToLowerCase(text);
}

function readParts(parts: Iterable<BlobPart>): (Uint8Array | string)[] {
  // Read once: it may be an accessor (Web IDL §3.2.27).
  const method = parts[SymbolIterator];
  if (typeof method !== "function") throw new TypeError("cannot make a Blob: blobParts is not iterable");
  const once = { __proto__: null, [SymbolIterator]: () => ReflectApply(method, parts, []) };
  const chunks: (Uint8Array | string)[] = [];
  for (const part of once as Iterable<BlobPart>) {
    if (ArrayBufferIsView(part) || isArrayBuffer(part)) ArrayPush(chunks, viewBytes(part, "a part"));
    else if (isBlob(part)) ArrayPush(chunks, blobBytes(part));
    else ArrayPush(chunks, toUSVString(part));
  }
  return chunks;
}

function concatenate(parts: readonly (Uint8Array | string)[], nativeEndings: boolean): Uint8Array {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i] as Uint8Array | string;
    const bytes =
      typeof part === "string" ? encodeUtf8(nativeEndings ? withNewlines(part, "\n") : part) : part;
    ArrayPush(chunks, bytes);
    size += bytes.length;
  }
  return joinPieces(chunks, chunks.length, size);
}

/** Every CR, LF and CRLF as `newline`. */
export function withNewlines(text: string, newline: string): string {
  let result = "";
  let start = 0;
  for (let i = 0; i < text.length; i++) {
    const code = StringCharCodeAt(text, i);
    if (code !== 13 && code !== 10) continue;
    result += StringSlice(text, start, i) + newline;
    if (code === 13 && StringCharCodeAt(text, i + 1) === 10) i++;
    start = i + 1;
  }
  return start === 0 ? text : result + StringSlice(text, start);
}

const chunkSize = 65_536;

/** Yields copies, so that nothing that a reader does changes the Blob. */
class BlobSource implements Source {
  readonly #stream: ReadableCore;
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(stream: ReadableCore, bytes: Uint8Array) {
    this.#stream = stream;
    this.#bytes = bytes;
  }

  pull(): undefined {
    const controller = this.#stream.controller as ByteController;
    const { length } = this.#bytes;
    if (this.#at < length) {
      const chunk = TypedArraySlice(this.#bytes, this.#at, MathMin(this.#at + chunkSize, length));
      this.#at += chunk.length;
      controller.enqueue(chunk.buffer as ArrayBuffer, 0, chunk.length);
    }
    if (this.#at < length || !controller.canEnqueue) return;
    controller.close();
    if (controller.hasPending) controller.respond(0);
  }

  cancel(): undefined {
    this.#at = this.#bytes.length;
  }
}

export let isFile: (value: unknown) => value is File;

/** File API §4. */
export class File extends Blob {
  readonly #name: string;
  readonly #lastModified: number;

  constructor(parts: Iterable<BlobPart>, name: string, options?: BlobOptions & { lastModified?: number }) {
    if (parts === (internal as unknown)) {
      super(parts, options);
      this.#name = name;
      this.#lastModified = (options as { lastModified: number }).lastModified;
      return;
    }
    requireArguments(arguments.length, 2, "File constructor");
    if (!isObject(parts)) throw new TypeError("cannot make a File: fileBits is not iterable");
    super(parts, options);
    this.#name = toUSVString(name);
    const modified = options?.lastModified;
    this.#lastModified = modified === undefined ? clockNow() : MathTrunc(+modified) || 0;
  }

  get name(): string {
    return this.#name;
  }

  get lastModified(): number {
    return this.#lastModified;
  }

  static {
    isFile = (value): value is File => isObject(value) && #name in value;
  }
}

/** A File over bytes that nobody changes any more. */
export function makeFile(bytes: Uint8Array, name: string, type: string, lastModified = clockNow()): File {
  return new File(internal as never, name, { bytes, type, lastModified } as never);
}

defineInterface(Blob, "Blob", 0, { slice: 0 });
defineInterface(File, "File", 2);
