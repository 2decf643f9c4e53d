import type { Transform } from "node:stream";
import * as zlib from "node:zlib";
import { HeaderBlock } from "../../http/header-block.ts";

/** A content coding (RFC 9110 §8.4.1) that the host can take off and put on. */
export type Coding = "gzip" | "deflate" | "br" | "zstd";

/** A body under more codings than this is not decoded: each costs a window of its own. */
const MAX_CODINGS = 3;

/** Cheap: most sections have no such field. */
const mayBeCoded = /content-encoding/i;

/**
 * What Content-Encoding names in a header section, in the order in which it was applied: for example `gzip` or
 * `gzip,br`. Empty when nothing is applied, and when a coding is not known: then the bytes are left as they are.
 */
export function contentCoding(section: string): string {
  if (!mayBeCoded.test(section)) return "";
  const found: string[] = [];
  for (const value of new HeaderBlock(section).getAll("content-encoding")) {
    for (const part of value.split(",")) {
      const name = part.trim().toLowerCase();
      if (name === "" || name === "identity") continue;
      const coding = name === "x-gzip" ? "gzip" : name;
      if (coding !== "gzip" && coding !== "deflate" && coding !== "br" && coding !== "zstd") return "";
      found.push(coding);
    }
  }
  return found.length > MAX_CODINGS ? "" : found.join(",");
}

/** The parts of a text that `contentCoding` gave. */
export function codingsOf(text: string): Coding[] {
  return text === "" ? [] : (text.split(",") as Coding[]);
}

/**
 * @param first the first bytes: HTTP's "deflate" has a zlib header (RFC 9110 §8.4.1.2), but some origins send it without.
 */
export function makeDecoder(coding: Coding, first: Uint8Array, chunkSize: number): Transform {
  switch (coding) {
    case "gzip":
      return zlib.createGunzip({ chunkSize });
    case "deflate":
      return ((first[0] ?? 0) & 0x0f) === 8
        ? zlib.createInflate({ chunkSize })
        : zlib.createInflateRaw({ chunkSize });
    case "br":
      return zlib.createBrotliDecompress({ chunkSize });
    case "zstd":
      // Windows beyond 8 MiB need not be supported (RFC 9659 §3), and their memory is a sender's to choose.
      return zlib.createZstdDecompress({
        chunkSize,
        params: { [zlib.constants.ZSTD_d_windowLogMax]: 23 },
      });
  }
}

/** @param flush sends what each write gave at once: the body is a stream whose reader may wait for it. */
export function makeEncoder(coding: Coding, flush: boolean): Transform {
  const { constants } = zlib;
  switch (coding) {
    case "gzip":
      return zlib.createGzip(flush ? { flush: constants.Z_SYNC_FLUSH } : {});
    case "deflate":
      return zlib.createDeflate(flush ? { flush: constants.Z_SYNC_FLUSH } : {});
    case "br":
      // The default quality, 11, is meant for files that are compressed once.
      return zlib.createBrotliCompress({
        params: { [constants.BROTLI_PARAM_QUALITY]: 4 },
        ...(flush ? { flush: constants.BROTLI_OPERATION_FLUSH } : {}),
      });
    case "zstd":
      return zlib.createZstdCompress(flush ? { flush: constants.ZSTD_e_flush } : {});
  }
}
