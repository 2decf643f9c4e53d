import * as wire from "../../wire/ops.ts";
import { TypedArraySet } from "../web/primordials.ts";

/**
 * The guest's end of the bridge, outward. Records of one turn collect here and cross in one call at the end of the turn:
 * the first record queues a microtask, which runs after those that the turn has already queued.
 */
export class Channel {
  readonly ints: Int32Array;
  readonly #window: Uint8Array;
  readonly #drain: (ints: number, text: string, bytes: number) => void;
  readonly #turn: Promise<void> = Promise.resolve();
  #used = 0;
  #bytes = 0;
  #text = "";
  #queued = false;
  #held = false;

  constructor(
    ints: Int32Array,
    window: Uint8Array,
    drain: (ints: number, text: string, bytes: number) => void,
  ) {
    this.ints = ints;
    this.#window = window;
    this.#drain = drain;
  }

  /** Begins a record and gives the place of its first field in `ints`; the caller fills in all fields at once. */
  begin(op: number): number {
    const size = sizes[op] as number;
    if (this.#used + size + 1 > wire.INTS || this.#text.length > MAX_TEXT) this.flush();
    const at = this.#used;
    this.ints[at] = op;
    this.#used = at + size + 1;
    if (!this.#queued) {
      this.#queued = true;
      void this.#whenTurnEnds();
    }
    return at + 1;
  }

  /** Adds a piece of text for the record just begun and gives its length. */
  text(piece: string): number {
    this.#text += piece;
    return piece.length;
  }

  /**
   * Copies bytes into the window before their record is begun, and gives their offset.
   * @param bytes at most a window. @param length of the bytes.
   */
  bytes(bytes: Uint8Array, length: number): number {
    if (this.#bytes + length > wire.WINDOW || this.#used + 16 > wire.INTS) this.flush();
    const at = this.#bytes;
    TypedArraySet(this.#window, bytes, at);
    this.#bytes = at + length;
    return at;
  }

  one(op: number, value: number): void {
    const at = this.begin(op);
    this.ints[at] = value;
  }

  /** Until `release`, records collect over the turn's microtasks, as far as there is room. */
  hold(): void {
    this.#held = true;
  }

  /** What has collected crosses at the end of the turn. */
  release(): void {
    this.#held = false;
    if (this.#used > 0 && !this.#queued) {
      this.#queued = true;
      void this.#whenTurnEnds();
    }
  }

  /** Hands everything over now. */
  flush(): void {
    const ints = this.#used;
    if (ints === 0) return;
    const text = this.#text;
    const bytes = this.#bytes;
    this.#used = 0;
    this.#bytes = 0;
    this.#text = "";
    this.#drain(ints, text, bytes);
  }

  async #whenTurnEnds(): Promise<void> {
    await this.#turn;
    this.#queued = false;
    if (!this.#held) this.flush();
  }
}

const sizes = wire.outSizes;

/** Characters that collect before they cross: a text is copied whole, in a time that no limit counts. */
const MAX_TEXT = 1 << 20;
