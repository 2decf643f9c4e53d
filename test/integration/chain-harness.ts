import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { type Fault, FaultOrigin } from "../support/fault-origin.ts";
import type { RawAnswer, RawHttp } from "../support/raw-http.ts";
import { descriptorsOf, eventually, readMetrics, shardsOf, sumOf } from "../support/shard.ts";
import { type RunningSluice, startSluice } from "../support/sluice.ts";

/**
 * The ways from a client to the origin: without a Worker, through one of each kind, and through two. A fault has to have
 * the same outcome on each, but for the Worker that reads whole bodies, which sees a broken one before it answers.
 */
export const ways = ["plain", "pass", "edit", "read", "transform", "chain"] as const;
export type Way = (typeof ways)[number];

const files = {
  "pass.js": "export default { fetch: (request, env) => env.UP.fetch(request) };",
  "edit.js": `export default { async fetch(request, env) {
    const asked = new Request(request);
    asked.headers.set("x-edited", "1");
    const answer = await env.UP.fetch(asked);
    const edited = new Response(answer.body, answer);
    edited.headers.set("x-edited", "1");
    return edited;
  } };`,
  "read.js": `export default { async fetch(request, env) {
    const body = request.body === null ? undefined : await request.text();
    const { method, headers, url } = request;
    const answer = await env.UP.fetch(url, { method, headers, body });
    const text = await answer.text();
    return new Response(answer.status === 204 || answer.status === 304 ? null : text, answer);
  } };`,
  "transform.js": `
    const same = () => new TransformStream({ transform(chunk, to) { to.enqueue(chunk.slice()); } });
    export default { async fetch(request, env) {
      const { method, headers, url } = request;
      const body = request.body?.pipeThrough(same());
      const answer = await env.UP.fetch(url, { method, headers, body });
      return new Response(answer.body?.pipeThrough(same()), answer);
    } };`,
};

const config = (origin: string): string => {
  const worker = (name: string, up: string): string =>
    `  ${name}: { worker: { main: ./${name.split("-")[0]}.js, compatibilityDate: 2026-11-01, bindings: { UP: { service: ${up} } }, limits: { cpuMs: 10000 } } }`;
  return `
sockets:
${ways.map((way) => `  ${way}: { address: "127.0.0.1:0", service: ${way === "plain" ? "up" : `${way}-worker`} }`).join("\n")}
services:
${["pass-worker", "read-worker", "transform-worker"].map((name) => worker(name, "up")).join("\n")}
${worker("edit-worker", "up")}
${worker("pass-front", "edit-worker").replace("pass-front:", "chain-worker:")}
  up:
    router: [{ path: "/refused", service: refusing }, { service: origin }]
  origin:
    external:
      address: "${origin}"
      timeouts: { connect: 10s, head: 1500ms, idle: 1500ms, keepAlive: 1s }
  refusing: { external: { address: "127.0.0.1:1" } }
admin: { address: "unix:./admin.sock" }
`;
};

const ok = (body = "ok", more = ""): string =>
  `HTTP/1.1 200 OK\r\n${more}Content-Length: ${body.length}\r\n\r\n${body}`;
const chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

/** Sends, and then ends or resets the connection once the other side has had the time to read. */
const then =
  (text: string, how: "end" | "resetAndDestroy"): Fault =>
  ({ socket }) => {
    socket.write(text, "latin1", () => setTimeout(() => socket[how](), 30));
  };

const faults: Readonly<Record<string, Fault>> = {
  ok: async (request) => {
    if (await request.read()) request.send(ok());
  },
  "reset-before": then("", "resetAndDestroy"),
  "end-before": then("", "end"),
  "reset-in-head": then("HTTP/1.1 200 OK\r\nContent-Le", "resetAndDestroy"),
  "end-in-head": then("HTTP/1.1 2", "end"),
  "reset-in-body": then("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", "resetAndDestroy"),
  "end-in-body": then("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", "end"),
  "reset-in-chunks": then(`${chunked}4\r\nhalf\r\n`, "resetAndDestroy"),
  "end-in-chunks": then(`${chunked}4\r\nhalf\r\n`, "end"),
  "reset-until-close": then("HTTP/1.1 200 OK\r\n\r\nhalf", "resetAndDestroy"),
  "end-until-close": then("HTTP/1.1 200 OK\r\n\r\nwhole", "end"),
  "no-head": () => {},
  "no-rest": (request) => request.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"),
  slow: (request) => void setTimeout(() => request.send(ok("slow")), 300),
  wait: () => {},
  garbage: (request) => request.send("220 smtp.example ESMTP\r\n\r\n"),
  ambiguous: (request) =>
    request.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
  "bad-chunk": (request) => request.send(`${chunked}4\r\nhalf\r\nnonsense\r\n`),
  early: (request) => request.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno"),
  closing: (request) => {
    request.send(ok());
    // It lets the connection go only when the next request is on its way.
    request.socket.once("data", () => request.socket.destroy());
  },
  "head-only": (request) => request.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"),
  none: (request) => request.send("HTTP/1.1 204 No Content\r\n\r\n"),
  unchanged: (request) => request.send('HTTP/1.1 304 Not Modified\r\nETag: "1"\r\nContent-Length: 9\r\n\r\n'),
  hints: (request) => request.send(`HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${ok()}`),
  trailers: async (request) => {
    if (!(await request.read())) return;
    const received = request.body.slice(request.body.lastIndexOf("0\r\n") + 3).trim();
    request.send(`${chunked}4\r\nbody\r\n0\r\nx-got: ${received.replaceAll("\r\n", " ")}\r\n\r\n`);
  },
  echo: async (request) => {
    if (await request.read()) request.send(ok(request.content));
  },
  continue: async (request) => {
    if (/^expect: 100-continue/im.test(request.head)) request.send("HTTP/1.1 100 Continue\r\n\r\n");
    if (await request.read()) request.send(ok(request.content));
  },
  endless: (request) => {
    request.send(chunked);
    const piece = `10000\r\n${"x".repeat(65_536)}\r\n`;
    const fill = (): void => {
      while (!request.socket.destroyed && request.socket.write(piece, "latin1"));
    };
    request.socket.on("drain", fill);
    fill();
  },
};

