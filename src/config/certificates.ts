import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { type ConfigHost, fileReason } from "./host.ts";

/** Where a certificate of a socket comes from: it is read again when one of the files changes. */
export interface CertificateFiles {
  /** The socket's name. */
  readonly socket: string;
  /** Absolute paths. */
  readonly certificate: string;
  readonly key: string;
  readonly ocsp: string | null;
}

/** A certificate with its key and what is stapled to it, read and found to belong together. */
export interface Keypair {
  /** PEM, the certificate first, then those between it and the authority. */
  readonly certificate: string;
  /** PEM. */
  readonly key: string;
  /** An OCSP response (RFC 6960) in DER, as base64. */
  readonly ocsp?: string | undefined;
}

/** The first certificate of a PEM text. @throws Error `the file holds none in PEM` */
export function parseCertificate(pem: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch {
    throw new Error("the file holds none in PEM");
  }
}

/** The private key of a PEM text. @throws Error the reason, in words that quote nothing of it */
export function parseKey(pem: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch (error) {
    const encrypted =
      (error as { code?: unknown } | null)?.code === "ERR_MISSING_PASSPHRASE" || pem.includes("ENCRYPTED");
    throw new Error(encrypted ? "it is encrypted" : "the file holds none in PEM");
  }
}

/**
 * Reads the files of a certificate.
 *
 * @throws Error `cannot use "file": reason`, for one that cannot be read, holds something else, or does not go with the others
 */
export function readKeypair(files: CertificateFiles, host: ConfigHost): Keypair {
  const certificate = read(files.certificate, host, parseCertificate);
  const key = read(files.key, host, parseKey);
  if (!certificate.value.checkPrivateKey(key.value)) {
    throw new Error(`cannot use ${JSON.stringify(files.key)}: it belongs to another certificate`);
  }
  if (files.ocsp === null) return { certificate: certificate.text, key: key.text };
  const ocsp = Buffer.from(readText(files.ocsp, host), "latin1").toString("base64");
  return { certificate: certificate.text, key: key.text, ocsp };
}

function read<T>(path: string, host: ConfigHost, parse: (pem: string) => T): { text: string; value: T } {
  const text = readText(path, host);
  try {
    return { text, value: parse(text) };
  } catch (error) {
    throw new Error(`cannot use ${JSON.stringify(path)}: ${error instanceof Error ? error.message : error}`);
  }
}

function readText(path: string, host: ConfigHost): string {
  try {
    return Buffer.from(host.read(path)).toString("latin1");
  } catch (error) {
    throw new Error(`cannot read ${JSON.stringify(path)}: ${fileReason(error)}`, { cause: error });
  }
}
