import { Deferred, PromiseThen, promiseReject, promiseResolve, ReflectApply } from "../primordials.ts";
import { defineInterface, illegalConstructor, internal, isObject } from "../webidl.ts";
import { ReadableCore, type Source } from "./readable-core.ts";
import { DefaultController, promiseCall, promiseOf } from "./readable-default.ts";
import { makeReadable, type ReadableStream } from "./readable-stream.ts";
import { type QueuingStrategy, type SizeOf, Strategy } from "./strategy.ts";
import { type Sink, WritableCore } from "./writable-core.ts";
import { makeWritable, readMethod, type WritableStream } from "./writable-stream.ts";

export interface Transformer {
  start?(controller: TransformStreamDefaultController): unknown;
  transform?(chunk: never, controller: TransformStreamDefaultController): unknown;
  flush?(controller: TransformStreamDefaultController): unknown;
  cancel?(reason?: unknown): unknown;
  readableType?: undefined;
  writableType?: undefined;
}

/** What a transform does with chunks. Each promise is native. */
export interface TransformAlgorithms {
  transform(chunk: unknown, core: TransformCore): Promise<unknown>;
  flush(core: TransformCore): Promise<unknown>;
  cancel(reason: unknown): Promise<unknown>;
}

/** The state of a TransformStream with its controller (Streams §6.2, §6.3). */
export class TransformCore implements Sink {
  readonly readable: ReadableCore;
  readonly writable: WritableCore;
  readonly #controller: DefaultController;
  #algorithms: TransformAlgorithms | null;
  #backpressure = true;
  #change = new Deferred<undefined>();
  #finish: Deferred<undefined> | null = null;

  /** @param start null when there is nothing to wait for. */
  constructor(
    algorithms: TransformAlgorithms,
    writableMark: number,
    writableSize: SizeOf,
    readableMark: number,
    readableSize: SizeOf,
  ) {
    this.#algorithms = algorithms;
    this.writable = new WritableCore(this, writableMark, writableSize);
    this.readable = new ReadableCore();
    this.#controller = new DefaultController(
      this.readable,
      new TransformSource(this),
      readableMark,
      readableSize,
    );
  }

  start(promise: Promise<unknown> | null): void {
    this.writable.start(promise);
    this.#controller.start(promise);
  }

  get desiredSize(): number | null {
    return this.#controller.desiredSize;
  }

  enqueue(chunk: unknown): void {
    const controller = this.#controller;
    if (!controller.canEnqueue) throw new TypeError("cannot enqueue: the readable side is closed or errored");
    try {
      controller.enqueue(chunk);
    } catch (error) {
      this.#errorWritable(error);
      throw this.readable.storedError;
    }
    if (controller.hasBackpressure !== this.#backpressure) this.#setBackpressure(true);
  }

  error(reason: unknown): void {
    this.#controller.error(reason);
    this.#errorWritable(reason);
  }

  /** Resolves when the readable side wants more; null while it does. */
  get room(): Promise<undefined> | null {
    return this.#backpressure ? this.#change.promise : null;
  }

  terminate(): void {
    this.#controller.close();
    this.#errorWritable(new TypeError("the transform was terminated"));
  }

  write(chunk: unknown): Promise<unknown> {
    return this.#backpressure ? this.#writeLater(chunk) : this.#transform(chunk);
  }

  async #writeLater(chunk: unknown): Promise<unknown> {
    await this.#change.promise;
    if (this.writable.state === "erroring") throw this.writable.storedError;
    return await this.#transform(chunk);
  }

  close(): Promise<unknown> {
    if (this.#finish !== null) return this.#finish.promise;
    const finish = new Deferred<undefined>();
    this.#finish = finish;
    const flushed = this.#algorithms === null ? promiseResolve(undefined) : this.#algorithms.flush(this);
    this.#algorithms = null;
    PromiseThen(
      flushed,
      () => {
        if (this.readable.state === "errored") {
          finish.reject(this.readable.storedError);
        } else {
          this.#controller.close();
          finish.resolve(undefined);
        }
      },
      (reason) => {
        this.#controller.error(reason);
        finish.reject(reason);
      },
    );
    return finish.promise;
  }

  abort(reason: unknown): Promise<unknown> {
    if (this.#finish !== null) return this.#finish.promise;
    const finish = new Deferred<undefined>();
    this.#finish = finish;
    PromiseThen(
      this.#cancelAlgorithm(reason),
      () => {
        if (this.readable.state === "errored") {
          finish.reject(this.readable.storedError);
        } else {
          this.#controller.error(reason);
          finish.resolve(undefined);
        }
      },
      (error) => {
        this.#controller.error(error);
        finish.reject(error);
      },
    );
    return finish.promise;
  }

  /** The readable side was cancelled. */
  cancelled(reason: unknown): Promise<unknown> {
    if (this.#finish !== null) return this.#finish.promise;
    const finish = new Deferred<undefined>();
    this.#finish = finish;
    PromiseThen(
      this.#cancelAlgorithm(reason),
      () => {
        if (this.writable.state === "errored") {
          finish.reject(this.writable.storedError);
        } else {
          this.writable.errorIfNeeded(reason);
          this.#unblock();
          finish.resolve(undefined);
        }
      },
      (error) => {
        this.writable.errorIfNeeded(error);
        this.#unblock();
        finish.reject(error);
      },
    );
    return finish.promise;
  }

  /** The readable side wants more. */
  pulled(): Promise<unknown> {
    this.#setBackpressure(false);
    return this.#change.promise;
  }

  #cancelAlgorithm(reason: unknown): Promise<unknown> {
    const algorithms = this.#algorithms;
    this.#algorithms = null;
    return algorithms === null ? promiseResolve(undefined) : algorithms.cancel(reason);
  }

  #transform(chunk: unknown): Promise<unknown> {
    const algorithms = this.#algorithms;
    if (algorithms === null) return promiseResolve(undefined);
    return PromiseThen(algorithms.transform(chunk, this), undefined, this.#onFailed);
  }

  readonly #onFailed = (reason: unknown): never => {
    this.error(reason);
    throw reason;
  };

  #errorWritable(reason: unknown): void {
    this.#algorithms = null;
    this.writable.errorIfNeeded(reason);
    this.#unblock();
  }

  #unblock(): void {
    if (this.#backpressure) this.#setBackpressure(false);
  }

  #setBackpressure(backpressure: boolean): void {
    this.#change.resolve(undefined);
    this.#change = new Deferred();
    this.#backpressure = backpressure;
  }
}

