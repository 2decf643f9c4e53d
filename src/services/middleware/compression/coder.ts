import type { Transform } from "node:stream";
import * as zlib from "node:zlib";
import type { Coding } from "./accept-encoding.ts";

/** How hard each coding tries. */
export type Levels = Readonly<Record<Coding, number>>;

/** A stream of zlib, which works on a thread of the pool. */
export interface Coder extends Transform {
  flush(kind: number): void;
}

const { constants } = zlib;

/** Bytes that come out at a time. */
const chunkSize = 32_768;

/**
 * Makes the coder of one response. Windows are smaller than what a file would be given, so that a coder takes about a MiB at
 * most: 32 KiB for gzip, 256 KiB for br and zstd.
 */
export function makeCoder(coding: Coding, levels: Levels): Coder {
  switch (coding) {
    case "gzip":
      return zlib.createGzip({ chunkSize, level: levels.gzip });
    case "br":
      return zlib.createBrotliCompress({
        chunkSize,
        params: { [constants.BROTLI_PARAM_QUALITY]: levels.br, [constants.BROTLI_PARAM_LGWIN]: 18 },
      });
    case "zstd":
      return zlib.createZstdCompress({
        chunkSize,
        params: { [constants.ZSTD_c_compressionLevel]: levels.zstd, [constants.ZSTD_c_windowLog]: 18 },
      });
  }
}

/** What `flush` takes to bring out all that was written, so that it can be read, and go on with the window as it is. */
export const flushKinds: Readonly<Record<Coding, number>> = {
  gzip: constants.Z_SYNC_FLUSH,
  br: constants.BROTLI_OPERATION_FLUSH,
  zstd: constants.ZSTD_e_flush,
};
