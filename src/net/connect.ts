import type * as net from "node:net";
import { createConnection, isIP } from "node:net";
import type * as tls from "node:tls";
import { ProxyError } from "../errors/proxy-error.ts";
import { type Address, formatAddress } from "./address.ts";
import { TransportStream } from "./stream.ts";
import { type TimerOwner, type TimerWheel, WheelTimer } from "./timer-wheel.ts";
import { Transport, type TransportOwner } from "./transport.ts";

/** How to speak TLS to an upstream. Its certificate is always verified. */
export interface ConnectTls {
  /** Certificates (PEM) to trust in place of the system's; empty means the system's. */
  readonly trust: readonly string[];
  /** The name that the certificate must be for, also sent as SNI. */
  readonly host: string;
  /** Our own certificate and key (PEM), when the upstream asks for one. */
  readonly keypair: { readonly certificate: string; readonly key: string } | null;
  /** Protocols to offer, for example `http/1.1`; empty offers none. */
  readonly alpn: readonly string[];
  /** TLS 1.2 without it. */
  readonly minVersion?: "TLSv1.2" | "TLSv1.3";
}

/** What connections with the same settings share. */
class TlsMemory {
  /** Certificates and keys, parsed once: it takes a millisecond and more. */
  readonly context: tls.SecureContext;
  /** Of the last handshake, to shorten the next one. A server that does not want it shakes hands in full. */
  session: Buffer | null = null;

  constructor({ trust, keypair, minVersion }: ConnectTls) {
    this.context = loadTls().createSecureContext({
      minVersion: minVersion ?? "TLSv1.2",
      ...(trust.length > 0 ? { ca: [...trust] } : {}),
      ...(keypair === null ? {} : { cert: keypair.certificate, key: keypair.key }),
    });
  }
}

const memories: WeakMap<ConnectTls, TlsMemory> = new WeakMap();

function memoryOf(secure: ConnectTls): TlsMemory {
  let memory = memories.get(secure);
  if (memory === undefined) {
    memory = new TlsMemory(secure);
    memories.set(secure, memory);
  }
  return memory;
}

/**
 * Begins to open a connection; the owner hears `onConnect` or `onClose`. Over plain TCP, when a name has several
 * addresses, they are tried in turn (RFC 8305, by Node's `autoSelectFamily`).
 *
 * @param preamble that goes before all else, TLS included
 */
export function openTransport(
  owner: TransportOwner,
  address: Address,
  secure: ConnectTls | null,
  preamble: Buffer | null = null,
): Transport {
  const where = connectOptions(address);
  if (secure === null) {
    const transport = Transport.connect(owner, where);
    if (preamble !== null) transport.socket.write(preamble);
    return transport;
  }
  return Transport.wrap(owner, openSecure(where, secure, preamble), "secureConnect");
}

/** The same as a socket, which nobody reads yet. It stands with `connect`, with TLS at `secureConnect`. */
export function openSocket(address: Address, secure: ConnectTls | null): net.Socket {
  const where = connectOptions(address);
  return secure === null ? createConnection(where) : openSecure(where, secure, null);
}

function openSecure(
  where: net.TcpNetConnectOpts | net.IpcNetConnectOpts,
  secure: ConnectTls,
  preamble: Buffer | null,
): tls.TLSSocket {
  const { checkServerIdentity, connect } = loadTls();
  const memory = memoryOf(secure);
  // TLS takes the handle that there is; of several addresses each would have its own.
  const carrier = createConnection({ ...where, allowHalfOpen: true, autoSelectFamily: false });
  if (preamble !== null) carrier.write(preamble);
  const options: tls.ConnectionOptions = {
    socket: carrier,
    secureContext: memory.context,
    // An IP address is no server name (RFC 6066 §3); the certificate is checked against `host` either way.
    servername: isIP(secure.host) === 0 ? secure.host : "",
    checkServerIdentity: (_, certificate) => checkServerIdentity(secure.host, certificate),
    rejectUnauthorized: true,
  };
  if (secure.alpn.length > 0) options.ALPNProtocols = [...secure.alpn];
  if (memory.session !== null) options.session = memory.session;
  const socket = connect(options);
  // A TLS socket has no TCP handle that could be reset; what is below it has.
  socket.resetAndDestroy = () => {
    carrier.resetAndDestroy();
    return socket;
  };
  socket.on("session", (session) => {
    memory.session = session;
  });
  return socket;
}

/** Node's TLS takes 10 ms to load, for which a shard without TLS upstreams does not wait. */
export function loadTls(): typeof tls {
  return process.getBuiltinModule("node:tls");
}

