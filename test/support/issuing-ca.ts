import { execFileSync } from "node:child_process";
import type { TemporaryDirectory } from "./temporary.ts";

const settings = `
[ca]
default_ca = test
[test]
database = index.txt
new_certs_dir = .
rand_serial = yes
default_md = sha256
policy = any
unique_subject = no
copy_extensions = none
[any]
commonName = optional
[root]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[req]
distinguished_name = empty
[empty]
`;

/** An authority that issues for certificate requests (PKCS #10), by openssl. */
export class IssuingCa {
  /** PEM file of its certificate. */
  readonly path: string;
  readonly #home: TemporaryDirectory;
  #files = 0;

  constructor(home: TemporaryDirectory) {
    this.#home = home;
    home.write("ca.cnf", settings);
    home.write("index.txt", "");
    const subject = ["-subj", "/CN=Test root", "-days", "30", "-extensions", "root", "-config", "ca.cnf"];
    this.#openssl([
      "req",
      "-x509",
      "-newkey",
      "rsa:2048",
      "-nodes",
      "-keyout",
      "ca.key",
      "-out",
      "ca.pem",
      ...subject,
    ]);
    this.path = home.at("ca.pem");
  }

  /** The names that a request asks for. @throws Error when its signature is wrong. @param csr in DER */
  namesIn(csr: Buffer): string[] {
    const text = this.#openssl([
      "req",
      "-inform",
      "DER",
      "-in",
      this.#keep(csr),
      "-noout",
      "-verify",
      "-text",
    ]);
    return Array.from(text.matchAll(/DNS:([^\s,]+)/g), ([, name]) => name ?? "");
  }

  /** A request of somebody else. */
  otherRequest(): Buffer {
    const args = [
      "req",
      "-new",
      "-newkey",
      "rsa:2048",
      "-nodes",
      "-keyout",
      "other.key",
      "-subj",
      "/CN=other",
    ];
    this.#openssl([...args, "-config", "ca.cnf", "-outform", "DER", "-out", "other.csr"]);
    return execFileSync("cat", [this.#home.at("other.csr")]);
  }

  /** A certificate in PEM for these names, that begins now. @param csr in DER. @param lifetime in seconds */
  issue(csr: Buffer, names: readonly string[], lifetime: number): string {
    const extensions = this.#home.write(
      `extensions-${++this.#files}`,
      `basicConstraints = critical, CA:false\nextendedKeyUsage = serverAuth\nsubjectAltName = ${names.map((name) => `DNS:${name}`).join(", ")}\n`,
    );
    const now = Date.now() - 1000;
    const dates = ["-startdate", dateOf(now), "-enddate", dateOf(now + lifetime * 1000)];
    const request = this.#keep(csr);
    this.#openssl(["req", "-inform", "DER", "-in", request, "-out", `${request}.pem`]);
    const args = ["ca", "-batch", "-notext", "-config", "ca.cnf", "-cert", "ca.pem", "-keyfile", "ca.key"];
    return this.#openssl([
      ...args,
      "-in",
      `${request}.pem`,
      "-extfile",
      extensions,
      ...dates,
      "-subj",
      `/CN=${names[0]}`,
    ]);
  }

  #keep(bytes: Buffer): string {
    return this.#home.write(`request-${++this.#files}`, bytes);
  }

  #openssl(args: readonly string[]): string {
    return execFileSync("openssl", args, {
      cwd: this.#home.path,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    });
  }
}

/** As ASN.1 writes it: 20260102030405Z. */
function dateOf(ms: number): string {
  return `${new Date(ms).toISOString().replace(/[-:T]/g, "").slice(0, 14)}Z`;
}
