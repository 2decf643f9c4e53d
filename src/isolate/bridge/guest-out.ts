import { ProxyError } from "../../errors/proxy-error.ts";
import type { BodySink, BodySource } from "../../http/body.ts";
import * as wire from "../../wire/ops.ts";
import type { Session } from "./session.ts";

/** Credit is given back in portions of at least this, so that short bodies cause no entry for it. */
const PORTION = wire.CREDIT / 4;

/** A stream that the guest produces, as a body on the host. What it may send ahead is bounded by its credit. */
export class GuestOut implements BodySource {
  readonly id: number;
  readonly length: number;
  readonly #session: Session;
  /** Hears of the first bytes, or the end, that wait for a sink. */
  onData: (() => void) | null = null;
  /** Hears that nothing more will be written. */
  onOver: (() => void) | null = null;
  #sink: BodySink | null = null;
  #queue: Uint8Array[] = [];
  #holding = false;
  #queued = 0;
  #taken = 0;
  #sent = 0;
  #end: { readonly error: ProxyError | null } | null = null;
  #isOver = false;

  constructor(session: Session, id: number, length: number) {
    this.#session = session;
    this.id = id;
    this.length = length;
  }

  /** True while the guest has to wait for the consumer: then a quiet guest is not a stuck one. */
  get isHeld(): boolean {
    return this.#queue.length > 0 || this.#holding || this.#sink === null;
  }

  get hasData(): boolean {
    return this.#queue.length > 0 || this.#end !== null;
  }

  pipe(sink: BodySink): void {
    this.#sink = sink;
    queueMicrotask(() => this.#flush());
  }

  resume(): void {
    this.#holding = false;
    this.#flush();
  }

  cancel(_error: ProxyError): void {
    if (this.#isOver) return;
    this.#over();
    this.#queue = [];
    const { inbox } = this.#session;
    const at = inbox.begin(wire.IN_OUT_CANCELLED, 1, 0);
    inbox.ints[at] = this.id;
    this.#session.touch();
  }

  /** The guest wrote a chunk. */
  push(chunk: Uint8Array): void {
    if (this.#isOver) return;
    this.#sent += chunk.length;
    if (this.length >= 0 && this.#sent > this.length) {
      this.finish(new ProxyError("worker_body_failed", "cannot send the stream: it is longer than it said"));
      return;
    }
    this.#queued += chunk.length;
    if (this.#queued > wire.CREDIT * 2) {
      this.finish(
        new ProxyError("worker_body_failed", "cannot send the stream: the Worker sends ahead of its credit"),
      );
      return;
    }
    this.#queue.push(chunk);
    this.#flush();
  }

  /** The guest ended the stream, or it failed. */
  finish(error: ProxyError | null): void {
    if (this.#isOver || this.#end !== null) return;
    const short = error === null && this.length >= 0 && this.#sent < this.length;
    this.#end = {
      error: short
        ? new ProxyError("worker_body_failed", "cannot send the stream: it is shorter than it said")
        : error,
    };
    this.#flush();
  }

  #flush(): void {
    const sink = this.#sink;
    if (sink === null) {
      this.onData?.();
      return;
    }
    if (this.#isOver) return;
    while (this.#queue.length > 0 && !this.#holding) {
      const chunk = this.#queue.shift() as Uint8Array;
      this.#taken += chunk.length;
      this.#queued -= chunk.length;
      if (!sink.write(chunk)) this.#holding = true;
      if (this.#isOver) return;
    }
    if (this.#end?.error != null) {
      // A failure breaks the body off at once: what is queued would only lead up to the break.
      const { error } = this.#end;
      this.#over();
      sink.fail(error);
      return;
    }
    if (this.#queue.length === 0 && this.#end !== null) {
      this.#over();
      sink.end(null);
      return;
    }
    if (this.#taken >= PORTION && this.#end === null) {
      const { inbox } = this.#session;
      const at = inbox.begin(wire.IN_CREDIT, 2, 0);
      inbox.ints[at] = this.id;
      inbox.ints[at + 1] = this.#taken;
      this.#taken = 0;
      this.#session.touch();
    }
  }

  #over(): void {
    this.#isOver = true;
    this.#sink = null;
    this.#session.outEnded(this.id);
    this.onOver?.();
  }
}
