import { X509Certificate } from "node:crypto";

/** DNS names of a certificate in PEM: those of subjectAltName, or without any the common name of its subject. */
export function namesOf(certificate: X509Certificate): string[] {
  const { subjectAltName } = certificate;
  if (subjectAltName === undefined) {
    const common = /(?:^|\n)CN=(.+)/.exec(certificate.subject)?.[1];
    return common === undefined ? [] : [common];
  }
  // Node.js quotes a name that holds a comma or a quote, which no name of a host does.
  return subjectAltName
    .split(", ")
    .filter((each) => each.startsWith("DNS:"))
    .map((each) => each.slice("DNS:".length));
}

/** The first certificate of a PEM text that was found to be one. */
export function leafOf(pem: string): X509Certificate {
  return new X509Certificate(pem);
}
