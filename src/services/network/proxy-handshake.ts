import type { Socket } from "node:net";
import { ProxyError } from "../../errors/proxy-error.ts";
import { parseIp } from "../../net/cidr.ts";
import { ipBytes } from "../../net/ip-text.ts";
import { basicLogin, type UpstreamProxy } from "../../net/upstream-proxy.ts";

/** Bytes that a proxy may say before the way stands. */
const maxAnswer = 16_384;

/** Hears how a handshake ended; exactly one is called, once, unless it was stopped. */
export interface HandshakeOwner {
  /** The way stands: what is written from now on goes there. */
  onWay(): void;
  onNoWay(error: ProxyError): void;
}

/**
 * Asks a proxy for the way to a place: with CONNECT (RFC 9110 §9.3.6) or SOCKS 5 (RFC 1928, RFC 1929). It does not hear
 * of errors; whoever has the socket does.
 */
export class ProxyHandshake {
  readonly #owner: HandshakeOwner;
  readonly #socket: Socket;
  readonly #proxy: UpstreamProxy;
  readonly #host: string;
  readonly #port: number;
  #bytes: Buffer = Buffer.alloc(0);
  #step: "head" | "method" | "login" | "reply" = "head";

  /** @param host without brackets */
  constructor(owner: HandshakeOwner, socket: Socket, proxy: UpstreamProxy, host: string, port: number) {
    this.#owner = owner;
    this.#socket = socket;
    this.#proxy = proxy;
    this.#host = host;
    this.#port = port;
  }

  start(): void {
    const { kind, login } = this.#proxy;
    this.#socket.on("readable", this.#onReadable);
    this.#socket.on("end", this.#onEnd);
    if (kind === "socks5") {
      this.#step = "method";
      this.#socket.write(Buffer.from(login === null ? [5, 1, 0] : [5, 2, 0, 2]));
      return;
    }
    const where = `${this.#host.includes(":") ? `[${this.#host}]` : this.#host}:${this.#port}`;
    const authorization = login === null ? "" : `Proxy-Authorization: ${basicLogin(login)}\r\n`;
    this.#socket.write(`CONNECT ${where} HTTP/1.1\r\nHost: ${where}\r\n${authorization}\r\n`, "latin1");
  }

  /** Nobody wants the way any more. */
  stop(): void {
    this.#socket.off("readable", this.#onReadable);
    this.#socket.off("end", this.#onEnd);
  }

  #onEnd = (): void => {
    this.#fail("it closed the connection");
  };

  #onReadable = (): void => {
    for (;;) {
      const chunk: unknown = this.#socket.read();
      if (!(chunk instanceof Buffer)) return;
      this.#bytes = Buffer.concat([this.#bytes, chunk]);
      const used = this.#take();
      if (used === DONE) return;
      if (this.#bytes.length > maxAnswer) {
        this.#fail("its answer is too long");
        return;
      }
    }
  };

