import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { runSluice, startSluice } from "../support/sluice.ts";
import { TemporaryDirectory } from "../support/temporary.ts";

const config = `
sockets:
  public: { address: "127.0.0.1:0", service: hello, tls: { development: [shop.test] } }
services:
  hello: { worker: { script: ./hello.js, compatibilityDate: 2026-01-01 } }
`;
const files = { "hello.js": `addEventListener("fetch", (e) => e.respondWith(new Response(e.request.url)));` };

test("development: a certificate of a local CA that curl and openssl accept", async (t) => {
  const home = new TemporaryDirectory(t);
  const env = { SLUICE_DATA_DIR: join(home.path, "data") };
  const sluice = await startSluice(t, config, { files, env });
  assert.match(sluice.stderr, /sluice cert install makes this machine trust it/);
  const { port } = new URL(sluice.url);
  const ca = join(home.path, "ca.crt");
  const exported = await runSluice(t, ["cert", "export", ca], { env });
  assert.equal(exported.code, 0, exported.stderr);
  for (const host of ["localhost", "127.0.0.1", "shop.test"]) {
    const args = [
      "-sS",
      "--cacert",
      ca,
      "--resolve",
      `${host}:${port}:127.0.0.1`,
      `https://${host}:${port}/`,
    ];
    assert.equal(execFileSync("curl", args, { encoding: "utf8" }), `https://${host}:${port}/`);
  }
  const strict = [
    "s_client",
    "-connect",
    `127.0.0.1:${port}`,
    "-CAfile",
    ca,
    "-x509_strict",
    "-verify_return_error",
  ];
  const said = execFileSync("openssl", [...strict, "-servername", "localhost"], {
    input: "",
    encoding: "utf8",
  });
  assert.match(said, /Verify return code: 0/);
  // The key is the user's alone.
  const directory = join(home.path, "data", "ca");
  assert.equal(statSync(directory).mode & 0o777, 0o700);
  for (const name of readdirSync(directory)) {
    assert.equal(statSync(join(directory, name)).mode & 0o777, name.endsWith(".crt") ? 0o644 : 0o600, name);
  }
});

test("the CA is made once, printed, trusted by Chromium's store, and removed", async (t) => {
  const home = new TemporaryDirectory(t);
  const env = { HOME: home.path };
  const [first, second] = [
    await runSluice(t, ["cert"], { env }),
    await runSluice(t, ["cert", "print"], { env }),
  ];
  assert.match(first.stdout, /^-----BEGIN CERTIFICATE-----\n[^-]+-----END CERTIFICATE-----\n$/);
  assert.equal(first.stdout.includes("KEY"), false);
  assert.equal(first.stdout, second.stdout);
  const installed = await runSluice(t, ["cert", "install", "--store", "nss"], { env });
  assert.match(installed.stdout + installed.stderr, /Chromium trusts it|libnss3-tools/);
  const removed = await runSluice(t, ["cert", "remove", "--store", "nss"], { env });
  assert.equal(removed.code, 0, removed.stderr);
  assert.equal((await runSluice(t, ["cert", "polish"], { env })).code, 2);
  assert.equal((await runSluice(t, ["cert", "install", "--store", "none"], { env })).code, 2);
});
