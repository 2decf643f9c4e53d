import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { BytesBody } from "../../src/http/body.ts";
import { HeaderBlock } from "../../src/http/header-block.ts";
import { ResponseHead } from "../../src/http/message.ts";
import { type Ask, collect } from "../integration/network-harness.ts";
import { FakeService, to, WorkerBench } from "../integration/worker-harness.ts";
import { Origin } from "../support/origin.ts";
import { RawHttp } from "../support/raw-http.ts";
import { startSluice } from "../support/sluice.ts";
import { attacker, filesOf } from "./attack.ts";

let bench: WorkerBench | null = null;
afterEach(() => {
  bench?.stop();
  bench = null;
});

async function run(
  code: string,
  ask: Ask = {},
): Promise<{ answer: Awaited<ReturnType<typeof collect>>; origin: FakeService }> {
  const origin = new FakeService("ORIGIN", (exchange) => {
    const body = exchange.takeBody();
    exchange.respond(new ResponseHead(200, HeaderBlock.from([])), body ?? BytesBody.text("none"));
  });
  const bindings = { ORIGIN: { service: to("ORIGIN") } };
  bench?.stop();
  bench = await WorkerBench.start(
    { main: { code: `export default { async fetch(request, env) { ${code} } };`, bindings } },
    [origin],
  );
  return { answer: await collect(bench.worker(), ask), origin };
}

/** Values that would end a line, a header or a request if they reached the wire. */
const poison = [
  "a\\r\\nx: y",
  "a\\nx: y",
  "a\\rb",
  "a\\0b",
  "a\\u2028b",
  "\\ud800",
  "a\\u010a",
  "\\u560d\\u560a",
];

test("no header, reason, method or URL of a Worker brings a line of its own to the wire", async () => {
  for (const value of poison) {
    const { answer, origin } = await run(`
      const done = [];
      const attempt = async (name, work) => { try { await work(); done.push(name); } catch {} };
      await attempt("value", () => env.ORIGIN.fetch("http://o/", { headers: { "x-a": "${value}" } }));
      await attempt("name", () => env.ORIGIN.fetch("http://o/", { headers: [["x${value}", "b"]] }));
      await attempt("method", () => env.ORIGIN.fetch("http://o/", { method: "GET${value}" }));
      await attempt("host", () => env.ORIGIN.fetch("http://o${value}/"));
      await attempt("path", () => env.ORIGIN.fetch("http://o/${value}?${value}#${value}"));
      await attempt("field", () => { const h = new Headers(); h.append("x-b", "${value}"); return env.ORIGIN.fetch("http://o/", { headers: h }); });
      let headers = {};
      try { headers = new Headers({ "x-a": "${value}" }); } catch {}
      let statusText = "OK";
      try { new Response("", { statusText: "${value}" }); statusText = "${value}"; } catch {}
      return new Response(done.join(), { headers, statusText });
    `);
    assert.equal(answer.status, 200);
    assert.match(answer.headers.text, /^(?:(?:x-a|content-type): [\t\x20-\x7e\x80-\xff]*\r\n)*$/i);
    assert.doesNotMatch(answer.head?.reason ?? "", /[^\t\x20-\x7e\x80-\xff]/);
    for (const { request } of origin.exchanges) {
      assert.match(request.method, /^[A-Z]+$/);
      assert.match(request.url, /^http:\/\/[\x21-\x7e]+$/);
      for (const line of request.headers.text.split("\r\n"))
        assert.doesNotMatch(line, /[\r\n\0]|[^\t\x20-\xff]/);
      assert.doesNotMatch(request.headers.text, /^x: y/m);
    }
  }
});

test("fields that frame a message or belong to a connection are not a Worker's to set", async () => {
  const fields =
    "Connection: close, x-a\nContent-Length: 3\nTransfer-Encoding: chunked\nHost: evil\nKeep-Alive: timeout=1\nUpgrade: websocket\nTE: trailers\nProxy-Connection: close\nHTTP2-Settings: AA";
  const list = JSON.stringify(fields.split("\n").map((line) => line.split(": ")));
  const { answer, origin } = await run(`
    const response = await env.ORIGIN.fetch("http://origin/", { method: "POST", headers: ${list}, body: "longer than three" });
    await response.text();
    return new Response("also longer", { headers: ${list} });
  `);
  assert.equal(answer.text, "also longer");
  const names =
    /^(connection|content-length|transfer-encoding|host|keep-alive|upgrade|te|proxy-connection|http2-settings):/im;
  assert.doesNotMatch(answer.headers.text, names);
  assert.doesNotMatch(origin.exchanges[0]?.request.headers.text ?? "host:", names);
  assert.equal(origin.exchanges[0]?.request.authority, "origin");
});

test("methods that make a tunnel or reflect a request are refused, however they are written", async () => {
  const { answer, origin } = await run(`
    const sent = [];
    for (const method of ["CONNECT", "connect", "ConNect", "TRACE", "trace", "TRACK", "", " ", "GET POST", "GET\\t"]) {
      try { await env.ORIGIN.fetch("http://o/", { method }); sent.push(method); } catch {}
    }
    return Response.json(sent);
  `);
  assert.deepEqual(JSON.parse(answer.text), []);
  assert.equal(origin.exchanges.length, 0);
});

