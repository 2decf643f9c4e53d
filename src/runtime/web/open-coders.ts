import { CALL_ZLIB } from "../../wire/ops.ts";
import { type HostCallHandler, host } from "./host.ts";
import { ArrayPush, Uint8ArrayNative, WeakRefDeref, WeakRefNative } from "./primordials.ts";

/** Somebody who feeds a coder of the host. */
export interface CoderOwner {
  /** The host holds state for it. */
  readonly isOpen: boolean;
}

interface Entry {
  readonly id: number;
  readonly owner: WeakRef<CoderOwner>;
}

/** Coders between two looks for such that nobody can reach any more. */
const SWEEP = 16;

/** Coders that the host holds state for (src/isolate/calls/zlib.ts), and whether anybody can still feed them. */
export class OpenCoders {
  #open: Entry[] = [];
  #nextSweep = SWEEP;

  add(id: number, owner: CoderOwner): void {
    if (this.#open.length >= this.#nextSweep) this.#sweep();
    ArrayPush(this.#open, { id, owner: new WeakRefNative(owner) });
  }

  /** Lets go of the host's state of streams that were left unfinished. */
  #sweep(): void {
    const kept: Entry[] = [];
    for (let i = 0; i < this.#open.length; i++) {
      const entry = this.#open[i] as Entry;
      const owner = WeakRefDeref(entry.owner);
      if (owner === undefined) closeCoder(entry.id);
      else if (owner.isOpen) ArrayPush(kept, entry);
    }
    this.#open = kept;
    this.#nextSweep = kept.length + SWEEP;
  }
}

export function closeCoder(id: number): void {
  host.call(CALL_ZLIB, `${id} close close`, noBytes, ignored);
}

const noBytes = new Uint8ArrayNative(0);
const ignored: HostCallHandler = { done() {}, failed() {} };
