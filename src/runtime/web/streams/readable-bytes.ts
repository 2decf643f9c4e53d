import {
  ArrayBufferByteLength,
  ArrayBufferDetached,
  ArrayBufferNative,
  ArrayBufferSlice,
  ArrayBufferTransfer,
  ArrayPush,
  MathMin,
  PromiseThen,
  promiseResolve,
  TypedArraySet,
  Uint8ArrayNative,
  viewBuffer,
  viewLength,
  viewOffset,
} from "../primordials.ts";
import type { ViewMaker } from "../view-classes.ts";
import { internal } from "../webidl.ts";
import { invalidate, ReadableStreamBYOBRequest } from "./byob-request.ts";
import { Fifo } from "./fifo.ts";
import { PullInto, QueueEntry } from "./pull-into.ts";
import type { ReadableController, ReadableCore, ReaderCore, ReadRequest, Source } from "./readable-core.ts";

const makeBytes: ViewMaker = (buffer, offset, length) => new Uint8ArrayNative(buffer, offset, length);

/** A stream's queue of bytes (Streams §4.7). */
export class ByteController implements ReadableController {
  readonly bytes = true;
  readonly #stream: ReadableCore;
  readonly #queue = new Fifo<QueueEntry>();
  #total = 0;
  readonly #highWaterMark: number;
  readonly #autoAllocate: number;
  #source: Source | null;
  #started = false;
  #closeRequested = false;
  #pulling = false;
  #pullAgain = false;
  #pending: Fifo<PullInto> = new Fifo();
  #request: ReadableStreamBYOBRequest | null = null;

  /** @param autoAllocate size of the buffers that default reads offer to the source; 0 for none. */
  constructor(stream: ReadableCore, source: Source, highWaterMark: number, autoAllocate: number) {
    this.#stream = stream;
    this.#source = source;
    this.#highWaterMark = highWaterMark;
    this.#autoAllocate = autoAllocate;
    stream.controller = this;
  }

