import type { X509Certificate } from "node:crypto";
import type { TLSSocket } from "node:tls";
import type { TlsFacts } from "../http/exchange.ts";

/**
 * What a handshake tells of the client.
 *
 * @param asked a certificate was asked for
 */
export function tlsFacts(socket: TLSSocket, asked: boolean): TlsFacts {
  const version = socket.getProtocol() ?? "";
  // By its name in the registry, as Cloudflare and most logs have it: TLS_AES_128_GCM_SHA256, or OpenSSL's for TLS 1.2.
  const cipher = socket.getCipher()?.name ?? "";
  const certificate = asked ? socket.getPeerX509Certificate() : undefined;
  const verified = certificate !== undefined && socket.authorized;
  const tlsClientAuth = certificate === undefined ? none : clientAuth(certificate, failureOf(socket));
  return {
    version,
    cipher,
    cf: JSON.stringify(
      asked
        ? { tlsVersion: version, tlsCipher: cipher, tlsClientAuth }
        : { tlsVersion: version, tlsCipher: cipher },
    ),
    clientCertificate: verified ? `:${certificate.raw.toString("base64")}:` : "",
  };
}

/** Why the certificate was not accepted; null when it was. */
function failureOf(socket: TLSSocket): string | null {
  if (socket.authorized) return null;
  const error: unknown = socket.authorizationError;
  return error instanceof Error ? error.message : String(error);
}

/** The fields that Cloudflare gives them; texts, all of them. */
const none = {
  certPresented: "0",
  certVerified: "NONE",
  certRevoked: "0",
  certSubjectDN: "",
  certIssuerDN: "",
  certSerial: "",
  certFingerprintSHA1: "",
  certFingerprintSHA256: "",
  certNotBefore: "",
  certNotAfter: "",
} as const;

function clientAuth(certificate: X509Certificate, failure: string | null): Record<keyof typeof none, string> {
  return {
    certPresented: "1",
    certVerified: failure === null ? "SUCCESS" : `FAILED:${failure}`,
    certRevoked: "0",
    certSubjectDN: distinguishedName(certificate.subject),
    certIssuerDN: distinguishedName(certificate.issuer),
    certSerial: certificate.serialNumber,
    certFingerprintSHA1: fingerprint(certificate.fingerprint),
    certFingerprintSHA256: fingerprint(certificate.fingerprint256),
    certNotBefore: certificate.validFrom,
    certNotAfter: certificate.validTo,
  };
}

/** RFC 4514 §2.1: the most specific part first. Node.js gives a line each, in the order of the certificate. */
function distinguishedName(lines: string | undefined): string {
  return (lines ?? "").split("\n").reverse().join(",");
}

function fingerprint(colons: string): string {
  return colons.replaceAll(":", "").toLowerCase();
}
