import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { connect } from "node:tls";
import { caDirectory, LocalCa } from "../../src/tls/local-ca.ts";
import { makeKeys } from "../../src/tls/x509.ts";
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

test("the development CA cannot sign for names of the internet, even with its key stolen", (t) => {
  const home = new TemporaryDirectory(t);
  const ca = LocalCa.open("development", home.at("ca"));
  const keys = makeKeys();
  const verdict = (name: string): string => {
    const path = home.write("leaf.crt", ca.sign([name], keys.public));
    const { stdout, stderr } = spawnSync("openssl", ["verify", "-CAfile", ca.certificatePath, path]);
    return `${stdout}${stderr}`;
  };
  for (const name of ["localhost", "a.b.test", "nas.home.arpa", "127.9.9.9", "::1", "192.168.7.7"]) {
    assert.equal(ca.permits(name), true, name);
    assert.match(verdict(name), /: OK/, name);
  }
  for (const name of ["example.com", "test.example.com", "atest", "93.184.216.34", "2606:4700::1"]) {
    assert.equal(ca.permits(name), false, name);
    assert.match(verdict(name), /permitted subtree violation/, name);
  }
});

test("the CA of interception is another one, and may sign for all", async (t) => {
  const home = new TemporaryDirectory(t);
  const env = { SLUICE_DATA_DIR: home.path };
  const [development, interception] = [
    await runSluice(t, ["cert"], { env }),
    await runSluice(t, ["cert", "--ca", "interception"], { env }),
  ];
  assert.notEqual(development.stdout, interception.stdout);
  const ca = LocalCa.open("interception", caDirectory("interception", env));
  assert.equal(ca.certificate, interception.stdout);
  const leaf = home.write("leaf.crt", ca.sign(["example.com"], makeKeys().public));
  execFileSync("openssl", ["verify", "-CAfile", ca.certificatePath, leaf]);
  assert.equal((await runSluice(t, ["cert", "--ca", "other"], { env })).code, 2);
});

test("a certificate is made for whatever a client asks for under localhost and test, by every shard alike", async (t) => {
  const home = new TemporaryDirectory(t);
  const env = { SLUICE_DATA_DIR: join(home.path, "data") };
  const sluice = await startSluice(t, `shards: 2${config}`, { files, env });
  const { port } = new URL(sluice.url);
  const ca = LocalCa.open("development", caDirectory("development", env)).certificatePath;
  const names = ["a.localhost", "b.c.test", "api.shop.test", "test", "under_score.test"];
  const ask = (host: string): string => {
    const args = ["-sS", "--cacert", ca, "--resolve", `${host}:${port}:127.0.0.1`];
    return execFileSync("curl", [...args, `https://${host}:${port}/`], { encoding: "utf8" });
  };
  // Each connection may come to another shard.
  for (let round = 0; round < 3; round++) {
    for (const name of names) assert.equal(ask(name), `https://${name}:${port}/`);
  }
  for (const name of ["shop.internal", "example.com", "*.test", "x..test"]) {
    const args = ["s_client", "-connect", `127.0.0.1:${port}`, "-servername", name, "-CAfile", ca];
    const { stdout } = spawnSync("openssl", [...args, "-verify_hostname", name], {
      input: "",
      encoding: "utf8",
    });
    assert.match(stdout, /Hostname mismatch|hostname mismatch/, name);
  }
  // One more than are kept: the first is made anew.
  const many = Array.from({ length: 33 }, (_, index) => `n${index}.test`);
  for (const name of [...many, "n0.test"]) {
    const socket = connect({ host: "127.0.0.1", port: Number(port), servername: name, ca: readFileSync(ca) });
    await once(socket, "secureConnect");
    socket.destroy();
  }
});

test("a name of the internet in development is a config error", async (t) => {
  const home = new TemporaryDirectory(t);
  home.write("proxy.yaml", config.replace("shop.test", "shop.example.com"));
  home.write("hello.js", files["hello.js"]);
  const { code, stderr } = await runSluice(t, ["check", home.at("proxy.yaml")]);
  assert.equal(code, 1);
  assert.match(stderr, /proxy\.yaml:3:.*: error: .*the development CA may sign for no name of the internet/);
});
