import * as zlib from "node:zlib";
import { GuestFailure } from "../guest-failure.ts";
import type { Native } from "./native.ts";

/** Bytes that are compressed in one call; what is longer goes to a thread, with node:zlib's other functions. */
const MAX_COMPRESSED = 4 * 1024 * 1024;
/** Bytes that are decompressed in one call: some milliseconds when nothing comes out. */
const MAX_INPUT = 16 * 1024 * 1024;
/** Bytes that come out of one call at most: 50 ms. */
const MAX_OUTPUT = 16 * 1024 * 1024;
/** Bytes up to which more than a low level takes 40 ms at most, whatever they are. */
const MAX_DILIGENT = 256 * 1024;
/**
 * The level of zlib from which on some data takes a hundred times as long as other; 4 MiB of it take more than ten
 * seconds with level 9, 0.8 with level 6, and 0.08 with level 2. The level bounds how hard zlib tries, nothing else.
 */
const MAX_LEVEL = 6;
const MAX_LEVEL_OF_MUCH = 2;
/** Characters of the parameters. */
const MAX_TEXT = 65_536;
/** Brotli's best qualities take a hundred times as long as this one. */
const MAX_QUALITY = 4;

type Options = Readonly<Record<string, unknown>>;

/** Members of zlib's options that are numbers; nothing else reaches zlib. */
function numbers(options: Options, size: number): zlib.ZlibOptions {
  const read: Record<string, number> = {};
  for (const name of ["level", "memLevel", "strategy", "windowBits"]) {
    const value = options[name];
    if (typeof value === "number") read[name] = value;
  }
  const most = size > MAX_DILIGENT ? MAX_LEVEL_OF_MUCH : MAX_LEVEL;
  const { level = zlib.constants.Z_DEFAULT_COMPRESSION } = read;
  if (level > most || level === zlib.constants.Z_DEFAULT_COMPRESSION) read.level = most;
  return { ...read, maxOutputLength: MAX_OUTPUT };
}

const brotli: zlib.BrotliOptions = {
  maxOutputLength: MAX_OUTPUT,
  params: { [zlib.constants.BROTLI_PARAM_QUALITY]: MAX_QUALITY },
};

const methods: ReadonlyMap<string, (bytes: Buffer, options: Options) => Buffer> = new Map([
  ["gzip", (bytes, options) => zlib.gzipSync(bytes, numbers(options, bytes.length))],
  ["gunzip", (bytes, options) => zlib.gunzipSync(bytes, numbers(options, bytes.length))],
  ["deflate", (bytes, options) => zlib.deflateSync(bytes, numbers(options, bytes.length))],
  ["inflate", (bytes, options) => zlib.inflateSync(bytes, numbers(options, bytes.length))],
  ["deflateRaw", (bytes, options) => zlib.deflateRawSync(bytes, numbers(options, bytes.length))],
  ["inflateRaw", (bytes, options) => zlib.inflateRawSync(bytes, numbers(options, bytes.length))],
  ["unzip", (bytes, options) => zlib.unzipSync(bytes, numbers(options, bytes.length))],
  ["brotliCompress", (bytes) => zlib.brotliCompressSync(bytes, brotli)],
  ["brotliDecompress", (bytes) => zlib.brotliDecompressSync(bytes, { maxOutputLength: MAX_OUTPUT })],
  ["zstdCompress", (bytes) => zlib.zstdCompressSync(bytes, { maxOutputLength: MAX_OUTPUT })],
  ["zstdDecompress", (bytes) => zlib.zstdDecompressSync(bytes, { maxOutputLength: MAX_OUTPUT })],
] as const);

/** `{ method, options }` and the data; gives zlib's output. A failure's message is zlib's own code, or `code: text`. */
const run: Native = (text, bytes) => {
  if (text.length > MAX_TEXT) throw new GuestFailure("RangeError", "the options are too long");
  const { method, options } = JSON.parse(text) as { method?: unknown; options?: unknown };
  const work = typeof method === "string" ? methods.get(method) : undefined;
  if (work === undefined) throw new GuestFailure("Error", "there is no such method");
  const compresses = /^(?:gzip|deflate|.*Compress)/.test(String(method));
  const most = compresses ? MAX_COMPRESSED : MAX_INPUT;
  if (bytes.length > most)
    throw new GuestFailure(
      "RangeError",
      `cannot ${compresses ? "" : "de"}compress at once: more than ${most} bytes`,
    );
  try {
    return work(bytes, typeof options === "object" && options !== null ? (options as Options) : {});
  } catch (error) {
    const { code, message } = error as { code?: unknown; message?: unknown };
    throw new GuestFailure("Error", `${String(code).slice(0, 40)}: ${String(message).slice(0, 100)}`);
  }
};

/** Compression while the guest waits, for node:zlib's functions that end in `Sync`. */
export const zlibNatives: ReadonlyMap<string, Native> = new Map([["node.zlib", run]]);
