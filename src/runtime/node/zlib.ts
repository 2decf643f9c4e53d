import { CALL_ZLIB } from "../../wire/ops.ts";
import { native } from "../bridge/natives.ts";
import { Buffer } from "../parts/node-buffer.ts";
import { bindFrame } from "../web/async-context.ts";
import { host } from "../web/host.ts";
import { closeCoder, OpenCoders } from "../web/open-coders.ts";
import { bytesOf } from "./crypto-keys.ts";
import { invalidType, nodeError, validateFunction } from "./errors.ts";
import { Transform } from "./stream-classes.ts";

type Done = (error?: Error | null, value?: unknown) => void;

const empty = new Uint8Array(0);
const piece = 131_072;

/** Numbers of coders count from here, apart from those of CompressionStream, which share the host's table. */
let lastId = 2 ** 40;

const open = new OpenCoders();

interface Options {
  maxOutputLength?: number;
  info?: boolean;
}

/** Errors as zlib gives them; the host tells their text. */
function failure(reason: string): Error {
  const known: Readonly<Record<string, readonly [string, number]>> = {
    "incorrect header check": ["Z_DATA_ERROR", -3],
    "unexpected end of file": ["Z_BUF_ERROR", -5],
  };
  for (const [text, [code, errno]] of Object.entries(known)) {
    if (reason.includes(text)) return Object.assign(new Error(text), { code, errno });
  }
  const named = /^(Z_[A-Z_]+|ERR_[A-Z_]+): (.*)$/s.exec(reason);
  if (named !== null)
    return Object.assign(new Error(named[2]), {
      code: named[1],
      errno: named[1] === "Z_BUF_ERROR" ? -5 : -3,
    });
  return Object.assign(new Error(reason), { code: "Z_DATA_ERROR", errno: -3 });
}

/** A stream of zlib, worked on by a thread of the host (src/isolate/calls/zlib.ts). */
class Zlib extends Transform {
  readonly #id = ++lastId;
  #kind: string;
  /** The host holds state. */
  isOpen = false;
  bytesWritten = 0;

  /** @param kind `+` or `-` and the name of a format; `-unzip` finds out by the first byte. */
  constructor(kind: string, options?: Options) {
    super(options);
    this.#kind = kind;
  }

  _transform(chunk: unknown, encoding: unknown, done: Done): void {
    let bytes: Uint8Array;
    try {
      bytes = bytesOf(chunk, "chunk", encoding);
    } catch (error) {
      done(error as Error);
      return;
    }
    if (this.#kind === "-unzip" && bytes.length > 0) this.#kind = bytes[0] === 0x1f ? "-gzip" : "-deflate";
    this.bytesWritten += bytes.length;
    const write = (from: number): void => {
      if (from >= bytes.length) done();
      else
        this.#step("write", bytes.subarray(from, from + piece), (error) =>
          error ? done(error) : write(from + piece),
        );
    };
    write(0);
  }

  _flush(done: Done): void {
    this.#step("end", empty, (error) => {
      this.isOpen = false;
      done(error);
    });
  }

  _destroy(error: Error | null, done: Done): void {
    if (this.isOpen) closeCoder(this.#id);
    this.isOpen = false;
    done(error);
  }

  /** What has been written is not cut there: it comes out when the host's coder gives it. */
  flush(kind?: unknown, done?: unknown): void {
    const tell = typeof kind === "function" ? kind : done;
    if (typeof tell === "function") queueMicrotask(() => tell());
  }

  close(done?: () => void): void {
    if (done !== undefined) this.on("close", done);
    (this as unknown as { destroy(): void }).destroy();
  }

  params(_level: number, _strategy: number, done?: () => void): void {
    if (done !== undefined) queueMicrotask(done);
  }

  reset(): void {
    throw nodeError(Error, "ERR_METHOD_NOT_IMPLEMENTED", "cannot reset a stream of zlib: make another");
  }

  #step(verb: string, bytes: Uint8Array, done: (error?: Error) => void): void {
    if (!this.isOpen) {
      this.isOpen = true;
      open.add(this.#id, this);
    }
    const tell = bindFrame(done);
    host.call(CALL_ZLIB, `${this.#id} ${this.#kind} ${verb}`, bytes, {
      done: (text, out) => {
        if (out.length > 0) this.push(Buffer(out.buffer, out.byteOffset, out.length));
        if (text === "more") this.#step("more", empty, tell);
        else tell();
      },
      failed: (error) => {
        this.isOpen = false;
        tell(failure(error.message.slice(error.message.indexOf(": ") + 2)));
      },
    });
  }
}

declare function queueMicrotask(run: () => void): void;

/** A class for one format, which older packages call without `new`. */
function classOf(name: string, kind: string): new (options?: Options) => Zlib {
  class Format extends Zlib {
    constructor(options?: Options) {
      super(kind, options);
    }
  }
  Object.defineProperty(Format, "name", { value: name });
  return new Proxy(Format, {
    apply: (target, _self, [options]) => new target(options),
  });
}

function whole(kind: string) {
  return (data: unknown, ...rest: unknown[]): void => {
    const done = rest.at(-1) as Done;
    validateFunction(done, "callback");
    const limit =
      (typeof rest[0] === "object" ? (rest[0] as Options | null)?.maxOutputLength : undefined) ??
      Number.POSITIVE_INFINITY;
    const bytes = bytesOf(data, "buffer");
    const coder = new Zlib(kind);
    const chunks: Uint8Array[] = [];
    let size = 0;
    coder.on("data", (chunk: Uint8Array) => {
      size += chunk.length;
      chunks.push(chunk);
      if (size > limit)
        (coder as unknown as { destroy(error: Error): void }).destroy(
          nodeError(RangeError, "ERR_BUFFER_TOO_LARGE", `Cannot create a Buffer larger than ${limit} bytes`),
        );
    });
    coder.on("error", (error: Error) => done(error));
    coder.on("end", () =>
      done(null, (Buffer as unknown as { concat(list: unknown[]): unknown }).concat(chunks)),
    );
    coder.end(bytes);
  };
}

