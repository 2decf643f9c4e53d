import * as wire from "../../wire/ops.ts";
import {
  ArrayBufferIsView,
  isArrayBuffer,
  MathMin,
  markHandled,
  TypedArrayLength,
  TypedArrayTag,
  Uint8ArrayNative,
  viewBuffer,
  viewLength,
  viewOffset,
} from "../web/primordials.ts";
import type { ReadableStream } from "../web/streams.ts";
import type { Channel } from "./channel.ts";
import { describeError } from "./describe-error.ts";
import { Table } from "./table.ts";

/** The language's own, whatever the Worker puts in its place. */
const PromiseNative = Promise;

/** Streams that the guest produces and the host consumes, with credit so that neither side buffers without bound. */
export class OutStreams {
  readonly #channel: Channel;
  readonly #open: Table<Pump> = new Table();
  #last = 0;

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  /**
   * Begins to send a stream, or bytes that are too many for one window, and gives its number. The first chunk crosses in the same turn at the earliest.
   * @param done called once, when the last byte was sent, the stream failed, or nobody reads it any more.
   */
  send(source: ReadableStream | Uint8Array, done: () => void): number {
    const id = ++this.#last;
    const pump = new Pump(this.#channel, id, source, () => {
      this.#open.take(id);
      done();
    });
    this.#open.set(id, pump);
    void pump.run();
    return id;
  }

  credit(id: number, bytes: number): void {
    this.#open.get(id)?.credit(bytes);
  }

  cancelled(id: number): void {
    this.#open.get(id)?.cancel();
  }
}

class Pump {
  readonly #channel: Channel;
  readonly #id: number;
  readonly #source: ReadableStream | Uint8Array;
  readonly #done: () => void;
  #credit: number = wire.CREDIT;
  #wake: (() => void) | null = null;
  #cancelled = false;
  #reader: {
    read(): Promise<{ done: boolean; value?: unknown }>;
    cancel(reason?: unknown): Promise<void>;
  } | null = null;

  constructor(channel: Channel, id: number, source: ReadableStream | Uint8Array, done: () => void) {
    this.#channel = channel;
    this.#id = id;
    this.#source = source;
    this.#done = done;
  }

  credit(bytes: number): void {
    this.#credit += bytes;
    if (this.#credit > 0) this.#wake?.();
  }

  cancel(): void {
    if (this.#cancelled) return;
    this.#cancelled = true;
    this.#wake?.();
    if (this.#reader !== null) {
      markHandled(this.#reader.cancel(new TypeError("nobody reads this stream any more")));
    }
  }

  async run(): Promise<void> {
    try {
      await null;
      const source = this.#source;
      if (TypedArrayTag(source) !== undefined) {
        await this.#write(source as Uint8Array);
        if (!this.#cancelled) this.#channel.one(wire.OUT_END, this.#id);
        this.#done();
        return;
      }
      const reader = (source as ReadableStream).getReader();
      this.#reader = reader;
      while (!this.#cancelled) {
        const { done, value } = await reader.read();
        if (this.#cancelled) break;
        if (done) {
          this.#channel.one(wire.OUT_END, this.#id);
          break;
        }
        await this.#write(asBytes(value));
      }
    } catch (error) {
      const channel = this.#channel;
      const at = channel.begin(wire.OUT_STREAM_FAILED);
      channel.ints[at] = this.#id;
      channel.ints[at + 1] = channel.text(describeError(error).message);
    }
    this.#done();
  }

  async #write(bytes: Uint8Array): Promise<void> {
    const channel = this.#channel;
    const size = TypedArrayLength(bytes);
    for (let from = 0; from < size && !this.#cancelled; ) {
      while (this.#credit <= 0 && !this.#cancelled) {
        await new PromiseNative<void>((resolve) => {
          this.#wake = resolve;
        });
        this.#wake = null;
      }
      if (this.#cancelled) return;
      const length = MathMin(size - from, this.#credit, wire.WINDOW);
      const offset = channel.bytes(
        new Uint8ArrayNative(viewBuffer(bytes), viewOffset(bytes) + from, length),
        length,
      );
      const at = channel.begin(wire.OUT_WRITE);
      channel.ints[at] = this.#id;
      channel.ints[at + 1] = offset;
      channel.ints[at + 2] = length;
      this.#credit -= length;
      from += length;
    }
  }
}

/** Response and request streams carry bytes only (Fetch §6.2.6, "transmit body"). */
function asBytes(value: unknown): Uint8Array {
  if (ArrayBufferIsView(value)) {
    return TypedArrayTag(value) === "Uint8Array"
      ? (value as Uint8Array)
      : new Uint8ArrayNative(viewBuffer(value), viewOffset(value), viewLength(value));
  }
  if (isArrayBuffer(value)) return new Uint8ArrayNative(value);
  throw new TypeError("This stream is a body, so its chunks must be bytes (Uint8Array), not other values");
}
