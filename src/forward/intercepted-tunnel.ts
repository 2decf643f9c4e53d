import type { TLSSocket } from "node:tls";
import { ProxyError } from "../errors/proxy-error.ts";
import type { ByteStream } from "../http/exchange.ts";
import { validAuthority } from "../http/http1/authority.ts";
import { parseIp } from "../net/cidr.ts";
import { loadTls } from "../net/connect.ts";
import { StreamDuplex } from "../net/secure-stream.ts";
import { join } from "../net/stream.ts";
import { StreamPair } from "../net/stream-pair.ts";
import { type TimerOwner, WheelTimer } from "../net/timer-wheel.ts";
import type { Tunnel } from "../services/service.ts";
import { tlsFacts } from "../tls/client-auth.ts";
import { ClientHelloReader, MALFORMED, maxClientHelloBytes, NEED_MORE } from "../tls/client-hello.ts";
import { InterceptedFacts } from "./intercepted-site.ts";
import type { InterceptFailure, Interceptor } from "./interceptor.ts";

/** The first byte of a TLS record that holds a handshake (RFC 8446 §5.1). */
const handshakeRecord = 0x16;

/** A tunnel that is opened: from its acceptance until what is in it is known and its handshake is done. */
export class InterceptedTunnel implements TimerOwner {
  readonly #owner: Interceptor;
  readonly #tunnel: Tunnel;
  readonly #pair: StreamPair = new StreamPair(true);
  readonly #timer: WheelTimer = new WheelTimer(this);
  /** Where the tunnel leads: what the client asked for, or, when that was an address, what its handshake names. */
  #host: string;
  #socket: TLSSocket | null = null;
  #hello: ClientHelloReader | null = null;
  #refusal = "";
  #settled = false;

  constructor(owner: Interceptor, tunnel: Tunnel) {
    this.#owner = owner;
    this.#tunnel = tunnel;
    this.#host = plain(tunnel.host);
  }

