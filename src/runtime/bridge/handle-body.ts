import * as wire from "../../wire/ops.ts";
import type { HostBody } from "../host-body.ts";
import { type AbortSignal, addAbortAlgorithm, removeAbortAlgorithm } from "../web/abort.ts";
import { joinPieces } from "../web/pieces.ts";
import {
  Deferred,
  ObjectCreate,
  TypedArrayLength,
  viewBuffer,
  viewLength,
  viewOffset,
} from "../web/primordials.ts";
import { ByteController } from "../web/streams/readable-bytes.ts";
import { ReadableCore, type Source } from "../web/streams/readable-core.ts";
import { makeReadable, type ReadableStream } from "../web/streams/readable-stream.ts";
import type { Channel } from "./channel.ts";
import { Table } from "./table.ts";

interface Reader {
  chunk(bytes: Uint8Array): void;
  text(text: string): void;
  end(): void;
  fail(error: unknown): void;
}

/** All bodies that are being read, and the way to the host. One for each isolate. */
export class BodyReaders {
  readonly channel: Channel;
  readonly #readers: Table<Reader> = new Table();
  #lastSplit = 0;

  constructor(channel: Channel) {
    this.channel = channel;
  }

  /** Asks the host for what `op` names; the answers go to `reader`. */
  ask(op: number, id: number, reader: Reader): void {
    this.#readers.set(id, reader);
    this.channel.one(op, id);
  }

  /** A number for a body that the guest makes by splitting; the host's own are positive. */
  mint(): number {
    return --this.#lastSplit;
  }

  chunk(id: number, bytes: Uint8Array): void {
    this.#readers.get(id)?.chunk(bytes);
  }

  text(id: number, text: string): void {
    this.#readers.take(id)?.text(text);
  }

  end(id: number): void {
    this.#readers.take(id)?.end();
  }

  fail(id: number, error: Error): void {
    this.#readers.take(id)?.fail(error);
  }

  forget(id: number): void {
    this.#readers.take(id);
  }
}

/** A body on the host, seen from the guest. */
export class HandleBody implements HostBody {
  readonly length: number;
  readonly #readers: BodyReaders;
  readonly #id: number;
  #stream: ReadableStream | null = null;
  #reader: Reader | null = null;
  #signal: AbortSignal | null = null;
  #abort: (() => void) | null = null;

  constructor(readers: BodyReaders, id: number, length: number) {
    this.#readers = readers;
    this.#id = id;
    this.length = length;
  }

  /** The handle's number, for the record that passes the body on. The handle is then used up. */
  get id(): number {
    this.over();
    return this.#id;
  }

  /** Breaks off with the signal's reason when that aborts before the body has come whole (Fetch §5.6, "abort fetch"). */
  follow(signal: AbortSignal): void {
    this.#signal = signal;
    this.#abort = () => {
      this.#abort = null;
      this.cancel();
      this.#reader?.fail(signal.reason);
    };
    addAbortAlgorithm(signal, this.#abort);
  }

  /** The body has ended, failed, or gone elsewhere: nothing is left to abort. */
  over(): void {
    if (this.#abort === null) return;
    removeAbortAlgorithm(this.#signal as AbortSignal, this.#abort);
    this.#abort = null;
  }

  text(): Promise<string> {
    const whole = new WholeText(this);
    this.#read(wire.OUT_READ_TEXT, whole);
    return whole.promise;
  }

  bytes(): Promise<Uint8Array> {
    const whole = new WholeBytes(this);
    this.#read(wire.OUT_READ_BYTES, whole);
    return whole.promise;
  }

  stream(): ReadableStream {
    if (this.#stream !== null) return this.#stream;
    const source = new HandleSource(this, this.#readers, this.#id);
    this.#stream = source.stream;
    this.#reader = source;
    if (this.#isAborted) source.fail(this.#signal?.reason);
    return this.#stream;
  }

  tee(): [HostBody, HostBody] {
    const readers = this.#readers;
    const first = new HandleBody(readers, readers.mint(), this.length);
    const second = new HandleBody(readers, readers.mint(), this.length);
    const { channel } = readers;
    const at = channel.begin(wire.OUT_TEE);
    channel.ints[at] = this.#id;
    channel.ints[at + 1] = first.#id;
    channel.ints[at + 2] = second.#id;
    if (this.#signal !== null) {
      first.follow(this.#signal);
      second.follow(this.#signal);
    }
    this.over();
    return [first, second];
  }

  cancel(): void {
    this.over();
    this.#readers.forget(this.#id);
    this.#readers.channel.one(wire.OUT_CANCEL, this.#id);
  }

  /** The signal has aborted, and the body was not whole then. */
  get #isAborted(): boolean {
    return this.#signal !== null && this.#abort === null && this.#signal.aborted;
  }

  #read(op: number, reader: Reader): void {
    if (this.#isAborted) {
      reader.fail(this.#signal?.reason);
      return;
    }
    this.#reader = reader;
    this.#readers.ask(op, this.#id, reader);
  }
}

class WholeText extends Deferred<string> implements Reader {
  readonly #body: HandleBody;

  constructor(body: HandleBody) {
    super();
    this.#body = body;
  }

  chunk(): void {}

  text(text: string): void {
    this.#body.over();
    this.resolve(text);
  }

  end(): void {
    this.text("");
  }

  fail(error: unknown): void {
    this.#body.over();
    this.reject(error);
  }
}

class WholeBytes extends Deferred<Uint8Array> implements Reader {
  readonly #body: HandleBody;
  #pieces: Record<number, Uint8Array> = ObjectCreate(null) as Record<number, Uint8Array>;
  #count = 0;
  #size = 0;

  constructor(body: HandleBody) {
    super();
    this.#body = body;
  }

  chunk(bytes: Uint8Array): void {
    this.#pieces[this.#count++] = bytes;
    this.#size += TypedArrayLength(bytes);
  }

  text(): void {}

  end(): void {
    this.#body.over();
    const first = this.#pieces[0];
    if (this.#count === 1 && first !== undefined) {
      this.resolve(first);
      return;
    }
    this.resolve(joinPieces(this.#pieces, this.#count, this.#size));
  }

  fail(error: unknown): void {
    this.#body.over();
    this.reject(error);
  }
}

/** Feeds a byte stream: asks for one piece at a time, when somebody reads. */
class HandleSource implements Source, Reader {
  readonly stream: ReadableStream;
  readonly #body: HandleBody;
  readonly #readers: BodyReaders;
  readonly #id: number;
  readonly #controller: ByteController;
  #waiting = false;

  constructor(body: HandleBody, readers: BodyReaders, id: number) {
    this.#body = body;
    this.#readers = readers;
    this.#id = id;
    const core = new ReadableCore();
    this.#controller = new ByteController(core, this, 0, 0);
    this.#controller.start(null);
    this.stream = makeReadable(core);
  }

  pull(): undefined {
    if (this.#waiting) return;
    this.#waiting = true;
    this.#readers.ask(wire.OUT_PULL, this.#id, this);
  }

  cancel(): undefined {
    this.#body.cancel();
  }

  chunk(bytes: Uint8Array): void {
    this.#waiting = false;
    this.#controller.enqueue(viewBuffer(bytes), viewOffset(bytes), viewLength(bytes));
  }

  text(): void {}

  end(): void {
    this.#body.over();
    const controller = this.#controller;
    controller.close();
    if (controller.hasPending) controller.respond(0);
  }

  fail(error: unknown): void {
    this.#body.over();
    this.#controller.error(error);
  }
}