export const get = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: site\r\n\r\n`;

/** What a client met, in one line: status and code, what there is of the body, and the state of the connection. */
export class Chain {
  readonly sluice: RunningSluice;
  readonly origin: FaultOrigin;
  /** Path of the admin endpoint. */
  readonly admin: string;
  /** What the shard had open before the first request. */
  readonly descriptors: readonly string[];
  readonly #urls: ReadonlyMap<Way, string>;

  constructor(sluice: RunningSluice, origin: FaultOrigin, urls: ReadonlyMap<Way, string>) {
    this.sluice = sluice;
    this.origin = origin;
    this.admin = sluice.directory.at("admin.sock");
    this.#urls = urls;
    this.descriptors = descriptorsOf(shardsOf(sluice)[0] ?? -1);
  }

  url(way: Way): string {
    return this.#urls.get(way) ?? "";
  }

  /** The outcome as a line, after the exchange is over. */
  async describe(client: RawHttp, answer: RawAnswer | null): Promise<string> {
    if (answer === null) return "no answer, closed";
    const { status } = answer;
    let what = `${status} ${JSON.stringify(answer.body)}${answer.whole ? "" : " broken"}`;
    const id = /^\d{3} [\w ]+\nid: ([0-9a-z]{12})\n$/.exec(answer.body)?.[1];
    if (id !== undefined) what = `${status} ${await this.#codeOf(id)}`;
    return `${what}, ${await this.#connection(client)}`;
  }

  /** Nothing is under way any more: no exchange anywhere, and no upstream connection that is not idle. */
  async settled(): Promise<void> {
    let last = "";
    await eventually("everything is over", async () => {
      const metrics = await readMetrics(this.admin);
      const active = sumOf(metrics, "sluice_socket_active") + sumOf(metrics, "sluice_service_active");
      const open = sumOf(metrics, "sluice_upstream_connections", 'state="open"');
      const idle = sumOf(metrics, "sluice_upstream_connections", 'state="idle"');
      last = `${active} exchanges, ${open} upstream connections, of which ${idle} idle`;
      return active === 0 && open === idle;
    }).catch((error: unknown) => {
      throw new Error(last, { cause: error });
    });
  }

  /** The code that the log has under the id, with which the access line agrees. */
  async #codeOf(id: string): Promise<string> {
    const failed = new RegExp(`^.*"event":"(?:exchange|worker).failed".*"id":"${id}".*$`, "m");
    await eventually(`a line of the log with ${id}`, () => failed.test(this.sluice.stderr));
    const { code } = JSON.parse(failed.exec(this.sluice.stderr)?.[0] ?? "") as { code: string };
    const access = new RegExp(`^.*"event":"access".*"error":"${code}","id":"${id}".*$`, "m");
    await eventually(`the access line of ${id}`, () => access.test(this.sluice.stdout));
    return code;
  }

  async #connection(client: RawHttp): Promise<"kept" | "closed"> {
    client.send(get("/ok"));
    const next = await client.answer();
    return next?.whole === true && next.body === "ok" ? "kept" : "closed";
  }
}

export async function startChain(t: TestContext): Promise<Chain> {
  const origin = await FaultOrigin.start(t, faults);
  const sluice = await startSluice(t, config(origin.address), { files });
  const urls = new Map<Way, string>();
  for (const way of ways) urls.set(way, await sluice.listening(way));
  return new Chain(sluice, origin, urls);
}

/** On each way at once; the first failure names its way. */
export async function onEachWay(chain: Chain, run: (way: Way) => Promise<void>): Promise<void> {
  const results = await Promise.allSettled(ways.map(run));
  for (const [index, result] of results.entries()) {
    if (result.status === "rejected")
      throw new Error(`on the way "${ways[index]}"`, { cause: result.reason });
  }
  await chain.settled();
}

export async function active(chain: Chain, service: string): Promise<number> {
  return sumOf(await readMetrics(chain.admin), "sluice_service_active_exchanges", `service="${service}"`);
}

/** All counts are back to zero, the idle connections go in time, and the shard has the descriptors that it began with. */
export async function leavesNothing(chain: Chain): Promise<void> {
  await chain.settled();
  const [shard = -1] = shardsOf(chain.sluice);
  await eventually("the idle connections are gone", async () => {
    const metrics = await readMetrics(chain.admin);
    return (
      sumOf(metrics, "sluice_upstream_connections") === 0 && sumOf(metrics, "sluice_socket_connections") === 0
    );
  });
  assert.equal(chain.origin.connections, 0);
  await eventually(
    "the descriptors are closed",
    () => descriptorsOf(shard).join() === chain.descriptors.join(),
  );
}
