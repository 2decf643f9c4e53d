import { createHash, randomBytes, X509Certificate } from "node:crypto";
import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import forge from "node-forge";
import { parseIp } from "../net/cidr.ts";
import { isPrivateName, isUnder, privateRanges, privateSuffixes } from "../net/private-names.ts";
import type { ServedKeypair } from "./acceptor.ts";
import { dataDirectory, readOrNull } from "./data-directory.ts";
import {
  describeCertificate,
  type Keys,
  makeKeys,
  nameConstraints,
  permittedSuffixes,
  serverExtensions,
  signWith,
  toPem,
} from "./x509.ts";

/**
 * What an authority of this machine is for. `development` may sign for names and addresses that are nobody's on the internet
 * (constrained in its certificate, so that a stolen key is of no use elsewhere); `interception` has to sign for all.
 */
export type LocalCaKind = "development" | "interception";

const authorityDays = 3_650;
/** Browsers take no more than 398 days; a leaf is made anew well before its end. */
const leafDays = 90;
const renewMs = 10 * 86_400_000;

/** Names that lead to this machine. */
const localNames = ["localhost", "127.0.0.1", "::1"];

/** Where the authority of this kind lives. */
export function caDirectory(kind: LocalCaKind, env: NodeJS.ProcessEnv): string {
  return join(dataDirectory(env), kind === "development" ? "ca" : "interception-ca");
}

/**
 * An authority of this user. Its key leaves the user's data directory only in leaves that it has signed, and only the
 * user can read it.
 */
export class LocalCa {
  readonly kind: LocalCaKind;
  readonly #directory: string;
  readonly #pem: string;
  #authority: forge.pki.Certificate | null = null;
  #key: forge.pki.rsa.PrivateKey | null = null;

  private constructor(kind: LocalCaKind, directory: string, pem: string) {
    this.kind = kind;
    this.#directory = directory;
    this.#pem = pem;
  }

  /** The authority of this directory, made if there is none. @throws Error with the system's reason */
  static open(kind: LocalCaKind, directory: string): LocalCa {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const path = join(directory, `${kind}-ca.pem`);
    const pem = readOrNull(path) ?? keep(path, makeAuthority(kind));
    const ca = new LocalCa(kind, directory, pem);
    const shared = ca.certificatePath;
    if (readOrNull(shared) !== ca.certificate) writeFileSync(shared, ca.certificate, { mode: 0o644 });
    return ca;
  }

  /** The one that is there, or null. */
  static find(kind: LocalCaKind, directory: string): LocalCa | null {
    const pem = readOrNull(join(directory, `${kind}-ca.pem`));
    return pem === null ? null : new LocalCa(kind, directory, pem);
  }

  /** PEM, without the key. */
  get certificate(): string {
    return `${certificateOf(this.#pem).trim()}\n`;
  }

  /** A file that holds the certificate alone. */
  get certificatePath(): string {
    return join(this.#directory, `${this.kind}-ca.crt`);
  }

  /** With its key, for the shards that sign by themselves: those of sockets that intercept. */
  get keypair(): { readonly certificate: string; readonly key: string } {
    return {
      certificate: this.certificate,
      key: this.#pem.slice(0, this.#pem.indexOf(certificateOf(this.#pem))),
    };
  }

  /** By which a trust store knows it: no two authorities have the same. */
  get name(): string {
    const { fingerprint256 } = new X509Certificate(this.certificate);
    return `sluice-${this.kind}-${fingerprint256.replaceAll(":", "").slice(0, 16).toLowerCase()}`;
  }

  /** True when its constraints let it sign for the name or address. */
  permits(name: string): boolean {
    if (this.kind !== "development") return true;
    if (parseIp(name) !== null) return isPrivateName(name);
    const suffixes = permittedSuffixes(this.#certificate());
    return suffixes === null || suffixes.some((suffix) => isUnder(name, suffix));
  }

  /**
   * A certificate for this machine and these names; the one made before, as long as it is good. Names that the
   * authority may not sign for are left out.
   */
  leaf(names: readonly string[]): ServedKeypair {
    const all = [...new Set([...localNames, hostname(), ...names])].filter((name) => this.permits(name));
    const key = createHash("sha256").update(this.#pem).update(JSON.stringify(all)).digest("hex").slice(0, 24);
    const path = join(this.#directory, `leaf-${key}.pem`);
    let pem = readOrNull(path);
    if (pem === null || !lastsFor(pem, renewMs)) {
      rmSync(path, { force: true });
      const keys = makeKeys();
      pem = keep(path, keys.key + this.sign(all, keys.public));
    }
    return { certificate: certificateOf(pem), key: pem };
  }

  /** A certificate in PEM for these names and addresses, over the given key, that lasts 90 days. */
  sign(names: readonly string[], key: Keys["public"]): string {
    const authority = this.#certificate();
    const certificate = describeCertificate({
      key,
      subject: [{ name: "commonName", value: `Sluice ${this.kind}` }],
      issuer: authority.subject.attributes,
      days: leafDays,
      extensions: [
        ...serverExtensions(names),
        { name: "subjectKeyIdentifier" },
        {
          name: "authorityKeyIdentifier",
          keyIdentifier: authority.generateSubjectKeyIdentifier().getBytes(),
        },
      ],
    });
    this.#key ??= forge.pki.privateKeyFromPem(this.#pem);
    certificate.sign(this.#key, forge.md.sha256.create());
    return toPem(certificate);
  }

  /** Forgets the authority and all that it has signed. */
  remove(): void {
    rmSync(this.#directory, { recursive: true, force: true });
  }

  #certificate(): forge.pki.Certificate {
    this.#authority ??= forge.pki.certificateFromPem(this.certificate);
    return this.#authority;
  }
}

function makeAuthority(kind: LocalCaKind): string {
  const keys = makeKeys();
  const title = `Sluice ${kind} CA`;
  const subject = [
    { name: "organizationName", value: title },
    // Two authorities must not share a name: clients find the key of an issuer by it.
    { name: "commonName", value: `${title} ${hostname()} ${randomBytes(4).toString("hex")}` },
  ];
  // A name without a dot is nobody's on the internet.
  const own = hostname().includes(".") || hostname() === "" ? [] : [hostname().toLowerCase()];
  const constraints =
    kind === "development" ? [nameConstraints([...privateSuffixes, ...own], privateRanges)] : [];
  const certificate = describeCertificate({
    key: keys.public,
    subject,
    issuer: subject,
    days: authorityDays,
    extensions: [
      { name: "basicConstraints", cA: true, pathLenConstraint: 0, critical: true },
      { name: "keyUsage", keyCertSign: true, cRLSign: true, critical: true },
      { name: "subjectKeyIdentifier" },
      ...constraints,
    ],
  });
  signWith(certificate, keys.key);
  return keys.key + toPem(certificate);
}

/** What follows the key in a PEM text. */
function certificateOf(pem: string): string {
  return pem.slice(pem.indexOf("-----BEGIN CERTIFICATE-----"));
}

function lastsFor(pem: string, ms: number): boolean {
  try {
    return new X509Certificate(certificateOf(pem)).validToDate.getTime() > Date.now() + ms;
  } catch {
    return false;
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
