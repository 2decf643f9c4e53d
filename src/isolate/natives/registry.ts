import { cryptoNatives } from "./crypto.ts";
import { cipherNatives } from "./crypto-cipher.ts";
import { deriveNatives } from "./crypto-derive.ts";
import { keyNatives } from "./crypto-keys.ts";
import { signNatives } from "./crypto-sign.ts";
import type { Native } from "./native.ts";
import { zlibNatives } from "./node-zlib.ts";
import { utf8Natives } from "./utf8.ts";

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