  /** Takes as many steps as there are bytes for. */
  #take(): typeof DONE | typeof MORE {
    for (;;) {
      const step = this.#step;
      const result =
        step === "head"
          ? this.#takeHead()
          : step === "method"
            ? this.#takeMethod()
            : step === "login"
              ? this.#takeLogin()
              : this.#takeReply();
      if (result !== NEXT) return result;
    }
  }

  #takeHead(): Result {
    const end = this.#bytes.indexOf("\r\n\r\n");
    if (end === -1) return MORE;
    const status = /^HTTP\/1\.[01] (\d{3})(?: |\r)/.exec(this.#bytes.toString("latin1", 0, end + 2))?.[1];
    if (status === undefined) return this.#fail("it does not speak HTTP/1.1");
    if (status.startsWith("1")) {
      this.#bytes = this.#bytes.subarray(end + 4);
      return NEXT;
    }
    if (!status.startsWith("2")) return this.#fail(`it answered ${status}`);
    return this.#done(end + 4);
  }

  /** RFC 1928 §3. */
  #takeMethod(): Result {
    const [version, method] = this.#bytes;
    if (version === undefined || method === undefined)
      return version === undefined || version === 5 ? MORE : this.#noSocks();
    if (version !== 5) return this.#noSocks();
    this.#bytes = this.#bytes.subarray(2);
    const { login } = this.#proxy;
    if (method === 0) {
      this.#ask();
      return NEXT;
    }
    if (method !== 2 || login === null)
      return this.#fail("it wants to know who we are, in a way that is not configured");
    const user = Buffer.from(login.user);
    const password = Buffer.from(login.password);
    const head = Buffer.from([1, user.length]);
    this.#socket.write(Buffer.concat([head, user, Buffer.from([password.length]), password]));
    this.#step = "login";
    return NEXT;
  }

  /** RFC 1929 §2. */
  #takeLogin(): Result {
    if (this.#bytes.length < 2) return MORE;
    if (this.#bytes[1] !== 0) return this.#fail("it does not accept the user and password");
    this.#bytes = this.#bytes.subarray(2);
    this.#ask();
    return NEXT;
  }

  /** RFC 1928 §4. */
  #ask(): void {
    this.#step = "reply";
    const ip = parseIp(this.#host);
    let address: Buffer;
    if (ip === null) {
      const name = Buffer.from(this.#host, "latin1");
      address = Buffer.concat([Buffer.from([3, name.length]), name]);
    } else {
      const isV4 = ip.family === 4;
      address = Buffer.concat([Buffer.from([isV4 ? 1 : 4]), ipBytes(ip).subarray(isV4 ? 12 : 0)]);
    }
    this.#socket.write(
      Buffer.concat([Buffer.from([5, 1, 0]), address, Buffer.from([this.#port >> 8, this.#port & 255])]),
    );
  }

  /** RFC 1928 §6. */
  #takeReply(): Result {
    const bytes = this.#bytes;
    if (bytes.length < 5) return MORE;
    if (bytes[0] !== 5) return this.#noSocks();
    const type = bytes[3];
    const addressLength = type === 1 ? 4 : type === 4 ? 16 : type === 3 ? 1 + (bytes[4] ?? 0) : -1;
    if (addressLength === -1) return this.#noSocks();
    if (bytes.length < 4 + addressLength + 2) return MORE;
    const reply = bytes[1] ?? 1;
    if (reply === 0) return this.#done(4 + addressLength + 2);
    const reason = replies[reply] ?? `it answered with ${reply}`;
    return this.#fail(reason, unreachable.includes(reply) ? "upstream_unreachable" : "upstream_proxy_failed");
  }

  #noSocks(): typeof DONE {
    return this.#fail("it does not speak SOCKS 5");
  }

  /** @param used bytes of what has come; the others are from beyond the proxy */
  #done(used: number): typeof DONE {
    this.stop();
    const rest = this.#bytes.subarray(used);
    if (rest.length > 0) this.#socket.unshift(rest);
    this.#owner.onWay();
    return DONE;
  }

  #fail(
    reason: string,
    code: "upstream_proxy_failed" | "upstream_unreachable" = "upstream_proxy_failed",
  ): typeof DONE {
    this.stop();
    const { host, port } = this.#proxy;
    const message = `cannot connect to ${this.#host}:${this.#port} through the proxy ${host}:${port}: ${reason}`;
    this.#owner.onNoWay(new ProxyError(code, message));
    return DONE;
  }
}

const DONE = 0;
const MORE = 1;
const NEXT = 2;
type Result = typeof DONE | typeof MORE | typeof NEXT;

/** RFC 1928 §6. */
const replies: Readonly<Record<number, string>> = {
  1: "it failed",
  2: "its rules do not allow it",
  3: "it cannot reach the network",
  4: "it cannot reach the host",
  5: "the connection was refused",
  6: "the connection took too long",
};
const unreachable = [3, 4, 5, 6];