  /** @param promise the source's `start`; null for a source that needs none. */
  start(promise: Promise<unknown> | null): void {
    if (promise === null) {
      this.#started = true;
      this.#callPull();
      return;
    }
    PromiseThen(
      promise,
      () => {
        this.#started = true;
        this.#callPull();
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

  get closeRequested(): boolean {
    return this.#closeRequested;
  }

  get hasPending(): boolean {
    return this.#pending.length > 0;
  }

  get byobRequest(): ReadableStreamBYOBRequest | null {
    if (this.#request === null && this.#pending.length > 0) {
      const first = this.#pending.peek();
      const view = new Uint8ArrayNative(
        first.buffer,
        first.offset + first.filled,
        first.length - first.filled,
      );
      this.#request = new ReadableStreamBYOBRequest(internal, this, view);
    }
    return this.#request;
  }

  /** Takes over `length` bytes of a buffer that nobody else has. */
  enqueue(buffer: ArrayBuffer, offset: number, length: number): void {
    if (!this.canEnqueue) return;
    const stream = this.#stream;
    if (this.#pending.length > 0) {
      const first = this.#pending.peek();
      if (ArrayBufferDetached(first.buffer)) {
        throw new TypeError("cannot enqueue: the buffer of the BYOB request was detached");
      }
      this.#invalidateRequest();
      first.buffer = ArrayBufferTransfer(first.buffer);
      if (first.reader === "none") this.#enqueueDetached(first);
    }
    const { reader } = stream;
    if (reader === null) {
      this.#push(buffer, offset, length);
    } else if (!reader.byob) {
      this.#serveFromQueue(reader);
      if (reader.requests.length === 0) {
        this.#push(buffer, offset, length);
      } else {
        if (this.#pending.length > 0) this.#shiftPending();
        stream.fulfill(new Uint8ArrayNative(buffer, offset, length), false);
      }
    } else {
      this.#push(buffer, offset, length);
      this.#commitFilled();
    }
    this.#callPull();
  }

  close(): void {
    if (!this.canEnqueue) return;
    if (this.#total > 0) {
      this.#closeRequested = true;
      return;
    }
    if (this.#pending.length > 0) {
      const first = this.#pending.peek();
      if (first.filled % first.elementSize !== 0) {
        const error = new TypeError("cannot close: the last element of the BYOB read is incomplete");
        this.error(error);
        throw error;
      }
    }
    this.#source = null;
    this.#stream.close();
  }

  error(reason: unknown): void {
    if (this.#stream.state !== "readable") return;
    this.#clearPending();
    this.#queue.clear();
    this.#total = 0;
    this.#source = null;
    this.#stream.error(reason);
  }

  pullSteps(request: ReadRequest): void {
    if (this.#total > 0) {
      this.#serve(request);
      return;
    }
    if (this.#autoAllocate > 0) {
      let buffer: ArrayBuffer;
      try {
        buffer = new ArrayBufferNative(this.#autoAllocate);
      } catch (error) {
        request.error(error);
        return;
      }
      this.#pending.push(new PullInto(buffer, 0, this.#autoAllocate, 1, 1, makeBytes, "default"));
    }
    (this.#stream.reader as ReaderCore).requests.push(request);
    this.#callPull();
  }

  cancelSteps(reason: unknown): Promise<unknown> {
    this.#clearPending();
    this.#queue.clear();
    this.#total = 0;
    const source = this.#source;
    this.#source = null;
    return (source === null ? undefined : source.cancel(reason)) ?? promiseResolve(undefined);
  }

  releaseSteps(): void {
    if (this.#pending.length === 0) return;
    const first = this.#pending.peek();
    first.reader = "none";
    this.#pending = new Fifo();
    this.#pending.push(first);
  }

  /** A BYOB read (Streams §4.10.11, pull into). @param minimum in elements. */
  pullInto(
    view: ArrayBufferView,
    elementSize: number,
    make: ViewMaker,
    minimum: number,
    request: ReadRequest,
  ): void {
    const offset = viewOffset(view);
    const length = viewLength(view);
    let buffer: ArrayBuffer;
    try {
      buffer = ArrayBufferTransfer(viewBuffer(view));
    } catch (error) {
      request.error(error);
      return;
    }
    const into = new PullInto(buffer, offset, length, minimum * elementSize, elementSize, make, "byob");
    const stream = this.#stream;
    if (this.#pending.length === 0) {
      if (stream.state === "closed") {
        request.close(make(buffer, offset, 0));
        return;
      }
      if (this.#total > 0) {
        if (this.#fill(into)) {
          const filled = into.toView();
          this.#drained();
          request.chunk(filled);
          return;
        }
        if (this.#closeRequested) {
          const error = new TypeError("cannot read: too few bytes are left to fill the view");
          this.error(error);
          request.error(error);
          return;
        }
      }
    }
    this.#pending.push(into);
    (stream.reader as ReaderCore).requests.push(request);
    this.#callPull();
  }

  least(): number {
    const first = this.#pending.peek();
    return first.minimum - first.filled;
  }

  respond(written: number): void {
    const first = this.#pending.peek();
    if (this.#stream.state === "closed") {
      if (written !== 0) throw new TypeError("cannot respond: bytesWritten must be 0 on a closed stream");
    } else {
      if (written === 0) throw new TypeError("cannot respond: bytesWritten must not be 0");
      if (first.filled + written > first.length) {
        throw new RangeError("cannot respond: bytesWritten is more than the view holds");
      }
    }
    first.buffer = ArrayBufferTransfer(first.buffer);
    this.#respond(written);
  }

  respondWithNewView(view: ArrayBufferView): void {
    const first = this.#pending.peek();
    const length = viewLength(view);
    const buffer = viewBuffer(view);
    if (this.#stream.state === "closed") {
      if (length !== 0) throw new TypeError("cannot respond: the view must be empty on a closed stream");
    } else if (length === 0) {
      throw new TypeError("cannot respond: the view must not be empty");
    }
    if (first.offset + first.filled !== viewOffset(view)) {
      throw new RangeError("cannot respond: the view begins elsewhere than the BYOB request's");
    }
    if (first.bufferLength !== ArrayBufferByteLength(buffer)) {
      throw new RangeError("cannot respond: the view's buffer has another size than the BYOB request's");
    }
    if (first.filled + length > first.length) {
      throw new RangeError("cannot respond: the view is larger than the BYOB request's");
    }
    first.buffer = ArrayBufferTransfer(buffer);
    this.#respond(length);
  }

  #respond(written: number): void {
    const first = this.#pending.peek();
    this.#invalidateRequest();
    if (this.#stream.state === "closed") this.#respondClosed(first);
    else this.#respondReadable(first, written);
    this.#callPull();
  }

  #respondClosed(first: PullInto): void {
    if (first.reader === "none") this.#shiftPending();
    const stream = this.#stream;
    while (stream.waiting(true) > 0) this.#commit(this.#shiftPending());
  }

  #respondReadable(first: PullInto, written: number): void {
    first.filled += written;
    if (first.reader === "none") {
      this.#enqueueDetached(first);
      this.#commitFilled();
      return;
    }
    if (first.filled < first.minimum) return;
    this.#shiftPending();
    const remainder = first.filled % first.elementSize;
    if (remainder > 0) {
      const end = first.offset + first.filled;
      this.#push(ArrayBufferSlice(first.buffer, end - remainder, end), 0, remainder);
      first.filled -= remainder;
    }
    const filled = this.#fillPending();
    this.#commit(first);
    for (let i = 0; i < filled.length; i++) this.#commit(filled[i] as PullInto);
  }

  #push(buffer: ArrayBuffer, offset: number, length: number): void {
    this.#queue.push(new QueueEntry(buffer, offset, length));
    this.#total += length;
  }

  /** What a released reader left half filled becomes part of the queue. */
  #enqueueDetached(into: PullInto): void {
    if (into.filled > 0) {
      this.#push(ArrayBufferSlice(into.buffer, into.offset, into.offset + into.filled), 0, into.filled);
    }
    this.#shiftPending();
  }

  #serveFromQueue(reader: ReaderCore): void {
    while (reader.requests.length > 0 && this.#total > 0) this.#serve(reader.requests.shift());
  }

  #serve(request: ReadRequest): void {
    const entry = this.#queue.shift();
    this.#total -= entry.length;
    this.#drained();
    request.chunk(new Uint8ArrayNative(entry.buffer, entry.offset, entry.length));
  }

  #drained(): void {
    if (this.#total === 0 && this.#closeRequested) {
      this.#source = null;
      this.#stream.close();
    } else {
      this.#callPull();
    }
  }

  /** Copies from the queue; true when the buffer has what its reader asked for at least. */
  #fill(into: PullInto): boolean {
    const available = MathMin(this.#total, into.length - into.filled);
    const most = into.filled + available;
    const aligned = most - (most % into.elementSize);
    const ready = aligned >= into.minimum;
    let left = ready ? aligned - into.filled : available;
    while (left > 0) {
      const head = this.#queue.peek();
      const count = MathMin(left, head.length);
      TypedArraySet(
        new Uint8ArrayNative(into.buffer, into.offset + into.filled, count),
        new Uint8ArrayNative(head.buffer, head.offset, count),
      );
      if (head.length === count) {
        this.#queue.shift();
      } else {
        head.offset += count;
        head.length -= count;
      }
      this.#total -= count;
      into.filled += count;
      left -= count;
    }
    return ready;
  }

  #fillPending(): PullInto[] {
    const filled: PullInto[] = [];
    while (this.#pending.length > 0 && this.#total > 0) {
      if (!this.#fill(this.#pending.peek())) break;
      ArrayPush(filled, this.#shiftPending());
    }
    return filled;
  }

  #commitFilled(): void {
    const filled = this.#fillPending();
    for (let i = 0; i < filled.length; i++) this.#commit(filled[i] as PullInto);
  }

  #commit(into: PullInto): void {
    this.#stream.fulfill(into.toView(), this.#stream.state === "closed");
  }

  #shiftPending(): PullInto {
    this.#invalidateRequest();
    return this.#pending.shift();
  }

  #clearPending(): void {
    this.#invalidateRequest();
    this.#pending.clear();
  }

  #invalidateRequest(): void {
    if (this.#request === null) return;
    invalidate(this.#request);
    this.#request = null;
  }

  #wantsMore(): boolean {
    if (!this.canEnqueue || !this.#started) return false;
    const { reader } = this.#stream;
    return (reader !== null && reader.requests.length > 0) || this.#highWaterMark - this.#total > 0;
  }

  #callPull(): void {
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
    this.#callPull();
  }
}
