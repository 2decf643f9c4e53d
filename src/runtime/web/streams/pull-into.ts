import { ArrayBufferByteLength, ArrayBufferTransfer } from "../primordials.ts";
import type { ViewMaker } from "../view-classes.ts";

/** Bytes that wait in a stream's queue. */
export class QueueEntry {
  readonly buffer: ArrayBuffer;
  offset: number;
  length: number;

  constructor(buffer: ArrayBuffer, offset: number, length: number) {
    this.buffer = buffer;
    this.offset = offset;
    this.length = length;
  }
}

/** A buffer that waits to be filled (Streams §4.7.2, pull-into descriptor). */
export class PullInto {
  buffer: ArrayBuffer;
  readonly bufferLength: number;
  readonly offset: number;
  readonly length: number;
  filled = 0;
  readonly minimum: number;
  readonly elementSize: number;
  readonly make: ViewMaker;
  reader: "default" | "byob" | "none";

  constructor(
    buffer: ArrayBuffer,
    offset: number,
    length: number,
    minimum: number,
    elementSize: number,
    make: ViewMaker,
    reader: "default" | "byob",
  ) {
    this.buffer = buffer;
    this.bufferLength = ArrayBufferByteLength(buffer);
    this.offset = offset;
    this.length = length;
    this.minimum = minimum;
    this.elementSize = elementSize;
    this.make = make;
    this.reader = reader;
  }

  /** The filled part as the view that was asked for, over a buffer that nobody else has. */
  toView(): ArrayBufferView {
    return this.make(ArrayBufferTransfer(this.buffer), this.offset, this.filled / this.elementSize);
  }
}
