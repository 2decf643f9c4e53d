import { ProxyError } from "../../errors/proxy-error.ts";
import type { ByteStream, ClientFacts } from "../../http/exchange.ts";
import type { Tunnel } from "../../services/service.ts";
import * as wire from "../../wire/ops.ts";
import type { GuestOut } from "./guest-out.ts";
import type { Session } from "./session.ts";

/** A stream of bytes that a Worker opens through a binding, or hands on to a client's tunnel untouched. */
export class GuestSocket implements Tunnel {
  readonly id: number;
  /** The exchange on whose behalf it is opened, or 0 when that is not known. */
  readonly owner: number;
  readonly host: string;
  readonly port: number;
  readonly client: ClientFacts;
  readonly depth: number;
  onAbort: ((error: ProxyError) => void) | null = null;
  readonly #session: Session;
  readonly #out: GuestOut;
  #stream: ByteStream | null = null;
  #writing = false;
  /** The handle of what it receives, while the guest has it. */
  #heldBody = 0;
  #outOver = false;
  #joined: Tunnel | null = null;
  #refused: ProxyError | null = null;

  constructor(
    session: Session,
    id: number,
    owner: number,
    address: { readonly host: string; readonly port: number },
    client: ClientFacts,
    depth: number,
    out: GuestOut,
  ) {
    this.#session = session;
    this.id = id;
    this.owner = owner;
    this.host = address.host;
    this.port = address.port;
    this.client = client;
    this.depth = depth;
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
    if (this.#joined !== null) {
      this.#joined.accept(stream);
      this.#leave();
      return;
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
    this.#refused = error;
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
    if (this.#joined !== null) return;
    if (this.#stream === null) this.onAbort?.(error);
    else if (!this.#writing) this.#stream.writable.fail(error);
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

function handedOn(): ProxyError {
  return new ProxyError("client_disconnected", "cannot write: the socket is a tunnel's now, or closed");
}
