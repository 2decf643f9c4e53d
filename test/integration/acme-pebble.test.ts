import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { test } from "node:test";
import { Pebble, pebbleMissing } from "../support/pebble.ts";
import { startSluice } from "../support/sluice.ts";
import { TemporaryDirectory } from "../support/temporary.ts";

const files = { "hello.js": `addEventListener("fetch", (e) => e.respondWith(new Response("hello\\n")));` };

interface Choice {
  readonly challenge: "http-01" | "tls-alpn-01";
  readonly storage: string;
  readonly more?: string;
  readonly shards?: number;
  readonly domains?: string;
}

function configOf(
  pebble: Pebble,
  { challenge, storage, more = "", shards = 1, domains = "shop.test, www.shop.test" }: Choice,
): string {
  return `
shards: ${shards}
sockets:
  public:
    address: "127.0.0.1:${pebble.tlsPort}"
    service: hello
    tls:
      acme:
        domains: [${domains}]
        email: ops@shop.test
        directory: ${pebble.directory}
        trust: [${pebble.trust}]
        challenges: [${challenge}]
        storage: ${storage}
        ${more}
  plain: { address: "127.0.0.1:${pebble.httpPort}", service: hello }
services:
  hello: { worker: { script: ./hello.js, compatibilityDate: 2026-01-01 } }
`;
}

/** What openssl says of the certificate that the port shows. */
function shown(port: number, name: string, ca: string): string {
  const args = [
    "s_client",
    "-connect",
    `127.0.0.1:${port}`,
    "-servername",
    name,
    "-CAfile",
    ca,
    "-verify_hostname",
    name,
  ];
  const { stdout, stderr } = spawnSync("openssl", args, { input: "", encoding: "utf8" });
  return stdout + stderr;
}

for (const challenge of ["http-01", "tls-alpn-01"] as const) {
  test(`Pebble issues a certificate by ${challenge}`, { skip: pebbleMissing }, async (t) => {
    const pebble = await Pebble.start(t);
    const home = new TemporaryDirectory(t);
    const ca = home.write("root.pem", await pebble.root());
    const sluice = await startSluice(
      t,
      configOf(pebble, { challenge, storage: home.at("acme"), shards: 2 }),
      { files },
    );
    await sluice.sees(/acme\.certificate_issued/);
    for (const name of ["shop.test", "www.shop.test"]) {
      const args = ["-sS", "--cacert", ca, "--resolve", `${name}:${pebble.tlsPort}:127.0.0.1`];
      assert.equal(
        execFileSync("curl", [...args, `https://${name}:${pebble.tlsPort}/`], { encoding: "utf8" }),
        "hello\n",
      );
      assert.match(shown(pebble.tlsPort, name, ca), /Verify return code: 0/);
    }
  });
}

test(
  "Pebble issues to an account that is bound to an external one, and to no other",
  { skip: pebbleMissing },
  async (t) => {
    const key = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";
    const pebble = await Pebble.start(t, { "kid-1": key });
    const home = new TemporaryDirectory(t);
    const config = (more: string) =>
      configOf(pebble, { challenge: "tls-alpn-01", storage: home.at("acme"), more, domains: "shop.test" });
    const stranger = await startSluice(t, config(""), { files });
    await stranger.sees(/acme\.order_failed.*externalAccountRequired/);
    await stranger.stop();
    const sluice = await startSluice(t, config(`eab: { keyId: kid-1, key: "\${EAB_KEY}" }`), {
      files,
      env: { EAB_KEY: key },
    });
    await sluice.sees(/acme\.certificate_issued/);
    assert.equal(sluice.stderr.includes(key), false);
  },
);
