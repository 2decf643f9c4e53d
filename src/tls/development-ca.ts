import { createHash, generateKeyPairSync, randomBytes, X509Certificate } from "node:crypto";
import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { homedir, hostname } from "node:os";
import { join } from "node:path";
import forge from "node-forge";
import type { ServedKeypair } from "./acceptor.ts";

const dayMs = 86_400_000;
const authorityDays = 3_650;
/** Browsers take no more than 398 days; a leaf is made anew well before its end. */
const leafDays = 90;
const renewDays = 10;

/** Names that lead to this machine. */
const localNames = ["localhost", "127.0.0.1", "::1"];

/** Where the authority lives: `SLUICE_DATA_DIR`, or `sluice` among the user's data (XDG Base Directory Specification). */
export function dataDirectory(env: NodeJS.ProcessEnv): string {
  const { SLUICE_DATA_DIR: own, XDG_DATA_HOME: data } = env;
  if (own !== undefined && own !== "") return own;
  const base = data !== undefined && data !== "" ? data : join(env.HOME ?? homedir(), ".local", "share");
  return join(base, "sluice");
}

/**
 * An authority of this user for certificates while developing. Its key leaves the user's data directory only in leaves
 * that it has signed, and only the user can read it.
 */
export class DevelopmentCa {
  readonly #directory: string;
  readonly #pem: string;

  private constructor(directory: string, pem: string) {
    this.#directory = directory;
    this.#pem = pem;
  }

  /** The authority of this directory, made if there is none. @throws Error with the system's reason */
  static open(directory: string): DevelopmentCa {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const path = join(directory, "development-ca.pem");
    const pem = readOrNull(path) ?? keep(path, makeAuthority());
    const ca = new DevelopmentCa(directory, pem);
    const shared = ca.certificatePath;
    if (readOrNull(shared) !== ca.certificate) writeFileSync(shared, ca.certificate, { mode: 0o644 });
    return ca;
  }

  /** The one that is there, or null. */
  static find(directory: string): DevelopmentCa | null {
    const pem = readOrNull(join(directory, "development-ca.pem"));
    return pem === null ? null : new DevelopmentCa(directory, pem);
  }

  /** PEM, without the key. */
  get certificate(): string {
    return `${this.#pem.slice(this.#pem.indexOf("-----BEGIN CERTIFICATE-----")).trim()}\n`;
  }

  /** A file that holds the certificate alone. */
  get certificatePath(): string {
    return join(this.#directory, "development-ca.crt");
  }

  /** By which a trust store knows it: no two authorities have the same. */
  get name(): string {
    const { fingerprint256 } = new X509Certificate(this.certificate);
    return `sluice-development-${fingerprint256.replaceAll(":", "").slice(0, 16).toLowerCase()}`;
  }

  /** A certificate for this machine and these names; the one made before, as long as it is good. */
  leaf(names: readonly string[]): ServedKeypair {
    const all = [...new Set([...localNames, hostname(), ...names])];
    const key = createHash("sha256").update(this.#pem).update(JSON.stringify(all)).digest("hex").slice(0, 24);
    const path = join(this.#directory, `leaf-${key}.pem`);
    let pem = readOrNull(path);
    if (pem === null || !lastsFor(pem, renewDays)) {
      rmSync(path, { force: true });
      pem = keep(path, this.#issue(all));
    }
    return { certificate: pem.slice(pem.indexOf("-----BEGIN CERTIFICATE-----")), key: pem };
  }

  /** Forgets the authority and all that it has signed. */
  remove(): void {
    rmSync(this.#directory, { recursive: true, force: true });
  }

  #issue(names: readonly string[]): string {
    const authority = forge.pki.certificateFromPem(this.certificate);
    const key = forge.pki.privateKeyFromPem(this.#pem);
    const keys = makeKeys();
    const subject = [{ name: "commonName", value: "Sluice development" }];
    const certificate = describe(keys.public, subject, authority.subject.attributes, leafDays, [
      { name: "basicConstraints", cA: false, critical: true },
      { name: "keyUsage", digitalSignature: true, keyEncipherment: true, critical: true },
      { name: "extKeyUsage", serverAuth: true },
      { name: "subjectAltName", altNames: names.map(altName) },
      { name: "subjectKeyIdentifier" },
      {
        name: "authorityKeyIdentifier",
        keyIdentifier: authority.generateSubjectKeyIdentifier().getBytes(),
      },
    ]);
    certificate.sign(key, forge.md.sha256.create());
    return keys.key + toPem(certificate);
  }
}

function makeAuthority(): string {
  const keys = makeKeys();
  const subject = [
    { name: "organizationName", value: "Sluice development CA" },
    // Two authorities must not share a name: clients find the key of an issuer by it.
    { name: "commonName", value: `Sluice development CA ${hostname()} ${randomBytes(4).toString("hex")}` },
  ];
  const certificate = describe(keys.public, subject, subject, authorityDays, [
    { name: "basicConstraints", cA: true, pathLenConstraint: 0, critical: true },
    { name: "keyUsage", keyCertSign: true, cRLSign: true, critical: true },
    { name: "subjectKeyIdentifier" },
  ]);
  certificate.sign(forge.pki.privateKeyFromPem(keys.key), forge.md.sha256.create());
  return keys.key + toPem(certificate);
}

/** A certificate that is not signed yet (RFC 5280 §4.1). */
function describe(
  key: forge.pki.rsa.PublicKey,
  subject: forge.pki.CertificateField[],
  issuer: forge.pki.CertificateField[],
  days: number,
  extensions: object[],
): forge.pki.Certificate {
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

function altName(name: string): { type: number; value?: string; ip?: string } {
  return /^[\d.]+$/.test(name) || name.includes(":") ? { type: 7, ip: name } : { type: 2, value: name };
}

function makeKeys(): { readonly key: string; readonly public: forge.pki.rsa.PublicKey } {
  // Node.js makes them some ten times as fast as forge.
  const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  return {
    key: privateKey.export({ type: "pkcs1", format: "pem" }) as string,
    public: forge.pki.publicKeyFromPem(publicKey.export({ type: "spki", format: "pem" }) as string),
  };
}

function toPem(certificate: forge.pki.Certificate): string {
  return forge.pki.certificateToPem(certificate).replaceAll("\r\n", "\n");
}

function lastsFor(pem: string, days: number): boolean {
  try {
    const { validToDate } = new X509Certificate(pem.slice(pem.indexOf("-----BEGIN CERTIFICATE-----")));
    return validToDate.getTime() > Date.now() + days * dayMs;
  } catch {
    return false;
  }
}

function readOrNull(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
}

/** Writes a file whole or not at all; when another process was faster, its contents count. */
function keep(path: string, text: string): string {
  const draft = `${path}.${randomBytes(6).toString("hex")}`;
  writeFileSync(draft, text, { mode: 0o600, flag: "wx" });
  try {
    linkSync(draft, path);
    return text;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    return readFileSync(path, "utf8");
  } finally {
    rmSync(draft, { force: true });
  }
}