class TransformSource implements Source {
  readonly #core: TransformCore;

  constructor(core: TransformCore) {
    this.#core = core;
  }

  pull(): Promise<unknown> {
    return this.#core.pulled();
  }

  cancel(reason: unknown): Promise<unknown> {
    return this.#core.cancelled(reason);
  }
}

type Method = (...args: unknown[]) => unknown;

/** A Worker's transformer. */
class UserTransformer implements TransformAlgorithms {
  readonly #object: unknown;
  readonly #transform: Method | null;
  readonly #flush: Method | null;
  readonly #cancel: Method | null;
  readonly #start: Method | null;
  controller!: TransformStreamDefaultController;

  constructor(object: Record<string, unknown> | null) {
    this.#object = object ?? undefined;
    this.#cancel = readMethod(object, "cancel");
    this.#flush = readMethod(object, "flush");
    const readableType = object === null ? undefined : object.readableType;
    this.#start = readMethod(object, "start");
    this.#transform = readMethod(object, "transform");
    const writableType = object === null ? undefined : object.writableType;
    if (readableType !== undefined)
      throw new RangeError("cannot make a TransformStream: readableType is reserved");
    if (writableType !== undefined)
      throw new RangeError("cannot make a TransformStream: writableType is reserved");
  }

  start(): unknown {
    return this.#start === null ? undefined : ReflectApply(this.#start, this.#object, [this.controller]);
  }

  transform(chunk: unknown, core: TransformCore): Promise<unknown> {
    const method = this.#transform;
    if (method !== null)
      return promiseCall(() => ReflectApply(method, this.#object, [chunk, this.controller]));
    try {
      core.enqueue(chunk);
      return promiseResolve(undefined);
    } catch (error) {
      return promiseReject(error);
    }
  }

  flush(): Promise<unknown> {
    const method = this.#flush;
    if (method === null) return promiseResolve(undefined);
    return promiseCall(() => ReflectApply(method, this.#object, [this.controller]));
  }

  cancel(reason: unknown): Promise<unknown> {
    const method = this.#cancel;
    if (method === null) return promiseResolve(undefined);
    // Settled after the writable side has taken note of an error that the method gave the controller.
    return promiseOf(promiseCall(() => ReflectApply(method, this.#object, [reason])));
  }
}

export let isTransformStream: (value: unknown) => value is TransformStream;
/** Both sides, whatever the properties of the public object say. */
export let transformSides: (stream: TransformStream) => {
  readonly readable: ReadableStream;
  readonly writable: WritableStream;
};
/** A public stream over two sides that there are already. */
export let makeTransform: (readable: ReadableStream, writable: WritableStream) => TransformStream;

/** Streams §6.2. */
export class TransformStream {
  readonly #readable: ReadableStream;
  readonly #writable: WritableStream;

  constructor(
    transformer?: Transformer | null,
    writableStrategy?: QueuingStrategy,
    readableStrategy?: QueuingStrategy,
  ) {
    if (transformer === (internal as unknown)) {
      this.#readable = writableStrategy as unknown as ReadableStream;
      this.#writable = readableStrategy as unknown as WritableStream;
      return;
    }
    if (transformer !== undefined && !isObject(transformer)) {
      throw new TypeError("cannot make a TransformStream: transformer is not an object");
    }
    const inbound = new Strategy(writableStrategy);
    const outbound = new Strategy(readableStrategy);
    const user = new UserTransformer((transformer ?? null) as Record<string, unknown> | null);
    const core = new TransformCore(user, inbound.mark(1), inbound.size, outbound.mark(0), outbound.size);
    this.#readable = makeReadable(core.readable);
    this.#writable = makeWritable(core.writable);
    user.controller = new TransformStreamDefaultController(internal, core);
    core.start(promiseOf(promiseResolve(user.start())));
  }

  get readable(): ReadableStream {
    return this.#readable;
  }

  get writable(): WritableStream {
    return this.#writable;
  }

  static {
    isTransformStream = (value): value is TransformStream => isObject(value) && #readable in value;
    transformSides = (stream) => ({ readable: stream.#readable, writable: stream.#writable });
    makeTransform = (readable, writable) =>
      new TransformStream(internal as never, readable as never, writable as never);
  }
}

/** Streams §6.3. */
export class TransformStreamDefaultController {
  readonly #core: TransformCore;

  constructor(token?: unknown, core?: TransformCore) {
    if (token !== internal) throw illegalConstructor();
    this.#core = core as TransformCore;
  }

  get desiredSize(): number | null {
    return this.#core.desiredSize;
  }

  enqueue(chunk?: unknown): void {
    this.#core.enqueue(chunk);
  }

  error(reason?: unknown): void {
    this.#core.error(reason);
  }

  terminate(): void {
    this.#core.terminate();
  }
}

defineInterface(TransformStream, "TransformStream");
defineInterface(TransformStreamDefaultController, "TransformStreamDefaultController", 0, {
  enqueue: 0,
  error: 0,
});
