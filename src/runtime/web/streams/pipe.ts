import { type AbortSignal, addAbortAlgorithm, removeAbortAlgorithm } from "../abort.ts";
import { Deferred, markHandled, PromiseThen, promiseResolve } from "../primordials.ts";
import { type ReadableCore, ReaderCore, type ReadRequest } from "./readable-core.ts";
import { type WritableCore, WriterCore } from "./writable-core.ts";

/** Streams §4.9.1, ReadableStreamPipeTo: one pipe, from its beginning until both locks are released. */
export class Pipe implements ReadRequest {
  readonly promise: Promise<undefined>;
  readonly #source: ReadableCore;
  readonly #destination: WritableCore;
  readonly #reader: ReaderCore;
  readonly #writer: WriterCore;
  readonly #preventClose: boolean;
  readonly #preventAbort: boolean;
  readonly #preventCancel: boolean;
  readonly #signal: AbortSignal | null;
  readonly #done = new Deferred<undefined>();
  #shuttingDown = false;
  #reading = false;
  /** A chunk that comes now was in the queue; one that comes later comes out of the source's `enqueue`. */
  #inRead = false;
  #currentWrite: Promise<unknown> = promiseResolve(undefined);

  constructor(
    source: ReadableCore,
    destination: WritableCore,
    preventClose: boolean,
    preventAbort: boolean,
    preventCancel: boolean,
    signal: AbortSignal | null,
  ) {
    this.promise = this.#done.promise;
    this.#source = source;
    this.#destination = destination;
    this.#preventClose = preventClose;
    this.#preventAbort = preventAbort;
    this.#preventCancel = preventCancel;
    this.#signal = signal;
    this.#reader = new ReaderCore(source, false);
    this.#writer = new WriterCore(destination);
    source.disturbed = true;
    if (signal !== null) {
      if (signal.aborted) {
        this.#onAbort();
        return;
      }
      addAbortAlgorithm(signal, this.#onAbort);
    }
    this.#watch();
    if (!this.#shuttingDown) this.#step();
  }

  readonly #onAbort = (): void => {
    const error = (this.#signal as AbortSignal).reason;
    this.#shutdown(() => this.#abortBoth(error), true, error);
  };

  /** Stops both ends and waits for both; the first failure is the one that is told. */
  #abortBoth(error: unknown): Promise<unknown> {
    const abort =
      !this.#preventAbort && this.#destination.state === "writable" ? this.#destination.abort(error) : null;
    const cancel =
      !this.#preventCancel && this.#source.state === "readable" ? this.#source.cancel(error) : null;
    if (abort === null || cancel === null) return abort ?? cancel ?? promiseResolve(undefined);
    const both = new Deferred<undefined>();
    let left = 2;
    const one = (): void => {
      if (--left === 0) both.resolve(undefined);
    };
    const failed = (reason: unknown): void => both.reject(reason);
    PromiseThen(abort, one, failed);
    PromiseThen(cancel, one, failed);
    return both.promise;
  }

  #watch(): void {
    const source = this.#source;
    const destination = this.#destination;
    // What has happened already is acted on in the standard's order: errors forward, errors back, closing.
    if (source.state === "errored") {
      this.#sourceErrored(source.storedError);
      return;
    }
    if (destination.state === "errored") {
      this.#destinationErrored(destination.storedError);
      return;
    }
    if (source.state === "closed") {
      this.#sourceClosed();
      return;
    }
    if (destination.closing || destination.state === "closed") {
      const error = new TypeError("cannot pipe: the destination is closed");
      this.#shutdown(this.#preventCancel ? null : () => source.cancel(error), true, error);
      return;
    }
    PromiseThen(
      this.#reader.closedPromise(),
      () => this.#sourceClosed(),
      (error) => this.#sourceErrored(error),
    );
    PromiseThen(this.#writer.closed.promise, undefined, (error) => this.#destinationErrored(error));
  }

  #sourceErrored(error: unknown): void {
    this.#shutdown(this.#preventAbort ? null : () => this.#destination.abort(error), true, error);
  }

  #destinationErrored(error: unknown): void {
    this.#shutdown(this.#preventCancel ? null : () => this.#source.cancel(error), true, error);
  }

  #sourceClosed(): void {
    this.#shutdown(
      this.#preventClose ? null : () => this.#writer.closeWithErrorPropagation(),
      false,
      undefined,
    );
  }

  #step(): void {
    if (this.#shuttingDown || this.#reading) return;
    const writer = this.#writer;
    if (this.#destination.state !== "writable") return;
    if ((writer.desiredSize as number) <= 0) {
      PromiseThen(writer.ready.promise, this.#onReady, ignore);
      return;
    }
    this.#reading = true;
    this.#inRead = true;
    this.#reader.read(this);
    this.#inRead = false;
  }

  readonly #onReady = (): void => this.#step();

  chunk(value: unknown): void {
    if (this.#inRead) {
      this.#write(value);
      return;
    }
    // The sink does not run inside of `enqueue`.
    this.#currentWrite = PromiseThen(settled, () => this.#write(value));
  }

  #write(value: unknown): void {
    this.#reading = false;
    this.#currentWrite = this.#destination.write(this.#writer, value);
    markHandled(this.#currentWrite);
    // Not at once: a source that always has a chunk would never let anything else run.
    PromiseThen(settled, this.#onReady);
  }

  close(): void {
    this.#reading = false;
  }

  error(): void {
    this.#reading = false;
  }

  #shutdown(action: (() => Promise<unknown>) | null, isError: boolean, error: unknown): void {
    if (this.#shuttingDown) return;
    this.#shuttingDown = true;
    const finish = (): void => {
      if (action === null) {
        this.#finalize(isError, error);
        return;
      }
      PromiseThen(
        action(),
        () => this.#finalize(isError, error),
        (reason) => this.#finalize(true, reason),
      );
    };
    if (this.#destination.state === "writable" && !this.#destination.closing) this.#afterWrites(finish);
    else finish();
  }

  /** What was read is written before the pipe ends, also when the source ends with an error. */
  #afterWrites(then: () => void): void {
    const write = this.#currentWrite;
    const next = (): void => {
      if (write === this.#currentWrite) then();
      else this.#afterWrites(then);
    };
    PromiseThen(write, next, next);
  }

  #finalize(isError: boolean, error: unknown): void {
    this.#writer.release();
    this.#reader.release();
    if (this.#signal !== null) removeAbortAlgorithm(this.#signal, this.#onAbort);
    if (isError) this.#done.reject(error);
    else this.#done.resolve(undefined);
  }
}

const settled = promiseResolve(undefined);

function ignore(): void {}
