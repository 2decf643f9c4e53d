import {
  createHash,
  createHmac,
  getCipherInfo,
  getCiphers,
  getCurves,
  getHashes,
  randomBytes,
} from "node:crypto";
import { GuestFailure } from "../guest-failure.ts";
import { checkHashed, checkSecret } from "./crypto-costs.ts";
import { webAlgorithms } from "./crypto-features.ts";
import type { Native } from "./native.ts";
import { Parameters } from "./parameters.ts";

/** Bytes of one call: getting them takes 3 ms. */
const MAX_RANDOM = 1 << 20;
/** Bytes of output of an extendable function. */
const MAX_OUTPUT = 1 << 20;

/** @param text how many bytes. */
const random: Native = (text) => {
  const size = Number(text);
  if (!Number.isInteger(size) || size < 0 || size > MAX_RANDOM) {
    throw new GuestFailure("RangeError", `cannot get random bytes: the size is outside 0 to ${MAX_RANDOM}`);
  }
  return randomBytes(size);
};

/** `{ algorithm, outputLength? }` and the data; gives the digest. */
const hash: Native = (text, bytes) => {
  const parameters = new Parameters(text, bytes);
  const algorithm = parameters.text("algorithm");
  const outputLength = parameters.optionalInteger("outputLength", MAX_OUTPUT);
  const data = parameters.piece();
  checkHashed(algorithm, data.length);
  return known(algorithm, () =>
    createHash(algorithm, outputLength === undefined ? {} : { outputLength })
      .update(data)
      .digest(),
  );
};

/** `{ algorithm, sizes: [key] }`, the key and the data; gives the code. */
const hmac: Native = (text, bytes) => {
  const parameters = new Parameters(text, bytes);
  const algorithm = parameters.text("algorithm");
  const key = parameters.piece();
  const data = parameters.piece();
  checkSecret(key.length);
  checkHashed(algorithm, data.length);
  return known(algorithm, () => createHmac(algorithm, key).update(data).digest());
};

/** @param text `hashes`, `ciphers` or `curves`; gives a JSON array. */
const names: Native = (text) => {
  if (text === "hashes") return JSON.stringify(getHashes());
  if (text === "ciphers") return JSON.stringify(getCiphers());
  return JSON.stringify(text === "curves" ? getCurves() : []);
};

/** `{ cipher, keyLength?, ivLength? }`; gives what crypto.getCipherInfo() gives, as JSON, or `null`. */
const cipherInfo: Native = (text, bytes) => {
  const parameters = new Parameters(text, bytes);
  const keyLength = parameters.optionalInteger("keyLength", 4096);
  const ivLength = parameters.optionalInteger("ivLength", 4096);
  const info = getCipherInfo(parameters.text("cipher"), {
    ...(keyLength === undefined ? {} : { keyLength }),
    ...(ivLength === undefined ? {} : { ivLength }),
  });
  return JSON.stringify(info ?? null);
};

function known(algorithm: string, work: () => Buffer): Buffer {
  try {
    return work();
  } catch {
    throw new GuestFailure(
      "Error",
      `cannot hash: the digest method "${algorithm.slice(0, 100)}" is not known`,
    );
  }
}

/** Hashes, message authentication codes and randomness, for node:crypto. */
export const cryptoNatives: ReadonlyMap<string, Native> = new Map<string, Native>([
  ["crypto.random", random],
  ["crypto.hash", hash],
  ["crypto.hmac", hmac],
  ["crypto.names", names],
  ["crypto.cipherInfo", cipherInfo],
  ["crypto.webAlgorithms", webAlgorithms],
]);
