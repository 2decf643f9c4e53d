import type { TestContext } from "node:test";
import { type Fault, FaultOrigin, type FaultRequest } from "../support/fault-origin.ts";
import { type RawAnswer, RawHttp } from "../support/raw-http.ts";
import { type RunningSluice, startSluice } from "../support/sluice.ts";

/** A way of a request through the proxy to the origin. */
export interface Way {
  /** Of the socket: `external`, `worker`, `network` or `filter`. */
  readonly name: string;
  readonly url: string;
  /** What stands before the path in a request's target: nothing, or in proxy style the origin's URL. */
  readonly prefix: string;
  /** The authority that the origin is to see for a request with `Host: site`. */
  readonly authority: string;
}

export interface Ask {
  readonly method?: string;
  readonly version?: string;
  /** Field lines but Host, each with its CRLF. */
  readonly lines?: string;
  /** What follows the head. */
  readonly rest?: string;
}

export interface Asked {
  readonly answer: RawAnswer | null;
  readonly client: RawHttp;
}

const passing =
  "export default { fetch: (request, env) => env.NEXT.fetch(request), " +
  "async connect(socket, env) { return env.NEXT.connect((await socket.opened).localAddress); } };";

/**
 * A proxy as it is served, and one origin behind it that a request reaches in four ways: host style through an external
 * or through a Worker and an external, proxy style through a network or through a Worker and a network.
 */
export class Ways {
  readonly sluice: RunningSluice;
  readonly origin: FaultOrigin;
  readonly all: readonly Way[];
  readonly #faults: Record<string, Fault>;
  readonly #test: TestContext;
  #count = 0;

  private constructor(
    test: TestContext,
    sluice: RunningSluice,
    origin: FaultOrigin,
    faults: Record<string, Fault>,
    ways: readonly Way[],
  ) {
    this.#test = test;
    this.sluice = sluice;
    this.origin = origin;
    this.#faults = faults;
    this.all = ways;
  }

  /**
   * @param http of each socket, in YAML's flow style without the braces
   * @param upstream the same of the external
   */
  static async start(test: TestContext, http = "", upstream = "forwarded: none"): Promise<Ways> {
    const faults: Record<string, Fault> = {};
    const origin = await FaultOrigin.start(test, faults);
    const rest = http === "" ? "" : `, ${http}`;
    const worker = (next: string): string =>
      `{ worker: { main: ./w.js, compatibilityDate: 2026-11-01, bindings: { NEXT: { service: ${next} } } } }`;
    const sluice = await startSluice(
      test,
      `sockets:
  external: { address: "127.0.0.1:0", service: app, http: { style: host${rest} } }
  worker: { address: "127.0.0.1:0", service: worker, http: { style: host${rest} } }
  network: { address: "127.0.0.1:0", service: net, http: { style: proxy${rest} } }
  filter: { address: "127.0.0.1:0", service: filter, http: { style: proxy${rest} } }
services:
  app: { external: { address: "${origin.address}", http: { ${upstream} } } }
  net: { network: { allow: [ local ] } }
  worker: ${worker("app")}
  filter: ${worker("net")}
`,
      { files: { "w.js": passing } },
    );
    const ways: Way[] = [];
    for (const name of ["external", "worker", "network", "filter"]) {
      const proxy = name === "network" || name === "filter";
      ways.push({
        name,
        url: await sluice.listening(name),
        prefix: proxy ? `http://${origin.address}` : "",
        authority: proxy ? origin.address : "site",
      });
    }
    return new Ways(test, sluice, origin, faults, ways);
  }

  way(name: string): Way {
    const found = this.all.find((way) => way.name === name);
    if (found === undefined) throw new Error(`no way "${name}"`);
    return found;
  }

  /** @returns a path, under which the origin does this with each request */
  on(fault: Fault): string {
    const name = `c${this.#count++}`;
    this.#faults[name] = fault;
    return `/${name}`;
  }

  /** The same, with an answer of fixed bytes. */
  answering(bytes: string): string {
    return this.on((request) => request.send(bytes));
  }

  /** Sends bytes on a connection of its own. */
  async send(way: Way, bytes: string): Promise<RawHttp> {
    const client = await RawHttp.open(this.#test, way.url);
    client.send(bytes);
    return client;
  }

  /** The same, and takes the answer. */
  async raw(way: Way, bytes: string, method = "GET"): Promise<Asked> {
    const client = await this.send(way, bytes);
    return { client, answer: await client.answer(method) };
  }

  /** Asks for a path in the style of the way. */
  ask(way: Way, path: string, ask: Ask = {}): Promise<Asked> {
    return this.raw(way, request(way, path, ask), ask.method);
  }

  /** The requests that have reached the origin under a path. */
  reached(path: string): readonly FaultRequest[] {
    return this.origin.requests.get(path) ?? [];
  }
}

/** A request's bytes. */
export function request(way: Way, path: string, ask: Ask = {}): string {
  const { method = "GET", version = "1.1", lines = "", rest = "" } = ask;
  return `${method} ${way.prefix}${path} HTTP/${version}\r\nHost: site\r\n${lines}\r\n${rest}`;
}

export const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
