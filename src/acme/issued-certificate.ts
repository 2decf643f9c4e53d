import { createPrivateKey, X509Certificate } from "node:crypto";
import { leafOf, namesOf } from "../tls/certificate.ts";

/** A certificate with its key, as an authority issued it or as it stood on disk. */
export interface IssuedCertificate {
  /** PEM: the certificate first, then those between it and the authority. */
  readonly certificate: string;
  /** PEM. */
  readonly key: string;
  /** Milliseconds since 1970. */
  readonly notBefore: number;
  readonly notAfter: number;
}

const blocks = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** More certificates than this between leaf and authority are no chain. */
const longestChain = 10;

/**
 * Checks what an authority has issued before anybody is shown it.
 *
 * @throws Error `cannot use the certificate: reason`, when it is none, is for another key, or lacks one of the names
 */
export function checkIssued(certificate: string, key: string, names: readonly string[]): IssuedCertificate {
  const chain = certificate.match(blocks) ?? [];
  if (chain.length === 0 || chain.length > longestChain) fail(`it has ${chain.length} parts in PEM`);
  let leaf: X509Certificate;
  try {
    leaf = leafOf(chain[0] ?? "");
    for (const each of chain) new X509Certificate(each);
  } catch {
    fail("a part of it cannot be read");
  }
  if (!leaf.checkPrivateKey(createPrivateKey(key))) fail("it is for another key");
  const own = new Set(namesOf(leaf).map((name) => name.toLowerCase()));
  const missing = names.find((name) => !own.has(name));
  if (missing !== undefined) fail(`it is not for ${missing}`);
  return {
    certificate: `${chain.join("\n")}\n`,
    key,
    notBefore: leaf.validFromDate.getTime(),
    notAfter: leaf.validToDate.getTime(),
  };
}

/** At most so much of the time before the last third is given away, so that not all renew at one moment. */
const jitterShare = 0.1;

/**
 * When to renew: a third of the lifetime before the end, or a little earlier.
 *
 * @param random from 0 to 1, the same for the whole life of the certificate
 * @returns milliseconds since 1970
 */
export function renewalTime({ notBefore, notAfter }: IssuedCertificate, random: number): number {
  const third = (notAfter - notBefore) / 3;
  return notAfter - third - random * third * jitterShare;
}

function fail(reason: string): never {
  throw new Error(`cannot use the certificate: ${reason}`);
}
