import * as net from "node:net";
import type { BodySink, Lender } from "../http/body.ts";
import { ConnectedSocket } from "./connected-socket.ts";
import { keepRemoteAddress } from "./peer.ts";
import { noLender, ReadBuffer } from "./read-buffer.ts";
import { beginTurn, endTurn, flushLater } from "./turn.ts";

/** Hears what happens on a transport. */
export interface TransportOwner {
  /** A connection that was being opened stands. */
  onConnect(): void;
  /** Input; it is valid during the call only, see `Transport.own`. */
  onBytes(bytes: Buffer): void;
  /** The peer sends no more (FIN). It may still read. */
  onEnd(): void;
  /** After a write that returned false: all is with the kernel. */
  onDrain(): void;
  /** The last call. `error` is null when both sides had ended, or `destroy` was called without one. */
  onClose(error: Error | null): void;
}

const readBytes = 65_536;

/** A read of this size means that more follows, which is worth a buffer of its own; smaller ones are copied. */
const bulkBytes = 16_384;

/** However much text waits, chunks up to this size are joined to it, and so go out in one write. */
const smallBytes = 4_096;

/** Chunks up to this size are joined to text that leaves room for them. */
const joinBytes = 12_288;

/** Node.js writes a string of up to this size from its stack; memory of its own for each write costs collections. */
const stackBytes = 16_384;

/** Written bytes that may wait in user space before `write` asks to hold still. */
const highWater = 65_536;

/** From here on a socket tells when all is written, which also gives lent buffers back. */
const writableHighWaterMark = 16_384;

/** Input of all transports that wait for a short message; its content is gone when `onBytes` has returned. */
const shared: Buffer = Buffer.allocUnsafeSlow(readBytes);

/** Views of the shared input by the end of their length, made once: a view for each read costs some 0.3 µs. */
const views: Buffer[] = Array.from({ length: 64 }, (_, length) => shared.subarray(0, length));

function sharedView(length: number): Buffer {
  const at = length & 63;
  const known = views[at] as Buffer;
  if (known.length === length) return known;
  const view = shared.subarray(0, length);
  views[at] = view;
  return view;
}

interface Inner {
  _handle: object | null;
}

/**
 * A socket as a connection's protocol uses it: input without an allocation for each read, output joined for each turn.
 * `net.Socket` reads into a fresh 64 KiB buffer by default; reading into one shared buffer saves 2–3 µs of 18 µs a
 * proxied request, and with it all that memory.
 */
export class Transport {
  readonly socket: net.Socket;
  owner: TransportOwner;
  #text = "";
  #queued = false;
  #paused = false;
  #ending = false;
  #error: Error | null = null;
  /** Where the next read goes in place of the shared buffer. */
  #buffer: ReadBuffer | null = null;
  #lenders: Lender[] = [];
  /** Buffers with input that is kept; each is lent once for it. */
  #kept: ReadBuffer[] = [];
  #read = 0;
  /** The bytes in hand belong to whoever takes them. */
  #owned: boolean;

