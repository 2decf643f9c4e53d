import * as wire from "../../wire/ops.ts";
import type { HostBody } from "../host-body.ts";
import { ObjectCreate, TypedArrayLength, TypedArraySet, Uint8ArrayNative } from "../web/primordials.ts";
import { ReadableStream } from "../web/streams.ts";
import type { Channel } from "./channel.ts";
import { Table } from "./table.ts";

interface Reader {
  chunk(bytes: Uint8Array): void;
  text(text: string): void;
  end(): void;
  fail(error: Error): void;
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

  constructor(readers: BodyReaders, id: number, length: number) {
    this.#readers = readers;
    this.#id = id;
    this.length = length;
  }

  /** The handle's number, for the record that passes the body on. The handle is then used up. */
  get id(): number {
    return this.#id;
  }

  text(): Promise<string> {
    return new Promise((resolve, reject) => {
      this.#readers.ask(wire.OUT_READ_TEXT, this.#id, new WholeText(resolve, reject));
    });
  }

  bytes(): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      this.#readers.ask(wire.OUT_READ_BYTES, this.#id, new WholeBytes(resolve, reject));
    });
  }

  stream(): ReadableStream {
    this.#stream ??= streamOf(this.#readers, this.#id);
    return this.#stream;
  }

  tee(): [HostBody, HostBody] {
    const readers = this.#readers;
    const first = readers.mint();
    const second = readers.mint();
    const { channel } = readers;
    const at = channel.begin(wire.OUT_TEE);
    channel.ints[at] = this.#id;
    channel.ints[at + 1] = first;
    channel.ints[at + 2] = second;
    return [new HandleBody(readers, first, this.length), new HandleBody(readers, second, this.length)];
  }

  cancel(): void {
    this.#readers.forget(this.#id);
    this.#readers.channel.one(wire.OUT_CANCEL, this.#id);
  }
}

class WholeText implements Reader {
  readonly #resolve: (text: string) => void;
  readonly #reject: (error: Error) => void;

  constructor(resolve: (text: string) => void, reject: (error: Error) => void) {
    this.#resolve = resolve;
    this.#reject = reject;
  }

  chunk(): void {}

  text(text: string): void {
    this.#resolve(text);
  }

  end(): void {
    this.#resolve("");
  }

  fail(error: Error): void {
    this.#reject(error);
  }
}

class WholeBytes implements Reader {
  readonly #resolve: (bytes: Uint8Array) => void;
  readonly #reject: (error: Error) => void;
  #pieces: Record<number, Uint8Array> = ObjectCreate(null) as Record<number, Uint8Array>;
  #count = 0;
  #size = 0;

  constructor(resolve: (bytes: Uint8Array) => void, reject: (error: Error) => void) {
    this.#resolve = resolve;
    this.#reject = reject;
  }

  chunk(bytes: Uint8Array): void {
    this.#pieces[this.#count++] = bytes;
    this.#size += TypedArrayLength(bytes);
  }

  text(): void {}

  end(): void {
    const first = this.#pieces[0];
    if (this.#count === 1 && first !== undefined) {
      this.#resolve(first);
      return;
    }
    const whole = new Uint8ArrayNative(this.#size);
    let at = 0;
    for (let i = 0; i < this.#count; i++) {
      const piece = this.#pieces[i] as Uint8Array;
      TypedArraySet(whole, piece, at);
      at += TypedArrayLength(piece);
    }
    this.#resolve(whole);
  }

  fail(error: Error): void {
    this.#reject(error);
  }
}

interface ByteController {
  enqueue(chunk: Uint8Array): void;
  close(): void;
  error(reason: unknown): void;
}

function streamOf(readers: BodyReaders, id: number): ReadableStream {
  let settle: (() => void) | null = null;
  let controller: ByteController | null = null;
  const reader: Reader = {
    chunk(bytes) {
      controller?.enqueue(bytes);
      settle?.();
    },
    text() {},
    end() {
      controller?.close();
      settle?.();
    },
    fail(error) {
      controller?.error(error);
      settle?.();
    },
  };
  return new ReadableStream(
    {
      pull(pulled: ByteController): Promise<void> {
        controller = pulled;
        return new Promise((resolve) => {
          settle = resolve;
          readers.ask(wire.OUT_PULL, id, reader);
        });
      },
      cancel(): void {
        readers.forget(id);
        readers.channel.one(wire.OUT_CANCEL, id);
      },
    },
    { highWaterMark: 0 },
  );
}
