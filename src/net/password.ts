import * as crypto from "node:crypto";
import { createHash, scrypt, timingSafeEqual } from "node:crypto";

/** How a password is stored: as it is, or as what scrypt or Argon2id made of it. */
export type StoredPassword =
  | { readonly kind: "plain"; readonly text: string }
  | {
      readonly kind: "scrypt";
      readonly logN: number;
      readonly r: number;
      readonly p: number;
      readonly salt: Uint8Array;
      readonly hash: Uint8Array;
    }
  | {
      readonly kind: "argon2id";
      /** KiB. */
      readonly memory: number;
      readonly passes: number;
      readonly parallelism: number;
      readonly salt: Uint8Array;
      readonly hash: Uint8Array;
    };

const base64 = "([A-Za-z0-9+/]{11,88})={0,2}\\$([A-Za-z0-9+/]{22,88})={0,2}$";
const scryptText = new RegExp(`^\\$scrypt\\$ln=(\\d{1,2}),r=(\\d{1,2}),p=(\\d{1,2})\\$${base64}`);
const argonText = new RegExp(`^\\$argon2id\\$v=19\\$m=(\\d{1,7}),t=(\\d{1,2}),p=(\\d{1,2})\\$${base64}`);

/** Bytes of memory that one check may take. */
const maxMemory = 128 * 1024 * 1024;
/** Bytes of memory that one check with Argon2 may go over, all passes together: about a second. */
const maxWork = 8 * maxMemory;

/**
 * Reads `$scrypt$ln=14,r=8,p=1$salt$hash` or `$argon2id$v=19$m=19456,t=2,p=1$salt$hash` (the PHC string format, base64);
 * any other text that does not begin with `$` is the password itself.
 *
 * @throws Error with the reason; the text is not in it
 */
export function readPassword(text: string): StoredPassword {
  if (text.startsWith("$scrypt$")) return readScrypt(text);
  if (text.startsWith("$argon2id$")) return readArgon(text);
  if (!text.startsWith("$")) return { kind: "plain", text };
  throw new Error("expected $scrypt$ln=…,r=…,p=…$salt$hash or $argon2id$v=19$m=…,t=…,p=…$salt$hash");
}

function readScrypt(text: string): StoredPassword {
  const match = scryptText.exec(text);
  if (match === null) throw new Error("expected $scrypt$ln=…,r=…,p=…$salt$hash");
  const [logN, r, p] = [Number(match[1]), Number(match[2]), Number(match[3])];
  if (logN < 10 || r < 1 || p < 1 || 128 * 2 ** logN * r > maxMemory || p > 16) {
    throw new Error("expected ln from 10 to 17, with at most 128 MiB of memory");
  }
  return { kind: "scrypt", logN, r, p, salt: bytes(match[4]), hash: bytes(match[5]) };
}

function readArgon(text: string): StoredPassword {
  const match = argonText.exec(text);
  if (match === null) throw new Error("expected $argon2id$v=19$m=…,t=…,p=…$salt$hash");
  const [memory, passes, parallelism] = [Number(match[1]), Number(match[2]), Number(match[3])];
  const size = 1024 * memory;
  if (memory < 8 * parallelism || parallelism < 1 || parallelism > 16 || passes < 1) {
    throw new Error("expected p from 1 to 16, t from 1 on, and m of at least eight times p");
  }
  if (size > maxMemory || size * passes > maxWork) {
    throw new Error("expected at most 128 MiB of memory, and 1 GiB in all passes together");
  }
  if (crypto.argon2 === undefined) throw new Error("Argon2 needs Node.js 24.7 or later");
  const [salt, hash] = [bytes(match[4]), bytes(match[5])];
  return { kind: "argon2id", memory, passes, parallelism, salt, hash };
}

function bytes(text = ""): Uint8Array {
  return Buffer.from(text, "base64");
}

/** Longer files are none that a person keeps. */
const maxFile = 16 * 1024 * 1024;

/**
 * Reads a file of users: a line `name:hash` each, as `readPassword` takes hashes; empty lines and those that begin with `#`
 * mean nothing. Passwords as they are do not stand in files.
 *
 * @throws Error `line 3: reason`, without anything that the line holds
 */
export function readUserFile(text: string): Map<string, StoredPassword> {
  if (text.length > maxFile) throw new Error("it is longer than 16 MiB");
  const users = new Map<string, StoredPassword>();
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === "" || line.startsWith("#")) continue;
    const at = `line ${index + 1}`;
    const colon = line.indexOf(":");
    const name = line.slice(0, colon);
    if (colon < 1 || /\p{Cc}/u.test(name)) throw new Error(`${at}: expected name:hash`);
    if (users.has(name)) throw new Error(`${at}: the name stands there already`);
    const hash = line.slice(colon + 1).trim();
    try {
      if (!hash.startsWith("$")) {
        throw new Error("expected a hash that begins with $scrypt$ or $argon2id$");
      }
      users.set(name, readPassword(hash));
    } catch (error) {
      throw new Error(`${at}: ${(error as Error).message}`);
    }
  }
  if (users.size === 0) throw new Error("it has no users, so nobody could pass");
  return users;
}

/** Compares without telling by its time how much of the password is right. Hashes are made off the main thread. */
export async function checkPassword(stored: StoredPassword, password: string): Promise<boolean> {
  if (stored.kind === "plain") return timingSafeEqual(digest(stored.text), digest(password));
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const done = (error: Error | null, key: Buffer): void => (error === null ? resolve(key) : reject(error));
  const { salt, hash } = stored;
  if (stored.kind === "scrypt") {
    const { logN, r, p } = stored;
    scrypt(password, salt, hash.length, { N: 2 ** logN, r, p, maxmem: 2 * maxMemory }, done);
  } else {
    const { memory, passes, parallelism } = stored;
    const message = Buffer.from(password, "utf8");
    const parameters = { message, nonce: salt, memory, passes, parallelism, tagLength: hash.length };
    crypto.argon2("argon2id", parameters, done);
  }
  return timingSafeEqual(await promise, hash);
}

/** Makes texts of any length comparable in constant time. */
function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
