import { AbortController } from "../abort.ts";
import { Deferred, markHandled, PromiseThen, promiseReject, promiseResolve } from "../primordials.ts";
import { Fifo } from "./fifo.ts";
import { checkSize, type SizeOf } from "./strategy.ts";

export type WritableState = "writable" | "erroring" | "errored" | "closed";

/** What a stream writes to. Each promise is native; user functions are wrapped so that they return one. */
export interface Sink {
  write(chunk: unknown): Promise<unknown>;
  close(): Promise<unknown>;
  abort(reason: unknown): Promise<unknown>;
}

class PendingAbort extends Deferred<undefined> {
  readonly reason: unknown;
  readonly wasErroring: boolean;

  constructor(reason: unknown, wasErroring: boolean) {
    super();
    this.reason = reason;
    this.wasErroring = wasErroring;
  }
}

const closeSentinel = Symbol("close");

/** The state of a WritableStream with its controller (Streams §5.2, §5.4). */
export class WritableCore {
  state: WritableState = "writable";
  storedError: unknown = undefined;
  backpressure = false;
  writer: WriterCore | null = null;
  readonly #requests = new Fifo<Deferred<undefined>>();
  #closeRequest: Deferred<undefined> | null = null;
  #inFlightWrite: Deferred<undefined> | null = null;
  #inFlightClose: Deferred<undefined> | null = null;
  #pendingAbort: PendingAbort | null = null;
  readonly #chunks = new Fifo<unknown>();
  readonly #sizes = new Fifo<number>();
  #total = 0;
  readonly #highWaterMark: number;
  #size: SizeOf;
  #sink: Sink | null;
  #started = false;
  #abortController: AbortController | null = null;

  constructor(sink: Sink, highWaterMark: number, size: SizeOf) {
    this.#sink = sink;
    this.#highWaterMark = highWaterMark;
    this.#size = size;
    this.backpressure = highWaterMark <= 0;
  }

  /** @param promise the sink's `start`; null for a sink that needs none. */
  start(promise: Promise<unknown> | null): void {
    if (promise === null) {
      this.#started = true;
      this.#advance();
      return;
    }
    PromiseThen(
      promise,
      () => {
        this.#started = true;
        this.#advance();
      },
      (reason) => {
        this.#started = true;
        this.#deal(reason);
      },
    );
  }

  get locked(): boolean {
    return this.writer !== null;
  }

  get signal(): AbortController["signal"] {
    this.#abortController ??= new AbortController();
    return this.#abortController.signal;
  }

  get closing(): boolean {
    return this.#closeRequest !== null || this.#inFlightClose !== null;
  }

  get desiredSize(): number {
    return this.#highWaterMark - this.#total;
  }

