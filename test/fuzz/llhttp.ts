import * as http from "node:http";
import { Duplex } from "node:stream";
import { setImmediate as turn } from "node:timers/promises";
import type { Message, Reading } from "./reading.ts";

/** A connection whose other end is the fuzzer. */
class MemoryConnection extends Duplex {
  override _read(): void {}

  override _write(_chunk: unknown, _encoding: string, done: () => void): void {
    done();
  }
}

/** Reads as Node's own parser does, by way of node:http's public interface. */
export class Llhttp {
  readonly #server: http.Server;
  readonly #readings = new WeakMap<object, Reading>();

  constructor() {
    this.#server = http.createServer({
      insecureHTTPParser: false,
      requireHostHeader: false,
      maxHeaderSize: 16_384,
    });
    this.#server.maxHeadersCount = 0;
    const take = (request: http.IncomingMessage) => {
      const message = collect(request, [request.method ?? "", request.url ?? "", request.httpVersion]);
      this.#readings.get(request.socket)?.messages.push(message);
      return message;
    };
    this.#server.on("request", take);
    this.#server.on("checkContinue", take);
    this.#server.on("checkExpectation", take);
    this.#server.on("connect", (request) => {
      take(request).complete = true;
    });
    this.#server.on("clientError", (error: NodeJS.ErrnoException, connection) => {
      const reading = this.#readings.get(connection);
      if (reading !== undefined) reading.rejected ??= error.code ?? error.message;
    });
  }

  /** Reads the bytes that a client sends before it closes its side. */
  async requests(input: Uint8Array): Promise<Reading> {
    const connection = new MemoryConnection();
    const reading: Reading = { messages: [], rejected: null };
    this.#readings.set(connection, reading);
    connection.on("error", () => {});
    this.#server.emit("connection", connection);
    await feed(connection, input);
    return reading;
  }

  /** Reads the first final response to a request of the method, and the interim ones before it. */
  async response(input: Uint8Array, method: string): Promise<Reading> {
    const connection = new MemoryConnection();
    const reading: Reading = { messages: [], rejected: null };
    const request = http.request({
      createConnection: () => connection,
      method,
      host: "a",
      path: method === "CONNECT" ? "a:1" : "/",
      insecureHTTPParser: false,
      maxHeaderSize: 16_384,
    });
    const take = (response: http.IncomingMessage) => {
      const message = collect(response, [
        String(response.statusCode),
        response.statusMessage ?? "",
        response.httpVersion,
      ]);
      reading.messages.push(message);
      return message;
    };
    request.on("information", (information) => {
      reading.messages.push({
        start: [String(information.statusCode), information.statusMessage, information.httpVersion],
        fields: pairs(information.rawHeaders),
        body: "",
        trailers: [],
        complete: true,
      });
    });
    request.on("response", take);
    request.on("connect", (response) => {
      take(response).complete = true;
    });
    request.on("upgrade", (response) => {
      take(response).complete = true;
    });
    request.on("error", (error: NodeJS.ErrnoException) => {
      reading.rejected ??= error.code ?? error.message;
    });
    connection.on("error", () => {});
    request.end();
    await turn();
    await feed(connection, input);
    request.destroy();
    return reading;
  }
}

async function feed(connection: MemoryConnection, input: Uint8Array): Promise<void> {
  if (input.length > 0) connection.push(input);
  await turn();
  await turn();
  if (!connection.destroyed) connection.push(null);
  await turn();
  await turn();
  connection.destroy();
  await turn();
}

function collect(incoming: http.IncomingMessage, start: string[]): Message {
  const message: Message = {
    start,
    fields: pairs(incoming.rawHeaders),
    body: "",
    trailers: [],
    complete: false,
  };
  incoming.on("data", (chunk: Buffer) => {
    message.body += chunk.toString("latin1");
  });
  incoming.on("end", () => {
    message.trailers = pairs(incoming.rawTrailers);
    message.complete = incoming.complete;
  });
  incoming.on("error", () => {});
  return message;
}

function pairs(raw: readonly string[]): Array<[string, string]> {
  const result: Array<[string, string]> = [];
  for (let i = 0; i + 1 < raw.length; i += 2) result.push([raw[i] ?? "", raw[i + 1] ?? ""]);
  return result;
}
