import { validAuthority } from "../../http/http1/authority.ts";
import { formatIp, readIp } from "../../net/ip-text.ts";

/** What a client of SOCKS 5 says, in this order; `login` only where it was asked for (RFC 1928 §3, §4; RFC 1929 §2). */
export type SocksMessage =
  | { readonly kind: "greeting"; readonly methods: Uint8Array }
  | { readonly kind: "login"; readonly user: string; readonly password: string }
  | { readonly kind: "request"; readonly command: number; readonly host: string; readonly port: number };

/** Why a message cannot be served, with the reply that says so; 0 where the protocol has none. */
export interface SocksViolation {
  readonly kind: "violation";
  readonly reply: number;
  readonly reason: string;
}

export const NEED_MORE = "need-more";

const greeting = 0;
const login = 1;
const request = 2;

const failed = 1;
const addressUnknown = 8;

/** Reads the messages of a client: bytes in, messages out. It does no I/O, and holds at most one message and what follows it. */
export class SocksReader {
  #bytes: Buffer = Buffer.alloc(0);
  #step: typeof greeting | typeof login | typeof request = greeting;

  /** The next message is user and password, or the request. */
  expect(kind: "login" | "request"): void {
    this.#step = kind === "login" ? login : request;
  }

  /** @param bytes are copied */
  push(bytes: Uint8Array): void {
    this.#bytes = Buffer.concat([this.#bytes, bytes]);
  }

  next(): SocksMessage | SocksViolation | typeof NEED_MORE {
    switch (this.#step) {
      case greeting:
        return this.#greeting();
      case login:
        return this.#login();
      case request:
        return this.#request();
    }
  }

  /** What came after the last message. */
  takeRest(): Buffer {
    const rest = this.#bytes;
    this.#bytes = Buffer.alloc(0);
    return rest;
  }

  #greeting(): SocksMessage | SocksViolation | typeof NEED_MORE {
    const [version, count] = this.#bytes;
    if (version === undefined) return NEED_MORE;
    if (version !== 5) return violation(0, version === 4 ? "it is SOCKS 4" : "it is not SOCKS 5");
    if (count === undefined || this.#bytes.length < 2 + count) return NEED_MORE;
    return { kind: "greeting", methods: this.#take(2 + count).subarray(2) };
  }

  #login(): SocksMessage | SocksViolation | typeof NEED_MORE {
    const bytes = this.#bytes;
    if (bytes.length > 0 && bytes[0] !== 1) return violation(0, "the user and password are not in order");
    const nameEnd = 2 + (bytes[1] ?? 0);
    const end = nameEnd + 1 + (bytes[nameEnd] ?? 0);
    if (bytes.length <= nameEnd || bytes.length < end) return NEED_MORE;
    const message = this.#take(end);
    const user = message.toString("utf8", 2, nameEnd);
    return { kind: "login", user, password: message.toString("utf8", nameEnd + 1) };
  }

  #request(): SocksMessage | SocksViolation | typeof NEED_MORE {
    const bytes = this.#bytes;
    if (bytes.length > 0 && bytes[0] !== 5) return violation(0, "the request is not in order");
    if (bytes.length < 5) return NEED_MORE;
    const type = bytes[3];
    const length = type === 1 ? 4 : type === 4 ? 16 : type === 3 ? 1 + (bytes[4] ?? 0) : -1;
    if (length === -1) return violation(addressUnknown, "its kind of address is not known");
    if (bytes.length < 4 + length + 2) return NEED_MORE;
    const message = this.#take(4 + length + 2);
    const address = message.subarray(4, 4 + length);
    const port = message.readUInt16BE(4 + length);
    const host = type === 3 ? address.toString("latin1", 1) : formatIp(readIp(address));
    if (message[2] !== 0 || !validAuthority(`${host.includes(":") ? `[${host}]` : host}:${port}`)) {
      return violation(failed, "it names no host and port");
    }
    return { kind: "request", command: message[1] ?? 0, host, port };
  }

  #take(length: number): Buffer {
    const taken = this.#bytes.subarray(0, length);
    this.#bytes = this.#bytes.subarray(length);
    return taken;
  }
}

function violation(reply: number, reason: string): SocksViolation {
  return { kind: "violation", reply, reason };
}
