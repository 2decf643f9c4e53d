import type { KeyObject, X509Certificate } from "node:crypto";
import { dirname, resolve } from "node:path";
import { readUserFile } from "../net/password.ts";
import { type CertificateFiles, parseCertificate, parseKey } from "./certificates.ts";
import type { Report } from "./diagnostic.ts";
import { type ConfigHost, fileReason } from "./host.ts";
import type { NamedService } from "./kinds.ts";
import { placeOf } from "./source.ts";
import type { Environment } from "./substitution.ts";
import {
  asText,
  type ConfigNode,
  child,
  type Entry,
  entries,
  flagOf,
  items,
  type MapNode,
  put,
  shown,
  type TextNode,
  textAt,
} from "./tree.ts";
import { fillUpstreamProxies } from "./upstream-proxies.ts";

/** A binding's bytes travel to every shard within the config. */
const maxData = 16 * 1024 * 1024;

/**
 * Puts into the tree what shards cannot get at, since they may read neither files nor the environment: `env` bindings
 * become texts, `data` bindings and certificates the contents of their files, and paths become absolute.
 */
export class Contents {
  /** Files that belong to the config: a change of one changes the config. */
  readonly files: string[] = [];
  /** The certificates of sockets. */
  readonly certificates: CertificateFiles[] = [];
  /** The contents of files of users, by absolute path. */
  readonly userFiles: Record<string, string> = {};
  readonly #environment: Environment;
  readonly #host: ConfigHost;
  readonly #report: Report;

  constructor(environment: Environment, host: ConfigHost, report: Report) {
    this.#environment = environment;
    this.#host = host;
    this.#report = report;
  }

  /** Fills in what one service needs; what cannot be read is reported. */
  fill(service: NamedService): void {
    switch (service.kind) {
      case "worker":
        this.#worker(service);
        break;
      case "disk":
        this.#directory(textAt(service.body.node, "path"));
        break;
      case "external":
        this.#tls(child(service.body.node, "tls"));
        this.#authorities(child(child(service.body.node, "tcp"), "trust"));
        for (const item of items(child(service.body.node, "addresses"))) this.#tls(child(item, "tls"));
        break;
      case "network":
        fillUpstreamProxies(service, this.#environment);
        this.#authorities(child(service.body.node, "trust"));
        break;
    }
  }

  /** The same for a socket. */
  fillSocket({ key: name, node }: Entry): void {
    const tls = child(node, "tls");
    for (const item of items(child(tls, "certificates"))) {
      const files = this.#pathsOf(name, item);
      this.#keypair(item);
      this.#ocsp(textAt(item, "ocsp"));
      if (files !== null) this.certificates.push(files);
    }
    this.#authorities(child(child(tls, "clientCertificates"), "trust"));
    this.#keypair(child(child(node, "intercept"), "authority"));
    this.fillUsers(child(node, "proxyAuth"));
    const acme = child(tls, "acme");
    this.#authorities(child(acme, "trust"));
    const storage = textAt(acme, "storage");
    if (storage !== null && storage.value !== "") storage.value = this.#absolute(storage);
    const ciphers = textAt(tls, "ciphers");
    if (ciphers !== null) this.#ciphers(ciphers);
  }

  /** The same for what asks for a user and password: `usersFile` is read. */
  fillUsers(owner: ConfigNode | null): void {
    const node = textAt(owner, "usersFile");
    const content = node === null ? null : this.#read(node, "read");
    if (node === null || content === null) {
      if (node !== null && node.value !== "") node.broken = true;
      return;
    }
    const text = Buffer.from(content).toString("utf8");
    try {
      readUserFile(text);
      node.value = this.#absolute(node);
      this.userFiles[node.value] = text;
    } catch (error) {
      this.#report.error(node.span, `cannot use users of ${shown(node)}: ${(error as Error).message}`);
      node.broken = true;
    }
  }

  #pathsOf(socket: string, item: ConfigNode): CertificateFiles | null {
    const certificate = textAt(item, "certificate");
    const key = textAt(item, "key");
    const ocsp = textAt(item, "ocsp");
    if (certificate === null || key === null) return null;
    return {
      socket,
      certificate: this.#absolute(certificate),
      key: this.#absolute(key),
      ocsp: ocsp === null ? null : this.#absolute(ocsp),
    };
  }

