import type { ProxyError } from "../../errors/proxy-error.ts";
import type { Transport } from "../../net/transport.ts";
import type { BodySink, BodySource } from "../body.ts";
import type { HeaderBlock } from "../header-block.ts";
import type { BodyClock } from "./body-clock.ts";
import type { DownstreamConnection } from "./downstream-connection.ts";

/** The body of the request that a connection is receiving. It holds the connection only until the body's end. */
export class RequestBody implements BodySource {
  readonly length: number;
  readonly clock: BodyClock;
  /** Bytes that have come so far. */
  received = 0;
  #connection: DownstreamConnection | null;
  #sink: BodySink | null = null;
  #holding = false;
  /** Set when the body broke off before anyone piped it. */
  #failed: ProxyError | null = null;
  #cancelled = false;

  constructor(connection: DownstreamConnection, length: number, clock: BodyClock) {
    this.clock = clock;
    this.#connection = connection;
    this.length = length;
  }

  /** There is somebody to take the next chunk. */
  get flowing(): boolean {
    return this.#sink !== null && !this.#holding;
  }

  /** Somebody takes the body, and has enough for now. */
  get held(): boolean {
    return this.#sink !== null && this.#holding;
  }

  get cancelled(): boolean {
    return this.#cancelled;
  }

  pipe(sink: BodySink): void {
    const failed = this.#failed;
    if (failed !== null) {
      queueMicrotask(() => sink.fail(failed));
      return;
    }
    this.#sink = sink;
    this.#connection?.bodyWanted();
  }

  resume(): void {
    if (!this.#holding) return;
    this.#holding = false;
    this.#connection?.bodyResumed();
  }

  cancel(): void {
    this.#sink = null;
    this.#cancelled = true;
    const connection = this.#connection;
    this.#connection = null;
    connection?.bodyCancelled(this);
  }

  /** @returns false when the connection is to hold still until `bodyResumed`. */
  deliver(chunk: Uint8Array, transport: Transport): boolean {
    this.received += chunk.length;
    if (this.#sink === null) return true;
    // Set beforehand, so that a sink which resumes from within `write` is heard.
    this.#holding = true;
    if (transport.deliver(chunk, this.#sink)) this.#holding = false;
    return !this.#holding;
  }

  end(trailers: HeaderBlock | null): void {
    const sink = this.#sink;
    this.#sink = null;
    this.#connection = null;
    sink?.end(trailers);
  }

  /** The body broke off. */
  fail(error: ProxyError): void {
    if (this.#connection === null) return;
    const sink = this.#sink;
    this.#sink = null;
    this.#connection = null;
    this.#failed = error;
    sink?.fail(error);
  }
}
