import { PromiseThen, promiseReject, promiseResolve } from "../primordials.ts";
import { defineInterface, illegalConstructor, internal, isObject } from "../webidl.ts";
import { Fifo } from "./fifo.ts";
import type { ReadableController, ReadableCore, ReadRequest, Source } from "./readable-core.ts";
import { checkSize, type SizeOf } from "./strategy.ts";

/** A stream's queue of chunks of any kind (Streams §4.5). */
export class DefaultController implements ReadableController {
  readonly bytes = false;
  readonly #stream: ReadableCore;
  readonly #chunks = new Fifo<unknown>();
  readonly #sizes = new Fifo<number>();
  #total = 0;
  readonly #highWaterMark: number;
  #size: SizeOf;
  #source: Source | null;
  #started = false;
  #closeRequested = false;
  #pulling = false;
  #pullAgain = false;

  constructor(stream: ReadableCore, source: Source, highWaterMark: number, size: SizeOf) {
    this.#stream = stream;
    this.#source = source;
    this.#highWaterMark = highWaterMark;
    this.#size = size;
    stream.controller = this;
  }

  /** @param promise the source's `start`; null for a source that needs none. */
  start(promise: Promise<unknown> | null): void {
    if (promise === null) {
      this.#started = true;
      this.callPull();
      return;
    }
    PromiseThen(
      promise,
      () => {
        this.#started = true;
        this.callPull();
      },
      (reason) => this.error(reason),
    );
  }

  get desiredSize(): number | null {
    const { state } = this.#stream;
    if (state === "errored") return null;
    return state === "closed" ? 0 : this.#highWaterMark - this.#total;
  }

  get canEnqueue(): boolean {
    return !this.#closeRequested && this.#stream.state === "readable";
  }

  /** True when nobody waits and the queue is full. */
  get hasBackpressure(): boolean {
    return !this.#wantsMore();
  }

  enqueue(chunk: unknown): void {
    if (!this.canEnqueue) return;
    if (this.#stream.waiting(false) > 0) {
      this.#stream.fulfill(chunk, false);
    } else {
      let size = 1;
      try {
        if (this.#size !== null) size = checkSize(this.#size(chunk));
      } catch (error) {
        this.error(error);
        throw error;
      }
      this.#chunks.push(chunk);
      this.#sizes.push(size);
      this.#total += size;
    }
    this.callPull();
  }

  close(): void {
    if (!this.canEnqueue) return;
    this.#closeRequested = true;
    if (this.#chunks.length > 0) return;
    this.#clear();
    this.#stream.close();
  }

  error(reason: unknown): void {
    if (this.#stream.state !== "readable") return;
    this.#reset();
    this.#clear();
    this.#stream.error(reason);
  }

  pullSteps(request: ReadRequest): void {
    if (this.#chunks.length === 0) {
      (this.#stream.reader as NonNullable<ReadableCore["reader"]>).requests.push(request);
      this.callPull();
      return;
    }
    const chunk = this.#chunks.shift();
    this.#total -= this.#sizes.shift();
    // Rounding may leave less than nothing (Streams §8.1).
    if (this.#total < 0) this.#total = 0;
    if (this.#closeRequested && this.#chunks.length === 0) {
      this.#clear();
      this.#stream.close();
    } else {
      this.callPull();
    }
    request.chunk(chunk);
  }

  cancelSteps(reason: unknown): Promise<unknown> {
    this.#reset();
    const source = this.#source;
    const result = source === null ? undefined : source.cancel(reason);
    this.#clear();
    return result ?? promiseResolve(undefined);
  }

  releaseSteps(): void {}

  #wantsMore(): boolean {
    if (!this.canEnqueue || !this.#started) return false;
    return this.#stream.waiting(false) > 0 || this.#highWaterMark - this.#total > 0;
  }

  callPull(): void {
    if (this.#source === null || !this.#wantsMore()) return;
    if (this.#pulling) {
      this.#pullAgain = true;
      return;
    }
    this.#pulling = true;
    const result = this.#source.pull();
    if (result === undefined) this.#pulled();
    else PromiseThen(result, this.#onPulled, this.#onFailed);
  }

  readonly #onPulled = (): void => this.#pulled();
  readonly #onFailed = (reason: unknown): void => this.error(reason);

  #pulled(): void {
    this.#pulling = false;
    if (!this.#pullAgain) return;
    this.#pullAgain = false;
    this.callPull();
  }

  #reset(): void {
    this.#chunks.clear();
    this.#sizes.clear();
    this.#total = 0;
  }

  #clear(): void {
    this.#source = null;
    this.#size = null;
  }
}

/** Streams §4.5, as a Worker's underlying source sees it. */
export class ReadableStreamDefaultController {
  readonly #core: DefaultController;

  constructor(token?: unknown, core?: DefaultController) {
    if (token !== internal) throw illegalConstructor();
    this.#core = core as DefaultController;
  }

  get desiredSize(): number | null {
    return this.#core.desiredSize;
  }

  close(): void {
    if (!this.#core.canEnqueue) throw new TypeError("cannot close: the stream is closed or errored");
    this.#core.close();
  }

  enqueue(chunk?: unknown): void {
    if (!this.#core.canEnqueue) throw new TypeError("cannot enqueue: the stream is closed or errored");
    this.#core.enqueue(chunk);
  }

  error(reason?: unknown): void {
    this.#core.error(reason);
  }
}

defineInterface(ReadableStreamDefaultController, "ReadableStreamDefaultController", 0, {
  enqueue: 0,
  error: 0,
});

/**
 * Web IDL §3.2.24, "a promise resolved with": unlike a promise that is handed on, settled two turns after `value`. By
 * reactions, since resolving with a promise would look up its `then`, which a Worker may have replaced.
 */
export function promiseOf(value: unknown): Promise<unknown> {
  const promise = promiseResolve(value);
  return isObject(value) ? PromiseThen(PromiseThen(promise, nothing), nothing) : promise;
}

function nothing(): void {}

/** Runs a function of a Worker and makes a promise of what comes of it. */
export function promiseCall(call: () => unknown): Promise<unknown> {
  try {
    return promiseResolve(call());
  } catch (error) {
    return promiseReject(error);
  }
}
