import { ProxyError } from "../../src/errors/proxy-error.ts";
import { type BodySink, type BodySource, BytesBody } from "../../src/http/body.ts";
import { type ByteStream, type ClientFacts, Exchange } from "../../src/http/exchange.ts";
import { HeaderBlock } from "../../src/http/header-block.ts";
import { RequestHead, type ResponseHead } from "../../src/http/message.ts";
import type { Service, Tunnel } from "../../src/services/service.ts";

export const testClient: ClientFacts = {
  address: "192.0.2.9",
  port: 40_000,
  socket: "test",
  secure: false,
  httpVersion: "HTTP/1.1",
};

export interface Ask {
  readonly method?: string;
  readonly scheme?: "http" | "https";
  readonly authority?: string;
  readonly target?: string;
  readonly headers?: ReadonlyArray<readonly [name: string, value: string]>;
  readonly body?: BodySource | string | null;
  readonly depth?: number;
}

/** Everything that came of an exchange. */
export class Answer {
  head: ResponseHead | null = null;
  error: ProxyError | null = null;
  /** The response's body broke off with this. */
  broken: ProxyError | null = null;
  body: Buffer = Buffer.alloc(0);
  /** What the body source said before it was read; -2 without one. */
  length = -2;
  trailers: HeaderBlock | null = null;
  readonly informed: ResponseHead[] = [];

  get status(): number {
    return this.head?.status ?? this.error?.status ?? 0;
  }

  get headers(): HeaderBlock {
    return this.head?.headers ?? new HeaderBlock();
  }

  get text(): string {
    return this.body.toString("utf8");
  }
}

/** Keeps a body; says "enough" after every chunk when it is told to. */
export class CollectingSink implements BodySink {
  manual = false;
  chunks = 0;
  size = 0;
  /** Called after each chunk. */
  onChunk: (() => void) | null = null;
  readonly #answer: Answer;
  readonly #done: () => void;
  readonly #parts: Uint8Array[] = [];

  constructor(answer: Answer, done: () => void) {
    this.#answer = answer;
    this.#done = done;
  }

  write(chunk: Uint8Array): boolean {
    this.chunks++;
    this.size += chunk.length;
    this.#parts.push(chunk);
    this.onChunk?.();
    return !this.manual;
  }

  end(trailers: HeaderBlock | null): void {
    this.#answer.trailers = trailers;
    this.#close();
  }

  fail(error: ProxyError): void {
    this.#answer.broken = error;
    this.#close();
  }

  #close(): void {
    this.#answer.body = Buffer.concat(this.#parts);
    this.#done();
  }
}

/** An exchange that keeps the answer, and reads its body as slowly as it is told to. */
export class CollectedExchange extends Exchange {
  readonly answer = new Answer();
  readonly done: Promise<Answer>;
  /** Resolved when the head or the failure has come. */
  readonly begun: Promise<void>;
  /** Reads nothing until `start` is called. */
  hold = false;
  upgraded: ByteStream | null = null;
  readonly sink: CollectingSink;
  source: BodySource | null = null;
  readonly #finish: (answer: Answer) => void;
  readonly #begin: () => void;

  constructor(ask: Ask) {
    const request = new RequestHead(
      ask.method ?? "GET",
      ask.scheme ?? "http",
      ask.authority ?? "test",
      ask.target ?? "/",
      HeaderBlock.from(ask.headers ?? []),
    );
    const body = typeof ask.body === "string" ? BytesBody.text(ask.body) : (ask.body ?? null);
    super(request, body, testClient, ask.depth ?? 0);
    const finished = Promise.withResolvers<Answer>();
    const begun = Promise.withResolvers<void>();
    this.done = finished.promise;
    this.begun = begun.promise;
    this.#finish = finished.resolve;
    this.#begin = begun.resolve;
    this.sink = new CollectingSink(this.answer, () => this.#finish(this.answer));
  }

  inform(head: ResponseHead): void {
    this.answer.informed.push(head);
  }

  respond(head: ResponseHead, body: BodySource | null): void {
    if (this.aborted !== null) {
      body?.cancel(this.aborted);
      return;
    }
    this.#once();
    this.answer.head = head;
    this.source = body;
    this.answer.length = body?.length ?? -2;
    this.#begin();
    if (body === null) this.#finish(this.answer);
    else if (!this.hold) this.start();
  }

  upgrade(head: ResponseHead, stream: ByteStream): void {
    this.#once();
    this.answer.head = head;
    this.upgraded = stream;
    this.#begin();
    this.#finish(this.answer);
  }

  fail(error: ProxyError): void {
    if (this.aborted !== null) return;
    this.#once();
    this.answer.error = error;
    this.#begin();
    this.#finish(this.answer);
  }

  start(): void {
    this.source?.pipe(this.sink);
  }

  more(): void {
    this.source?.resume();
  }

  leave(): void {
    const error = new ProxyError("client_disconnected", "cannot answer: the client left");
    this.abort(error);
    this.source?.cancel(error);
    this.#finish(this.answer);
  }

  #once(): void {
    if (this.answer.head !== null || this.answer.error !== null) {
      throw new Error("the exchange was answered twice");
    }
  }
}

/** Sends one request through a service and waits for all of its answer. */
export function collect(service: Service, ask: Ask): Promise<Answer> {
  const exchange = new CollectedExchange(ask);
  service.handle(exchange);
  return exchange.done;
}

/** A tunnel that keeps what came of it. */
export class CollectedTunnel implements Tunnel {
  readonly host: string;
  readonly port: number;
  readonly client: ClientFacts = testClient;
  readonly depth = 0;
  onAbort: ((error: ProxyError) => void) | null = null;
  stream: ByteStream | null = null;
  refused: ProxyError | null = null;
  servedBy = "";
  readonly done: Promise<void>;
  readonly #finish: () => void;

  constructor(host: string, port: number) {
    this.host = host;
    this.port = port;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.done = promise;
    this.#finish = resolve;
  }

  accept(stream: ByteStream): void {
    this.stream = stream;
    this.#finish();
  }

  refuse(error: ProxyError): void {
    this.refused = error;
    this.#finish();
  }
}
