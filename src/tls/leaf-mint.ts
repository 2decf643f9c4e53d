import {
  createPrivateKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
  X509Certificate,
} from "node:crypto";
import { createRequire } from "node:module";
import type { SecureContext } from "node:tls";
import type forge from "node-forge";
import { parseIp } from "../net/cidr.ts";
import { loadTls } from "../net/connect.ts";
import { ipBytes } from "../net/ip-text.ts";

/** An authority that signs for every name. */
export interface Authority {
  /** PEM, the authority first, then those between it and what clients trust. */
  readonly certificate: string;
  /** PEM. */
  readonly key: string;
}

export interface MintOptions {
  readonly minVersion: "TLSv1.2" | "TLSv1.3";
  /** How many leaves are kept. */
  readonly max: number;
  /** Milliseconds since 1970. */
  now(): number;
}

interface Leaf {
  readonly context: SecureContext;
  /** Milliseconds since 1970 from which on a new one is made. */
  readonly until: number;
}

const dayMs = 86_400_000;
const leafDays = 30;

const subjectKeyId = "2.5.29.14";

/** It takes a while to load, and shards that intercept nothing do without. */
const require = createRequire(import.meta.url);
const loadAsn1 = (): typeof forge.asn1 => (require("node-forge") as typeof forge).asn1;

/** Tags of ASN.1 (X.680 §8.4). */
const UNIVERSAL = 0x00 as forge.asn1.Class;
const CONTEXT_SPECIFIC = 0x80 as forge.asn1.Class;
const BOOLEAN = 1 as forge.asn1.Type;
const INTEGER = 2 as forge.asn1.Type;
const BITSTRING = 3 as forge.asn1.Type;
const OCTETSTRING = 4 as forge.asn1.Type;
const NULL = 5 as forge.asn1.Type;
const OID = 6 as forge.asn1.Type;
const UTF8 = 12 as forge.asn1.Type;
const SEQUENCE = 16 as forge.asn1.Type;
const SET = 17 as forge.asn1.Type;
const UTCTIME = 23 as forge.asn1.Type;
const GENERALIZEDTIME = 24 as forge.asn1.Type;

/**
 * Certificates in the name of sites, made when somebody asks for one, and kept for the next one who does; the least
 * recently used goes first. All have the same key, which is made with this object and stands in no file. A leaf
 * takes some 0.5 ms.
 */
export class LeafMint {
  readonly #authority: Authority;
  readonly #options: MintOptions;
  readonly #signer: KeyObject;
  readonly #key: KeyObject;
  /** SubjectPublicKeyInfo of the key, in DER. */
  readonly #publicKey: forge.asn1.Asn1;
  readonly #issuer: forge.asn1.Asn1;
  readonly #issuerKeyId: string;
  readonly #lasts: number;
  /** In the order of use. */
  readonly #leaves: Map<string, Leaf> = new Map();

  /** @throws Error when the authority's certificate or key cannot be read */
  constructor(authority: Authority, options: MintOptions) {
    this.#authority = authority;
    this.#options = options;
    this.#signer = createPrivateKey(authority.key);
    const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    this.#key = privateKey;
    this.#publicKey = fromDer(publicKey.export({ type: "spki", format: "der" }));
    const certificate = new X509Certificate(authority.certificate);
    const fields = tbsOf(certificate);
    // RFC 5280 §4.1: version, serial number, signature, issuer, validity, subject, …
    this.#issuer = fields[5] ?? sequence([]);
    this.#issuerKeyId = keyIdOf(fields);
    this.#lasts = certificate.validToDate.getTime();
  }

  get size(): number {
    return this.#leaves.size;
  }

