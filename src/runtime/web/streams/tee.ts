import { Deferred, PromiseThen, promiseResolve } from "../primordials.ts";
import { ByteTee } from "./byte-tee.ts";
import { ReadableCore, ReaderCore, type ReadRequest, type Source } from "./readable-core.ts";
import { DefaultController } from "./readable-default.ts";

/** Two streams that yield the same (Streams §4.9.1, ReadableStreamTee). The branches of a byte stream are byte streams. */
export function teeStream(source: ReadableCore): {
  readonly first: ReadableCore;
  readonly second: ReadableCore;
} {
  return source.controller.bytes ? new ByteTee(source) : new DefaultTee(source);
}

/** Streams §4.9.1, ReadableStreamDefaultTee: both branches get the same chunks. */
class DefaultTee implements ReadRequest {
  readonly first: ReadableCore;
  readonly second: ReadableCore;
  readonly #source: ReadableCore;
  readonly #reader: ReaderCore;
  readonly #cancelled = new Deferred<undefined>();
  #reading = false;
  #readAgain = false;
  readonly #left: Branch;
  readonly #right: Branch;

  constructor(source: ReadableCore) {
    this.#source = source;
    this.#reader = new ReaderCore(source, false);
    this.#left = new Branch(this);
    this.#right = new Branch(this);
    this.first = this.#left.stream;
    this.second = this.#right.stream;
    this.#left.start();
    this.#right.start();
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
      this.#left.enqueue(value);
      this.#right.enqueue(value);
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
  readonly #tee: DefaultTee;
  cancelled = false;
  reason: unknown = undefined;

  constructor(tee: DefaultTee) {
    this.#tee = tee;
  }

  start(): void {
    new DefaultController(this.stream, this, 1, null).start(promiseResolve(undefined));
  }

  pull(): undefined {
    this.#tee.pull();
  }

  cancel(reason: unknown): Promise<undefined> {
    this.cancelled = true;
    this.reason = reason;
    return this.#tee.cancel();
  }

  enqueue(chunk: unknown): void {
    if (!this.cancelled) (this.stream.controller as DefaultController).enqueue(chunk);
  }

  close(): void {
    if (!this.cancelled) (this.stream.controller as DefaultController).close();
  }

  error(reason: unknown): void {
    (this.stream.controller as DefaultController).error(reason);
  }
}