  abort(reason: unknown): Promise<undefined> {
    if (this.state === "closed" || this.state === "errored") return promiseResolve(undefined);
    this.#abortController ??= new AbortController();
    this.#abortController.abort(reason);
    // The signal's listeners may have changed the state.
    const state = this.state as WritableState;
    if (state === "closed" || state === "errored") return promiseResolve(undefined);
    if (this.#pendingAbort !== null) return this.#pendingAbort.promise;
    const wasErroring = state === "erroring";
    const pending = new PendingAbort(wasErroring ? undefined : reason, wasErroring);
    this.#pendingAbort = pending;
    if (!wasErroring) this.startErroring(reason);
    return pending.promise;
  }

  close(): Promise<undefined> {
    if (this.state === "closed" || this.state === "errored") {
      return promiseReject(new TypeError(`cannot close: the stream is ${this.state}`));
    }
    const request = new Deferred<undefined>();
    this.#closeRequest = request;
    if (this.writer !== null && this.backpressure && this.state === "writable") {
      this.writer.ready.resolve(undefined);
    }
    this.#chunks.push(closeSentinel);
    this.#sizes.push(0);
    this.#advance();
    return request.promise;
  }

  /** For a caller that holds the writer's lock; Streams §5.5, WritableStreamDefaultWriterWrite. */
  write(writer: WriterCore, chunk: unknown): Promise<undefined> {
    const size = this.#chunkSize(chunk);
    // The size function may have released the writer, or changed the state.
    if (writer.stream !== this) return promiseReject(new TypeError("cannot write: the writer was released"));
    if (this.state === "errored") return promiseReject(this.storedError);
    if (this.closing || this.state === "closed") {
      return promiseReject(new TypeError("cannot write: the stream is closing or closed"));
    }
    if (this.state === "erroring") return promiseReject(this.storedError);
    const request = new Deferred<undefined>();
    this.#requests.push(request);
    let checked: number;
    try {
      checked = checkSize(size);
    } catch (error) {
      this.errorIfNeeded(error);
      return request.promise;
    }
    this.#chunks.push(chunk);
    this.#sizes.push(checked);
    this.#total += checked;
    if (!this.closing && this.state === "writable") this.#updateBackpressure();
    this.#advance();
    return request.promise;
  }

  errorIfNeeded(reason: unknown): void {
    if (this.state !== "writable") return;
    this.#clear();
    this.startErroring(reason);
  }

  startErroring(reason: unknown): void {
    this.state = "erroring";
    this.storedError = reason;
    this.writer?.rejectReady(reason);
    if (this.#inFlightWrite === null && this.#inFlightClose === null && this.#started) this.#finishErroring();
  }

  #chunkSize(chunk: unknown): unknown {
    if (this.#size === null) return 1;
    try {
      return this.#size(chunk);
    } catch (error) {
      this.errorIfNeeded(error);
      return 1;
    }
  }

  #deal(error: unknown): void {
    if (this.state === "writable") this.startErroring(error);
    else this.#finishErroring();
  }

  #finishErroring(): void {
    this.state = "errored";
    this.#chunks.clear();
    this.#sizes.clear();
    this.#total = 0;
    const requests = this.#requests.drain();
    for (let i = 0; i < requests.length; i++) {
      (requests[i] as Deferred<undefined>).reject(this.storedError);
    }
    const pending = this.#pendingAbort;
    if (pending === null) {
      this.#rejectCloseAndClosed();
      return;
    }
    this.#pendingAbort = null;
    if (pending.wasErroring) {
      pending.reject(this.storedError);
      this.#rejectCloseAndClosed();
      return;
    }
    const sink = this.#sink;
    const result = sink === null ? promiseResolve(undefined) : sink.abort(pending.reason);
    this.#clear();
    PromiseThen(
      result,
      () => {
        pending.resolve(undefined);
        this.#rejectCloseAndClosed();
      },
      (reason) => {
        pending.reject(reason);
        this.#rejectCloseAndClosed();
      },
    );
  }

