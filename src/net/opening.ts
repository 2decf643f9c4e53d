import type { Socket } from "node:net";
import type { Peer } from "./peer.ts";
import { type TimerOwner, type TimerWheel, WheelTimer } from "./timer-wheel.ts";

/** More bytes are needed; see `OpeningReader.read`. */
export const MORE = -1;
/** The bytes are not in order; see `OpeningReader.read`. */
export const INVALID = -2;

/** Reads what stands at the begin of a connection; one for each. */
export interface OpeningReader {
  /**
   * @param bytes all that has come so far
   * @returns how many of them are used up, once it has read what it wants; the others are put back. Or MORE, or INVALID
   */
  read(bytes: Buffer): number;
}

/** Why an opening came to nothing. */
export type OpeningFailure = "timeout" | "closed" | "malformed" | "busy" | "untrusted";

/** Hears how an opening ended; exactly one is called, once, unless it was aborted. */
export interface OpeningOwner<R extends OpeningReader> {
  /** The socket is paused as it was before, and what was not used up can be read from it. */
  onOpened(opening: Opening<R>): void;
  /** With `malformed` the socket stands, and all of its bytes can be read from it; otherwise it is closed. */
  onOpeningFailed(opening: Opening<R>, reason: OpeningFailure): void;
}

interface Inner {
  readonly _handle: { reading: boolean; readStop(): number } | null;
}

const firstSize = 1024;

/** Reads the first bytes of one accepted connection, within a time, and gives it back as if nobody had touched it. */
export class Opening<R extends OpeningReader> implements TimerOwner {
  readonly socket: Socket;
  readonly peer: Peer | null;
  readonly reader: R;
  readonly #owner: OpeningOwner<R>;
  readonly #wheel: TimerWheel;
  readonly #timer: WheelTimer = new WheelTimer(this);
  readonly #limit: number;
  #bytes: Buffer = Buffer.allocUnsafe(firstSize);
  #length = 0;
  #settled = false;
  /** The links of its stage's list. */
  next: Opening<R> | null = null;
  previous: Opening<R> | null = null;

  /** @param timeoutMs 0 is none. @param limit bytes that are read at most; more are INVALID. */
  constructor(
    owner: OpeningOwner<R>,
    socket: Socket,
    peer: Peer | null,
    reader: R,
    wheel: TimerWheel,
    timeoutMs: number,
    limit: number,
  ) {
    this.#owner = owner;
    this.socket = socket;
    this.peer = peer;
    this.reader = reader;
    this.#wheel = wheel;
    this.#limit = limit;
    if (timeoutMs > 0) wheel.arm(this.#timer, wheel.now() + timeoutMs);
  }

  /** Begins to read. */
  start(): void {
    const { socket } = this;
    socket.on("error", ignore);
    socket.on("close", this.#onClose);
    socket.on("end", this.#onClose);
    socket.on("readable", this.#onReadable);
  }

  /** Closes the connection; the owner hears nothing. */
  abort(): void {
    if (!this.#settled) this.#settle();
    this.socket.destroy();
  }

  onTimer(): void {
    this.#fail("timeout");
  }

  #onClose = (): void => this.#fail("closed");

  #onReadable = (): void => {
    for (;;) {
      if (this.#settled) return;
      const chunk: unknown = this.socket.read();
      if (!(chunk instanceof Buffer)) return;
      this.#add(chunk);
      const bytes = this.#bytes.subarray(0, this.#length);
      const used = this.reader.read(bytes);
      if (used >= 0 || used === INVALID || this.#length > this.#limit) {
        const isOpened = used >= 0;
        this.#giveBack(bytes.subarray(isOpened ? used : 0));
        if (isOpened) this.#owner.onOpened(this);
        else this.#owner.onOpeningFailed(this, "malformed");
        return;
      }
    }
  };

  #add(chunk: Buffer): void {
    const length = this.#length + chunk.length;
    if (length > this.#bytes.length) {
      const grown = Buffer.allocUnsafe(Math.max(length, this.#bytes.length * 2));
      this.#bytes.copy(grown, 0, 0, this.#length);
      this.#bytes = grown;
    }
    chunk.copy(this.#bytes, this.#length);
    this.#length = length;
  }

  #giveBack(rest: Buffer): void {
    const { socket } = this;
    this.#settle();
    const handle = (socket as unknown as Inner)._handle;
    if (handle?.reading === true) {
      handle.reading = false;
      handle.readStop();
    }
    socket.pause();
    // The stream owns what it is given back, and the buffer here is a part of Node's pool.
    if (rest.length > 0) socket.unshift(rest);
  }

  #fail(reason: OpeningFailure): void {
    if (this.#settled) return;
    this.#settle();
    this.socket.destroy();
    this.#owner.onOpeningFailed(this, reason);
  }

  #settle(): void {
    this.#settled = true;
    this.#wheel.cancel(this.#timer);
    const { socket } = this;
    socket.off("readable", this.#onReadable);
    socket.off("end", this.#onClose);
    socket.off("close", this.#onClose);
    // A socket that was reset while it is handed on would otherwise end the process; whoever takes it adds its own.
    if (!socket.destroyed) socket.off("error", ignore);
  }
}

function ignore(): void {}