  private constructor(owner: TransportOwner, make: (transport: Transport) => net.Socket, owned: boolean) {
    this.owner = owner;
    this.#owned = owned;
    const socket = make(this);
    this.socket = socket;
    if (owned) socket.on("data", (bytes: Buffer) => this.#take(bytes));
    socket.on("drain", () => this.#onDrain());
    socket.on("end", () => {
      // TLS ends after an error too; `onClose` tells why.
      if (this.#error === null) this.owner.onEnd();
    });
    socket.on("error", (error) => {
      this.#error = error;
      // A TLS socket tells of an error after its handshake, an alert for one, and does not close by itself.
      socket.destroy();
    });
    socket.on("close", () => this.owner.onClose(this.#error));
  }

  /**
   * Takes over a connection that a `net.Server` with `pauseOnConnect` has accepted, and begins to read. What was read
   * before and put back with `unshift` comes first.
   */
  static accepted(owner: TransportOwner, accepted: net.Socket): Transport {
    const inner = accepted as unknown as Inner;
    const handle = inner._handle;
    if (handle === null || typeof handle !== "object") return Transport.wrap(owner, accepted);
    // A server gives its sockets no `onread`, so the accepted handle gets a second socket around it; the first, left
    // without a handle, is destroyed for the server's own count.
    inner._handle = null;
    const rest: unknown = accepted.readableLength > 0 ? accepted.read() : null;
    accepted.destroy();
    const made = new Transport(
      owner,
      (transport) => {
        const options = { handle, allowHalfOpen: true, writableHighWaterMark, onread: transport.#onread() };
        const socket = new net.Socket(options as net.SocketConstructorOpts);
        keepRemoteAddress(accepted, socket);
        socket.resume();
        return socket;
      },
      false,
    );
    if (rest instanceof Buffer) process.nextTick(() => made.#takeBack(rest));
    return made;
  }

  /**
   * Gives the connection away: what it returns is a socket from which `rest` is read first. The owner hears nothing more
   * but its close, if that. Output that was not flushed is lost.
   */
  release(rest: Uint8Array): net.Socket {
    const inner = this.socket as unknown as Inner;
    const handle = inner._handle;
    this.#text = "";
    if (this.#owned || handle === null) {
      for (const event of ["data", "drain", "end", "close"]) this.socket.removeAllListeners(event);
      this.socket.pause();
      this.socket.unshift(Buffer.from(rest));
      return this.socket;
    }
    // The socket reads into a buffer of ours, which only another one around its handle does not.
    inner._handle = null;
    this.socket.destroy();
    const options = { handle, allowHalfOpen: true };
    const socket = new net.Socket(options as net.SocketConstructorOpts);
    keepRemoteAddress(this.socket, socket);
    socket.unshift(Buffer.from(rest));
    return socket;
  }

  /** Opens a plain connection. */
  static connect(owner: TransportOwner, options: net.TcpNetConnectOpts | net.IpcNetConnectOpts): Transport {
    return new Transport(
      owner,
      (transport) => {
        const all = { ...options, allowHalfOpen: true, writableHighWaterMark, onread: transport.#onread() };
        const take = (bytes: Buffer): void => transport.#take(bytes);
        const socket = new ConnectedSocket(all as net.SocketConstructorOpts, shared, take);
        socket.on("connect", () => transport.owner.onConnect());
        return socket.connect(all);
      },
      false,
    );
  }

  /** Drives a socket of any kind, TLS for one. It must be half-open by itself (`allowHalfOpen`) if that matters. */
  static wrap(
    owner: TransportOwner,
    socket: net.Socket,
    ready: "connect" | "secureConnect" = "connect",
  ): Transport {
    return new Transport(
      owner,
      (transport) => {
        socket.on(ready, () => transport.owner.onConnect());
        return socket;
      },
      true,
    );
  }

  get destroyed(): boolean {
    return this.socket.destroyed;
  }

  /** Bytes that were written and are not yet with the kernel. */
  get pending(): number {
    return this.socket.writableLength + this.#text.length;
  }

  /** Input that is to be kept after `onBytes` has returned. */
  own(bytes: Uint8Array): Uint8Array {
    return this.#owned ? bytes : Buffer.from(bytes);
  }

  /** The same for input that `letGo` says the end of, and that `deliver` can then hand on without a copy. */
  keep(bytes: Uint8Array): Uint8Array {
    if (this.#owned) return bytes;
    const reading = this.#buffer;
    if (reading !== null && bytes.buffer === reading.bytes.buffer) {
      reading.lend();
      this.#kept.push(reading);
      return bytes;
    }
    // No read goes to any other memory: it was kept before, or copied.
    if (bytes.buffer !== shared.buffer) return bytes;
    if (bytes.length <= smallBytes) return Buffer.from(bytes);
    const copy = ReadBuffer.copyOf(bytes);
    this.#kept.push(copy);
    return copy.bytes.subarray(0, bytes.length);
  }

  get keeps(): boolean {
    return this.#kept.length > 0;
  }

  /** Nobody needs any more what was kept, but sinks that it was delivered to. */
  letGo(): void {
    const kept = this.#kept;
    for (let i = 0; i < kept.length; i++) kept[i]?.giveBack();
    kept.length = 0;
  }

  /** Hands input to a sink, without a copy where that can be. @returns what the sink does */
  deliver(bytes: Uint8Array, sink: BodySink): boolean {
    if (this.#owned) return sink.write(bytes);
    const isShared = bytes.buffer === shared.buffer;
    const buffer = isShared ? null : this.#lenderOf(bytes);
    // Memory that no read goes to, and that nobody else uses.
    if (!isShared && buffer === null) return sink.write(bytes);
    if (sink.lend === undefined) return sink.write(Buffer.from(bytes));
    if (buffer !== null) {
      buffer.lend();
      return sink.lend(bytes, buffer);
    }
    if (bytes.length <= joinBytes) return sink.lend(bytes, noLender);
    const copy = ReadBuffer.copyOf(bytes);
    return sink.lend(copy.bytes.subarray(0, bytes.length), copy);
  }

  /** Adds Latin-1 text to the output. It leaves at the end of the turn, with what else was written in it. */
  text(text: string): void {
    this.#text += text;
    if (this.#text.length > highWater) this.flush();
    else this.#queue();
  }

  /**
   * Adds bytes to the output; they are the transport's from then on.
   * @returns false when the caller should hold still until `onDrain`.
   */
  bytes(chunk: Uint8Array): boolean {
    return this.lend(chunk, noLender);
  }

  /** The same with bytes that are the lender's, and are given back when the kernel has them. */
  lend(chunk: Uint8Array, lender: Lender): boolean {
    if (chunk.length <= joinBytes) {
      // What was lent without a lender is copied here in any case.
      if (chunk.length > smallBytes && this.#text.length + chunk.length > stackBytes) this.flush();
      this.#text += latin1(chunk);
      if (this.#text.length > highWater) this.flush();
      else this.#queue();
      lender.giveBack();
      return this.socket.writableLength < highWater;
    }
    const { socket } = this;
    if (this.#text.length === 0) {
      socket.write(chunk);
    } else {
      const text = this.#text;
      this.#text = "";
      socket.cork();
      socket.write(text, "latin1");
      socket.write(chunk);
      socket.uncork();
    }
    // What `write` returns does not count: it is false for a large chunk even if the kernel took it at once.
    const waiting = socket.writableLength;
    if (waiting === 0) lender.giveBack();
    else if (lender !== noLender) this.#lenders.push(lender);
    return waiting < highWater;
  }

  /** Hands the output to the kernel. The end of a turn does so by itself. */
  flush(): void {
    this.#queued = false;
    const text = this.#text;
    if (text.length === 0) return;
    this.#text = "";
    if (!this.socket.destroyed) this.socket.write(text, "latin1");
  }

  /** Stops reading. What has been read is still delivered. */
  pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    this.socket.pause();
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.socket.resume();
  }

  get paused(): boolean {
    return this.#paused;
  }

  /** Ends our side (FIN) after the output. */
  end(): void {
    if (this.#ending) return;
    this.#ending = true;
    this.flush();
    this.socket.end();
  }

  get ending(): boolean {
    return this.#ending;
  }

  /** Closes both sides; output that the kernel does not have is lost. */
  destroy(error?: Error): void {
    this.#text = "";
    this.socket.destroy(error);
  }

  /** Closes with a reset, so that what was sent cannot pass for a message that the close delimits. */
  reset(): void {
    this.#text = "";
    const { socket } = this;
    // Streams that are no sockets may bring a way of their own.
    if (typeof socket.resetAndDestroy === "function" && !socket.connecting) socket.resetAndDestroy();
    else socket.destroy();
  }

  #queue(): void {
    if (this.#queued) return;
    this.#queued = true;
    flushLater(this);
  }

  #onread(): net.OnReadOpts {
    return {
      buffer: () => this.#nextBuffer(),
      callback: (length: number, buffer: Uint8Array) => {
        this.#read = length;
        this.#take(buffer === shared ? sharedView(length) : (buffer.subarray(0, length) as Buffer));
        return true;
      },
    };
  }

  #nextBuffer(): Buffer {
    const buffer = this.#buffer;
    if (this.#read >= bulkBytes) {
      if (buffer?.whole === true) return buffer.bytes;
      buffer?.release();
      this.#buffer = ReadBuffer.take();
      return this.#buffer.bytes;
    }
    if (buffer !== null) {
      buffer.release();
      this.#buffer = null;
    }
    return shared;
  }

  #lenderOf(bytes: Uint8Array): ReadBuffer | null {
    const buffer = this.#buffer;
    if (buffer !== null && bytes.buffer === buffer.bytes.buffer) return buffer;
    const kept = this.#kept;
    for (let i = 0; i < kept.length; i++) {
      const each = kept[i] as ReadBuffer;
      if (bytes.buffer === each.bytes.buffer) return each;
    }
    return null;
  }

  #onDrain(): void {
    if (this.#lenders.length > 0) {
      const lenders = this.#lenders;
      this.#lenders = [];
      for (const lender of lenders) lender.giveBack();
    }
    this.owner.onDrain();
  }

  #takeBack(bytes: Buffer): void {
    if (!this.socket.destroyed) this.#take(bytes);
  }

  #take(bytes: Buffer): void {
    beginTurn();
    try {
      this.owner.onBytes(bytes);
    } finally {
      endTurn();
    }
  }
}

/** Bytes as a Latin-1 string, one character a byte. */
export function latin1(bytes: Uint8Array): string {
  const buffer =
    bytes instanceof Buffer ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return buffer.toString("latin1");
}
