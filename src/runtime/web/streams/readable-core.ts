import { Deferred, markHandled, promiseReject, promiseResolve } from "../primordials.ts";
import { Fifo } from "./fifo.ts";

export type ReadableState = "readable" | "closed" | "errored";

/** Somebody who waits for a chunk (Streams §4.3, read request; §4.4, read-into request). */
export interface ReadRequest {
  chunk(value: unknown): void;
  /** @param view the emptied view of a BYOB read, handed back. */
  close(view?: unknown): void;
  error(reason: unknown): void;
}

/** The part of a controller that its stream calls (Streams §4.2.5, internal methods). */
export interface ReadableController {
  /** True for a controller of byte streams. */
  readonly bytes: boolean;
  pullSteps(request: ReadRequest): void;
  cancelSteps(reason: unknown): Promise<unknown>;
  releaseSteps(): void;
}

/** What feeds a stream. Internal sources return nothing, or a native promise; user ones are wrapped so that they do. */
export interface Source {
  pull(): Promise<unknown> | undefined;
  cancel(reason: unknown): Promise<unknown> | undefined;
}

/**
 * The state of a ReadableStream (Streams §4.2). The public object is a thin handle on it; the runtime's own code works
 * with the core only, where no Worker can reach.
 */
export class ReadableCore {
  state: ReadableState = "readable";
  disturbed = false;
  storedError: unknown = undefined;
  reader: ReaderCore | null = null;
  controller!: ReadableController;
  /** The host's body that this stream reads, so that an untouched one can be sent on without its bytes. */
  origin: unknown = null;
  /** Bytes that it will yield, or -1 when not known. */
  length = -1;

  get locked(): boolean {
    return this.reader !== null;
  }

  /** How many reads of a reader of that kind are waiting. */
  waiting(byob: boolean): number {
    const { reader } = this;
    return reader !== null && reader.byob === byob ? reader.requests.length : 0;
  }

  /** Hands a chunk to the first read that waits. */
  fulfill(chunk: unknown, done: boolean): void {
    const request = (this.reader as ReaderCore).requests.shift();
    if (done) request.close(chunk);
    else request.chunk(chunk);
  }

  cancel(reason: unknown): Promise<undefined> {
    this.disturbed = true;
    if (this.state === "closed") return promiseResolve(undefined);
    if (this.state === "errored") return promiseReject(this.storedError);
    this.close();
    const { reader } = this;
    if (reader?.byob) {
      const requests = reader.requests.drain();
      for (let i = 0; i < requests.length; i++) (requests[i] as ReadRequest).close(undefined);
    }
    return discard(this.controller.cancelSteps(reason));
  }

  close(): void {
    this.state = "closed";
    const { reader } = this;
    if (reader === null) return;
    reader.closed?.resolve(undefined);
    if (reader.byob) return;
    const requests = reader.requests.drain();
    for (let i = 0; i < requests.length; i++) (requests[i] as ReadRequest).close();
  }

  error(reason: unknown): void {
    this.state = "errored";
    this.storedError = reason;
    const { reader } = this;
    if (reader === null) return;
    if (reader.closed !== null) {
      reader.closed.reject(reason);
      markHandled(reader.closed.promise);
    }
    reader.fail(reason);
  }
}

async function discard(promise: Promise<unknown>): Promise<undefined> {
  await promise;
  return undefined;
}

/** The state of a reader (Streams §4.3, §4.4). Its `closed` promise is made when somebody asks for it. */
export class ReaderCore {
  stream: ReadableCore | null;
  readonly byob: boolean;
  readonly requests = new Fifo<ReadRequest>();
  closed: Deferred<undefined> | null = null;

  /** @throws TypeError when the stream is locked, or has no bytes for a BYOB reader. */
  constructor(stream: ReadableCore, byob: boolean) {
    if (stream.reader !== null) throw new TypeError("cannot read: the stream is locked to a reader");
    if (byob && !stream.controller.bytes) {
      throw new TypeError("cannot read into a buffer: the stream is not a byte stream");
    }
    this.stream = stream;
    this.byob = byob;
    stream.reader = this;
  }

  closedPromise(): Promise<undefined> {
    if (this.closed !== null) return this.closed.promise;
    const deferred = new Deferred<undefined>();
    this.closed = deferred;
    const { stream } = this;
    if (stream === null) deferred.reject(released());
    else if (stream.state === "closed") deferred.resolve(undefined);
    else if (stream.state === "errored") deferred.reject(stream.storedError);
    if (deferred.settled) markHandled(deferred.promise);
    return deferred.promise;
  }

  read(request: ReadRequest): void {
    const stream = this.stream as ReadableCore;
    stream.disturbed = true;
    if (stream.state === "closed") request.close();
    else if (stream.state === "errored") request.error(stream.storedError);
    else stream.controller.pullSteps(request);
  }

  release(): void {
    const { stream } = this;
    if (stream === null) return;
    const reason = released();
    if (this.closed !== null) {
      if (this.closed.settled) this.closed = new Deferred();
      this.closed.reject(reason);
      markHandled(this.closed.promise);
    }
    stream.controller.releaseSteps();
    stream.reader = null;
    this.stream = null;
    this.fail(reason);
  }

  fail(reason: unknown): void {
    const requests = this.requests.drain();
    for (let i = 0; i < requests.length; i++) (requests[i] as ReadRequest).error(reason);
  }
}

function released(): TypeError {
  return new TypeError("the reader was released");
}
