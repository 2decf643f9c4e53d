import { ArrayBufferDetached, ArrayBufferIsView, viewBuffer } from "../primordials.ts";
import { defineInterface, enforceRange, illegalConstructor, internal, requireArguments } from "../webidl.ts";

/** Who takes the answer: the controller whose read waits. */
export interface ByobResponder {
  respond(written: number): void;
  respondWithNewView(view: ArrayBufferView): void;
  /** Bytes that the read at the head of the queue still waits for. */
  least(): number;
}

/** Takes the buffer back: the request can no longer be answered. */
export let invalidate: (request: ReadableStreamBYOBRequest) => void;

/** Streams §4.8: the buffer of a read that waits, offered to the source. */
export class ReadableStreamBYOBRequest {
  #controller: ByobResponder | null;
  #view: Uint8Array | null;

  constructor(token?: unknown, controller?: ByobResponder, view?: Uint8Array) {
    if (token !== internal) throw illegalConstructor();
    this.#controller = controller as ByobResponder;
    this.#view = view as Uint8Array;
  }

  get view(): Uint8Array | null {
    return this.#view;
  }

  /** As in workerd: the bytes without which the read will not be done. */
  get atLeast(): number | null {
    return this.#controller === null ? null : this.#controller.least();
  }

  respond(bytesWritten: number): void {
    requireArguments(arguments.length, 1, "respond");
    const written = enforceRange(bytesWritten, Number.MAX_SAFE_INTEGER, "bytesWritten");
    const controller = this.#controller;
    if (controller === null) throw new TypeError("cannot respond: the BYOB request is no longer valid");
    if (ArrayBufferDetached(viewBuffer(this.#view as Uint8Array))) {
      throw new TypeError("cannot respond: the BYOB request's buffer was detached");
    }
    controller.respond(written);
  }

  respondWithNewView(view: ArrayBufferView): void {
    requireArguments(arguments.length, 1, "respondWithNewView");
    if (!ArrayBufferIsView(view)) throw new TypeError("cannot respond: view is not an array buffer view");
    const controller = this.#controller;
    if (controller === null) throw new TypeError("cannot respond: the BYOB request is no longer valid");
    if (ArrayBufferDetached(viewBuffer(view))) {
      throw new TypeError("cannot respond: the view's buffer was detached");
    }
    controller.respondWithNewView(view);
  }

  static {
    invalidate = (request) => {
      request.#controller = null;
      request.#view = null;
    };
  }
}

defineInterface(ReadableStreamBYOBRequest, "ReadableStreamBYOBRequest");
