import { isIP } from "node:net";
import { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import { ProxyError } from "../errors/proxy-error.ts";
import type { ByteStream } from "../http/exchange.ts";
import { connectError, loadTls } from "./connect.ts";
import { TransportStream } from "./stream.ts";
import { type TimerOwner, type TimerWheel, WheelTimer } from "./timer-wheel.ts";

/** Milliseconds that a handshake may take. */
const HANDSHAKE_MS = 10_000;

/** Hears how the handshake ended; exactly one is called, once, unless it was aborted. */
export interface SecureOwner {
  onSecure(stream: ByteStream): void;
  onSecureError(error: ProxyError): void;
}

/** TLS as a client over a stream of bytes that stands, whatever carries it. The certificate is always verified. */
export class SecureStream implements TimerOwner {
  readonly #owner: SecureOwner;
  readonly #wheel: TimerWheel;
  readonly #timer = new WheelTimer(this);
  readonly #socket: TLSSocket;
  readonly #host: string;
  #settled = false;

  /** @param host the name or address that the certificate must be for; a name is sent as SNI */
  constructor(owner: SecureOwner, stream: ByteStream, host: string, wheel: TimerWheel) {
    this.#owner = owner;
    this.#wheel = wheel;
    this.#host = host;
    const carrier = new StreamDuplex(stream);
    const { checkServerIdentity, connect } = loadTls();
    const socket = connect({
      socket: carrier,
      minVersion: "TLSv1.2",
      // An IP address is no server name (RFC 6066 §3); the certificate is checked against it either way.
      servername: isIP(host) === 0 ? host : "",
      checkServerIdentity: (_, certificate) => checkServerIdentity(host, certificate),
      rejectUnauthorized: true,
      ...(stream.trust !== undefined && stream.trust.length > 0 ? { ca: [...stream.trust] } : {}),
    });
    this.#socket = socket;
    // It has no TCP handle of its own that could be reset: what carries it is.
    socket.resetAndDestroy = () => socket.destroy(new Error("the stream was broken off"));
    carrier.on("error", (error) => socket.destroy(error));
    socket.on("error", (error) => this.#fail(connectError(error, host)));
    socket.once("close", () => {
      carrier.destroy();
      this.#fail(connectError(null, host));
    });
    socket.once("secureConnect", () => this.#secure());
    wheel.arm(this.#timer, wheel.now() + HANDSHAKE_MS);
  }

  /** Nobody wants it any more; its owner hears nothing. After the handshake this does nothing. */
  abort(): void {
    if (!this.#settled) this.#settle().destroy();
  }

  onTimer(): void {
    const message = `cannot speak TLS with ${this.#host}: the handshake took too long`;
    this.#fail(new ProxyError("upstream_connect_timeout", message));
  }

  #secure(): void {
    if (this.#settled) return;
    const socket = this.#settle();
    this.#owner.onSecure(TransportStream.over(socket, this.#wheel));
  }

  #fail(error: ProxyError): void {
    if (this.#settled) return;
    this.#settle().destroy();
    this.#owner.onSecureError(error);
  }

  #settle(): TLSSocket {
    this.#settled = true;
    this.#wheel.cancel(this.#timer);
    return this.#socket;
  }
}

/** A stream of bytes as Node's TLS takes it. */
export class StreamDuplex extends Duplex {
  readonly #stream: ByteStream;
  #written: (() => void) | null = null;
  #isEnded = false;

  constructor(stream: ByteStream) {
    super({ allowHalfOpen: true });
    this.#stream = stream;
    stream.writable.attach({
      resume: () => this.#sent(),
      cancel: (error) => {
        this.destroy(error);
      },
    });
    stream.readable.pipe({
      write: (chunk) => this.push(chunk),
      end: () => {
        this.push(null);
      },
      fail: (error) => {
        this.destroy(error);
      },
    });
  }

  override _read(): void {
    this.#stream.readable.resume();
  }

  override _write(chunk: Uint8Array, _encoding: BufferEncoding, done: () => void): void {
    // The stream owns what it is given, and TLS uses its buffers again.
    if (this.#stream.writable.write(Buffer.from(chunk))) done();
    else this.#written = done;
  }

  override _final(done: () => void): void {
    this.#isEnded = true;
    this.#stream.writable.end(null);
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    const reason =
      error instanceof ProxyError ? error : new ProxyError("upstream_reset", "cannot go on with TLS");
    this.#stream.readable.cancel(reason);
    if (!this.#isEnded) this.#stream.writable.fail(reason);
    this.#sent();
    done(error);
  }

  #sent(): void {
    const done = this.#written;
    this.#written = null;
    done?.();
  }
}
