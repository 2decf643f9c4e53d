import { Agent, type IncomingHttpHeaders, request } from "node:http";
import { connect } from "node:http2";
import { request as requestSecurely } from "node:https";
import type { Protocol, Work, Workload } from "../workload.ts";

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** One request on a connection of its own, or of the agent's. */
export function ask(
  port: number,
  path: string,
  upload = 0,
  agent?: Agent,
  protocol: Protocol = "http",
): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  if (protocol === "h2c") return askOverHttp2(port, path, upload);
  const isSecure = protocol === "https";
  const outgoing = (isSecure ? requestSecurely : request)(
    {
      // Every candidate shows the benchmark's own certificate.
      rejectUnauthorized: false,
      port,
      path,
      host: "127.0.0.1",
      method: upload > 0 ? "POST" : "GET",
      headers: upload > 0 ? { "content-length": upload } : {},
      agent: isSecure ? false : (agent ?? new Agent()),
      timeout: 30_000,
    },
    (incoming) => {
      const chunks: Buffer[] = [];
      incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
      incoming.on("end", () =>
        resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, body: Buffer.concat(chunks) }),
      );
      incoming.on("error", reject);
    },
  );
  outgoing.on("timeout", () => outgoing.destroy(new Error("no answer within 30 s")));
  outgoing.on("error", reject);
  outgoing.end(Buffer.alloc(upload, "u"));
  return promise;
}

function askOverHttp2(port: number, path: string, upload: number): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const session = connect(`http://127.0.0.1:${port}`);
  session.on("error", reject);
  const stream = session.request(
    { ":path": path, ":method": upload > 0 ? "POST" : "GET" },
    { endStream: upload === 0 },
  );
  if (upload > 0) stream.end(Buffer.alloc(upload, "u"));
  const chunks: Buffer[] = [];
  let headers: IncomingHttpHeaders = {};
  let status = 0;
  stream.on("response", (fields) => {
    headers = fields;
    status = fields[":status"] ?? 0;
  });
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  stream.on("error", reject);
  stream.on("close", () => {
    session.close();
    resolve({ status, headers, body: Buffer.concat(chunks) });
  });
  return promise;
}

/**
 * Sees that a candidate does the whole work before it is measured: a proxy that answers quickly because it fails, or
 * leaves something out, would win.
 *
 * @throws Error that says what is wrong
 */
export async function check(port: number, work: Work, workload: Workload): Promise<void> {
  const { status, headers, body } = await ask(
    port,
    workload.path,
    workload.upload,
    undefined,
    workload.protocol,
  );
  if (status !== 200)
    throw new Error(`cannot measure: ${workload.path} answers ${status} ${body.subarray(0, 200)}`);
  // A script that parses JSON and writes it again leaves out white space.
  if (work !== "json" && body.length !== workload.download) {
    throw new Error(`cannot measure: ${workload.path} answers with ${body.length} bytes`);
  }
  if (work === "json") {
    const document = JSON.parse(body.toString()) as {
      edited?: boolean;
      items?: ReadonlyArray<{ price: number }>;
    };
    if (document.edited !== true || document.items?.length !== 100 || document.items[0]?.price !== 2000) {
      throw new Error("cannot measure: the JSON document is not rewritten");
    }
  }
  if (work === "edit") {
    const echo = await ask(port, "/echo", 0, undefined, workload.protocol);
    if (echo.headers["x-saw"] !== "/echo") throw new Error("cannot measure: the request header is not set");
    if (headers["x-edited"] !== "1") throw new Error("cannot measure: the response header is not set");
  }
}
