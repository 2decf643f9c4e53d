import {
  type CipherGCM,
  createCipheriv,
  createDecipheriv,
  type DecipherGCM,
  getCipherInfo,
} from "node:crypto";
import { GuestFailure } from "../guest-failure.ts";
import { checkCiphered } from "./crypto-costs.ts";
import type { Native } from "./native.ts";
import { Parameters } from "./parameters.ts";

const authenticated = new Set(["ccm", "gcm", "ocb"]);

/**
 * A whole message through a cipher: `{ algorithm, decrypt, iv, padding, tagLength, sizes: [key, iv, aad, tag] }`, those
 * pieces and the data. Without `iv` the cipher gets none; `padding` false turns the automatic one off.
 *
 * @returns the other text; behind it, when an authenticated cipher encrypts, the tag.
 */
const cipher: Native = (text, bytes) => {
  const parameters = new Parameters(text, bytes);
  const algorithm = parameters.text("algorithm");
  const decrypts = parameters.flag("decrypt");
  const tagLength = parameters.optionalInteger("tagLength", 16);
  const key = parameters.piece();
  const givenIv = parameters.piece();
  const aad = parameters.piece();
  const tag = parameters.piece();
  const data = parameters.piece();
  const iv = parameters.flag("iv") ? givenIv : null;
  const info = getCipherInfo(algorithm);
  if (info === undefined) throw new GuestFailure("Error", "cannot use the cipher: it is not known");
  const { mode, name } = info;
  checkCiphered(name, data.length + aad.length);
  const hasTag = authenticated.has(mode ?? "") || name.toLowerCase() === "chacha20-poly1305";
  const options = hasTag ? { authTagLength: tagLength ?? 16 } : {};
  try {
    const make = decrypts ? createDecipheriv : createCipheriv;
    const worker = make(algorithm, key, iv, options as never) as unknown as CipherGCM & DecipherGCM;
    if (!parameters.flag("padding")) worker.setAutoPadding(false);
    if (hasTag && decrypts) worker.setAuthTag(tag);
    if (aad.length > 0) worker.setAAD(aad, { plaintextLength: data.length });
    const parts = [worker.update(data), worker.final()];
    if (hasTag && !decrypts) parts.push(worker.getAuthTag());
    return Buffer.concat(parts);
  } catch (error) {
    throw new GuestFailure("Error", reasonOf(error, decrypts));
  }
};

/** By Node's codes: its texts may tell of the host. */
function reasonOf(error: unknown, decrypts: boolean): string {
  const code = (error as { code?: unknown } | null)?.code;
  if (code === "ERR_CRYPTO_INVALID_KEYLEN") return "Invalid key length";
  if (code === "ERR_CRYPTO_INVALID_IV") return "Invalid initialization vector";
  if (code === "ERR_CRYPTO_INVALID_AUTH_TAG") return "Invalid authentication tag length";
  return decrypts
    ? "Unsupported state or unable to authenticate data"
    : "cannot encrypt: the data is not valid";
}

/** Ciphers, for node:crypto. */
export const cipherNatives: ReadonlyMap<string, Native> = new Map<string, Native>([
  ["crypto.cipher", cipher],
]);
