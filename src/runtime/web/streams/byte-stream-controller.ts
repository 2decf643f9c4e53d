import {
  ArrayBufferIsView,
  ArrayBufferTransfer,
  viewBuffer,
  viewLength,
  viewOffset,
} from "../primordials.ts";
import { defineInterface, illegalConstructor, internal, requireArguments } from "../webidl.ts";
import type { ReadableStreamBYOBRequest } from "./byob-request.ts";
import type { ByteController } from "./readable-bytes.ts";

/** Streams §4.7, as a Worker's underlying byte source sees it. */
export class ReadableByteStreamController {
  readonly #core: ByteController;

  constructor(token?: unknown, core?: ByteController) {
    if (token !== internal) throw illegalConstructor();
    this.#core = core as ByteController;
  }

  get byobRequest(): ReadableStreamBYOBRequest | null {
    return this.#core.byobRequest;
  }

  get desiredSize(): number | null {
    return this.#core.desiredSize;
  }

  close(): void {
    if (!this.#core.canEnqueue) throw new TypeError("cannot close: the stream is closed or errored");
    this.#core.close();
  }

  enqueue(chunk: ArrayBufferView): void {
    requireArguments(arguments.length, 1, "enqueue");
    const core = this.#core;
    if (!ArrayBufferIsView(chunk)) throw new TypeError("cannot enqueue: chunk is not an array buffer view");
    const length = viewLength(chunk);
    const offset = viewOffset(chunk);
    if (length === 0) throw new TypeError("cannot enqueue: chunk is empty");
    if (!core.canEnqueue) throw new TypeError("cannot enqueue: the stream is closed or errored");
    core.enqueue(ArrayBufferTransfer(viewBuffer(chunk)), offset, length);
  }

  error(reason?: unknown): void {
    this.#core.error(reason);
  }
}

defineInterface(ReadableByteStreamController, "ReadableByteStreamController", 0, { error: 0 });
