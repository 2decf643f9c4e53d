import { DOMException } from "./dom-exception.ts";
import {
  ArrayBufferDetached,
  ArrayBufferTransfer,
  ArrayPush,
  isArrayBuffer,
  MapNative,
  MapSet,
  SymbolIterator,
} from "./primordials.ts";
import { isObject } from "./webidl.ts";

/** One object on its way (HTML §2.7.7). */
export interface Move {
  /** What stands for the object at its receiver. The object itself is as before until `move`. */
  readonly receiver: object;
  /** @throws DOMException "DataCloneError" when the object is not in a state to be transferred. */
  check(): void;
  /** Moves the object's state to `receiver`, right after `check`. */
  move(): void;
}

interface TransferKind {
  is(value: unknown): boolean;
  begin(object: object): Move;
}

const kinds: TransferKind[] = [];

/** Says that objects of a kind can be transferred. */
export function provideTransfer<T extends object>(
  is: (value: unknown) => value is T,
  begin: (object: T) => Move,
): void {
  ArrayPush(kinds, { is, begin: begin as (object: object) => Move });
}

export function cannotTransfer(reason: string): DOMException {
  return new DOMException(`cannot clone with that transfer list: ${reason}`, "DataCloneError");
}

/** One transfer list, from its check to the moving (HTML §2.7.7, StructuredSerializeWithTransfer). */
export class Transfer {
  readonly #objects: object[] = [];
  /** Null for an ArrayBuffer, whose bytes are copied with the value. */
  readonly #kinds: (TransferKind | null)[] = [];
  readonly #moves: (Move | null)[] = [];

  /** @throws TypeError when the list is none. @throws DOMException "DataCloneError" for what cannot be transferred. */
  constructor(list: unknown) {
    if (list === undefined) return;
    if (!isObject(list) || typeof (list as Iterable<object>)[SymbolIterator] !== "function") {
      throw new TypeError("cannot clone: transfer is not iterable");
    }
    for (const item of list as Iterable<unknown>) {
      if (!isObject(item)) throw new TypeError("cannot clone: an item of transfer is not an object");
      this.#add(item);
    }
  }

  #add(item: object): void {
    for (let i = 0; i < this.#objects.length; i++) {
      if (this.#objects[i] === item) throw cannotTransfer("an item is in it twice");
    }
    let kind: TransferKind | null = null;
    if (!isArrayBuffer(item)) {
      for (let i = 0; i < kinds.length && kind === null; i++) {
        const one = kinds[i] as TransferKind;
        if (one.is(item)) kind = one;
      }
      if (kind === null) throw cannotTransfer("an item cannot be transferred");
    }
    ArrayPush(this.#objects, item);
    ArrayPush(this.#kinds, kind);
  }

  get isEmpty(): boolean {
    return this.#objects.length === 0;
  }

  includes(object: object): boolean {
    for (let i = 0; i < this.#objects.length; i++) if (this.#objects[i] === object) return true;
    return false;
  }

  /** What a clone has in place of the objects, but for buffers. */
  stands(): Map<object, unknown> {
    const stands = new MapNative<object, unknown>();
    for (let i = 0; i < this.#objects.length; i++) {
      const object = this.#objects[i] as object;
      const kind = this.#kinds[i] as TransferKind | null;
      const move = kind === null ? null : kind.begin(object);
      ArrayPush(this.#moves, move);
      if (move !== null) MapSet(stands, object, move.receiver);
    }
    return stands;
  }

  /** After the value was cloned, which may have run code: all are checked before any is moved. */
  move(): void {
    for (let i = 0; i < this.#objects.length; i++) {
      const move = this.#moves[i] as Move | null;
      if (move !== null) move.check();
      else if (ArrayBufferDetached(this.#objects[i] as ArrayBuffer)) {
        throw cannotTransfer("an ArrayBuffer is detached");
      }
    }
    for (let i = 0; i < this.#objects.length; i++) {
      const move = this.#moves[i] as Move | null;
      if (move === null) {
        ArrayBufferTransfer(this.#objects[i] as ArrayBuffer);
        continue;
      }
      // Again: a stream may have gone with the pair that it is a side of.
      move.check();
      move.move();
    }
  }

  /** The receivers for which `is` holds, in the order of the list. */
  received<T>(is: (value: unknown) => value is T): T[] {
    const found: T[] = [];
    for (let i = 0; i < this.#moves.length; i++) {
      const receiver = this.#moves[i]?.receiver;
      if (is(receiver)) ArrayPush(found, receiver);
    }
    return found;
  }
}
