import type { ServedKeypair } from "../tls/acceptor.ts";

const days = 7;

/**
 * A certificate that nobody vouches for, shown until the authority has issued the first: clients that look are refused by
 * their own judgement, and the socket listens all the same.
 */
export async function makePlaceholder(names: readonly string[]): Promise<ServedKeypair> {
  // What makes certificates takes a while to load.
  const { describeCertificate, makeKeys, serverExtensions, signWith, toPem } = await import("../tls/x509.ts");
  const keys = makeKeys();
  const subject = [{ name: "commonName", value: "Sluice placeholder" }];
  const certificate = describeCertificate({
    key: keys.public,
    subject,
    issuer: subject,
    days,
    extensions: serverExtensions(names),
  });
  signWith(certificate, keys.key);
  return { certificate: toPem(certificate), key: keys.key };
}
