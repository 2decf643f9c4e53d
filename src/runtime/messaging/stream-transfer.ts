import { Deferred, markHandled, promiseReject, promiseResolve } from "../web/primordials.ts";
import { Pipe } from "../web/streams/pipe.ts";
import { ReadableCore, type Source } from "../web/streams/readable-core.ts";
import { DefaultController } from "../web/streams/readable-default.ts";
import { makeReadable, type ReadableStream, readableCore } from "../web/streams/readable-stream.ts";
import { makeTransform, type TransformStream, transformSides } from "../web/streams/transform-stream.ts";
import { type Sink, WritableCore } from "../web/streams/writable-core.ts";
import { makeWritable, type WritableStream, writableCore } from "../web/streams/writable-stream.ts";
import { cloneWith } from "../web/structured-clone.ts";
import { cannotTransfer, type Move, Transfer } from "../web/transfer.ts";

/**
 * The link between a transferred stream and its receiver: a writable side whose chunks, cloned, are those of a readable
 * one (Streams §8.2, cross-realm transforms; one isolate needs no ports for it).
 */
class Link implements Sink, Source {
  readonly readable = new ReadableCore();
  readonly writable: WritableCore;
  readonly #controller: DefaultController;
  /** Settled as long as the readable side wants more. */
  #wanted = new Deferred<undefined>();

  constructor() {
    this.writable = new WritableCore(this, 1, null);
    this.#controller = new DefaultController(this.readable, this, 0, null);
    this.writable.start(null);
    this.#controller.start(null);
  }

  async write(chunk: unknown): Promise<undefined> {
    await this.#wanted.promise;
    this.#wanted = new Deferred();
    let copy: unknown;
    try {
      copy = cloneWith(chunk, new Transfer(undefined));
    } catch (error) {
      this.#controller.error(error);
      throw error;
    }
    if (this.#controller.canEnqueue) this.#controller.enqueue(copy);
  }

  close(): Promise<undefined> {
    this.#controller.close();
    return promiseResolve(undefined);
  }

  abort(reason: unknown): Promise<undefined> {
    try {
      this.#controller.error(cloneWith(reason, new Transfer(undefined)));
    } catch (error) {
      this.#controller.error(error);
      return promiseReject(error);
    }
    return promiseResolve(undefined);
  }

  pull(): Promise<undefined> {
    this.#wanted.resolve(undefined);
    return promiseResolve(undefined);
  }

  cancel(reason: unknown): Promise<undefined> {
    try {
      this.writable.errorIfNeeded(cloneWith(reason, new Transfer(undefined)));
    } catch (error) {
      this.writable.errorIfNeeded(error);
      return promiseReject(error);
    } finally {
      this.#wanted.resolve(undefined);
    }
    return promiseResolve(undefined);
  }
}

function pipe(source: ReadableCore, destination: WritableCore): void {
  markHandled(new Pipe(source, destination, false, false, false, null).promise);
}

/** Streams §4.2.5. */
export class ReadableMove implements Move {
  readonly receiver: ReadableStream;
  readonly #core: ReadableCore;
  readonly #link = new Link();

  constructor(stream: ReadableStream) {
    this.#core = readableCore(stream);
    this.receiver = makeReadable(this.#link.readable);
  }

  check(): void {
    if (this.#core.locked) throw cannotTransfer("a ReadableStream is locked");
  }

  move(): void {
    pipe(this.#core, this.#link.writable);
  }
}

/** Streams §5.2.5. */
export class WritableMove implements Move {
  readonly receiver: WritableStream;
  readonly #core: WritableCore;
  readonly #link = new Link();

  constructor(stream: WritableStream) {
    this.#core = writableCore(stream);
    this.receiver = makeWritable(this.#link.writable);
  }

  check(): void {
    if (this.#core.locked) throw cannotTransfer("a WritableStream is locked");
  }

  move(): void {
    pipe(this.#link.readable, this.#core);
  }
}

/** Streams §6.2.4: both sides are transferred. */
export class TransformMove implements Move {
  readonly receiver: TransformStream;
  readonly #readable: ReadableMove;
  readonly #writable: WritableMove;

  constructor(stream: TransformStream) {
    const sides = transformSides(stream);
    this.#readable = new ReadableMove(sides.readable);
    this.#writable = new WritableMove(sides.writable);
    this.receiver = makeTransform(this.#readable.receiver, this.#writable.receiver);
  }

  check(): void {
    this.#readable.check();
    this.#writable.check();
  }

  move(): void {
    this.#readable.move();
    this.#writable.move();
  }
}
