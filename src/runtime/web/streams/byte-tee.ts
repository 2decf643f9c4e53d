import {
  ArrayBufferSlice,
  Deferred,
  PromiseThen,
  promiseResolve,
  viewBuffer,
  viewLength,
  viewOffset,
} from "../primordials.ts";
import { makerOf } from "../view-classes.ts";
import { ByteController } from "./readable-bytes.ts";
import { ReadableCore, ReaderCore, type ReadRequest, type Source } from "./readable-core.ts";

/**
 * Streams §4.9.1, ReadableByteStreamTee. Reads straight into the buffer of a branch whose reader brought one; each
 * branch gets bytes of its own, so that neither sees what the other does to them.
 */
export class ByteTee implements ReadRequest {
  readonly first: ReadableCore;
  readonly second: ReadableCore;
  readonly #source: ReadableCore;
  #reader: ReaderCore;
  readonly #cancelled = new Deferred<undefined>();
  #reading = false;
  readonly #left: ByteBranch;
  readonly #right: ByteBranch;

  constructor(source: ReadableCore) {
    this.#source = source;
    this.#reader = new ReaderCore(source, false);
    this.#left = new ByteBranch(this);
    this.#right = new ByteBranch(this);
    this.first = this.#left.stream;
    this.second = this.#right.stream;
    this.#left.start();
    this.#right.start();
    this.#watch(this.#reader);
  }

  /** Both branches fail with the source, unless another reader took this one's place before. */
  #watch(reader: ReaderCore): void {
    PromiseThen(reader.closedPromise(), undefined, (reason) => {
      if (reader !== this.#reader) return;
      this.#left.controller.error(reason);
      this.#right.controller.error(reason);
      this.settle();
    });
  }

  pull(branch: ByteBranch): void {
    if (this.#reading) {
      branch.again = true;
      return;
    }
    this.#reading = true;
    const request = branch.controller.byobRequest;
    if (request === null) this.#readAny();
    else this.#readInto(branch, request.view as Uint8Array);
  }

  #readAny(): void {
    this.#useReader(false);
    this.#reader.read(this);
  }

  #readInto(branch: ByteBranch, view: Uint8Array): void {
    this.#useReader(true);
    const other = branch === this.#left ? this.#right : this.#left;
    const request = new IntoRequest(this, branch, other);
    const source = this.#source;
    source.disturbed = true;
    if (source.state === "errored") request.error();
    else (source.controller as ByteController).pullInto(view, 1, makerOf(view), 1, request);
  }

  #useReader(byob: boolean): void {
    if (this.#reader.byob === byob) return;
    const old = this.#reader;
    old.release();
    this.#reader = new ReaderCore(this.#source, byob);
    this.#watch(this.#reader);
  }

  cancel(): Promise<undefined> {
    if (this.#left.cancelled && this.#right.cancelled) {
      this.#cancelSource([this.#left.reason, this.#right.reason]);
    }
    return this.#cancelled.promise;
  }

  #cancelSource(reason: unknown): void {
    PromiseThen(
      this.#source.cancel(reason),
      () => this.#cancelled.resolve(undefined),
      (error) => this.#cancelled.reject(error),
    );
  }

  chunk(value: unknown): void {
    // In a microtask, so that an error that came with the chunk is seen first.
    PromiseThen(promiseResolve(undefined), () => {
      this.#left.again = false;
      this.#right.again = false;
      const view = value as Uint8Array;
      const left = this.#left;
      const right = this.#right;
      let copy: ArrayBuffer | null = null;
      if (!left.cancelled && !right.cancelled) {
        copy = this.copyOf(view);
        if (copy === null) return;
      }
      if (!left.cancelled) left.controller.enqueue(viewBuffer(view), viewOffset(view), viewLength(view));
      if (!right.cancelled) {
        if (copy === null) right.controller.enqueue(viewBuffer(view), viewOffset(view), viewLength(view));
        else right.controller.enqueue(copy, 0, viewLength(view));
      }
      this.readDone();
    });
  }

  /** Null when there is no memory for it: both branches have failed then. */
  copyOf(view: Uint8Array): ArrayBuffer | null {
    const offset = viewOffset(view);
    try {
      return ArrayBufferSlice(viewBuffer(view), offset, offset + viewLength(view));
    } catch (error) {
      this.#left.controller.error(error);
      this.#right.controller.error(error);
      this.#cancelSource(error);
      return null;
    }
  }

  /** The read is over; goes on with the next if a branch asked for one meanwhile. */
  readDone(): void {
    this.#reading = false;
    if (this.#left.again) this.pull(this.#left);
    else if (this.#right.again) this.pull(this.#right);
  }

  close(): void {
    this.#reading = false;
    const left = this.#left;
    const right = this.#right;
    if (!left.cancelled) left.controller.close();
    if (!right.cancelled) right.controller.close();
    if (left.controller.hasPending) left.controller.respond(0);
    if (right.controller.hasPending) right.controller.respond(0);
    this.settle();
  }

  error(): void {
    this.#reading = false;
  }

  /** Whoever waits for a cancellation that needs both branches waits no more. */
  settle(): void {
    if (!this.#left.cancelled || !this.#right.cancelled) this.#cancelled.resolve(undefined);
  }
}

/** A read into the buffer that the reader of `branch` brought. */
class IntoRequest implements ReadRequest {
  readonly #tee: ByteTee;
  readonly #branch: ByteBranch;
  readonly #other: ByteBranch;

  constructor(tee: ByteTee, branch: ByteBranch, other: ByteBranch) {
    this.#tee = tee;
    this.#branch = branch;
    this.#other = other;
  }

  chunk(value: unknown): void {
    PromiseThen(promiseResolve(undefined), () => {
      const branch = this.#branch;
      const other = this.#other;
      branch.again = false;
      other.again = false;
      const view = value as Uint8Array;
      if (!other.cancelled) {
        const copy = this.#tee.copyOf(view);
        if (copy === null) return;
        const length = viewLength(view);
        if (!branch.cancelled) branch.controller.respondWithNewView(view);
        other.controller.enqueue(copy, 0, length);
      } else if (!branch.cancelled) {
        branch.controller.respondWithNewView(view);
      }
      this.#tee.readDone();
    });
  }

  close(view?: unknown): void {
    this.#tee.error();
    const branch = this.#branch;
    const other = this.#other;
    if (!branch.cancelled) branch.controller.close();
    if (!other.cancelled) other.controller.close();
    if (view !== undefined) {
      if (!branch.cancelled) branch.controller.respondWithNewView(view as Uint8Array);
      if (!other.cancelled && other.controller.hasPending) other.controller.respond(0);
    }
    this.#tee.settle();
  }

  error(): void {
    this.#tee.error();
  }
}

class ByteBranch implements Source {
  readonly stream = new ReadableCore();
  readonly controller: ByteController;
  readonly #tee: ByteTee;
  cancelled = false;
  reason: unknown = undefined;
  /** It wanted more while a read was under way. */
  again = false;

  constructor(tee: ByteTee) {
    this.#tee = tee;
    this.controller = new ByteController(this.stream, this, 0, 0);
  }

  start(): void {
    this.controller.start(promiseResolve(undefined));
  }

  pull(): Promise<undefined> {
    this.#tee.pull(this);
    return promiseResolve(undefined);
  }

  cancel(reason: unknown): Promise<undefined> {
    this.cancelled = true;
    this.reason = reason;
    return this.#tee.cancel();
  }
}