function atOnce(method: string) {
  return (data: unknown, options?: Options): unknown => {
    const text = JSON.stringify({ method, options });
    const bytes = bytesOf(data, "buffer");
    let out: Uint8Array;
    try {
      out = native("node.zlib", text, bytes) as Uint8Array;
    } catch (error) {
      throw error instanceof RangeError ? error : failure((error as Error).message);
    }
    const limit = options?.maxOutputLength;
    if (limit !== undefined && out.length > limit)
      throw nodeError(
        RangeError,
        "ERR_BUFFER_TOO_LARGE",
        `Cannot create a Buffer larger than ${limit} bytes`,
      );
    return Buffer(out.buffer, out.byteOffset, out.length);
  };
}

const table = new Int32Array(256);
for (let i = 0; i < 256; i++) {
  let value = i;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  table[i] = value;
}

function crc32(data: unknown, start = 0): number {
  if (typeof data !== "string" && !ArrayBuffer.isView(data))
    throw invalidType("data", "of type string or an instance of Buffer, TypedArray, or DataView", data);
  const bytes = bytesOf(data, "data");
  let crc = ~start;
  for (let i = 0; i < bytes.length; i++)
    crc = (table[(crc ^ (bytes[i] as number)) & 0xff] as number) ^ (crc >>> 8);
  return ~crc >>> 0;
}

const constants = Object.freeze({
  Z_NO_FLUSH: 0,
  Z_PARTIAL_FLUSH: 1,
  Z_SYNC_FLUSH: 2,
  Z_FULL_FLUSH: 3,
  Z_FINISH: 4,
  Z_BLOCK: 5,
  Z_OK: 0,
  Z_STREAM_END: 1,
  Z_NEED_DICT: 2,
  Z_ERRNO: -1,
  Z_STREAM_ERROR: -2,
  Z_DATA_ERROR: -3,
  Z_MEM_ERROR: -4,
  Z_BUF_ERROR: -5,
  Z_VERSION_ERROR: -6,
  Z_NO_COMPRESSION: 0,
  Z_BEST_SPEED: 1,
  Z_BEST_COMPRESSION: 9,
  Z_DEFAULT_COMPRESSION: -1,
  Z_FILTERED: 1,
  Z_HUFFMAN_ONLY: 2,
  Z_RLE: 3,
  Z_FIXED: 4,
  Z_DEFAULT_STRATEGY: 0,
  Z_MIN_WINDOWBITS: 8,
  Z_MAX_WINDOWBITS: 15,
  Z_DEFAULT_WINDOWBITS: 15,
  Z_MIN_CHUNK: 64,
  Z_MAX_CHUNK: Number.POSITIVE_INFINITY,
  Z_DEFAULT_CHUNK: 16384,
  Z_MIN_MEMLEVEL: 1,
  Z_MAX_MEMLEVEL: 9,
  Z_DEFAULT_MEMLEVEL: 8,
  Z_MIN_LEVEL: -1,
  Z_MAX_LEVEL: 9,
  Z_DEFAULT_LEVEL: -1,
  BROTLI_OPERATION_PROCESS: 0,
  BROTLI_OPERATION_FLUSH: 1,
  BROTLI_OPERATION_FINISH: 2,
  BROTLI_PARAM_MODE: 0,
  BROTLI_MODE_GENERIC: 0,
  BROTLI_MODE_TEXT: 1,
  BROTLI_MODE_FONT: 2,
  BROTLI_PARAM_QUALITY: 1,
  BROTLI_MIN_QUALITY: 0,
  BROTLI_MAX_QUALITY: 11,
  BROTLI_DEFAULT_QUALITY: 11,
  BROTLI_PARAM_LGWIN: 2,
  BROTLI_PARAM_SIZE_HINT: 5,
  ZSTD_c_compressionLevel: 100,
  ZSTD_CLEVEL_DEFAULT: 3,
});

/** Each of Node's names with the class, the convenience function and the host's formats. */
const formats = [
  ["Gzip", "gzip", "+gzip"],
  ["Gunzip", "gunzip", "-gzip"],
  ["Deflate", "deflate", "+deflate"],
  ["Inflate", "inflate", "-deflate"],
  ["DeflateRaw", "deflateRaw", "+deflate-raw"],
  ["InflateRaw", "inflateRaw", "-deflate-raw"],
  ["Unzip", "unzip", "-unzip"],
  ["BrotliCompress", "brotliCompress", "+brotli"],
  ["BrotliDecompress", "brotliDecompress", "-brotli"],
  ["ZstdCompress", "zstdCompress", "+zstd"],
  ["ZstdDecompress", "zstdDecompress", "-zstd"],
] as const;

/** node:zlib. Levels and the like are the host's for all but the functions that end in `Sync`. */
export const zlib: Record<string, unknown> = { ...constants, constants, crc32, codes: {} };
for (const [name, method, kind] of formats) {
  const Format = classOf(name, kind);
  zlib[name] = Format;
  zlib[`create${name}`] = (options?: Options): Zlib => new Format(options);
  zlib[method] = whole(kind);
  zlib[`${method}Sync`] = atOnce(method);
}
