import type { ProxyError } from "../../errors/proxy-error.ts";
import type { BodySink, BodySource } from "../body.ts";
import type { FrameSink } from "./framing.ts";

/** Hears how its frames leave. */
export interface WireOutputOwner {
  /** A frame has left the writer, or all that waited is on its way. */
  onMoved(): void;
  /** Nobody takes frames any more. */
  onRefused(error: ProxyError): void;
}

/** What a piece that waits costs beside its bytes. */
const pieceBytes = 128;

/** The frames of one side of a WebSocket as a stream of bytes: what the reader does not take yet waits here. */
export class WireOutput implements BodySource, FrameSink {
  readonly length = -1;
  /** Bytes that wait. */
  queued = 0;
  readonly #owner: WireOutputOwner;
  #sink: BodySink | null = null;
  #queue: Uint8Array[] = [];
  #holding = true;
  #ending = false;
  #isOver = false;

  constructor(owner: WireOutputOwner) {
    this.#owner = owner;
  }

  /** What waits costs so much memory, in bytes. */
  get cost(): number {
    return this.queued + this.#queue.length * pieceBytes;
  }

  /** The reader takes no more for now. */
  get isHeld(): boolean {
    return this.#holding;
  }

  get destroyed(): boolean {
    return this.#isOver;
  }

  cork(): void {}

  uncork(): void {}

  write(data: string | Uint8Array, written?: () => void): void {
    if (this.#isOver || this.#ending) return;
    const chunk = typeof data === "string" ? Buffer.from(data) : data;
    if (this.#sink === null || this.#holding) {
      // A copy of its own: what waits may be a small view of a large buffer, which would stay as long.
      this.#queue.push(typeof data === "string" ? chunk : new Uint8Array(chunk));
      this.queued += chunk.length;
    } else if (!this.#sink.write(chunk)) this.#holding = true;
    written?.();
    this.#owner.onMoved();
  }

  /** Ends the stream after what waits. */
  finish(): void {
    if (this.#ending) return;
    this.#ending = true;
    this.#flush();
  }

  /** Ends the stream in a way that cannot pass for the end of what was said. */
  breakOff(error: ProxyError): void {
    if (this.#isOver) return;
    const sink = this.#sink;
    this.#stop();
    sink?.fail(error);
  }

  pipe(sink: BodySink): void {
    this.#sink = sink;
    queueMicrotask(() => this.resume());
  }

  resume(): void {
    if (this.#isOver || this.#sink === null) return;
    this.#holding = false;
    this.#flush();
    if (!this.#holding && !this.#isOver) this.#owner.onMoved();
  }

  cancel(error: ProxyError): void {
    if (this.#isOver) return;
    this.#stop();
    this.#owner.onRefused(error);
  }

  #flush(): void {
    const sink = this.#sink;
    if (sink === null) return;
    while (this.#queue.length > 0 && !this.#holding && !this.#isOver) {
      const chunk = this.#queue.shift() as Uint8Array;
      this.queued -= chunk.length;
      if (!sink.write(chunk)) this.#holding = true;
    }
    if (!this.#ending || this.#queue.length > 0 || this.#isOver) return;
    this.#stop();
    sink.end(null);
  }

  #stop(): void {
    this.#isOver = true;
    this.#sink = null;
    this.#queue = [];
    this.queued = 0;
  }
}
