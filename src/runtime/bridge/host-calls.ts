import * as wire from "../../wire/ops.ts";
import type { HostCallHandler } from "../web/host.ts";
import { errorOf } from "../web/named-error.ts";
import { joinPieces } from "../web/pieces.ts";
import {
  MathMin,
  ObjectCreate,
  TypedArrayLength,
  Uint8ArrayNative,
  viewBuffer,
  viewOffset,
} from "../web/primordials.ts";
import type { Channel } from "./channel.ts";
import { Table } from "./table.ts";

/** A call under way, with the pieces of its result that have come. */
class Call {
  readonly handler: HostCallHandler;
  readonly #pieces: Record<number, Uint8Array<ArrayBuffer>> = ObjectCreate(null) as Record<
    number,
    Uint8Array<ArrayBuffer>
  >;
  #count = 0;
  #size = 0;

  constructor(handler: HostCallHandler) {
    this.handler = handler;
  }

  add(piece: Uint8Array<ArrayBuffer>): void {
    this.#pieces[this.#count++] = piece;
    this.#size += TypedArrayLength(piece);
  }

  bytes(): Uint8Array<ArrayBuffer> {
    if (this.#count === 1) return this.#pieces[0] as Uint8Array<ArrayBuffer>;
    return joinPieces(this.#pieces, this.#count, this.#size);
  }
}

/** Work that native code on the host does off the main thread, such as hashing. */
export class HostCalls {
  readonly #channel: Channel;
  readonly #pending: Table<Call> = new Table();
  #last = 0;

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  /**
   * @param operation see wire/ops.ts. @param input is copied and sent whole; larger than a window it goes in pieces, the
   * last of which starts the work.
   */
  call(operation: number, text: string, input: Uint8Array, handler: HostCallHandler): void {
    const id = ++this.#last;
    this.#pending.set(id, new Call(handler));
    const channel = this.#channel;
    const size = TypedArrayLength(input);
    let from = 0;
    do {
      const length = MathMin(size - from, wire.WINDOW);
      const last = from + length === size;
      const offset = channel.bytes(
        new Uint8ArrayNative(viewBuffer(input), viewOffset(input) + from, length),
        length,
      );
      const at = channel.begin(wire.OUT_CALL);
      channel.ints[at] = id;
      channel.ints[at + 1] = last ? operation : 0;
      channel.ints[at + 2] = offset;
      channel.ints[at + 3] = length;
      channel.ints[at + 4] = channel.text(last ? text : "");
      from += length;
    } while (from < size);
  }

  piece(id: number, bytes: Uint8Array<ArrayBuffer>): void {
    this.#pending.get(id)?.add(bytes);
  }

  answered(id: number, text: string): void {
    const call = this.#pending.take(id);
    call?.handler.done(text, call.bytes());
  }

  failed(id: number, name: string, message: string): void {
    this.#pending.take(id)?.handler.failed(errorOf(name, message));
  }
}
