import { createHash, scrypt, timingSafeEqual } from "node:crypto";

/** How a password is stored: as it is, or as what scrypt made of it. */
export type StoredPassword =
  | { readonly kind: "plain"; readonly text: string }
  | {
      readonly kind: "scrypt";
      readonly logN: number;
      readonly r: number;
      readonly p: number;
      readonly salt: Uint8Array;
      readonly hash: Uint8Array;
    };

const phc =
  /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/]{16,88})={0,2}\$([A-Za-z0-9+/]{22,88})={0,2}$/;

/** Bytes of memory that one check may take. */
const maxMemory = 128 * 1024 * 1024;

/**
 * Reads `$scrypt$ln=14,r=8,p=1$salt$hash` (the PHC string format, base64); any other text is the password itself.
 *
 * @throws Error with the reason; the text is not in it.
 */
export function readPassword(text: string): StoredPassword {
  if (!text.startsWith("$")) return { kind: "plain", text };
  const match = phc.exec(text);
  if (match === null) {
    throw new Error("expected $scrypt$ln=…,r=…,p=…$salt$hash");
  }
  const [logN, r, p] = [Number(match[1]), Number(match[2]), Number(match[3])];
  if (logN < 10 || r < 1 || p < 1 || 128 * 2 ** logN * r > maxMemory || p > 16) {
    throw new Error("expected ln from 10 to 17, with at most 128 MiB of memory");
  }
  const salt = Buffer.from(match[4] ?? "", "base64");
  return { kind: "scrypt", logN, r, p, salt, hash: Buffer.from(match[5] ?? "", "base64") };
}

/** Compares without telling by its time how much of the password is right. Scrypt runs off the main thread. */
export async function checkPassword(stored: StoredPassword, password: string): Promise<boolean> {
  if (stored.kind === "plain") return timingSafeEqual(digest(stored.text), digest(password));
  const { logN, r, p, salt, hash } = stored;
  const options = { N: 2 ** logN, r, p, maxmem: 2 * maxMemory };
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  scrypt(password, salt, hash.length, options, (error, key) =>
    error === null ? resolve(key) : reject(error),
  );
  return timingSafeEqual(await promise, hash);
}

/** Makes texts of any length comparable in constant time. */
function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
