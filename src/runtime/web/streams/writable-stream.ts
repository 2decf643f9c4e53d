import type { AbortSignal } from "../abort.ts";
import { bindFrame } from "../async-context.ts";
import { promiseReject, promiseResolve, ReflectApply } from "../primordials.ts";
import { defineInterface, illegalConstructor, internal, isObject, requireArguments } from "../webidl.ts";
import { promiseCall } from "./readable-default.ts";
import { type QueuingStrategy, Strategy } from "./strategy.ts";
import { type Sink, WritableCore, WriterCore } from "./writable-core.ts";

export interface UnderlyingSink {
  start?(controller: WritableStreamDefaultController): unknown;
  write?(chunk: never, controller: WritableStreamDefaultController): unknown;
  close?(): unknown;
  abort?(reason?: unknown): unknown;
  type?: undefined;
}

type Method = (...args: unknown[]) => unknown;

/** A member of an underlying source, sink or transformer: a function, called in the frame of the stream's making, or absent. */
export function readMethod(dictionary: Record<string, unknown> | null, name: string): Method | null {
  const value = dictionary === null ? undefined : dictionary[name];
  if (value === undefined) return null;
  if (typeof value !== "function") throw new TypeError(`cannot make a stream: ${name} is not a function`);
  return bindFrame(value as Method);
}

/** A Worker's underlying sink. */
class UserSink implements Sink {
  readonly #object: unknown;
  readonly #abort: Method | null;
  readonly #close: Method | null;
  readonly #write: Method | null;
  readonly #start: Method | null;
  controller!: WritableStreamDefaultController;

  constructor(object: Record<string, unknown> | null) {
    this.#object = object ?? undefined;
    this.#abort = readMethod(object, "abort");
    this.#close = readMethod(object, "close");
    this.#start = readMethod(object, "start");
    const type = object === null ? undefined : object.type;
    this.#write = readMethod(object, "write");
    if (type !== undefined) throw new RangeError("cannot make a WritableStream: type is reserved");
  }

  start(): unknown {
    return this.#start === null ? undefined : ReflectApply(this.#start, this.#object, [this.controller]);
  }

  write(chunk: unknown): Promise<unknown> {
    const method = this.#write;
    if (method === null) return promiseResolve(undefined);
    return promiseCall(() => ReflectApply(method, this.#object, [chunk, this.controller]));
  }

  close(): Promise<unknown> {
    const method = this.#close;
    if (method === null) return promiseResolve(undefined);
    return promiseCall(() => ReflectApply(method, this.#object, []));
  }

  abort(reason: unknown): Promise<unknown> {
    const method = this.#abort;
    if (method === null) return promiseResolve(undefined);
    return promiseCall(() => ReflectApply(method, this.#object, [reason]));
  }
}

export let isWritableStream: (value: unknown) => value is WritableStream;
export let writableCore: (stream: WritableStream) => WritableCore;

/** Streams §5.2. */
export class WritableStream {
  readonly #core: WritableCore;

  constructor(underlyingSink?: UnderlyingSink | null, strategy?: QueuingStrategy) {
    if (underlyingSink === (internal as unknown)) {
      this.#core = strategy as unknown as WritableCore;
      return;
    }
    if (underlyingSink !== undefined && !isObject(underlyingSink)) {
      throw new TypeError("cannot make a WritableStream: underlyingSink is not an object");
    }
    const queue = new Strategy(strategy);
    const sink = new UserSink((underlyingSink ?? null) as Record<string, unknown> | null);
    const core = new WritableCore(sink, queue.mark(1), queue.size);
    this.#core = core;
    sink.controller = new WritableStreamDefaultController(internal, core);
    core.start(promiseResolve(sink.start()));
  }

  get locked(): boolean {
    return this.#core.locked;
  }

  abort(reason?: unknown): Promise<undefined> {
    if (!isWritableStream(this)) return promiseReject(new TypeError("cannot abort: not a WritableStream"));
    if (this.#core.locked)
      return promiseReject(new TypeError("cannot abort: the stream is locked to a writer"));
    return this.#core.abort(reason);
  }

  close(): Promise<undefined> {
    if (!isWritableStream(this)) return promiseReject(new TypeError("cannot close: not a WritableStream"));
    if (this.#core.locked)
      return promiseReject(new TypeError("cannot close: the stream is locked to a writer"));
    if (this.#core.closing) return promiseReject(new TypeError("cannot close: the stream is closing"));
    return this.#core.close();
  }

  getWriter(): WritableStreamDefaultWriter {
    return new WritableStreamDefaultWriter(this);
  }

  static {
    isWritableStream = (value): value is WritableStream => isObject(value) && #core in value;
    writableCore = (stream) => stream.#core;
  }
}

/** A public stream over an internal sink that needs no start. */
export function makeWritable(core: WritableCore): WritableStream {
  return new WritableStream(internal as never, core as never);
}

/** Streams §5.3. */
export class WritableStreamDefaultWriter {
  readonly #core: WriterCore;

  constructor(stream: WritableStream) {
    requireArguments(arguments.length, 1, "WritableStreamDefaultWriter constructor");
    if (!isWritableStream(stream)) {
      throw new TypeError("cannot make a writer: stream is not a WritableStream");
    }
    this.#core = new WriterCore(writableCore(stream));
  }

  get closed(): Promise<undefined> {
    if (!(isObject(this) && #core in this)) return promiseReject(wrongReceiver("closed"));
    return this.#core.closed.promise;
  }

  get desiredSize(): number | null {
    if (this.#core.stream === null) throw released();
    return this.#core.desiredSize;
  }

  get ready(): Promise<undefined> {
    if (!(isObject(this) && #core in this)) return promiseReject(wrongReceiver("ready"));
    return this.#core.ready.promise;
  }

  abort(reason?: unknown): Promise<undefined> {
    if (!(isObject(this) && #core in this)) return promiseReject(wrongReceiver("abort"));
    const { stream } = this.#core;
    return stream === null ? promiseReject(released()) : stream.abort(reason);
  }

  close(): Promise<undefined> {
    if (!(isObject(this) && #core in this)) return promiseReject(wrongReceiver("close"));
    const { stream } = this.#core;
    if (stream === null) return promiseReject(released());
    if (stream.closing) return promiseReject(new TypeError("cannot close: the stream is closing"));
    return stream.close();
  }

  releaseLock(): void {
    this.#core.release();
  }

  write(chunk?: unknown): Promise<undefined> {
    if (!(isObject(this) && #core in this)) return promiseReject(wrongReceiver("write"));
    const { stream } = this.#core;
    return stream === null ? promiseReject(released()) : stream.write(this.#core, chunk);
  }
}

function released(): TypeError {
  return new TypeError("cannot use the writer: it was released");
}

function wrongReceiver(what: string): TypeError {
  return new TypeError(`cannot call ${what}: the receiver is not a writer`);
}

/** Streams §5.4. */
export class WritableStreamDefaultController {
  readonly #core: WritableCore;

  constructor(token?: unknown, core?: WritableCore) {
    if (token !== internal) throw illegalConstructor();
    this.#core = core as WritableCore;
  }

  get signal(): AbortSignal {
    return this.#core.signal;
  }

  error(reason?: unknown): void {
    this.#core.errorIfNeeded(reason);
  }
}

defineInterface(WritableStream, "WritableStream", 0, { abort: 0 });
defineInterface(WritableStreamDefaultWriter, "WritableStreamDefaultWriter", 1, { abort: 0, write: 0 });
defineInterface(WritableStreamDefaultController, "WritableStreamDefaultController", 0, { error: 0 });
