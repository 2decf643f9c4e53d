import { cryptoNatives } from "./crypto.ts";
import { cipherNatives } from "./crypto-cipher.ts";
import { deriveNatives } from "./crypto-derive.ts";
import { keyNatives } from "./crypto-keys.ts";
import { signNatives } from "./crypto-sign.ts";
import type { Native } from "./native.ts";
import { zlibNatives } from "./node-zlib.ts";
import { utf8Natives } from "./utf8.ts";

/**
 * Those that may take more than some 50 ms on a busy machine. They end by themselves, so the watchdog lets them: a shard
 * must not end for a Worker that is unlucky with its primes.
 */
export const slowNatives: ReadonlySet<string> = new Set([
  "crypto.generateKeyPair",
  "crypto.pbkdf2",
  "crypto.scrypt",
  "node.zlib",
]);

/** All natives by the names that the runtime calls them with. */
export const natives: ReadonlyMap<string, Native> = new Map<string, Native>([
  ...cryptoNatives,
  ...cipherNatives,
  ...deriveNatives,
  ...keyNatives,
  ...signNatives,
  ...utf8Natives,
  ...zlibNatives,
]);
