import { readSync } from "node:fs";
import * as net from "node:net";

/** Takes input in its order; the bytes are valid during the call only. */
export type TakeInput = (bytes: Buffer) => void;

/** So many reads of the buffer's size; what is longer breaks off, as after any reset. */
const maxReads = 16;

/**
 * A socket that reads what has come before it closes over a failed write. A server that answers early and closes meets
 * what is still sent with a reset: the write fails, and Node.js would close the descriptor with the answer unread in
 * the kernel (RFC 9112 §9.6).
 */
export class ConnectedSocket extends net.Socket {
  readonly #buffer: Buffer;
  readonly #take: TakeInput;

  /** @param buffer for the last input alone, between other calls */
  constructor(options: net.SocketConstructorOpts, buffer: Buffer, take: TakeInput) {
    super(options);
    this.#buffer = buffer;
    this.#take = take;
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    if (error !== null && "syscall" in error && error.syscall === "write") this.#readLast();
    super._destroy(error, callback);
  }

  #readLast(): void {
    const { fd = -1 } = (this as unknown as { _handle: { fd?: number } | null })._handle ?? {};
    if (fd < 0) return;
    for (let i = 0; i < maxReads; i++) {
      let length: number;
      try {
        length = readSync(fd, this.#buffer);
      } catch {
        // Nothing more is there, or the reset is next.
        return;
      }
      if (length === 0) return;
      this.#take(this.#buffer.subarray(0, length));
    }
  }
}