  start(): void {
    const { wheel, config, pending } = this.#owner;
    const { outward } = this.#pair;
    pending.add(this);
    outward.onWaiting = (bytes) => this.#onWaiting(bytes);
    outward.onEnded = () => this.#fail("closed", "the client left");
    if (config.handshakeTimeout > 0) wheel.arm(this.#timer, wheel.now() + config.handshakeTimeout);
    this.#tunnel.accept(this.#pair.near);
  }

  /** The proxy is about to end: what is not done in this time is not waited for. */
  drain(graceMs: number): void {
    const { wheel } = this.#owner;
    if (graceMs === 0) this.onTimer();
    else wheel.arm(this.#timer, Math.min(this.#timer.deadline, wheel.now() + graceMs));
  }

  onTimer(): void {
    this.#fail("timeout", "the handshake took too long");
  }

  #onWaiting(bytes: Uint8Array): void {
    const { outward } = this.#pair;
    const next = this.#look(bytes);
    if (next !== "more") outward.onWaiting = null;
    // Whoever writes to the tunnel is not done with it yet.
    queueMicrotask(() => {
      if (this.#settled) return;
      if (next === "more") {
        outward.more();
        return;
      }
      outward.onEnded = null;
      if (next === "open") this.#shake();
      else if (next === "pass") this.#pass();
      else if (this.#refusal !== "") this.#fail("name", this.#refusal);
      else this.#fail("not_tls", "the client does not speak TLS");
    });
  }

  /** What is to become of a tunnel in which a client says this. */
  #look(bytes: Uint8Array): "open" | "pass" | "refuse" | "more" {
    const owner = this.#owner;
    if (bytes[0] !== handshakeRecord) return owner.config.notTls === "tunnel" ? "pass" : "refuse";
    // A client that resolves names by itself asks for an address; which site it means stands in its handshake alone.
    if (owner.config.exclude.length === 0 || parseIp(this.#host) === null) return "open";
    this.#hello ??= new ClientHelloReader();
    const hello = this.#hello.read(bytes);
    if (hello === NEED_MORE) return bytes.length > maxClientHelloBytes ? "open" : "more";
    if (hello === MALFORMED || hello.serverName === "") return "open";
    const { port } = this.#tunnel;
    if (!owner.excludes(hello.serverName, port)) return "open";
    // Who names an excluded host gets to that host: any other place would otherwise be reached unopened under its name.
    const refusal = this.#judge(hello.serverName);
    if (refusal === "") return "pass";
    this.#refusal = refusal;
    return "refuse";
  }

  /** The tunnel goes on unopened. */
  #pass(): void {
    this.#settle();
    const passed = new PassedTunnel(this.#owner, this.#tunnel, this.#host, this.#pair.far);
    this.#pair.outward.onEnded = (error) => {
      if (error !== null) passed.onAbort?.(error);
    };
    this.#owner.next.connect(passed);
  }

  #shake(): void {
    const { TLSSocket } = loadTls();
    const carrier = new StreamDuplex(this.#pair.far);
    const socket = new TLSSocket(carrier, {
      isServer: true,
      secureContext: this.#owner.mint.contextFor(this.#host),
      ALPNProtocols: [...this.#owner.server.protocols],
      SNICallback: (name, done) => {
        const refusal = this.#judge(plain(name));
        this.#refusal = refusal;
        if (refusal !== "") done(new Error(refusal));
        else done(null, this.#owner.mint.contextFor(this.#host));
      },
    });
    this.#socket = socket;
    // It has no TCP handle of its own that could be reset: what carries it is.
    socket.resetAndDestroy = () => socket.destroy(new Error("the stream was broken off"));
    carrier.on("error", (error) => socket.destroy(error));
    // For as long as the socket lives: an error that nobody hears would end the process.
    socket.on("error", (error: NodeJS.ErrnoException) => {
      const refusal = this.#refusal;
      if (refusal !== "") this.#fail("name", refusal);
      else this.#fail(reasonOf(error.code ?? ""), error.message);
    });
    socket.once("close", () => {
      carrier.destroy();
      this.#fail("closed", "the handshake was broken off");
    });
    // Nothing that is left to say would finish the handshake.
    socket.once("end", () => this.#fail("closed", "the client left in its handshake"));
    socket.once("secure", () => this.#secured(socket));
  }

  /** Why the client may not have this name; empty when it may. */
  #judge(name: string): string {
    if (name === this.#host) return "";
    // Two names for one connection are a way to show one to rules and the other to the site (domain fronting).
    if (parseIp(this.#host) === null) return `the handshake names another host, ${JSON.stringify(name)}`;
    if (!validAuthority(name)) return "the handshake names no host";
    const { gate } = this.#owner;
    if (gate !== null && !gate.permitsTunnel(name, this.#tunnel.port)) {
      return `the socket's destinations do not allow ${JSON.stringify(name)}`;
    }
    this.#host = name;
    return "";
  }

  #secured(socket: TLSSocket): void {
    if (this.#settled) return;
    this.#settle();
    const { client } = this.#tunnel;
    const facts = new InterceptedFacts(tlsFacts(socket, false), this.#host, this.#tunnel);
    this.#owner.shaken(facts.version);
    // Node.js says so of the sockets of its servers alone, and HTTP/2 waits for it.
    (socket as unknown as { secureConnecting: boolean }).secureConnecting = false;
    const { address, localAddress = "", localPort = 0 } = client;
    this.#owner.server.onSecure(socket, facts, { address, port: client.port, localAddress, localPort });
  }

  #fail(reason: InterceptFailure, detail: string): void {
    if (this.#settled) return;
    this.#settle();
    this.#owner.failed(reason, this.#host, this.#tunnel.client, detail);
    const socket = this.#socket;
    if (socket !== null) {
      // An alert that says why is on its way.
      setImmediate(() => socket.destroy());
      return;
    }
    const error = new ProxyError("client_disconnected", `cannot open the tunnel: ${detail}`);
    this.#pair.far.readable.cancel(error);
    this.#pair.far.writable.fail(error);
  }

  #settle(): void {
    this.#settled = true;
    this.#owner.wheel.cancel(this.#timer);
    this.#owner.pending.delete(this);
  }
}

/** An accepted tunnel that is not opened after all. */
class PassedTunnel implements Tunnel {
  readonly host: string;
  readonly port: number;
  readonly client: Tunnel["client"];
  readonly depth: number;
  onAbort: ((error: ProxyError) => void) | null = null;
  readonly #owner: Interceptor;
  readonly #stream: ByteStream;

  /** @param host that the tunnel leads to, without brackets */
  constructor(owner: Interceptor, tunnel: Tunnel, host: string, stream: ByteStream) {
    this.host = host;
    this.port = tunnel.port;
    this.client = tunnel.client;
    this.depth = tunnel.depth;
    this.#owner = owner;
    this.#stream = stream;
  }

  accept(stream: ByteStream): void {
    join(this.#stream, stream);
  }

  refuse(error: ProxyError): void {
    this.#owner.failed("not_tls", this.host, this.client, error.message);
    this.#stream.readable.cancel(error);
    this.#stream.writable.fail(error);
  }
}

/** In lower case, without brackets and a final dot. */
function plain(host: string): string {
  const lower = host.toLowerCase();
  const bare = lower.startsWith("[") && lower.endsWith("]") ? lower.slice(1, -1) : lower;
  return bare.endsWith(".") ? bare.slice(0, -1) : bare;
}

function reasonOf(code: string): InterceptFailure {
  if (code.includes("ALERT_UNKNOWN_CA") || (code.includes("ALERT") && code.includes("CERTIFICATE"))) {
    return "refused";
  }
  if (code === "ECONNRESET" || code === "EPIPE" || code === "") return "closed";
  return "protocol";
}
