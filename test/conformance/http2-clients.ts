import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  type OutgoingHttpHeaders,
} from "node:http2";
import type { TestContext } from "node:test";
import type { Way } from "./ways.ts";

/** All that came of a stream. */
export interface Answer {
  status: number;
  fields: Record<string, unknown>;
  trailers: Record<string, unknown>;
  body: string;
  /** Of the stream's end. */
  code: number;
}

/** Requests by node:http2, on one connection a way. */
export class Http2Clients {
  readonly #sessions: Map<string, ClientHttp2Session> = new Map();
  readonly #test: TestContext;

  constructor(test: TestContext) {
    this.#test = test;
  }

  open(way: Way, fields: OutgoingHttpHeaders, endStream = true): ClientHttp2Stream {
    let session = this.#sessions.get(way.name);
    if (session === undefined || session.closed) {
      session = connect(way.url);
      const opened = session;
      this.#sessions.set(way.name, opened);
      this.#test.after(() => opened.destroy());
    }
    return session.request({ ":authority": way.authority, ...fields }, { endStream });
  }

  ask(way: Way, fields: OutgoingHttpHeaders, body: string | null = null): Promise<Answer> {
    const stream = this.open(way, fields, body === null);
    if (body !== null) stream.end(body);
    return answerOf(stream);
  }
}

/** Waits for all of an answer. */
export function answerOf(stream: ClientHttp2Stream): Promise<Answer> {
  const answer: Answer = { status: 0, fields: {}, trailers: {}, body: "", code: -1 };
  stream.setEncoding("latin1");
  stream.on("response", (fields) => {
    answer.fields = fields;
    answer.status = fields[":status"] ?? 0;
  });
  stream.on("trailers", (fields) => {
    answer.trailers = fields;
  });
  stream.on("data", (text: string) => {
    answer.body += text;
  });
  stream.on("error", () => {});
  return new Promise((resolve) => {
    stream.on("close", () => {
      answer.code = stream.rstCode;
      resolve(answer);
    });
  });
}
