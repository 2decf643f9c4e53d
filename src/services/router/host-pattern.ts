import { domainToASCII } from "node:url";
import { parseIp } from "../../net/cidr.ts";
import { formatIp } from "../../net/ip-text.ts";

/**
 * The host of a rule: `example.com`, `*.example.com` for every name below it (not itself), or `*`; `:port` after any of
 * them asks for that port, without one any port will do. Names compare without regard to case and to a final dot.
 */
export class HostPattern {
  readonly #name: string;
  /** The pattern is `*.` and this name, dot included. */
  readonly #wild: boolean;
  /** -1 is any port. */
  readonly #port: number;

  /** @throws Error `cannot read host pattern "…": reason` */
  constructor(text: string) {
    const { name, port } = splitAuthority(text);
    if (name === "" || port === invalidPort) {
      throw new Error(`cannot read host pattern ${JSON.stringify(text)}: expected a name, *.name or *`);
    }
    this.#port = port;
    this.#wild = name === "*" || name.startsWith("*.");
    const plain = this.#wild ? name.slice(2) : name;
    const ascii = plain === "" || plain.startsWith("[") ? plain : domainToASCII(plain);
    if (ascii.includes("*") || (ascii === "" && name !== "*")) {
      throw new Error(
        `cannot read host pattern ${JSON.stringify(text)}: "*" stands for whole labels at the front`,
      );
    }
    this.#name = this.#wild && ascii !== "" ? `.${ascii}` : ascii;
  }

  /** @param name as `splitAuthority` gives it. @param port of the request, the scheme's own if none is written. */
  matches(name: string, port: number): boolean {
    if (this.#port !== anyPort && this.#port !== port) return false;
    if (!this.#wild) return name === this.#name;
    // `*` alone takes a request without an authority too.
    return this.#name === "" || (name.length > this.#name.length && name.endsWith(this.#name));
  }
}

export const anyPort = -1;
const invalidPort = -2;

/**
 * The host in lower case without a final dot, and the port: -1 when there is none, -2 when it is no number. An IPv6
 * address is written as in RFC 5952, and a mapped IPv4 address as that: no other spelling gets past a rule.
 */
export function splitAuthority(authority: string): { name: string; port: number } {
  const bracket = authority.lastIndexOf("]");
  const colon = authority.indexOf(":", bracket + 1);
  let name = (colon === -1 ? authority : authority.slice(0, colon)).toLowerCase();
  if (name.endsWith(".")) name = name.slice(0, -1);
  if (name.startsWith("[")) name = writtenPlainly(name);
  if (colon === -1 || colon + 1 === authority.length) return { name, port: anyPort };
  let port = 0;
  for (let i = colon + 1; i < authority.length; i++) {
    const digit = authority.charCodeAt(i) - 48;
    if (digit < 0 || digit > 9) return { name, port: invalidPort };
    port = port * 10 + digit;
    if (port > 65_535) return { name, port: invalidPort };
  }
  return { name, port };
}

/** @param text an address in brackets, or what is none */
function writtenPlainly(text: string): string {
  const address = parseIp(text.slice(1, -1));
  if (address === null) return text;
  return address.family === 4 ? formatIp(address) : `[${formatIp(address)}]`;
}
