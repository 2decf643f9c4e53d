import { isIP } from "node:net";
import { type AddressRange, parseIp, parseRange } from "./cidr.ts";

/** A proxy on the way out, as its URL says. */
export interface UpstreamProxy {
  readonly kind: "http" | "https" | "socks5";
  /** Without brackets. */
  readonly host: string;
  readonly port: number;
  /** Null when it wants no user and password. */
  readonly login: { readonly user: string; readonly password: string } | null;
  /** Where names are resolved; the scheme `socks5h` says it by itself. */
  readonly resolve: "here" | "proxy" | null;
}

const ports: Readonly<Record<string, number>> = { http: 80, https: 443, socks5: 1080, socks5h: 1080 };

/** RFC 1929 §2: a length in one octet. */
const maxLogin = 255;

/**
 * Reads `http://`, `https://`, `socks5://` or `socks5h://` with a host, and with a port, user and password if need be.
 *
 * @throws Error with the reason; nothing of the text is in it, which may hold a password.
 */
export function parseUpstreamProxy(text: string): UpstreamProxy {
  const match = /^(https?|socks5h?):\/\//i.exec(text);
  const scheme = match?.[1]?.toLowerCase() ?? "";
  if (scheme === "" || !URL.canParse(text)) {
    throw new Error("expected a URL such as http://proxy.example:3128, https://… or socks5://…");
  }
  const url = new URL(text);
  if ((url.pathname !== "" && url.pathname !== "/") || url.search !== "" || url.hash !== "") {
    throw new Error("expected a URL without path, query and fragment");
  }
  const host = url.hostname.startsWith("[") ? url.hostname.slice(1, -1) : url.hostname;
  if (host === "" || (isIP(host) === 0 && !/^[A-Za-z0-9._-]{1,254}$/.test(host))) {
    throw new Error("expected the name or address of a proxy in the URL");
  }
  const kind = scheme === "socks5h" ? "socks5" : (scheme as UpstreamProxy["kind"]);
  return {
    kind,
    host,
    port: url.port === "" ? (ports[scheme] ?? 0) : Number(url.port),
    login: url.username === "" ? null : { user: decode(url.username), password: decode(url.password) },
    resolve: scheme === "socks5h" ? "proxy" : null,
  };
}

function decode(text: string): string {
  let plain: string;
  try {
    plain = decodeURIComponent(text);
  } catch {
    throw new Error("expected user and password in percent-encoding");
  }
  if (Buffer.byteLength(plain) > maxLogin || /\p{Cc}/u.test(plain)) {
    throw new Error(`expected user and password of at most ${maxLogin} bytes, without control characters`);
  }
  return plain;
}

interface Exception {
  /** In lower case; empty is every host. */
  readonly name: string;
  readonly range: AddressRange | null;
  /** 0 is every port. */
  readonly port: number;
}

/**
 * Hosts that are reached without a proxy, in the words of NO_PROXY: a name stands for itself and all below it, with or
 * without a dot before it; further there are addresses, CIDRs and `*`, and a port may follow.
 */
export class NoProxy {
  readonly #exceptions: readonly Exception[];

  /** @throws Error with the reason, for an entry that is none */
  constructor(entries: readonly string[]) {
    this.#exceptions = entries.map(parseException);
  }

  /** @param host without brackets */
  has(host: string, port: number): boolean {
    if (this.#exceptions.length === 0) return false;
    const lower = host.toLowerCase();
    const name = lower.endsWith(".") ? lower.slice(0, -1) : lower;
    const address = parseIp(name);
    return this.#exceptions.some((each) => {
      if (each.port !== 0 && each.port !== port) return false;
      if (each.range !== null) return address !== null && each.range.has(address);
      return each.name === "" || name === each.name || (address === null && name.endsWith(`.${each.name}`));
    });
  }
}

function parseException(text: string): Exception {
  const match = /^(\[[^\]]+\]|[^:\s]*|[0-9A-Fa-f:./]+)(?::(\d{1,5}))?$/.exec(text);
  const wrong = new Error(`cannot read ${JSON.stringify(text)}: expected a host, an address, a CIDR or *`);
  if (match === null || text === "") throw wrong;
  // An IPv6 address without brackets has no port after it.
  const isBare = parseIp(text) !== null || (text.includes("/") && (text.match(/:/g)?.length ?? 0) > 1);
  const written = isBare ? text : (match[1] ?? "");
  const port = isBare ? 0 : Number(match[2] ?? 0);
  const bare = written.startsWith("[") ? written.slice(1, -1) : written;
  if (bare === "*") return { name: "", range: null, port };
  if (bare.includes("/") || parseIp(bare) !== null) {
    try {
      return { name: bare, range: parseRange(bare), port };
    } catch {
      throw wrong;
    }
  }
  const name = bare
    .toLowerCase()
    .replace(/^\*?\./, "")
    .replace(/\.$/, "");
  if (!/^[a-z0-9._-]+$/.test(name) || port > 65_535) throw wrong;
  return { name, range: null, port };
}

/** What a network goes through, as its config says. */
export interface ProxiesConfig {
  readonly http?: string | undefined;
  readonly https?: string | undefined;
  readonly noProxy: readonly string[];
  readonly resolve: "here" | "proxy";
}

/** Which proxy leads where. */
export class UpstreamProxies {
  readonly #http: UpstreamProxy | null;
  readonly #https: UpstreamProxy | null;
  readonly #noProxy: NoProxy;

  /** @throws Error when the config is not right */
  constructor({ http, https, noProxy, resolve }: ProxiesConfig) {
    const read = (text: string | undefined): UpstreamProxy | null => {
      if (text === undefined) return null;
      const proxy = parseUpstreamProxy(text);
      return { ...proxy, resolve: proxy.resolve ?? resolve };
    };
    this.#http = read(http);
    this.#https = read(https);
    this.#noProxy = new NoProxy(noProxy);
  }

  /**
   * The proxy to a place, or null.
   *
   * @param plain for http requests; tunnels and https requests take the other one
   */
  to(host: string, port: number, plain: boolean): UpstreamProxy | null {
    const proxy = plain ? this.#http : this.#https;
    return proxy === null || this.#noProxy.has(host, port) ? null : proxy;
  }
}

/** Proxy-Authorization for an HTTP proxy (RFC 7617 §2). */
export function basicLogin({ user, password }: { readonly user: string; readonly password: string }): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;
}
