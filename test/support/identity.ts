import forge from "node-forge";

/** A certificate that signs itself, and its key, in PEM. */
export interface Identity {
  readonly certificate: string;
  readonly key: string;
  /** Both as Node's TLS takes them. */
  readonly options: { readonly cert: string; readonly key: string };
}

/** @param validity in milliseconds since 1970; by default from yesterday to tomorrow */
export function identity(
  names: readonly string[],
  validity: { readonly from: number; readonly to: number } = {
    from: Date.now() - 86_400_000,
    to: Date.now() + 86_400_000,
  },
): Identity {
  const keys = forge.pki.rsa.generateKeyPair(2048);
  const made = forge.pki.createCertificate();
  made.publicKey = keys.publicKey;
  made.serialNumber = "01";
  made.validity.notBefore = new Date(validity.from);
  made.validity.notAfter = new Date(validity.to);
  const subject = [{ name: "commonName", value: names[0] ?? "" }];
  made.setSubject(subject);
  made.setIssuer(subject);
  made.setExtensions([
    { name: "basicConstraints", cA: true },
    { name: "subjectAltName", altNames: names.map((value) => ({ type: 2, value })) },
  ]);
  made.sign(keys.privateKey, forge.md.sha256.create());
  const certificate = forge.pki.certificateToPem(made);
  const key = forge.pki.privateKeyToPem(keys.privateKey);
  return { certificate, key, options: { cert: certificate, key } };
}