  #ciphers(node: TextNode): void {
    if (node.value === "") return;
    try {
      process.getBuiltinModule("node:tls").createSecureContext({ ciphers: node.value });
    } catch {
      this.#report.error(node.span, `cannot use ciphers ${shown(node)}: OpenSSL knows no such suites`);
      node.broken = true;
    }
  }

  #worker({ name, body }: NamedService): void {
    const worker = body.node;
    if (worker.kind !== "map") return;
    const main = worker.entries.get("main");
    const script = worker.entries.get("script");
    if (main !== undefined && script !== undefined) {
      const [first, second] =
        worker.entries.keys().find((key) => key === "main" || key === "script") === "main"
          ? [main, script]
          : [script, main];
      this.#report.error(
        second.keySpan,
        `cannot use Worker "${name}": it has both main and script, expected one of them`,
        [{ message: "the other one", place: placeOf(first.keySpan) }],
      );
    } else if (main === undefined && script === undefined) {
      this.#report.error(
        body.keySpan,
        `cannot use Worker "${name}": it has neither main nor script, as in main: ./src/worker.ts`,
      );
    }
    this.#source(asText(main?.node));
    this.#source(asText(script?.node));
    for (const binding of entries(child(worker, "bindings"))) {
      if (binding.node.kind !== "map") continue;
      const env = textAt(binding.node, "env");
      const data = textAt(binding.node, "data");
      if (env !== null && this.#variable(binding.node, env)) {
        (child(worker, "bindings") as MapNode).entries.delete(binding.key);
      }
      if (data !== null) {
        const bytes = this.#read(data, "read");
        if (bytes !== null && bytes.length > maxData) {
          this.#report.error(
            data.span,
            `cannot bind ${shown(data)}: it holds ${bytes.length} bytes, at most ${maxData} can be`,
          );
        }
        data.value = bytes === null ? "" : Buffer.from(bytes).toString("base64");
        if (bytes === null) data.broken = true;
      }
    }
  }

  /** Puts the variable's text in place of its name. True when it is unset and may be: the binding is left out. */
  #variable(binding: MapNode, env: TextNode): boolean {
    const optional = child(binding, "optional");
    const value = Object.hasOwn(this.#environment, env.value) ? this.#environment[env.value] : undefined;
    if (value === undefined) {
      if (optional?.kind === "scalar" && optional.value === true) return true;
      this.#report.error(
        env.span,
        `cannot find variable ${shown(env)}: the environment has none; optional: true would allow that`,
      );
      env.broken = true;
      return false;
    }
    binding.entries.delete("env");
    if (optional?.kind === "scalar" && typeof optional.value === "boolean")
      binding.entries.delete("optional");
    put(binding, "text", { ...env, value, written: env.written, secret: true });
    return false;
  }

  #source(node: TextNode | null): void {
    if (node === null || node.value === "") return;
    node.value = this.#absolute(node);
    this.#check(node, "file", "read");
  }

  #directory(node: TextNode | null): void {
    if (node === null || node.value === "") return;
    node.value = this.#absolute(node);
    this.#check(node, "directory", "serve");
  }

  #tls(tls: ConfigNode | null): void {
    this.#authorities(child(tls, "trust"));
    this.#keypair(child(tls, "keypair"));
  }

  #authorities(trust: ConfigNode | null): void {
    for (const item of items(trust)) {
      const node = asText(item);
      if (node !== null) this.#certificate(node);
    }
  }

  #keypair(keypair: ConfigNode | null): void {
    const certificateNode = textAt(keypair, "certificate");
    const keyNode = textAt(keypair, "key");
    const certificate = certificateNode === null ? null : this.#certificate(certificateNode);
    const key = keyNode === null ? null : this.#key(keyNode);
    if (certificate !== null && key !== null && keyNode !== null && !certificate.checkPrivateKey(key)) {
      this.#report.error(
        keyNode.span,
        `cannot use key ${JSON.stringify(keyNode.written)}: it belongs to another certificate`,
        [
          {
            message: "the certificate",
            place: certificateNode === null ? null : placeOf(certificateNode.span),
          },
        ],
      );
    }
  }

  #ocsp(node: TextNode | null): void {
    if (node === null) return;
    const bytes = this.#read(node, "read");
    if (bytes === null) node.broken = true;
    // An OCSPResponse is a SEQUENCE (RFC 6960 §4.2.1).
    else if (bytes[0] === 0x30) node.value = Buffer.from(bytes).toString("base64");
    else {
      this.#report.error(node.span, `cannot use OCSP response ${shown(node)}: the file holds none in DER`);
      node.broken = true;
    }
  }

  /** Reads a PEM file into the node; the first certificate in it, or null when there is none. */
  #certificate(node: TextNode): X509Certificate | null {
    const pem = this.#text(node);
    if (pem === null) return null;
    try {
      const certificate = parseCertificate(pem);
      if (certificate.validToDate.getTime() < this.#host.now().getTime()) {
        this.#report.warning(node.span, `certificate ${shown(node)} has expired, on ${certificate.validTo}`);
      }
      node.value = pem;
      return certificate;
    } catch (error) {
      this.#report.error(node.span, `cannot use certificate ${shown(node)}: ${(error as Error).message}`);
      node.broken = true;
      return null;
    }
  }

  #key(node: TextNode): KeyObject | null {
    const pem = this.#text(node);
    if (pem === null) return null;
    try {
      const key = parseKey(pem);
      node.value = pem;
      return key;
    } catch (error) {
      this.#report.error(node.span, `cannot use key ${shown(node)}: ${(error as Error).message}`);
      node.broken = true;
      return null;
    }
  }

  #text(node: TextNode): string | null {
    const bytes = this.#read(node, "read");
    if (bytes !== null) return Buffer.from(bytes).toString("latin1");
    node.broken = true;
    return null;
  }

  #read(node: TextNode, verb: string): Uint8Array | null {
    if (node.value === "") return null;
    const path = this.#absolute(node);
    this.files.push(path);
    try {
      return this.#host.read(path);
    } catch (error) {
      this.#unreadable(node, verb, fileReason(error));
      return null;
    }
  }

  #check(node: TextNode, kind: "file" | "directory", verb: string): void {
    let reason = null;
    try {
      const is = this.#host.kind(node.value);
      if (is !== kind) reason = is === "directory" ? "it is a directory" : `it is no ${kind}`;
    } catch (error) {
      reason = fileReason(error);
      if (kind === "directory") reason = reason.replace("file", "directory");
    }
    if (reason === null) return;
    this.#unreadable(node, verb, reason);
    node.broken = true;
  }

  #unreadable(node: TextNode, verb: string, reason: string): void {
    this.#report.error(
      node.span,
      `cannot ${verb} ${JSON.stringify(node.span === null ? node.value : node.written)}: ${reason}${flagOf(node)}`,
    );
  }

  /** Relative paths are relative to the file that names them; those from flags, to the working directory. */
  #absolute(node: TextNode): string {
    return resolve(node.span === null ? process.cwd() : dirname(node.span.source.path), node.value);
  }
}
