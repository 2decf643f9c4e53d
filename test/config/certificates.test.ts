import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { before, describe, test } from "node:test";
import forge from "node-forge";
import { loadConfig } from "../../src/config/load.ts";
import { MemoryHost } from "./memory-host.ts";

interface Pair {
  readonly certificate: string;
  readonly key: string;
}

/** A self-signed certificate that is valid until the end of `year`. */
function make(year: number): Pair {
  const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const key = privateKey.export({ type: "pkcs1", format: "pem" }) as string;
  const certificate = forge.pki.createCertificate();
  certificate.publicKey = forge.pki.publicKeyFromPem(
    publicKey.export({ type: "spki", format: "pem" }) as string,
  );
  certificate.serialNumber = "01";
  certificate.validity.notBefore = new Date("2020-01-01T00:00:00Z");
  certificate.validity.notAfter = new Date(`${year}-12-31T00:00:00Z`);
  const subject = [{ name: "commonName", value: "test" }];
  certificate.setSubject(subject);
  certificate.setIssuer(subject);
  certificate.sign(forge.pki.privateKeyFromPem(key), forge.md.sha256.create());
  return { certificate: forge.pki.certificateToPem(certificate), key };
}

describe("the TLS settings of an external", () => {
  let good: Pair;
  let old: Pair;
  before(() => {
    good = make(2099);
    old = make(2021);
  });

  function load(tls: string) {
    const encrypted = generateKeyPairSync("ec", {
      namedCurve: "P-256",
      publicKeyEncoding: { type: "spki", format: "pem" },
      privateKeyEncoding: { type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase: "x" },
    }).privateKey;
    const files = new Map([
      [
        "/config/proxy.yaml",
        `sockets: {}\nservices: { app: { external: { address: "app:443", tls: ${tls} } } }`,
      ],
      ["/config/good.pem", good.certificate],
      ["/config/good.key", good.key],
      ["/config/old.pem", old.certificate],
      ["/config/old.key", old.key],
      ["/config/encrypted.key", encrypted],
    ]);
    const {
      config,
      diagnostics,
      files: read,
    } = loadConfig("/config/proxy.yaml", {}, {}, new MemoryHost(files));
    const app = config?.services.app;
    return {
      tls: app !== undefined && "external" in app ? app.external.tls : undefined,
      messages: diagnostics.map(({ severity, message }) => `${severity}: ${message}`),
      read,
    };
  }

  test("hold the contents of the files that they name", () => {
    const { tls, messages, read } = load(
      "{ trust: [./good.pem], keypair: { certificate: good.pem, key: good.key }, certificateHost: a.b }",
    );
    assert.deepEqual(messages, []);
    assert.deepEqual(tls, {
      trust: [good.certificate],
      keypair: { certificate: good.certificate, key: good.key },
      certificateHost: "a.b",
      minVersion: "TLSv1.2",
    });
    assert.ok(read.includes("/config/good.key"));
  });

  test("report a key of another certificate", () => {
    assert.deepEqual(load("{ keypair: { certificate: good.pem, key: old.key } }").messages, [
      'error: cannot use key "old.key": it belongs to another certificate',
    ]);
  });

  test("report a key that is encrypted", () => {
    assert.deepEqual(load("{ keypair: { certificate: good.pem, key: encrypted.key } }").messages, [
      'error: cannot use key "encrypted.key": it is encrypted',
    ]);
  });

  test("report a key in place of a certificate, and the other way round", () => {
    assert.deepEqual(load("{ keypair: { certificate: good.key, key: good.pem } }").messages, [
      'error: cannot use certificate "good.key": the file holds none in PEM',
      'error: cannot use key "good.pem": the file holds none in PEM',
    ]);
  });

  test("warn of a certificate that has expired", () => {
    const { tls, messages } = load("{ trust: [old.pem] }");
    assert.deepEqual(messages, ['warning: certificate "old.pem" has expired, on Dec 31 00:00:00 2021 GMT']);
    assert.deepEqual(tls?.trust, [old.certificate]);
  });
});
