import { createHash, webcrypto } from "node:crypto";
import { GuestFailure } from "../guest-failure.ts";
import { CallResult, ThreadJob } from "./call.ts";

const algorithms: Readonly<Record<string, string>> = {
  "SHA-1": "sha1",
  "SHA-256": "sha256",
  "SHA-384": "sha384",
  "SHA-512": "sha512",
  MD5: "md5",
};

/** Inputs up to this many bytes are hashed at once; a thread costs more. */
const HASH_HERE = 16_384;

/** @param name one of the algorithms above. */
export function digest(name: string, bytes: Uint8Array): CallResult | ThreadJob {
  const algorithm = Object.hasOwn(algorithms, name) ? algorithms[name] : undefined;
  if (algorithm === undefined) {
    throw new GuestFailure("NotSupportedError", "cannot digest: the algorithm is not known");
  }
  if (bytes.length <= HASH_HERE || name === "MD5") {
    return new CallResult("", createHash(algorithm).update(bytes).digest());
  }
  return new ThreadJob(async () => {
    const hash = await webcrypto.subtle.digest(name, bytes as Uint8Array<ArrayBuffer>);
    return new CallResult("", new Uint8Array(hash));
  });
}
