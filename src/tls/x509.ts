import { createPublicKey, generateKeyPairSync, randomBytes } from "node:crypto";
import forge from "node-forge";
import { parseIp, parseRange } from "../net/cidr.ts";

/** A pair of RSA keys: the private one in PEM, the public one as forge takes it. */
export interface Keys {
  readonly key: string;
  readonly public: forge.pki.rsa.PublicKey;
}

export interface Description {
  readonly key: forge.pki.rsa.PublicKey;
  readonly subject: forge.pki.CertificateField[];
  readonly issuer: forge.pki.CertificateField[];
  readonly days: number;
  readonly extensions: object[];
}

const dayMs = 86_400_000;

/** Node.js makes keys some ten times as fast as forge. */
export function makeKeys(): Keys {
  const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  return {
    key: privateKey.export({ type: "pkcs1", format: "pem" }) as string,
    public: forge.pki.publicKeyFromPem(publicKey.export({ type: "spki", format: "pem" }) as string),
  };
}

/** The public half of a private key in PEM. */
export function publicKeyOf(pem: string): Keys["public"] {
  return forge.pki.publicKeyFromPem(createPublicKey(pem).export({ type: "spki", format: "pem" }) as string);
}

/** A certificate that is not signed yet (RFC 5280 §4.1). */
export function describeCertificate({
  key,
  subject,
  issuer,
  days,
  extensions,
}: Description): forge.pki.Certificate {
  const certificate = forge.pki.createCertificate();
  certificate.publicKey = key;
  // Positive, at most 20 octets, and not to be guessed (RFC 5280 §4.1.2.2).
  const serial = randomBytes(16);
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40;
  certificate.serialNumber = serial.toString("hex");
  // Clocks differ.
  certificate.validity.notBefore = new Date(Date.now() - dayMs);
  certificate.validity.notAfter = new Date(Date.now() + days * dayMs);
  certificate.setSubject(subject);
  certificate.setIssuer(issuer);
  certificate.setExtensions(extensions);
  return certificate;
}

/** The extensions of a server's certificate for these names and addresses, without those that name its issuer. */
export function serverExtensions(names: readonly string[]): object[] {
  return [
    { name: "basicConstraints", cA: false, critical: true },
    { name: "keyUsage", digitalSignature: true, keyEncipherment: true, critical: true },
    { name: "extKeyUsage", serverAuth: true },
    {
      name: "subjectAltName",
      altNames: names.map((name) =>
        parseIp(name) === null ? { type: 2, value: name } : { type: 7, ip: name },
      ),
    },
  ];
}

/**
 * The extension by which an authority may sign for these names and ranges, and no others (RFC 5280 §4.2.1.10).
 *
 * @param suffixes of names; each stands for itself and all under it
 * @param ranges of addresses, as CIDRs
 */
export function nameConstraints(suffixes: readonly string[], ranges: readonly string[]): object {
  const { asn1 } = forge;
  const { CONTEXT_SPECIFIC, UNIVERSAL } = asn1.Class;
  const subtree = (type: number, value: string) =>
    asn1.create(UNIVERSAL, asn1.Type.SEQUENCE, true, [asn1.create(CONTEXT_SPECIFIC, type, false, value)]);
  const permitted = [
    ...suffixes.map((suffix) => subtree(2, suffix)),
    ...ranges.map((range) => subtree(7, addressAndMask(range).toString("latin1"))),
  ];
  const value = asn1.create(UNIVERSAL, asn1.Type.SEQUENCE, true, [
    asn1.create(CONTEXT_SPECIFIC, 0, true, permitted),
  ]);
  return { id: "2.5.29.30", name: "nameConstraints", critical: true, value: asn1.toDer(value).getBytes() };
}

/** The suffixes of names that a certificate's constraints permit; null when it has none. */
export function permittedSuffixes(certificate: forge.pki.Certificate): readonly string[] | null {
  const extension = certificate.getExtension("nameConstraints") as
    | { readonly value: string }
    | null
    | undefined;
  if (extension === null || extension === undefined) return null;
  const parts = forge.asn1.fromDer(extension.value).value as forge.asn1.Asn1[];
  const subtrees = (parts[0]?.value ?? []) as forge.asn1.Asn1[];
  return subtrees.flatMap((subtree) => {
    const [base] = subtree.value as forge.asn1.Asn1[];
    const type: number | undefined = base?.type;
    return base !== undefined && type === 2 ? [String(base.value)] : [];
  });
}

/** Signs with SHA-256. @param key of the issuer, in PEM */
export function signWith(certificate: forge.pki.Certificate, key: string): void {
  certificate.sign(forge.pki.privateKeyFromPem(key), forge.md.sha256.create());
}

export function toPem(certificate: forge.pki.Certificate): string {
  return forge.pki.certificateToPem(certificate).replaceAll("\r\n", "\n");
}

/** An address and its mask, as a constraint wants them. */
function addressAndMask(text: string): Buffer {
  const { base, length } = parseRange(text);
  const bytes = Buffer.alloc(32);
  for (const [index, word] of [base.a, base.b, base.c, base.d].entries())
    bytes.writeUInt32BE(word, index * 4);
  for (let i = 0; i < 16; i++) bytes[16 + i] = 0xff00 >> Math.max(0, Math.min(8, length - 8 * i));
  return base.family === 6 ? bytes : Buffer.concat([bytes.subarray(12, 16), bytes.subarray(28)]);
}
