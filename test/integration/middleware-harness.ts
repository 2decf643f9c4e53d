import assert from "node:assert/strict";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import type { TestContext } from "node:test";
import { type RunningSluice, startSluice } from "../support/sluice.ts";

/** An origin that answers with what it was asked, as JSON. */
export async function origin(context: TestContext): Promise<{ address: string; seen: IncomingMessage[] }> {
  const seen: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    seen.push(request);
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("error", () => {});
    request.on("end", () => {
      response.setHeader("content-type", "application/json");
      response.setHeader("x-origin", "1");
      const { method, url, headers } = request;
      response.end(JSON.stringify({ method, url, headers, body: Buffer.concat(chunks).toString() }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  context.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { address: `127.0.0.1:${(server.address() as AddressInfo).port}`, seen };
}

/** What the origin answers. */
export interface Echo {
  readonly method: string;
  readonly url: string;
  readonly headers: Record<string, string>;
  readonly body: string;
}

/** A proxy with middlewares before such an origin. */
export class Edge {
  readonly sluice: RunningSluice;

  constructor(sluice: RunningSluice) {
    this.sluice = sluice;
  }

  /** @param middlewares a YAML list */
  static async start(
    context: TestContext,
    middlewares: string,
    more = "",
    files: Readonly<Record<string, string>> = {},
    env: Readonly<Record<string, string>> = {},
  ): Promise<Edge> {
    const { address } = await origin(context);
    const config = `
sockets: { public: { address: "127.0.0.1:0", service: app } }
services:
  app: { external: { address: "${address}" }, middleware: ${middlewares} }
${more}
${more.includes("log:") ? "" : "log: { access: false }"}
`;
    return new Edge(await startSluice(context, config, { files, env }));
  }

  async ask(path = "/", init: RequestInit = {}): Promise<Response> {
    return fetch(`${this.sluice.url}${path}`, { redirect: "manual", ...init });
  }

  async echo(path = "/", init: RequestInit = {}): Promise<Echo> {
    const response = await this.ask(path, init);
    assert.equal(response.status, 200);
    return (await response.json()) as Echo;
  }
}

/** The status alone. */
export async function status(response: Promise<Response>): Promise<number> {
  const { status, body } = await response;
  await body?.cancel();
  return status;
}
