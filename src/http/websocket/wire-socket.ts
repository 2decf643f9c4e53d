import { ProxyError } from "../../errors/proxy-error.ts";
import type { BodySource } from "../body.ts";
import type { ByteStream, StreamSink } from "../exchange.ts";
import {
  closeCodeOf,
  type Deflate,
  type Extensions,
  type FrameError,
  type FrameReader,
  type FrameWriter,
  loadFraming,
} from "./framing.ts";
import { mayCompress } from "./handshake.ts";
import { ABNORMAL, type Message, MessageEnd, NO_CODE } from "./message-end.ts";
import type { Alarm, AlarmOwner, SocketSettings } from "./settings.ts";
import { WireOutput, type WireOutputOwner } from "./wire-output.ts";

/** How long the other side may take for its part of the closing handshake, and to close the connection. */
const closeMs = 10_000;
/** Messages below this size would hardly be shorter compressed. */
const minCompressed = 1024;
/** Fragments of one message; each costs memory beside its bytes. */
const maxFragments = 131_072;
/** Input that is read before it is asked whether the other end takes more: 4 KiB may inflate to 4 MiB. */
const sliceBytes = 16_384;
const compressedSliceBytes = 4_096;
/** What a piece of input costs beside its bytes. */
const pieceBytes = 96;
/** Bytes that wait to be compressed before the other end is asked to hold still. */
const highWater = 65_536;

const PING = 9;
const PONG = 10;
const nothing = Buffer.alloc(0);

/**
 * The end of a WebSocket towards a wire: a stream of bytes whose frames are messages to the other end (RFC 6455). It is a
 * stream as a service gives one to `Exchange.upgrade`; joined with the connection's own, it frames and unframes.
 */
export class WireSocket extends MessageEnd implements ByteStream, StreamSink, WireOutputOwner, AlarmOwner {
  readonly #isServer: boolean;
  readonly #settings: SocketSettings;
  readonly #deflate: Deflate | null;
  readonly #compresses: boolean;
  readonly #extensions: Extensions;
  readonly #output: WireOutput = new WireOutput(this);
  readonly #alarm: Alarm;
  #source: Pick<BodySource, "resume" | "cancel"> | null = null;
  #reader: FrameReader | null = null;
  #writer: FrameWriter | null = null;
  /** Input that the reader has not seen. */
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  /** Pieces of the message that is under way. */
  #pieces = 0;
  #charged = 0;
  /** The other end takes no more for now; so it is before there is one. */
  #holding = true;
  /** The reader inflates. */
  #busy = false;
  #feeding = false;
  /** The other end waits to be released. */
  #asked = false;
  #pong: Buffer | null = null;
  #sent = false;
  #closeWritten = false;
  #received = false;
  #inputEnded = false;
  /** Input means nothing any more. It is still read, so that no reset overtakes our close frame (RFC 6455 §7.1.1). */
  #deaf = false;
  #isOver = false;
  #deflateUsed = false;
  #silent = 0;
  #movedAt: number;
  #closeAt = Number.POSITIVE_INFINITY;

  /** @param isServer our frames are not masked, the peer's must be. @param deflate as it was agreed upon. */
  constructor(isServer: boolean, deflate: Deflate | null, settings: SocketSettings) {
    super();
    this.#isServer = isServer;
    this.#deflate = deflate;
    this.#compresses = mayCompress(deflate, isServer);
    this.#extensions = deflate === null ? plain : { "permessage-deflate": deflate };
    this.#settings = settings;
    this.#alarm = settings.alarms.make(this);
    this.#movedAt = settings.alarms.now();
    this.#arm();
  }

  get readable(): BodySource {
    return this.#output;
  }

  get writable(): StreamSink {
    return this;
  }

  // --- the other end

  joined(): void {
    this.release();
  }

