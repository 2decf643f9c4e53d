import { ProxyError } from "../../errors/proxy-error.ts";
import type { ByteStream, ClientFacts } from "../../http/exchange.ts";
import { join, TransportStream } from "../../net/stream.ts";
import { type TimerOwner, WheelTimer } from "../../net/timer-wheel.ts";
import type { Transport, TransportOwner } from "../../net/transport.ts";
import type { LoginWaiter } from "../../net/users.ts";
import type { Tunnel } from "../../services/service.ts";
import { NEED_MORE, type SocksMessage, SocksReader } from "./socks-reader.ts";
import { granted, replyOf, replyText } from "./socks-reply.ts";
import type { SocksServer } from "./socks-server.ts";

/** A message is read, or a password checked. */
const NEGOTIATING = 0;
const CHECKING = 1;
/** The service opens the way. */
const OPENING = 2;
const TUNNEL = 3;
/** A refusal has been sent; what still comes is thrown away, so that no reset overtakes it. */
const LINGERING = 4;
const CLOSED = 5;

const connect = 1;
const noLogin = 0;
const withLogin = 2;
const noMethod = 0xff;
const commandUnknown = 7;

/** What a client sends before its way stands waits, up to here; then it is not read any more. */
const maxEarly = 65_536;
const lingerMs = 2_000;
const lingerBytes = 65_536;

/** One client connection with SOCKS 5 (RFC 1928), from its greeting to the end of its tunnel. */
export class SocksConnection implements TransportOwner, TimerOwner, Tunnel, LoginWaiter {
  host = "";
  port = 0;
  user = "";
  readonly client: ClientFacts;
  readonly depth = 0;
  onAbort: ((error: ProxyError) => void) | null = null;
  /** Nobody waits for the verdict on a password any more. */
  left = false;
  readonly #server: SocksServer;
  readonly #transport: Transport;
  readonly #reader: SocksReader = new SocksReader();
  readonly #timer: WheelTimer = new WheelTimer(this);
  readonly #started: number;
  #state: 0 | 1 | 2 | 3 | 4 | 5 = NEGOTIATING;
  /** Who the client says that it is. */
  #claimed = "";
  #peerEnded = false;
  #begun = false;
  /** What came before it can be used. */
  #waiting: Buffer[] = [];
  /** Bytes of that, or thrown away. */
  #early = 0;
  #stream: TransportStream | null = null;
  #error: ProxyError | null = null;

