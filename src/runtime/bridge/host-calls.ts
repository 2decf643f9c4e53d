import * as wire from "../../wire/ops.ts";
import { MathMin, TypedArrayLength, Uint8ArrayNative, viewBuffer, viewOffset } from "../web/primordials.ts";
import type { Channel } from "./channel.ts";
import { Table } from "./table.ts";

interface Call {
  resolve(bytes: Uint8Array): void;
  reject(error: Error): void;
}

/** Work that native code on the host does off the main thread, such as hashing. */
export class HostCalls {
  readonly #channel: Channel;
  readonly #pending: Table<Call> = new Table();
  #last = 0;

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  /** @param input is sent whole; larger than a window it goes in pieces, the last of which starts the work. */
  call(operation: number, name: string, input: Uint8Array): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      const id = ++this.#last;
      this.#pending.set(id, { resolve, reject });
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
        channel.ints[at + 4] = channel.text(last ? name : "");
        from += length;
      } while (from < size);
    });
  }

  answered(id: number, bytes: Uint8Array): void {
    this.#pending.take(id)?.resolve(bytes);
  }

  failed(id: number, message: string): void {
    this.#pending.take(id)?.reject(new Error(message));
  }
}