  send(message: Message): boolean {
    if (this.#sent || this.#isOver) return true;
    const binary = typeof message !== "string";
    const size = binary ? message.length : Buffer.byteLength(message);
    const writer = this.#write();
    const output = this.#output;
    const backlog = output.cost + writer._bufferedBytes;
    if (backlog > 0 && backlog + size > this.#settings.maxBacklogBytes) {
      const text = `cannot send a message: ${backlog} bytes wait for a peer that does not read`;
      const error = new ProxyError("websocket_failed", text);
      output.breakOff(error);
      this.#lose(error);
      return true;
    }
    this.#movedAt = this.#settings.alarms.now();
    const compress = this.#compresses && size >= minCompressed;
    if (compress) this.#deflateUsed = true;
    writer.send(message, { binary, compress, fin: true, mask: !this.#isServer });
    if (!output.isHeld && writer._bufferedBytes < highWater) return true;
    this.#asked = true;
    return false;
  }

  /** Bytes that were sent and have not left. */
  get buffered(): number {
    return this.#output.queued + (this.#writer?._bufferedBytes ?? 0);
  }

  release(): void {
    if (!this.#holding) return;
    this.#holding = false;
    this.#readOn();
  }

  close(code: number, reason: string): void {
    if (this.#sent || this.#isOver) return;
    this.#closeWith(code, reason);
    if (!this.#received) this.#limitClose();
  }

  abort(_error: ProxyError, code: number): void {
    if (this.#isOver) return;
    this.peer = null;
    this.#deaf = true;
    this.#received = true;
    if (this.#sent) this.#mayFinish();
    else this.#closeWith(code, "");
    this.#limitClose();
    this.#discardInput();
  }

  // --- the wire's input

  attach(source: Pick<BodySource, "resume" | "cancel">): void {
    this.#source = source;
  }

  write(chunk: Uint8Array): boolean {
    this.#silent = 0;
    if (this.#deaf) return true;
    this.#waiting.push(chunk);
    this.#waitingBytes += chunk.length;
    this.#feed();
    return this.#deaf || !(this.#holding || this.#busy);
  }

  end(): void {
    this.#inputEnded = true;
    if (this.#sent && this.#received) {
      this.#output.finish();
      this.#finish();
    } else if (this.#received) this.#limitClose();
    else if (this.#waiting.length === 0 && !this.#busy) this.#loseInput();
  }

  fail(error: ProxyError): void {
    this.#inputEnded = true;
    this.#lose(error);
  }

  // --- the wire's output

  onMoved(): void {
    if (this.#pong !== null && !this.#output.isHeld) {
      const pong = this.#pong;
      this.#pong = null;
      this.#control(PONG, pong);
    }
    if (!this.#asked || this.#output.isHeld || this.#write()._bufferedBytes >= highWater) return;
    this.#asked = false;
    this.peer?.release();
  }

  onRefused(error: ProxyError): void {
    this.#lose(error);
  }

  // --- time

  onTimer(now: number): void {
    if (now >= this.#closeAt) {
      const error = new ProxyError("websocket_failed", "cannot close a WebSocket: the peer does not answer");
      this.#output.breakOff(error);
      this.#lose(error);
      return;
    }
    const { idleTimeout, pingInterval } = this.#settings;
    if (this.#closeAt === Number.POSITIVE_INFINITY && !this.#sent) {
      if (idleTimeout > 0 && now - this.#movedAt >= idleTimeout) {
        const text = `cannot keep a WebSocket: no message for ${idleTimeout} ms`;
        this.#giveUp(new ProxyError("websocket_failed", text), 1001);
        return;
      }
      if (pingInterval > 0) {
        if (this.#silent >= 2 && !this.#holding) {
          const error = new ProxyError("websocket_failed", "cannot go on with a WebSocket: the peer is gone");
          this.#output.breakOff(error);
          this.#lose(error);
          return;
        }
        if (!this.#holding) this.#silent++;
        this.#control(PING, nothing);
      }
      this.#freeContexts();
    }
    this.#arm();
  }

  #arm(): void {
    const { alarms, idleTimeout, pingInterval } = this.#settings;
    let deadline = this.#closeAt;
    const now = alarms.now();
    if (!this.#sent && deadline === Number.POSITIVE_INFINITY) {
      if (pingInterval > 0) deadline = now + pingInterval;
      if (idleTimeout > 0)
        deadline = Math.min(deadline, Math.max(this.#movedAt, now - idleTimeout + 1) + idleTimeout);
    }
    this.#alarm.at(deadline);
  }

  #limitClose(): void {
    if (this.#closeAt !== Number.POSITIVE_INFINITY || this.#isOver) return;
    this.#closeAt = this.#settings.alarms.now() + closeMs;
    this.#arm();
  }

  /** What compressing took is given back when nothing was compressed for a while; both agreed to begin each message anew. */
  #freeContexts(): void {
    const deflate = this.#deflate;
    const isUsed = this.#deflateUsed;
    this.#deflateUsed = false;
    if (deflate === null || isUsed || this.#busy || (this.#writer?._bufferedBytes ?? 0) > 0) return;
    const { params } = deflate;
    if (!params?.server_no_context_takeover || !params.client_no_context_takeover) return;
    if ((this.#reader?._fragmented ?? 0) === 0) deflate.cleanup();
  }

  // --- reading

  #readOn(): void {
    if (this.#feeding) return;
    this.#feed();
    if (this.#holding || this.#busy || this.#isOver) return;
    if (this.#inputEnded) {
      if (!this.#received) this.#loseInput();
    } else this.#source?.resume();
  }

  #feed(): void {
    if (this.#feeding) return;
    this.#feeding = true;
    const limit = this.#deflate === null ? sliceBytes : compressedSliceBytes;
    while (this.#waiting.length > 0 && !this.#holding && !this.#busy && !this.#deaf) {
      let chunk = this.#waiting[0] as Uint8Array;
      if (chunk.length > limit) {
        this.#waiting[0] = chunk.subarray(limit);
        chunk = chunk.subarray(0, limit);
      } else this.#waiting.shift();
      this.#waitingBytes -= chunk.length;
      this.#pieces++;
      this.#busy = true;
      this.#reader ??= this.#makeReader();
      this.#reader._write(chunk as Buffer, "buffer", this.#done);
    }
    this.#feeding = false;
    this.#charge();
  }

  /** The reader is through with a piece of input. */
  readonly #done = (error?: FrameError | null): void => {
    this.#busy = false;
    if (this.#isOver) {
      this.#deflate?.cleanup();
      return;
    }
    if (error !== undefined && error !== null) this.#refuse(error);
    else if (!this.#feeding) this.#readOn();
  };

  #makeReader(): FrameReader {
    const { Reader } = loadFraming();
    const reader: FrameReader = new Reader({
      isServer: this.#isServer,
      extensions: this.#extensions,
      maxPayload: this.#settings.maxMessageBytes,
      maxFragments,
    });
    reader.on("message", (data, isBinary) => this.#message(data, isBinary));
    reader.on("ping", (data) => this.#ping(data));
    reader.on("conclude", (code, reason) => this.#concluded(code, reason.toString()));
    reader.on("error", () => {});
    return reader;
  }

  #message(data: Buffer, isBinary: boolean): void {
    this.#pieces = 0;
    this.#movedAt = this.#settings.alarms.now();
    this.#deflateUsed = true;
    const { peer } = this;
    if (peer === null || this.#deaf) return;
    if (!peer.send(isBinary ? data : data.toString())) this.#holding = true;
  }

  /** A peer that does not read gets the last of its pings answered, which is enough (RFC 6455 §5.5.3). */
  #ping(data: Buffer): void {
    if (this.#sent) return;
    if (this.#output.isHeld) this.#pong = Buffer.from(data);
    else this.#control(PONG, data);
  }

  #concluded(code: number, reason: string): void {
    this.#received = true;
    this.#deaf = true;
    this.#discardInput();
    const { peer } = this;
    if (this.#sent) {
      this.peer = null;
      this.#mayFinish();
    }
    peer?.close(code, reason);
  }

  /** Counts what lies here for messages that are not whole. */
  #charge(): void {
    if (this.#isOver) return;
    const reader = this.#reader;
    const partial = reader === null ? 0 : reader._bufferedBytes + reader._messageLength;
    const held = this.#waitingBytes + partial + (partial > 0 ? this.#pieces * pieceBytes : 0);
    const more = held - this.#charged;
    const { budget } = this.#settings;
    if (more > 0 && !budget.take(more)) {
      this.#giveUp(
        new ProxyError("websocket_failed", "cannot read a message: there is no room for it"),
        1013,
      );
      return;
    }
    if (more < 0) budget.give(-more);
    this.#charged = held;
  }

  #discardInput(): void {
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#holding = false;
    if (!this.#feeding && !this.#busy && !this.#inputEnded) this.#source?.resume();
  }

  // --- writing

  #write(): FrameWriter {
    if (this.#writer === null) {
      const { Sender } = loadFraming();
      this.#writer = new Sender(this.#output, this.#extensions);
    }
    return this.#writer;
  }

  /** Control frames may stand between messages, which are one frame each; they need not wait for compression. */
  #control(opcode: number, data: Buffer): void {
    const frame = loadFraming().Sender.frame(data, {
      opcode,
      fin: true,
      mask: !this.#isServer,
      readOnly: true,
      rsv1: false,
    });
    for (const piece of frame) this.#output.write(piece);
  }

  #closeWith(code: number, reason: string): void {
    this.#sent = true;
    const sendable = code === NO_CODE || code === ABNORMAL ? undefined : code;
    this.#write().close(sendable, sendable === undefined ? "" : reason, !this.#isServer, () => {
      this.#closeWritten = true;
      this.#mayFinish();
    });
  }

  /** Both have said that they close: the server ends the connection first (RFC 6455 §7.1.1). */
  #mayFinish(): void {
    if (!this.#received || !this.#closeWritten) return;
    if (this.#isServer || this.#inputEnded) this.#output.finish();
    if (this.#inputEnded) this.#finish();
    else this.#limitClose();
  }

  // --- ends

  /** The peer broke the protocol. */
  #refuse(cause: FrameError): void {
    const text = `cannot read a WebSocket's frames: ${cause.message}`;
    const error = new ProxyError("websocket_failed", text, { cause });
    this.#settings.report(error);
    this.#giveUp(error, closeCodeOf(cause));
  }

  /** @param code what the wire is told; the other end hears that it broke off. */
  #giveUp(error: ProxyError, code: number): void {
    const { peer } = this;
    this.abort(error, code);
    peer?.abort(error, ABNORMAL);
  }

  #loseInput(): void {
    this.#lose(
      new ProxyError("websocket_failed", "cannot go on with a WebSocket: the peer closed the connection"),
    );
  }

  /** The connection is gone, or will be. */
  #lose(error: ProxyError): void {
    if (this.#isOver) return;
    const { peer } = this;
    this.#finish(error);
    peer?.abort(error, ABNORMAL);
  }

  #finish(error: ProxyError | null = null): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#deaf = true;
    this.peer = null;
    this.#alarm.off();
    this.#settings.budget.give(this.#charged);
    this.#charged = 0;
    this.#waiting = [];
    const source = this.#source;
    this.#source = null;
    if (error !== null) {
      this.#output.breakOff(error);
      if (!this.#inputEnded) source?.cancel(error);
    }
    // What inflates right now would never tell the library that it is done.
    if (!this.#busy) this.#deflate?.cleanup();
  }
}

const plain: Extensions = {};