test("a status that HTTP does not have, or that a response cannot be, is an error", async () => {
  for (const status of ["99", "100", "101", "103", "199", "600", "1000", "-200", "NaN", '"abc"', "65736.5"]) {
    const { answer } = await run(`return new Response(null, { status: ${status} });`);
    if (status === "65736.5") assert.equal(answer.status, 200, "modulo 65536, as Web IDL has it");
    else assert.equal(answer.error?.code, "worker_exception", status);
  }
  const { answer } = await run("return Response.error();");
  assert.equal(answer.error?.code, "worker_bad_response");
});

test("a body is given once: used, locked, returned twice or sent twice, it is an error and never another's bytes", async () => {
  const cases: Readonly<Record<string, string>> = {
    "worker_exception used": "const r = new Response('x'); await r.text(); return r;",
    "worker_exception locked": "const r = new Response('x'); r.body.getReader(); return r;",
    "worker_exception twice":
      "globalThis.kept ??= new Response('x'); await env.ORIGIN.fetch('http://o/', { method: 'POST', body: kept.body }); return kept;",
    "worker_exception sent":
      "await env.ORIGIN.fetch('http://o/', { method: 'POST', body: request.body }); return env.ORIGIN.fetch('http://o/', { method: 'POST', body: request.body });",
    "worker_exception read": "await request.text(); return env.ORIGIN.fetch(request);",
    "worker_bad_response fake":
      "return { __proto__: Response.prototype, status: 200, headers: new Headers(), body: null };",
    "worker_bad_response proxy": "return new Proxy(new Response('x'), {});",
    "worker_bad_response class": "return Response;",
  };
  for (const [expected, code] of Object.entries(cases)) {
    const { answer } = await run(code, { method: "POST", body: "secret" });
    assert.equal(answer.error?.code, expected.split(" ")[0], expected);
  }
  // The same Response for two exchanges: the second finds its body gone.
  const bindings = {};
  bench?.stop();
  bench = await WorkerBench.start({
    main: {
      code: "const kept = new Response('once'); export default { fetch() { return kept; } };",
      bindings,
    },
  });
  assert.equal((await collect(bench.worker(), {})).text, "once");
  assert.equal((await collect(bench.worker(), {})).error?.code, "worker_exception");
});

test("on the wire, lengths are true, and what is not whole does not look whole", async (t) => {
  const origin = await Origin.start(t);
  const workers = {
    lies: attacker('return new Response("four", { headers: { "content-length": "400" } });'),
    short: attacker(
      "const s = new FixedLengthStream(10); const w = s.writable.getWriter(); w.write(new Uint8Array(5).fill(97)); return new Response(s.readable);",
    ),
    none: attacker("return new Response(null, { status: 204, headers: { 'content-length': '5' } });"),
    fresh: attacker("return new Response(null, { status: 304, headers: { 'content-length': '5' } });"),
    body: attacker('return new Response("abc");'),
    smuggle: attacker(
      'return fetch("http://ORIGIN/", { method: "POST", headers: { "content-length": "0", "transfer-encoding": "chunked" }, body: "GET /smuggled HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n" });'.replace(
        "ORIGIN",
        origin.address,
      ),
    ),
  };
  const sockets = Object.keys(workers).map(
    (name) => `  ${name}: { address: "127.0.0.1:0", service: ${name} }`,
  );
  const services = Object.keys(workers).map(
    (name) =>
      `  ${name}: { worker: { main: ./${name}.js, compatibilityDate: 2026-11-01, globalOutbound: origin } }`,
  );
  const config = `sockets:\n${sockets.join("\n")}\nservices:\n${services.join("\n")}\n  origin: { external: { address: "${origin.address}" } }\n`;
  const sluice = await startSluice(t, config, { files: filesOf(workers) });
  const ask = async (name: string, method = "GET"): Promise<string> => {
    const raw = await RawHttp.open(t, await sluice.listening(name));
    raw.send(`${method} /attack HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
    while (!raw.over) await new Promise((done) => raw.socket.once("close", done).once("end", done));
    return raw.pending;
  };
  assert.match(
    await ask("lies"),
    /^HTTP\/1\.1 200 OK\r\n(?:.*\r\n)*Content-Length: 4\r\n(?:.*\r\n)*\r\nfour$/i,
  );
  const short = await ask("short");
  assert.ok(!/a{10}/.test(short) && /^HTTP\/1\.1 (500|200)/.test(short));
  const none = await ask("none");
  assert.match(none, /^HTTP\/1\.1 204 /);
  assert.doesNotMatch(none, /content-length|transfer-encoding/i);
  assert.match(await ask("fresh"), /^HTTP\/1\.1 304 (?:.*\r\n)*\r\n$/);
  assert.match(
    await ask("body", "HEAD"),
    /^HTTP\/1\.1 200 OK\r\n(?:.*\r\n)*Content-Length: 3\r\n(?:.*\r\n)*\r\n$/i,
  );
  assert.match(await ask("smuggle"), /\r\n\r\n(?:.*\r\n)?POST \//);
  assert.equal(origin.requests, 1, "the body is a body, not a second request");
});