  /** @param name of a host in lower case, or an address without brackets */
  contextFor(name: string): SecureContext {
    const now = this.#options.now();
    const leaves = this.#leaves;
    const known = leaves.get(name);
    leaves.delete(name);
    if (known !== undefined && known.until > now) {
      leaves.set(name, known);
      return known.context;
    }
    const end = Math.min(now + leafDays * dayMs, this.#lasts);
    const context = loadTls().createSecureContext({
      cert: `${this.#issue(name, now, end)}${this.#authority.certificate}`,
      key: this.#key.export({ type: "pkcs8", format: "pem" }),
      minVersion: this.#options.minVersion,
      // A session is good for the site that it was begun with.
      sessionIdContext: randomBytes(16).toString("hex"),
    });
    if (leaves.size >= this.#options.max) {
      const [oldest] = leaves.keys();
      if (oldest !== undefined) leaves.delete(oldest);
    }
    leaves.set(name, { context, until: end - dayMs });
    return context;
  }

  #issue(name: string, now: number, end: number): string {
    const algorithm = this.#signatureAlgorithm();
    const serial = randomBytes(16);
    // Positive, at most 20 octets, and not to be guessed (RFC 5280 §4.1.2.2).
    serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40;
    const tbs = sequence([
      tagged(CONTEXT_SPECIFIC, 0, true, [primitive(INTEGER, "\x02")]),
      primitive(INTEGER, serial.toString("latin1")),
      algorithm,
      this.#issuer,
      // Clocks differ.
      sequence([time(now - dayMs), time(end)]),
      commonName(name),
      this.#publicKey,
      tagged(CONTEXT_SPECIFIC, 3, true, [sequence(this.#extensions(name))]),
    ]);
    const signature = sign("sha256", Buffer.from(loadAsn1().toDer(tbs).getBytes(), "latin1"), this.#signer);
    const whole = sequence([tbs, algorithm, primitive(BITSTRING, `\0${signature.toString("latin1")}`)]);
    const base64 = Buffer.from(loadAsn1().toDer(whole).getBytes(), "latin1").toString("base64");
    return `-----BEGIN CERTIFICATE-----\n${base64.replaceAll(/.{64}/g, "$&\n")}\n-----END CERTIFICATE-----\n`;
  }

  #signatureAlgorithm(): forge.asn1.Asn1 {
    // RFC 5758 §3.2 and RFC 4055 §5: ecdsa-with-SHA256 has no parameters, sha256WithRSAEncryption has NULL.
    if (this.#signer.asymmetricKeyType === "ec") return sequence([oid("1.2.840.10045.4.3.2")]);
    return sequence([oid("1.2.840.113549.1.1.11"), primitive(NULL, "")]);
  }

  #extensions(name: string): forge.asn1.Asn1[] {
    const ip = addressBytes(name);
    const altName =
      ip === null
        ? tagged(CONTEXT_SPECIFIC, 2, false, name)
        : tagged(CONTEXT_SPECIFIC, 7, false, ip.toString("latin1"));
    const all = [
      extension("2.5.29.19", true, sequence([])),
      // digitalSignature: all that a key for ECDSA does in TLS.
      extension("2.5.29.15", true, primitive(BITSTRING, "\x07\x80")),
      extension("2.5.29.37", false, sequence([oid("1.3.6.1.5.5.7.3.1")])),
      // A subject that is empty makes the name critical (RFC 5280 §4.2.1.6).
      extension("2.5.29.17", name.length > maxCommonName, sequence([altName])),
    ];
    if (this.#issuerKeyId !== "") {
      const id = tagged(CONTEXT_SPECIFIC, 0, false, this.#issuerKeyId);
      all.push(extension("2.5.29.35", false, sequence([id])));
    }
    return all;
  }
}

/** RFC 5280 A.1, ub-common-name. */
const maxCommonName = 64;

function commonName(name: string): forge.asn1.Asn1 {
  if (name.length > maxCommonName) return sequence([]);
  const attribute = sequence([oid("2.5.4.3"), primitive(UTF8, name)]);
  return sequence([tagged(UNIVERSAL, SET, true, [attribute])]);
}

/** The bytes of an address; null for a name. */
function addressBytes(name: string): Buffer | null {
  const ip = parseIp(name);
  if (ip === null) return null;
  return ipBytes(ip).subarray(ip.family === 4 ? 12 : 0);
}

/** RFC 5280 §4.1.2.5: UTCTime until 2049. */
function time(ms: number): forge.asn1.Asn1 {
  const text = new Date(ms).toISOString().replaceAll(/[-:T]|\.\d+/g, "");
  return text < "2050" ? primitive(UTCTIME, text.slice(2)) : primitive(GENERALIZEDTIME, text);
}

function extension(id: string, critical: boolean, value: forge.asn1.Asn1): forge.asn1.Asn1 {
  const bytes = primitive(OCTETSTRING, loadAsn1().toDer(value).getBytes());
  return sequence(critical ? [oid(id), primitive(BOOLEAN, "\xff"), bytes] : [oid(id), bytes]);
}

function tagged(
  tagClass: forge.asn1.Class,
  type: number,
  isConstructed: boolean,
  value: string | forge.asn1.Asn1[],
): forge.asn1.Asn1 {
  return loadAsn1().create(tagClass, type, isConstructed, value);
}

function sequence(values: forge.asn1.Asn1[]): forge.asn1.Asn1 {
  return tagged(UNIVERSAL, SEQUENCE, true, values);
}

function primitive(type: forge.asn1.Type, value: string): forge.asn1.Asn1 {
  return tagged(UNIVERSAL, type, false, value);
}

function oid(text: string): forge.asn1.Asn1 {
  return primitive(OID, loadAsn1().oidToDer(text).getBytes());
}

function fromDer(der: Uint8Array): forge.asn1.Asn1 {
  // Bit strings stay as they are; forge would else look for structures in a key's bits.
  const options = { strict: true, parseAllBytes: true, decodeBitStrings: false };
  return loadAsn1().fromDer(Buffer.from(der).toString("latin1"), options as unknown as boolean);
}

function tbsOf(certificate: X509Certificate): forge.asn1.Asn1[] {
  const [tbs] = fromDer(certificate.raw).value as forge.asn1.Asn1[];
  return (tbs?.value ?? []) as forge.asn1.Asn1[];
}

/** What leaves name their issuer's key by; empty when the issuer has no such extension. */
function keyIdOf(fields: readonly forge.asn1.Asn1[]): string {
  const list = fields.find(({ tagClass, type }) => tagClass === CONTEXT_SPECIFIC && Number(type) === 3);
  const [all] = (list?.value ?? []) as forge.asn1.Asn1[];
  for (const each of (all?.value ?? []) as forge.asn1.Asn1[]) {
    const parts = each.value as forge.asn1.Asn1[];
    if (loadAsn1().derToOid(String(parts[0]?.value)) !== subjectKeyId) continue;
    return String(fromDer(Buffer.from(String(parts.at(-1)?.value), "latin1")).value);
  }
  return "";
}
