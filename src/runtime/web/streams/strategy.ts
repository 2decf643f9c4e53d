import { NumberIsNaN, ObjectDefineProperty } from "../primordials.ts";
import { defineInterface, isObject, requireArguments, toDictionary } from "../webidl.ts";

export interface QueuingStrategy<T = unknown> {
  highWaterMark?: number;
  size?: (chunk: T) => number;
}

function readMark(init: unknown): number {
  if (!isObject(init)) throw new TypeError("cannot make a strategy: init is not an object");
  const { highWaterMark } = init as { highWaterMark?: unknown };
  if (highWaterMark === undefined) throw new TypeError("cannot make a strategy: highWaterMark is missing");
  return +(highWaterMark as number);
}

// Arrow functions: neither has a prototype or makes objects (Streams §7.1, §7.2).
const countSize = (): number => 1;
ObjectDefineProperty(countSize, "name", { value: "size" });

const byteSize = (chunk: unknown): number => (chunk as ArrayBufferView).byteLength;
ObjectDefineProperty(byteSize, "name", { value: "size" });

/** Streams §7.2. */
export class CountQueuingStrategy {
  readonly #highWaterMark: number;

  constructor(init: { highWaterMark: number }) {
    requireArguments(arguments.length, 1, "CountQueuingStrategy constructor");
    this.#highWaterMark = readMark(init);
  }

  get highWaterMark(): number {
    return this.#highWaterMark;
  }

  get size(): (chunk?: unknown) => number {
    void this.#highWaterMark;
    return countSize;
  }
}

/** Streams §7.1. */
export class ByteLengthQueuingStrategy {
  readonly #highWaterMark: number;

  constructor(init: { highWaterMark: number }) {
    requireArguments(arguments.length, 1, "ByteLengthQueuingStrategy constructor");
    this.#highWaterMark = readMark(init);
  }

  get highWaterMark(): number {
    return this.#highWaterMark;
  }

  get size(): (chunk: ArrayBufferView) => number {
    void this.#highWaterMark;
    return byteSize;
  }
}

defineInterface(CountQueuingStrategy, "CountQueuingStrategy", 1);
defineInterface(ByteLengthQueuingStrategy, "ByteLengthQueuingStrategy", 1);

/** How large a chunk counts; null stands for 1 each. */
export type SizeOf = ((chunk: unknown) => number) | null;

export class Strategy {
  #given = false;
  #highWaterMark = 0;
  readonly size: SizeOf;

  constructor(value: unknown) {
    const dictionary = toDictionary(value, "strategy");
    const mark = dictionary === null ? undefined : dictionary.highWaterMark;
    const sizeOf = dictionary === null ? undefined : dictionary.size;
    if (sizeOf !== undefined && typeof sizeOf !== "function") {
      throw new TypeError("cannot make a stream: size is not a function");
    }
    this.size = sizeOf === undefined ? null : (chunk) => (sizeOf as (chunk: unknown) => number)(chunk);
    if (mark === undefined) return;
    this.#given = true;
    this.#highWaterMark = +(mark as number);
  }

  /** @throws RangeError when what was given is no mark; only here, since the other arguments are converted first. */
  mark(fallback: number): number {
    if (!this.#given) return fallback;
    const mark = this.#highWaterMark;
    if (NumberIsNaN(mark) || mark < 0) {
      throw new RangeError("cannot make a stream: highWaterMark is not a non-negative number");
    }
    return mark;
  }
}

/** @throws RangeError unless `value`, as a chunk's size, can be added up (Streams §8.1). */
export function checkSize(value: unknown): number {
  const number = +(value as number);
  if (NumberIsNaN(number) || number < 0 || number === Infinity) {
    throw new RangeError("cannot enqueue: the chunk's size is not a finite, non-negative number");
  }
  return number;
}
