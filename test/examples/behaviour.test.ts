import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { promisify } from "node:util";
import forge from "node-forge";
import { Example } from "./example.ts";

const run = promisify(execFile);

test("the tour's page is HTML for a browser", async (context) => {
  const tour = await Example.start(context, "proxy.yaml");
  const response = await fetch(tour.url("127.0.0.1:8080"), { headers: { accept: "text/html" } });
  assert.equal(response.headers.get("content-type"), "text/html; charset=utf-8");
  assert.equal(response.headers.get("server"), "sluice");
  assert.match(await response.text(), /^<!doctype html>.*Worker &quot;gateway&quot;/s);
});

test("the tour's bodies pass beside the gateway's isolate, but for the one that it edits", async (context) => {
  const tour = await Example.start(context, "proxy.yaml");
  const crossed = async () => {
    const metrics = await tour.run("curl -s http://127.0.0.1:9900/metrics");
    const line = /^sluice_bridge_body_bytes_total\{worker="gateway",direction="in"\} (\d+)$/m.exec(metrics);
    return Number(line?.[1] ?? 0);
  };
  await (await fetch(tour.url("127.0.0.1:8080", "/"))).text();
  await (await fetch(tour.url("127.0.0.1:8080", "/headers"))).text();
  assert.equal(await crossed(), 0);
  await (await fetch(tour.url("127.0.0.1:8080", "/json"))).text();
  assert.notEqual(await crossed(), 0);
});

test("the tour logs what its client is not told, under the id that the client gets", async (context) => {
  const tour = await Example.start(context, "proxy.yaml");
  const answer = await (await fetch(tour.url("127.0.0.1:8080", "/error"))).text();
  const [, id = ""] = /^id: (\w+)$/m.exec(answer) ?? [];
  await tour.process.sees(new RegExp(`the tour fails here on purpose.*${id}`));
  await tour.process.sees(/gateway\.ts:\d+/);
  assert.doesNotMatch(answer, /purpose|gateway/);
});

test("the gateway takes its token from the environment", async (context) => {
  const gateway = await Example.start(context, "examples/api-gateway/proxy.yaml", () => ({
    API_TOKEN: "real-token",
  }));
  const status = async (token: string) => {
    const headers = { authorization: `Bearer ${token}` };
    const response = await fetch(gateway.url("127.0.0.1:8082", "/api/users/7"), { headers });
    await response.text();
    return response.status;
  };
  assert.equal(await status("real-token"), 200);
  assert.equal(await status("demo-token"), 401);
});

test("the forward proxy tunnels https from end to end, and refuses a port that is not listed", async (context) => {
  const site = await secureSite(context);
  const start = (ports: string) =>
    Example.start(context, "examples/forward-proxy-blocklist/proxy.yaml", () => ({ DEMO_PORT: ports }));
  const get = async (proxy: Example) => {
    const args = ["-s", "--cacert", site.authority, "-x", proxy.url("127.0.0.1:8083")];
    return run("curl", [...args, "-w", " %{http_connect}", `https://localhost:${site.port}/`]);
  };
  assert.equal((await get(await start(String(site.port)))).stdout, "hello from GET / 200");
  const refused = (await get(await start("9083")).catch((error: unknown) => error)) as { stdout: string };
  assert.equal(refused.stdout, " 403");
});

test("the forward proxy passes on a request's body and the site's status", async (context) => {
  const proxy = await Example.start(context, "examples/forward-proxy-blocklist/proxy.yaml", (at) => ({
    DEMO_PORT: at("127.0.0.1:9083").slice("127.0.0.1:".length),
  }));
  const command = "curl -s -x http://127.0.0.1:8083 -d name=Ada -D - http://127.0.0.1:9083/";
  const answer = await proxy.run(command);
  assert.match(answer, /^HTTP\/1\.1 200 OK\n/);
  assert.match(answer, /^x-filtered-by: sluice$/m);
});

for (const [percent, version] of [
  ["0", "stable"],
  ["100", "canary"],
] as const) {
  test(`with ${percent} % for the canary, every new visitor gets the ${version} version`, async (context) => {
    const split = await Example.start(context, "examples/ab-split/proxy.yaml", () => ({
      CANARY_PERCENT: percent,
    }));
    for (let visitor = 0; visitor < 20; visitor++) {
      const response = await fetch(split.url("127.0.0.1:8084"));
      assert.equal(await response.text(), `this is the ${version} version\n`, split.process.stderr);
      assert.match(response.headers.get("set-cookie") ?? "", new RegExp(`^variant=${version};`));
    }
  });
}

test("with half of the visitors for the canary, both versions are drawn", async (context) => {
  const split = await Example.start(context, "examples/ab-split/proxy.yaml", () => ({
    CANARY_PERCENT: "50",
  }));
  const seen = new Set<string>();
  // All of a hundred alike: once in 2^99 runs.
  for (let visitor = 0; visitor < 100 && seen.size < 2; visitor++) {
    seen.add(await (await fetch(split.url("127.0.0.1:8084"))).text());
  }
  assert.equal(seen.size, 2);
});

test("rewritten lines leave while the origin still writes", async (context) => {
  const rewrite = await Example.start(context, "examples/rewrite/proxy.yaml");
  const response = await fetch(rewrite.url("127.0.0.1:8086", "/people"));
  const pieces: string[] = [];
  for await (const chunk of response.body ?? []) pieces.push(Buffer.from(chunk).toString());
  assert.equal(pieces[0], '{"name":"Ada","city":"London"}\n');
  assert.equal(pieces.join("").split("\n").length, 4);
});

test("a rewritten response has no length and no validators of the original", async (context) => {
  const rewrite = await Example.start(context, "examples/rewrite/proxy.yaml");
  const response = await fetch(rewrite.url("127.0.0.1:8086", "/"), { headers: { range: "bytes=0-5" } });
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("content-length"), null);
  assert.equal((await response.text()).length, 84);
});

/** A site with a certificate of its own authority, for `localhost`. */
async function secureSite(context: TestContext): Promise<{ port: number; authority: string }> {
  const { privateKey, publicKey } = forge.pki.rsa.generateKeyPair(2048);
  const certificate = forge.pki.createCertificate();
  certificate.publicKey = publicKey;
  certificate.serialNumber = "01";
  certificate.validity.notBefore = new Date(Date.now() - 3_600_000);
  certificate.validity.notAfter = new Date(Date.now() + 3_600_000);
  const name = [{ name: "commonName", value: "localhost" }];
  certificate.setSubject(name);
  certificate.setIssuer(name);
  certificate.setExtensions([
    { name: "basicConstraints", cA: true },
    { name: "subjectAltName", altNames: [{ type: 2, value: "localhost" }] },
  ]);
  certificate.sign(privateKey, forge.md.sha256.create());
  const pem = forge.pki.certificateToPem(certificate);

  const directory = mkdtempSync(join(tmpdir(), "sluice-site-"));
  context.after(() => rmSync(directory, { recursive: true }));
  const authority = join(directory, "authority.pem");
  writeFileSync(authority, pem);

  const key = forge.pki.privateKeyToPem(privateKey);
  const server = createServer({ cert: pem, key }, (request, response) => {
    response.end(`hello from ${request.method} ${request.url}`);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  context.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, authority };
}
