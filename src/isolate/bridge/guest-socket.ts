import { ProxyError } from "../../errors/proxy-error.ts";
import type { ByteStream, ClientFacts } from "../../http/exchange.ts";
import { type SecureOwner, SecureStream } from "../../net/secure-stream.ts";
import { TimerWheel } from "../../net/timer-wheel.ts";
import type { Tunnel } from "../../services/service.ts";
import * as wire from "../../wire/ops.ts";
import { SECURE_LATER, SECURE_ON } from "../../wire/socket-ops.ts";
import { Detachable } from "./detachable.ts";
import type { GuestOut } from "./guest-out.ts";
import type { Session } from "./session.ts";

/** A stream of bytes that a Worker opens through a binding, or hands on to a client's tunnel untouched. */
export class GuestSocket implements Tunnel, SecureOwner {
  readonly id: number;
  /** The exchange on whose behalf it is opened, or 0 when that is not known. */
  readonly owner: number;
  readonly host: string;
  readonly port: number;
  readonly client: ClientFacts;
  readonly depth: number;
  /** The youngest exchange when it was opened: without a known owner it ends when all up to this one are done. */
  readonly epoch: number;
  onAbort: ((error: ProxyError) => void) | null = null;
  /** See wire/socket-ops.ts. */
  readonly #secure: number;
  #handshake: SecureStream | null = null;
  /** The socket that goes on with TLS. */
  #next: { readonly socket: GuestSocket; readonly host: string } | null = null;
  #detachable: Detachable | null = null;
  readonly #session: Session;
  readonly #out: GuestOut;
  #stream: ByteStream | null = null;
  #writing = false;
  /** The handle of what it receives, while the guest has it. */
  #heldBody = 0;
  #outOver = false;
  #joined: Tunnel | null = null;
  #refused: ProxyError | null = null;
  #isEnded = false;

  constructor(
    session: Session,
    id: number,
    owner: number,
    address: { readonly host: string; readonly port: number },
    client: ClientFacts,
    depth: number,
    out: GuestOut,
    secure: number,
  ) {
    this.#session = session;
    this.id = id;
    this.owner = owner;
    this.host = address.host;
    this.port = address.port;
    this.client = client;
    this.depth = depth;
    this.epoch = session.lastIncoming;
    this.#secure = secure;
    this.#out = out;
    out.onData = () => this.#startWriting();
    out.onOver = () => {
      this.#outOver = true;
      this.#leaveIfOver();
    };
  }

  /** It could not be opened. It is kept until its exchange is done, so that a tunnel it is joined to hears why. */
  get isRefused(): boolean {
    return this.#refused !== null;
  }

