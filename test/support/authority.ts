import { generateKeyPairSync } from "node:crypto";
import forge from "node-forge";

/** A certificate with its key, in PEM. */
export interface Issued {
  readonly certificate: string;
  readonly key: string;
}

export interface IssueOptions {
  /** From now; a negative time has expired. */
  readonly days?: number;
  /** The common name, in place of the first name. */
  readonly subject?: string;
}

interface Keys {
  readonly key: string;
  readonly public: forge.pki.rsa.PublicKey;
}

const dayMs = 86_400_000;
let serials = 0;

/** An authority of a test's own. */
export class Authority {
  readonly name: string;
  /** PEM. */
  readonly certificate: string;
  readonly #keys: Keys = makeKeys();

  constructor(name: string) {
    this.name = name;
    this.certificate = this.#sign(name, this.#keys.public, 30, [
      { name: "basicConstraints", cA: true, critical: true },
      { name: "keyUsage", keyCertSign: true, cRLSign: true, critical: true },
    ]);
  }

  /** A certificate for these names of hosts; the first is its common name. */
  issue(names: readonly string[], { days = 7, subject }: IssueOptions = {}): Issued {
    const keys = makeKeys();
    const certificate = this.#sign(subject ?? names[0] ?? "", keys.public, days, [
      { name: "basicConstraints", cA: false },
      { name: "keyUsage", digitalSignature: true, keyEncipherment: true, critical: true },
      { name: "extKeyUsage", serverAuth: true, clientAuth: true },
      ...(names.length === 0 ? [] : [{ name: "subjectAltName", altNames: names.map(altName) }]),
    ]);
    return { certificate, key: keys.key };
  }

  #sign(subject: string, key: forge.pki.rsa.PublicKey, days: number, extensions: object[]): string {
    const made = forge.pki.createCertificate();
    made.publicKey = key;
    made.serialNumber = `01${(++serials).toString(16).padStart(6, "0")}`;
    made.validity.notBefore = new Date(Date.now() - 30 * dayMs);
    made.validity.notAfter = new Date(Date.now() + days * dayMs);
    made.setSubject([{ name: "commonName", value: subject }]);
    made.setIssuer([{ name: "commonName", value: this.name }]);
    made.setExtensions(extensions);
    made.sign(forge.pki.privateKeyFromPem(this.#keys.key), forge.md.sha256.create());
    return forge.pki.certificateToPem(made);
  }
}

function altName(value: string): object {
  return /^[\d.]+$/.test(value) ? { type: 7, ip: value } : { type: 2, value };
}

function makeKeys(): Keys {
  const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  return {
    key: privateKey.export({ type: "pkcs1", format: "pem" }) as string,
    public: forge.pki.publicKeyFromPem(publicKey.export({ type: "spki", format: "pem" }) as string),
  };
}
