import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { catalog } from "../../src/observability/catalog.ts";
import { get, unused } from "../support/client.ts";
import { Origin } from "../support/origin.ts";
import { type RunningSluice, startSluice } from "../support/sluice.ts";

interface WithAdmin {
  readonly sluice: RunningSluice;
  /** `http://127.0.0.1:port` of the admin endpoint. */
  readonly admin: string;
}

async function start(t: TestContext, origin: string, more = ""): Promise<WithAdmin> {
  const port = await unused();
  const sluice = await startSluice(
    t,
    `
sockets:
  public: { address: "127.0.0.1:0", service: app }
services:
  app: { external: { address: "${origin}" } }
admin: { address: "127.0.0.1:${port}" }
${more}`,
  );
  return { sluice, admin: `http://127.0.0.1:${port}` };
}

/** The value of one line of the page. */
async function metric(admin: string, key: string): Promise<number> {
  const { body } = await get(`${admin}/metrics`);
  const line = body.split("\n").find((each) => each.startsWith(`${key} `));
  assert.ok(line !== undefined, `${key} is missing in\n${body}`);
  return Number(line.slice(key.length + 1));
}

test("health and readiness are told once every socket listens", async (t) => {
  const origin = await Origin.start(t);
  const { admin } = await start(t, origin.address);
  assert.deepEqual(
    (await Promise.all(["/healthz", "/readyz"].map((path) => get(admin + path)))).map(({ status }) => status),
    [200, 200],
  );
  assert.equal((await get(`${admin}/nowhere`)).status, 404);
  const { status, headers } = await get(`${admin}/healthz`, { method: "POST" });
  assert.equal(status, 405);
  assert.equal(headers.allow, "GET, HEAD");
});

test("the endpoints of externals are told as JSON, summed over the shards", async (t) => {
  const origin = await Origin.start(t);
  const { sluice, admin } = await start(t, origin.address, "shards: 2");
  await get(sluice.url);
  await get(sluice.url);
  const { body, headers } = await get(`${admin}/upstreams`);
  assert.equal(headers["content-type"], "application/json");
  const { upstreams } = JSON.parse(body);
  const app = upstreams.find(({ service }: { service: string }) => service === "app");
  const failures = { connect: 0, reset: 0, timeout: 0, malformed: 0, status: 0, check: 0 };
  assert.deepEqual(app.endpoints, [
    { address: origin.address, up: 2, active: 0, requests: 2, ejections: 0, failures },
  ]);
  assert.ok(app.connections.open >= 1 && app.pending === 0);
});

test("while it drains, the proxy is alive but not ready", async (t) => {
  const { promise: asked, resolve: ask } = Promise.withResolvers<void>();
  const { promise: answer, resolve: release } = Promise.withResolvers<void>();
  const origin = await Origin.start(t, async (_request, response) => {
    ask();
    await answer;
    response.end();
  });
  const { sluice, admin } = await start(t, origin.address);
  const pending = get(sluice.url);
  await asked;
  sluice.signal("SIGTERM");
  await sluice.sees(/finishing the exchanges/);
  assert.equal((await get(`${admin}/readyz`)).status, 503);
  assert.equal((await get(`${admin}/healthz`)).status, 200);
  release();
  await pending;
  assert.equal((await sluice.ended()).code, 0);
});

test("requests, errors and latency are counted by socket and by service", async (t) => {
  const origin = await Origin.start(t, (request, response) => {
    response.statusCode = request.url === "/missing" ? 404 : 200;
    response.end();
  });
  const { sluice, admin } = await start(t, origin.address);
  for (const path of ["/", "/", "/missing"]) await get(sluice.url + path);
  assert.equal(await metric(admin, 'sluice_socket_requests_total{socket="public",class="2xx"}'), 2);
  assert.equal(await metric(admin, 'sluice_socket_requests_total{socket="public",class="4xx"}'), 1);
  assert.equal(await metric(admin, 'sluice_socket_request_duration_seconds_count{socket="public"}'), 3);
  assert.equal(
    await metric(admin, 'sluice_service_requests_total{service="app",kind="external",class="2xx"}'),
    2,
  );
  assert.equal(await metric(admin, "sluice_generation"), 1);
  assert.ok((await metric(admin, "sluice_shard_cpu_seconds_total")) > 0);

  await origin.stop();
  assert.equal((await get(sluice.url)).status, 502);
  assert.equal(
    await metric(admin, 'sluice_socket_errors_total{socket="public",code="upstream_unreachable"}'),
    1,
  );
});

test("the counts of all shards are summed, and stay when a generation ends", async (t) => {
  const origin = await Origin.start(t);
  const { sluice, admin } = await start(t, origin.address, "shards: 2\ndrainTimeout: 2s\n");
  for (let i = 0; i < 10; i++) await get(sluice.url);
  const key = 'sluice_socket_requests_total{socket="public",class="2xx"}';
  assert.equal(await metric(admin, key), 10);
  sluice.signal("SIGHUP");
  await sluice.sees(/reloaded \(SIGHUP\)/);
  while ((await metric(admin, 'sluice_shards{state="draining"}')) > 0) await get(sluice.url);
  const answered = await metric(admin, key);
  assert.ok(answered >= 10);
  await get(sluice.url);
  assert.equal(await metric(admin, key), answered + 1);
  assert.equal(await metric(admin, 'sluice_reloads_total{result="ok"}'), 1);
  assert.equal(await metric(admin, "sluice_generation"), 2);
});

test("every metric on the page is in the catalog", async (t) => {
  const origin = await Origin.start(t);
  const { sluice, admin } = await start(t, origin.address);
  await get(sluice.url);
  const { body, headers } = await get(`${admin}/metrics`);
  assert.match(headers["content-type"] ?? "", /^text\/plain; version=/);
  const types = [...body.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => `${name} ${type}`);
  const known = new Set(catalog.map(({ name, type }) => `${name} ${type}`));
  assert.deepEqual(
    types.filter((each) => !known.has(each)),
    [],
  );
});

test("a page that points its own name at loopback reads nothing (DNS rebinding)", async (t) => {
  const origin = await Origin.start(t);
  const { admin } = await start(t, origin.address);
  assert.equal((await get(`${admin}/metrics`, { headers: { host: "evil.example:9900" } })).status, 403);
  assert.equal((await get(`${admin}/metrics`, { headers: { host: "localhost:9900" } })).status, 200);
});