function connectOptions(address: Address): net.TcpNetConnectOpts | net.IpcNetConnectOpts {
  switch (address.kind) {
    case "tcp":
      return { host: address.host === "" ? "127.0.0.1" : address.host, port: address.port, noDelay: true };
    case "unix":
      return { path: address.path };
    case "unix-abstract":
      return { path: `\0${address.name}` };
    case "fd":
    case "systemd":
      throw new Error(`cannot connect to ${formatAddress(address)}: it can only be listened on`);
  }
}

/** Why a connection could not be opened, as the error that the exchange fails with. */
export function connectError(error: Error | null, where: string): ProxyError {
  const code = errorCode(error);
  const message = `cannot connect to ${where}: ${error?.message ?? "the connection was closed"}`;
  const options = { cause: error ?? undefined };
  if (code === "ENOTFOUND" || code === "EAI_AGAIN" || code === "EAI_FAIL" || code === "EAI_NODATA") {
    return new ProxyError("upstream_name_unresolved", message, options);
  }
  if (isTlsFailure(error)) return new ProxyError("upstream_tls_failed", message, options);
  return new ProxyError("upstream_unreachable", message, options);
}

function errorCode(error: Error | null): string {
  // A name with several addresses fails with one error for each.
  const first: unknown = error instanceof AggregateError ? error.errors[0] : error;
  if (first === null || typeof first !== "object" || !("code" in first)) return "";
  return typeof first.code === "string" ? first.code : "";
}

/**
 * OpenSSL's and Node's codes for a handshake or a certificate that failed; the rest are the system's errno names. With TLS
 * 1.3 a server refuses our certificate only after the handshake has come to its end for us (RFC 8446 §4.4.2.4).
 */
export function isTlsFailure(error: Error | null): boolean {
  const code = errorCode(error);
  return (
    code.startsWith("ERR_TLS_") ||
    code.startsWith("ERR_SSL_") ||
    code.startsWith("CERT_") ||
    code.startsWith("UNABLE_TO_") ||
    code.includes("SELF_SIGNED") ||
    code.includes("CERT") ||
    code.includes("CRL") ||
    code === "INVALID_CA" ||
    code === "INVALID_PURPOSE" ||
    code === "HOSTNAME_MISMATCH" ||
    code === "PATH_LENGTH_EXCEEDED"
  );
}

/** Hears how a dial ended; exactly one is called, once, unless it was aborted. */
export interface DialOwner {
  onStream(stream: TransportStream): void;
  onDialError(error: ProxyError): void;
}

/** Opens a stream of bytes to an address, within a time. */
export class Dial implements TransportOwner, TimerOwner {
  readonly #owner: DialOwner;
  readonly #where: string;
  readonly #wheel: TimerWheel;
  readonly #timer: WheelTimer = new WheelTimer(this);
  readonly #idleMs: number;
  readonly #transport: Transport;
  #settled = false;

  /**
   * @param timeoutMs for the connection, TLS handshake included; 0 is none.
   * @param idleMs after which a stream on which nothing moves is closed; 0 is never.
   * @param preamble that goes before all else, TLS included
   */
  constructor(
    owner: DialOwner,
    address: Address,
    secure: ConnectTls | null,
    wheel: TimerWheel,
    timeoutMs: number,
    idleMs: number,
    preamble: Buffer | null = null,
  ) {
    this.#owner = owner;
    this.#where = formatAddress(address);
    this.#wheel = wheel;
    this.#idleMs = idleMs;
    this.#transport = openTransport(this, address, secure, preamble);
    if (timeoutMs > 0) wheel.arm(this.#timer, wheel.now() + timeoutMs);
  }

  /** Nobody wants the stream any more; its owner hears nothing. After the stream stands this does nothing. */
  abort(): void {
    if (!this.#settled) this.#settle().destroy();
  }

  onConnect(): void {
    if (this.#settled) return;
    const transport = this.#settle();
    this.#owner.onStream(new TransportStream(transport, this.#wheel, this.#idleMs));
  }

  onClose(error: Error | null): void {
    if (this.#settled) return;
    this.#settle();
    this.#owner.onDialError(connectError(error, this.#where));
  }

  onTimer(): void {
    if (this.#settled) return;
    this.#settle().destroy();
    const message = `cannot connect to ${this.#where}: it took too long`;
    this.#owner.onDialError(new ProxyError("upstream_connect_timeout", message));
  }

  onBytes(): void {}
  onEnd(): void {}
  onDrain(): void {}

  #settle(): Transport {
    this.#settled = true;
    this.#wheel.cancel(this.#timer);
    return this.#transport;
  }
}