  accept(stream: ByteStream): void {
    if (this.#isEnded) drop(stream);
    else if (this.#secure === SECURE_ON) this.#startTls(stream, this.host);
    else this.#use(stream);
  }

  onSecure(stream: ByteStream): void {
    this.#handshake = null;
    if (this.#isEnded) drop(stream);
    else this.#use(stream);
  }

  onSecureError(error: ProxyError): void {
    this.#handshake = null;
    this.refuse(error);
  }

  /** Gives its connection to another socket, which goes on with TLS. @param host that the certificate must be for */
  upgrade(socket: GuestSocket, host: string): void {
    if (this.#refused !== null) {
      socket.refuse(this.#refused);
      return;
    }
    if (this.#secure !== SECURE_LATER || this.#next !== null || this.#joined !== null || this.#isEnded) {
      socket.refuse(
        new ProxyError("upstream_tls_failed", "cannot start TLS: the socket was not opened for it"),
      );
      return;
    }
    this.#next = { socket, host };
    if (this.#stream === null) return;
    const body = this.#heldBody;
    const stream = (this.#detachable as Detachable).detach();
    this.#session.bodies.get(body)?.cancel(handedOn());
    this.#session.bodies.forget(body);
    this.#leave();
    socket.#startTls(stream, host);
  }

  #startTls(stream: ByteStream, host: string): void {
    if (this.#isEnded) drop(stream);
    else this.#handshake = new SecureStream(this, stream, host, TimerWheel.of(this.#session.owner.context));
  }

  #use(given: ByteStream): void {
    let stream = given;
    if (this.#joined !== null) {
      this.#joined.accept(stream);
      this.#leave();
      return;
    }
    if (this.#next !== null) {
      const { socket, host } = this.#next;
      this.#leave();
      socket.#startTls(stream, host);
      return;
    }
    if (this.#secure === SECURE_LATER) {
      this.#detachable = new Detachable(stream);
      stream = this.#detachable;
    }
    this.#stream = stream;
    const held = this.#session.bodies.hold(stream.readable, 0, "socket");
    const { inbox } = this.#session;
    const at = inbox.begin(wire.IN_CONNECTED, 2, 0);
    inbox.ints[at] = this.id;
    inbox.ints[at + 1] = held.id;
    this.#heldBody = held.id;
    held.onGone = () => {
      this.#heldBody = 0;
      this.#leaveIfOver();
    };
    this.#session.touch();
    if (this.#out.hasData) this.#startWriting();
  }

  refuse(error: ProxyError): void {
    if (this.#isEnded || this.#refused !== null) return;
    this.#refused = error;
    this.#next?.socket.refuse(error);
    this.#session.socketRefused(this, error);
    if (this.#joined !== null) {
      this.#joined.refuse(error);
      this.#leave();
    } else this.#out.cancel(error);
  }

  /** The Worker returned this socket from its `connect` handler: `tunnel` gets the bytes, which never enter the isolate. */
  join(tunnel: Tunnel): void {
    if (this.#refused !== null) {
      tunnel.refuse(this.#refused);
      this.#leave();
      return;
    }
    this.#joined = tunnel;
    if (this.#stream === null) {
      const passed = tunnel.onAbort;
      tunnel.onAbort = (error) => {
        passed?.(error);
        this.onAbort?.(error);
        this.#leave();
      };
      return;
    }
    const readable = this.#session.bodies.release(this.#heldBody) ?? this.#stream.readable;
    tunnel.accept({ readable, writable: this.#stream.writable });
    this.#leave();
  }

  /** The isolate is gone. */
  end(error: ProxyError): void {
    if (this.#joined !== null || this.#isEnded) return;
    this.#isEnded = true;
    this.#handshake?.abort();
    if (this.#stream === null) this.onAbort?.(error);
    // What is being written is broken off with the out.
    else if (!this.#writing) this.#stream.writable.fail(error);
  }

  /**
   * The exchange that it belongs to is done: it ends with it, unless a tunnel has it. What the Worker has written is sent
   * first, as far as the kernel takes it.
   */
  ownerDone(error: ProxyError): void {
    if (this.#joined !== null || this.#isEnded) return;
    this.#isEnded = true;
    this.#handshake?.abort();
    const stream = this.#stream;
    if (stream === null) this.onAbort?.(error);
    else if (this.#writing) this.#out.finish(null);
    else stream.writable.end(null);
    const { bodies } = this.#session;
    bodies.get(this.#heldBody)?.cancel(error);
    bodies.forget(this.#heldBody);
    this.#leave();
  }

  /** Both directions are over. */
  #leaveIfOver(): void {
    if (this.#stream !== null && this.#outOver && this.#heldBody === 0) this.#leave();
  }

  /** The isolate has nothing more to do with it. */
  #leave(): void {
    this.#session.socketClosed(this);
    if (!this.#outOver) this.#out.cancel(handedOn());
  }

  #startWriting(): void {
    const stream = this.#stream;
    if (stream === null || this.#writing || this.#joined !== null) return;
    this.#writing = true;
    stream.writable.attach(this.#out);
    this.#out.pipe(stream.writable);
  }
}

/** A stream that came too late. */
function drop(stream: ByteStream): void {
  const error = new ProxyError("client_disconnected", "cannot use the connection: nobody waits for it");
  stream.readable.cancel(error);
  stream.writable.fail(error);
}

function handedOn(): ProxyError {
  return new ProxyError("client_disconnected", "cannot write: the socket is a tunnel's now, or closed");
}

/** An exchange of a session is done, and so are the sockets that were opened for it, or for nobody who is left. */
export function endSockets(session: Session, exchange: number): void {
  const oldest = session.incoming.values()[0]?.id ?? Number.POSITIVE_INFINITY;
  for (const socket of session.sockets.values()) {
    const { owner, epoch } = socket;
    if (owner !== exchange && (owner !== 0 || epoch >= oldest)) continue;
    if (socket.isRefused) session.sockets.delete(socket.id);
    else {
      socket.ownerDone(
        new ProxyError("client_disconnected", "cannot go on with the socket: its request is done"),
      );
    }
  }
}
