import * as zlib from "node:zlib";
import { type Native, NativeFailure } from "./native.ts";

/** Bytes that are compressed in one call, some 100 ms; what is longer goes to a thread, with node:zlib's other functions. */
const MAX_COMPRESSED = 4 * 1024 * 1024;
/** Bytes that come out of one call at most. */
const MAX_OUTPUT = 32 * 1024 * 1024;
/** Brotli's best qualities take a hundred times as long as this one. */
const MAX_QUALITY = 6;

type Options = Readonly<Record<string, unknown>>;

/** Members of zlib's options that are numbers; nothing else reaches zlib. */
function numbers(options: Options): zlib.ZlibOptions {
  const read: Record<string, number> = {};
  for (const name of ["level", "memLevel", "strategy", "windowBits"]) {
    const value = options[name];
    if (typeof value === "number") read[name] = value;
  }
  return { ...read, maxOutputLength: MAX_OUTPUT };
}

const brotli: zlib.BrotliOptions = {
  maxOutputLength: MAX_OUTPUT,
  params: { [zlib.constants.BROTLI_PARAM_QUALITY]: MAX_QUALITY },
};

const methods: ReadonlyMap<string, (bytes: Buffer, options: Options) => Buffer> = new Map([
  ["gzip", (bytes, options) => zlib.gzipSync(bytes, numbers(options))],
  ["gunzip", (bytes, options) => zlib.gunzipSync(bytes, numbers(options))],
  ["deflate", (bytes, options) => zlib.deflateSync(bytes, numbers(options))],
  ["inflate", (bytes, options) => zlib.inflateSync(bytes, numbers(options))],
  ["deflateRaw", (bytes, options) => zlib.deflateRawSync(bytes, numbers(options))],
  ["inflateRaw", (bytes, options) => zlib.inflateRawSync(bytes, numbers(options))],
  ["unzip", (bytes, options) => zlib.unzipSync(bytes, numbers(options))],
  ["brotliCompress", (bytes) => zlib.brotliCompressSync(bytes, brotli)],
  ["brotliDecompress", (bytes) => zlib.brotliDecompressSync(bytes, { maxOutputLength: MAX_OUTPUT })],
  ["zstdCompress", (bytes) => zlib.zstdCompressSync(bytes, { maxOutputLength: MAX_OUTPUT })],
  ["zstdDecompress", (bytes) => zlib.zstdDecompressSync(bytes, { maxOutputLength: MAX_OUTPUT })],
] as const);

/** `{ method, options }` and the data; gives zlib's output. A failure's message is zlib's own code, or `code: text`. */
const run: Native = (text, bytes) => {
  const { method, options } = JSON.parse(text) as { method?: unknown; options?: unknown };
  const work = typeof method === "string" ? methods.get(method) : undefined;
  if (work === undefined) throw new NativeFailure("Error", "there is no such method");
  if (
    bytes.length > MAX_COMPRESSED &&
    /compress|^(gzip|deflate)/i.test(String(method)) &&
    !/decompress/i.test(String(method))
  )
    throw new NativeFailure("RangeError", `cannot compress at once: more than ${MAX_COMPRESSED} bytes`);
  try {
    return work(bytes, typeof options === "object" && options !== null ? (options as Options) : {});
  } catch (error) {
    const { code, message } = error as { code?: unknown; message?: unknown };
    throw new NativeFailure("Error", `${String(code).slice(0, 40)}: ${String(message).slice(0, 100)}`);
  }
};

/** Compression while the guest waits, for node:zlib's functions that end in `Sync`. */
export const zlibNatives: ReadonlyMap<string, Native> = new Map([["node.zlib", run]]);
