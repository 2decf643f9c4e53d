import {
  ArrayBufferSlice,
  Deferred,
  PromiseThen,
  promiseResolve,
  TypedArrayTag,
  viewBuffer,
  viewLength,
  viewOffset,
} from "../primordials.ts";
import { ByteController } from "./readable-bytes.ts";
import { ReadableCore, ReaderCore, type ReadRequest, type Source } from "./readable-core.ts";
import { DefaultController } from "./readable-default.ts";

/**
 * Streams §4.9.1, ReadableStreamTee. The branches of a byte stream are byte streams; each gets bytes of its own, so
 * that neither sees what the other does to them.
 */
export class Tee implements ReadRequest {
  readonly first: ReadableCore;
  readonly second: ReadableCore;
  readonly #source: ReadableCore;
  readonly #reader: ReaderCore;
  readonly #cancelled = new Deferred<undefined>();
  #reading = false;
  #readAgain = false;
  #left: Branch;
  #right: Branch;

  constructor(source: ReadableCore) {
    this.#source = source;
    this.#reader = new ReaderCore(source, false);
    this.#left = new Branch(this);
    this.#right = new Branch(this);
    this.first = this.#left.stream;
    this.second = this.#right.stream;
    this.#left.start(source.controller.bytes);
    this.#right.start(source.controller.bytes);
    PromiseThen(this.#reader.closedPromise(), undefined, (reason) => {
      this.#left.error(reason);
      this.#right.error(reason);
      if (!this.#left.cancelled || !this.#right.cancelled) this.#cancelled.resolve(undefined);
    });
  }

  pull(): void {
    if (this.#reading) {
      this.#readAgain = true;
      return;
    }
    this.#reading = true;
    this.#reader.read(this);
  }

  cancel(): Promise<undefined> {
    if (this.#left.cancelled && this.#right.cancelled) {
      const reasons = [this.#left.reason, this.#right.reason];
      PromiseThen(
        this.#source.cancel(reasons),
        () => this.#cancelled.resolve(undefined),
        (reason) => this.#cancelled.reject(reason),
      );
    }
    return this.#cancelled.promise;
  }

  chunk(value: unknown): void {
    // In a microtask, so that an error that came with the chunk is seen first.
    PromiseThen(promiseResolve(undefined), () => {
      this.#readAgain = false;
      this.#left.enqueue(value, false);
      this.#right.enqueue(value, this.#source.controller.bytes);
      this.#reading = false;
      if (this.#readAgain) this.pull();
    });
  }

  close(): void {
    this.#reading = false;
    const open = !this.#left.cancelled || !this.#right.cancelled;
    this.#left.close();
    this.#right.close();
    if (open) this.#cancelled.resolve(undefined);
  }

  error(): void {
    this.#reading = false;
  }
}

class Branch implements Source {
  readonly stream = new ReadableCore();
  readonly #tee: Tee;
  cancelled = false;
  reason: unknown = undefined;

  constructor(tee: Tee) {
    this.#tee = tee;
  }

  start(bytes: boolean): void {
    const controller = bytes
      ? new ByteController(this.stream, this, 0, 0)
      : new DefaultController(this.stream, this, 1, null);
    controller.start(promiseResolve(undefined));
  }

  pull(): undefined {
    this.#tee.pull();
  }

  cancel(reason: unknown): Promise<undefined> {
    this.cancelled = true;
    this.reason = reason;
    return this.#tee.cancel();
  }

  enqueue(chunk: unknown, copy: boolean): void {
    if (this.cancelled) return;
    const { controller } = this.stream;
    if (!(controller instanceof ByteController)) {
      (controller as DefaultController).enqueue(chunk);
      return;
    }
    if (TypedArrayTag(chunk) === undefined) return;
    const view = chunk as Uint8Array;
    const offset = viewOffset(view);
    const length = viewLength(view);
    // The second branch's copy is made before the first one's reader can run.
    if (copy) controller.enqueue(ArrayBufferSlice(viewBuffer(view), offset, offset + length), 0, length);
    else controller.enqueue(viewBuffer(view), offset, length);
  }

  close(): void {
    if (this.cancelled) return;
    const { controller } = this.stream;
    if (!(controller instanceof ByteController)) {
      (controller as DefaultController).close();
      return;
    }
    controller.close();
    if (controller.hasPending) controller.respond(0);
  }

  error(reason: unknown): void {
    (this.stream.controller as DefaultController | ByteController).error(reason);
  }
}