  #rejectCloseAndClosed(): void {
    if (this.#closeRequest !== null) {
      this.#closeRequest.reject(this.storedError);
      this.#closeRequest = null;
    }
    this.writer?.rejectClosed(this.storedError);
  }

  #updateBackpressure(): void {
    const backpressure = this.#highWaterMark - this.#total <= 0;
    if (this.writer !== null && backpressure !== this.backpressure) {
      if (backpressure) this.writer.ready = new Deferred();
      else this.writer.ready.resolve(undefined);
    }
    this.backpressure = backpressure;
  }

  #advance(): void {
    if (!this.#started || this.#inFlightWrite !== null || this.#inFlightClose !== null) return;
    if (this.state === "erroring") {
      this.#finishErroring();
      return;
    }
    if (this.state !== "writable" || this.#chunks.length === 0 || this.#sink === null) return;
    const chunk = this.#chunks.peek();
    if (chunk === closeSentinel) {
      this.#processClose();
      return;
    }
    this.#inFlightWrite = this.#requests.shift();
    PromiseThen(this.#sink.write(chunk), this.#onWritten, this.#onWriteFailed);
  }

  readonly #onWritten = (): void => {
    (this.#inFlightWrite as Deferred<undefined>).resolve(undefined);
    this.#inFlightWrite = null;
    // In the state "erroring" the queue still holds the chunk; errored, it is empty.
    if (this.#chunks.length > 0) {
      this.#chunks.shift();
      this.#total -= this.#sizes.shift();
      if (this.#total < 0) this.#total = 0;
    }
    if (!this.closing && this.state === "writable") this.#updateBackpressure();
    this.#advance();
  };

  readonly #onWriteFailed = (reason: unknown): void => {
    if (this.state === "writable") this.#clear();
    (this.#inFlightWrite as Deferred<undefined>).reject(reason);
    this.#inFlightWrite = null;
    this.#deal(reason);
  };

  #processClose(): void {
    this.#inFlightClose = this.#closeRequest;
    this.#closeRequest = null;
    this.#chunks.shift();
    this.#sizes.shift();
    const result = (this.#sink as Sink).close();
    this.#clear();
    PromiseThen(
      result,
      () => {
        (this.#inFlightClose as Deferred<undefined>).resolve(undefined);
        this.#inFlightClose = null;
        if (this.state === "erroring") {
          this.storedError = undefined;
          this.#pendingAbort?.resolve(undefined);
          this.#pendingAbort = null;
        }
        this.state = "closed";
        this.writer?.closed.resolve(undefined);
      },
      (reason) => {
        (this.#inFlightClose as Deferred<undefined>).reject(reason);
        this.#inFlightClose = null;
        this.#pendingAbort?.reject(reason);
        this.#pendingAbort = null;
        this.#deal(reason);
      },
    );
  }

  #clear(): void {
    this.#sink = null;
    this.#size = null;
  }
}

/** The state of a writer (Streams §5.3). */
export class WriterCore {
  stream: WritableCore | null;
  ready = new Deferred<undefined>();
  closed = new Deferred<undefined>();

  /** @throws TypeError when the stream is locked. */
  constructor(stream: WritableCore) {
    if (stream.writer !== null) throw new TypeError("cannot write: the stream is locked to a writer");
    this.stream = stream;
    stream.writer = this;
    switch (stream.state) {
      case "writable":
        if (stream.closing || !stream.backpressure) this.ready.resolve(undefined);
        break;
      case "erroring":
        this.rejectReady(stream.storedError);
        break;
      case "closed":
        this.ready.resolve(undefined);
        this.closed.resolve(undefined);
        break;
      case "errored":
        this.rejectReady(stream.storedError);
        this.rejectClosed(stream.storedError);
        break;
    }
  }

  /** Of a writer that is not released. */
  get desiredSize(): number | null {
    const stream = this.stream as WritableCore;
    if (stream.state === "errored" || stream.state === "erroring") return null;
    return stream.state === "closed" ? 0 : stream.desiredSize;
  }

  rejectReady(reason: unknown): void {
    if (this.ready.settled) this.ready = new Deferred();
    this.ready.reject(reason);
    markHandled(this.ready.promise);
  }

  rejectClosed(reason: unknown): void {
    if (this.closed.settled) this.closed = new Deferred();
    this.closed.reject(reason);
    markHandled(this.closed.promise);
  }

  /** Closes unless that is already under way, and tells of an error in the stream (Streams §5.5). */
  closeWithErrorPropagation(): Promise<undefined> {
    const stream = this.stream as WritableCore;
    if (stream.closing || stream.state === "closed") return promiseResolve(undefined);
    if (stream.state === "errored") return promiseReject(stream.storedError);
    return stream.close();
  }

  release(): void {
    const { stream } = this;
    if (stream === null) return;
    const reason = new TypeError("the writer was released");
    this.rejectReady(reason);
    this.rejectClosed(reason);
    stream.writer = null;
    this.stream = null;
  }
}