  constructor(
    server: SocksServer,
    open: (owner: TransportOwner) => Transport,
    identify: (transport: Transport) => ClientFacts,
  ) {
    this.#server = server;
    this.#started = server.wheel.now();
    this.#transport = open(this);
    this.client = identify(this.#transport);
    this.#waitFor(server.config.timeouts.handshake);
  }

  // --- what the transport tells

  onConnect(): void {}

  onBytes(bytes: Buffer): void {
    switch (this.#state) {
      case NEGOTIATING:
        this.#reader.push(bytes);
        this.#advance();
        return;
      case CHECKING:
      case OPENING:
        this.#waiting.push(Buffer.from(bytes));
        this.#early += bytes.length;
        if (this.#early > maxEarly) this.#transport.pause();
        return;
      case LINGERING:
        this.#early += bytes.length;
        if (this.#early > lingerBytes) this.#transport.destroy();
        return;
    }
  }

  onEnd(): void {
    this.#peerEnded = true;
    // With a request under way it has only said all that it has to say.
    if (this.#state === NEGOTIATING || this.#state === CHECKING) this.#transport.destroy();
  }

  onDrain(): void {}

  onClose(): void {
    const state = this.#state;
    this.#state = CLOSED;
    this.left = true;
    this.#server.wheel.cancel(this.#timer);
    if (state === OPENING) {
      const error = gone();
      this.#error = error;
      const { onAbort } = this;
      this.onAbort = null;
      onAbort?.(error);
    }
    this.#record();
  }

  onTimer(): void {
    if (this.#state === NEGOTIATING || this.#state === CHECKING) {
      this.#violated(new ProxyError("request_timeout", "cannot read a SOCKS request: it took too long"), 0);
    } else {
      this.#transport.destroy();
    }
  }

  // --- the negotiation

  #advance(): void {
    while (this.#state === NEGOTIATING) {
      const message = this.#reader.next();
      if (message === NEED_MORE) return;
      if (message.kind === "violation") {
        const text = `cannot read a SOCKS request: ${message.reason}`;
        this.#violated(new ProxyError("request_malformed", text), message.reply);
        return;
      }
      this.#take(message);
    }
  }

  #take(message: SocksMessage): void {
    const { desk } = this.#server;
    switch (message.kind) {
      case "greeting": {
        const method = desk === null ? noLogin : withLogin;
        if (!message.methods.includes(method)) {
          const text = `cannot let the client pass: it offers no login ${desk === null ? "by nothing" : "by user and password"}`;
          this.#transport.text(String.fromCharCode(5, noMethod));
          this.#violated(new ProxyError("proxy_auth_required", text), 0);
          return;
        }
        this.#transport.text(String.fromCharCode(5, method));
        this.#reader.expect(desk === null ? "request" : "login");
        return;
      }
      case "login":
        if (desk === null) return;
        this.#state = CHECKING;
        this.#claimed = message.user;
        desk.verify({ user: message.user, password: message.password }, this.client, this);
        return;
      case "request":
        this.host = message.host;
        this.port = message.port;
        if (message.command !== connect) {
          const text = `cannot serve SOCKS command ${message.command}: only CONNECT is offered`;
          this.#violated(new ProxyError("request_malformed", text), commandUnknown);
          return;
        }
        this.#open();
    }
  }

  onVerdict(isRight: boolean, problem: ProxyError | null): void {
    if (this.#state !== CHECKING) return;
    // RFC 1929 §2: any status but 0 is a failure, after which the connection is closed.
    this.#transport.text(String.fromCharCode(1, isRight ? 0 : 1));
    if (!isRight) {
      const text = "cannot let the client pass: its user and password are not right";
      this.#violated(problem ?? new ProxyError("proxy_auth_required", text), 0);
      return;
    }
    this.user = this.#claimed;
    this.#state = NEGOTIATING;
    this.#reader.expect("request");
    this.#reader.push(this.#takeWaiting());
    this.#transport.resume();
    this.#advance();
  }

  #open(): void {
    this.#state = OPENING;
    this.#early = 0;
    // The service has time limits of its own.
    this.#server.wheel.cancel(this.#timer);
    this.#begin();
    this.#server.service.connect(this);
  }

  // --- what the service answers

  accept(stream: ByteStream): void {
    if (this.#state !== OPENING) {
      const error = this.#error ?? gone();
      stream.readable.cancel(error);
      stream.writable.fail(error);
      return;
    }
    this.#state = TUNNEL;
    this.onAbort = null;
    const { wheel, config } = this.#server;
    this.#transport.text(replyText(granted));
    this.#transport.resume();
    const idle = stream.isTimed === true ? 0 : config.timeouts.idle;
    const first = Buffer.concat([this.#reader.takeRest(), this.#takeWaiting()]);
    const own = new TransportStream(this.#transport, wheel, idle, first);
    this.#stream = own;
    own.isClient = true;
    own.closed = (error) => {
      this.#state = CLOSED;
      this.#error = error;
      this.#record();
    };
    if (this.#peerEnded) own.onEnd();
    join(own, stream);
  }

  refuse(error: ProxyError): void {
    if (this.#state !== OPENING) return;
    this.onAbort = null;
    this.#violated(error, replyOf(error));
  }

  // --- ends

  /** See `ConnectionServer.drain`. */
  drain(graceMs: number): void {
    if (this.#state !== NEGOTIATING && this.#state !== CHECKING) return;
    if (graceMs === 0) this.#transport.destroy();
    else this.#waitFor(Math.min(graceMs, this.#server.config.timeouts.handshake || graceMs));
  }

  destroy(): void {
    this.#transport.destroy();
  }

  /** @param reply that tells the client; 0 where what tells it has been sent, or nothing does */
  #violated(error: ProxyError, reply: number): void {
    this.#begin();
    this.#error = error;
    this.left = true;
    this.#server.report(error, this.#where());
    if (reply !== 0) this.#transport.text(replyText(reply));
    this.#state = LINGERING;
    this.#waiting = [];
    this.#early = 0;
    this.#transport.end();
    this.#transport.resume();
    this.#waitFor(lingerMs);
  }

  #takeWaiting(): Buffer {
    const waiting = Buffer.concat(this.#waiting);
    this.#waiting = [];
    this.#early = 0;
    return waiting;
  }

  #waitFor(ms: number): void {
    const { wheel } = this.#server;
    wheel.cancel(this.#timer);
    if (ms > 0) wheel.arm(this.#timer, wheel.now() + ms);
  }

  #where(): string {
    return this.host === "" ? "" : `${this.host.includes(":") ? `[${this.host}]` : this.host}:${this.port}`;
  }

  /** It counts as an exchange from here on; a connection that says nothing, as health checks make, never does. */
  #begin(): void {
    if (this.#begun) return;
    this.#begun = true;
    this.#server.traffic.begin();
  }

  #record(): void {
    const server = this.#server;
    const error = this.#error;
    const stream = this.#stream;
    if (this.#begun) {
      const took = server.wheel.now() - this.#started;
      if (error !== null && stream !== null) server.traffic.error(error.code);
      server.traffic.finish(error === null ? 200 : stream === null ? error.status : 0, took / 1000);
      if (server.log.accessEnabled) {
        server.log.access({
          socket: server.name,
          client: this.client.address,
          user: this.user === "" ? undefined : this.user,
          method: "CONNECT",
          host: this.#where(),
          version: "SOCKS/5",
          received: stream?.received ?? 0,
          bytes: stream?.written ?? 0,
          ms: Math.round(took * 1000) / 1000,
          error: error?.code,
          id: error === null || error.id === "" ? undefined : error.id,
        });
      }
    }
    server.forget(this);
  }
}

function gone(): ProxyError {
  return new ProxyError("client_disconnected", "cannot open the tunnel: the client left");
}
