import { querystring } from "../parts/node-querystring.ts";
import { URL } from "../web/url.ts";
import { URLSearchParams } from "../web/url-search-params.ts";
import { invalidType, nodeError, validateString } from "./errors.ts";
import { punycode } from "./punycode.ts";

type Query = string | Record<string, unknown> | null;

const noSlashes = new Set(["javascript", "javascript:"]);
const slashed = new Set(
  ["http", "https", "ftp", "gopher", "file", "ws", "wss"].flatMap((name) => [name, `${name}:`]),
);

/** Characters that a legacy URL holds only escaped. */
const escaped = /[\t\n\r "'<>\\^`{|}]/g;

function escapeAll(text: string): string {
  return text.replace(escaped, (character) => encodeURIComponent(character).replace("'", "%27"));
}

function isHostless(protocol: string | null): boolean {
  return protocol !== null && noSlashes.has(protocol);
}

/** What `url.parse` gives: the parts of a URL as it is written. */
export class Url {
  protocol: string | null = null;
  slashes: boolean | null = null;
  auth: string | null = null;
  host: string | null = null;
  port: string | null = null;
  hostname: string | null = null;
  hash: string | null = null;
  search: string | null = null;
  query: Query = null;
  pathname: string | null = null;
  path: string | null = null;
  href: string | null = null;

  parse(input: unknown, parseQuery = false, slashesDenoteHost = false): this {
    validateString(input, "url");
    let rest = input.trim();
    // Backslashes before the query are slashes, as browsers have it.
    const cut = rest.search(/[?#]/);
    rest = cut < 0 ? rest.replaceAll("\\", "/") : rest.slice(0, cut).replaceAll("\\", "/") + rest.slice(cut);
    const scheme = /^[a-z0-9.+-]+:/i.exec(rest);
    if (scheme !== null) {
      this.protocol = scheme[0].toLowerCase();
      rest = rest.slice(scheme[0].length);
    }
    const looksLikeHost = rest.startsWith("//");
    if (
      (slashesDenoteHost || scheme !== null || /^\/\/[^@/]+@[^@/]+/.test(rest)) &&
      looksLikeHost &&
      !isHostless(this.protocol)
    ) {
      rest = rest.slice(2);
      this.slashes = true;
    }
    if (!isHostless(this.protocol) && this.slashes === true) {
      rest = this.#authority(rest, input);
    }
    if (!isHostless(this.protocol)) rest = escapeAll(rest);
    const hash = rest.indexOf("#");
    if (hash >= 0) {
      this.hash = rest.slice(hash);
      rest = rest.slice(0, hash);
    }
    const question = rest.indexOf("?");
    if (question >= 0) {
      this.search = rest.slice(question);
      this.query = parseQuery ? querystring.parse(rest.slice(question + 1)) : rest.slice(question + 1);
      rest = rest.slice(0, question);
    } else if (parseQuery) {
      this.search = null;
      this.query = { __proto__: null } as unknown as Query;
    }
    if (rest !== "") this.pathname = rest;
    if (
      this.protocol !== null &&
      slashed.has(this.protocol) &&
      this.hostname !== null &&
      this.pathname === null
    )
      this.pathname = "/";
    if (this.pathname !== null || this.search !== null)
      this.path = (this.pathname ?? "") + (this.search ?? "");
    this.href = this.format();
    return this;
  }

  /** Takes user, host and port off the front; gives the rest. */
  #authority(text: string, input: string): string {
    let end = text.search(/[/?#]/);
    if (end < 0) end = text.length;
    const at = text.lastIndexOf("@", end - 1 < 0 ? 0 : end);
    let authority = text.slice(0, end);
    if (at >= 0 && at < end) {
      try {
        this.auth = decodeURIComponent(text.slice(0, at));
      } catch {
        throw nodeError(URIError, "ERR_INVALID_URI", "URI malformed");
      }
      authority = text.slice(at + 1, end);
    }
    let rest = text.slice(end);
    const stop = authority.search(/[\t\n\r "%';<>\\^`{|}]/);
    if (stop >= 0) {
      rest = authority.slice(stop) + rest;
      authority = authority.slice(0, stop);
      if (!rest.startsWith("/") && !rest.startsWith("?") && !rest.startsWith("#")) rest = `/${rest}`;
    }
    const port = /:([0-9]*)$/.exec(authority);
    if (port !== null) {
      if (port[1] !== "") this.port = port[1] as string;
      authority = authority.slice(0, port.index);
    }
    let hostname = authority.toLowerCase();
    if (hostname.startsWith("[") && hostname.endsWith("]")) {
      if (/[^0-9a-f:.[\]%]/i.test(hostname)) throw this.#invalid(input);
    } else {
      if (/[\0\t\n\r #%/<>?@[\\\]^|:]/.test(hostname)) throw this.#invalid(input);
      if (hostname.length > 255) hostname = "";
      // biome-ignore lint/suspicious/noControlCharactersInRegex: what is not ASCII goes through IDNA.
      else if (/[^\x00-\x7f]/.test(hostname)) {
        const ascii = domainToASCII(hostname);
        if (ascii === "") throw this.#invalid(input);
        hostname = ascii;
      }
    }
    this.hostname = hostname;
    this.host = hostname + (this.port === null ? "" : `:${this.port}`);
    if (hostname.startsWith("[")) {
      this.hostname = hostname.slice(1, -1);
      if (!rest.startsWith("/")) rest = `/${rest}`;
    }
    return rest;
  }

  #invalid(input: string): Error {
    const error = nodeError(TypeError, "ERR_INVALID_URL", "Invalid URL") as Error & { input?: string };
    error.input = input;
    return error;
  }

  format(): string {
    let auth = this.auth ?? "";
    if (auth !== "") auth = `${encodeURIComponent(auth).replace(/%3A/i, ":")}@`;
    let protocol = this.protocol ?? "";
    let pathname = this.pathname ?? "";
    let hash = this.hash ?? "";
    let host = "";
    if (this.host) host = auth + this.host;
    else if (this.hostname) {
      host =
        auth +
        (this.hostname.includes(":") && !this.hostname.startsWith("[")
          ? `[${this.hostname}]`
          : this.hostname);
      if (this.port) host += `:${this.port}`;
    }
    let query = "";
    if (this.query !== null && typeof this.query === "object") query = querystring.stringify(this.query);
    let search = this.search || (query === "" ? "" : `?${query}`);
    if (protocol !== "" && !protocol.endsWith(":")) protocol += ":";
    pathname = pathname.replaceAll("#", "%23").replaceAll("?", "%3F");
    if (this.slashes || slashed.has(protocol)) {
      if (this.slashes || host !== "") {
        if (pathname !== "" && !pathname.startsWith("/")) pathname = `/${pathname}`;
        host = `//${host}`;
      } else if (protocol === "file:") host = "//";
    }
    search = search.replaceAll("#", "%23");
    if (hash !== "" && !hash.startsWith("#")) hash = `#${hash}`;
    if (search !== "" && !search.startsWith("?")) search = `?${search}`;
    return protocol + host + pathname + search + hash;
  }

  resolve(relative: unknown): string {
    return this.resolveObject(parse(relative, false, true)).format();
  }

  /** RFC 3986 §5.2, leniently: a base without a host works too. */
  resolveObject(given: unknown): Url {
    const relative = typeof given === "string" ? parse(given, false, true) : (given as Url);
    const result = Object.assign(new Url(), this);
    result.hash = relative.hash;
    if (relative.href === "") {
      result.href = result.format();
      return result;
    }
    const copy = (source: Url): void => {
      result.pathname = source.pathname;
      result.search = source.search;
      result.query = source.query;
    };
    if (relative.protocol !== null && relative.protocol !== result.protocol) {
      Object.assign(result, relative);
      if (slashed.has(relative.protocol) && relative.host === null && relative.protocol !== "file:") {
        // `http:x` against another scheme: its first segment is the host.
        const segments = (relative.pathname ?? "").split("/");
        while (segments.length > 0 && segments[0] === "") segments.shift();
        const host = segments.shift() ?? "";
        result.host = result.hostname = host;
        result.pathname = `/${segments.join("/")}`;
        result.slashes = true;
      }
      result.path = (result.pathname ?? "") + (result.search ?? "");
      result.href = result.format();
      return result;
    }
    if (relative.slashes === true || relative.host !== null) {
      const { protocol } = result;
      Object.assign(result, relative);
      result.protocol = protocol;
      if (result.pathname !== null) result.pathname = withoutDots(result.pathname, true);
    } else if (relative.pathname === null) {
      if (relative.search !== null) {
        result.search = relative.search;
        result.query = relative.query;
      }
    } else if (relative.pathname.startsWith("/")) {
      copy(relative);
      result.pathname = withoutDots(relative.pathname, true);
    } else {
      const base = result.pathname ?? "";
      const directory = base.slice(0, base.lastIndexOf("/") + 1) || (result.host !== null ? "/" : "");
      copy(relative);
      result.pathname = withoutDots(directory + relative.pathname, directory.startsWith("/"));
    }
    result.path =
      result.pathname !== null || result.search !== null
        ? (result.pathname ?? "") + (result.search ?? "")
        : null;
    result.slashes = result.slashes || relative.slashes;
    result.href = result.format();
    return result;
  }
}

function withoutDots(path: string, absolute: boolean): string {
  const segments = path.split("/");
  const last = segments[segments.length - 1] ?? "";
  const kept: string[] = [];
  for (const segment of segments) {
    if (segment === ".") continue;
    if (segment !== "..") kept.push(segment);
    else if (kept.length > (absolute ? 1 : 0) && kept[kept.length - 1] !== "..") kept.pop();
    else if (!absolute) kept.push("..");
  }
  if (last === "." || last === "..") kept.push("");
  const text = kept.join("/");
  return absolute && !text.startsWith("/") ? `/${text}` : text;
}

function parse(input: unknown, parseQuery?: boolean, slashesDenoteHost?: boolean): Url {
  return input instanceof Url ? input : new Url().parse(input, parseQuery, slashesDenoteHost);
}

interface FormatOptions {
  fragment?: boolean;
  unicode?: boolean;
  search?: boolean;
  auth?: boolean;
}

function format(value: unknown, options?: FormatOptions): string {
  if (typeof value === "string") return parse(value).format();
  if (typeof value !== "object" || value === null)
    throw invalidType("urlObject", "one of type object or string", value);
  if (value instanceof URL) {
    if (options !== undefined && (options === null || typeof options !== "object"))
      throw invalidType("options", "of type object", options);
    const host =
      options?.unicode === true
        ? domainToUnicode(value.hostname) + (value.port === "" ? "" : `:${value.port}`)
        : value.host;
    const credentials =
      value.username === "" ? "" : `${value.username}${value.password === "" ? "" : `:${value.password}`}@`;
    const slashes = value.href.startsWith(`${value.protocol}//`) ? "//" : "";
    return (
      value.protocol +
      slashes +
      (options?.auth === false ? "" : credentials) +
      host +
      value.pathname +
      (options?.search === false ? "" : value.search) +
      (options?.fragment === false ? "" : value.hash)
    );
  }
  return Url.prototype.format.call(Object.assign(new Url(), value) as Url);
}

function domainToASCII(domain: string): string {
  const url = URL.parse(`ws://${domain}`);
  return url === null ? "" : url.hostname;
}

function domainToUnicode(domain: string): string {
  const ascii = domainToASCII(domain);
  return ascii === "" ? "" : punycode.toUnicode(ascii);
}

function fileURLToPath(value: unknown, options?: { windows?: boolean }): string {
  const url = typeof value === "string" ? new URL(value) : value;
  if (!(url instanceof URL)) throw invalidType("path", "of type string or an instance of URL", value);
  if (url.protocol !== "file:")
    throw nodeError(TypeError, "ERR_INVALID_URL_SCHEME", "The URL must be of scheme file");
  if (options?.windows === true) {
    const path = decodeURIComponent(url.pathname.replaceAll("/", "\\"));
    if (url.hostname !== "") return `\\\\${url.hostname}${path}`;
    if (!/^\\[a-z]:/i.test(path))
      throw nodeError(TypeError, "ERR_INVALID_FILE_URL_PATH", "File URL path must be absolute");
    return path.slice(1);
  }
  if (url.hostname !== "")
    throw nodeError(
      TypeError,
      "ERR_INVALID_FILE_URL_HOST",
      'File URL host must be "localhost" or empty on linux',
    );
  if (/%2f/i.test(url.pathname))
    throw nodeError(
      TypeError,
      "ERR_INVALID_FILE_URL_PATH",
      "File URL path must not include encoded / characters",
    );
  return decodeURIComponent(url.pathname);
}

function pathToFileURL(path: unknown, options?: { windows?: boolean }): URL {
  validateString(path, "path");
  const windows = options?.windows === true;
  let text = windows ? path.replaceAll("\\", "/") : path;
  if (windows && /^[a-z]:/i.test(text)) text = `/${text}`;
  if (!text.startsWith("/")) text = `/${text}`;
  const url = new URL("file:///");
  url.pathname = text
    .replaceAll("%", "%25")
    .replaceAll("\\", "%5C")
    .replaceAll("\n", "%0A")
    .replaceAll("\r", "%0D")
    .replaceAll("\t", "%09")
    .replaceAll("#", "%23")
    .replaceAll("?", "%3F")
    .replaceAll("[", "%5B")
    .replaceAll("]", "%5D")
    .replaceAll("^", "%5E")
    .replaceAll("|", "%7C")
    .replaceAll("~", "%7E");
  return url;
}

function urlToHttpOptions(url: URL): Record<string, unknown> {
  if (typeof url?.href !== "string" || typeof url.protocol !== "string")
    throw invalidType("url", "of type URL", url);
  const options: Record<string, unknown> = {
    protocol: url.protocol,
    hostname: url.hostname.startsWith("[") ? url.hostname.slice(1, -1) : url.hostname,
    hash: url.hash,
    search: url.search,
    pathname: url.pathname,
    path: `${url.pathname}${url.search}`,
    href: url.href,
  };
  if (url.port !== "") options["port"] = Number(url.port);
  if (url.username !== "" || url.password !== "")
    options["auth"] = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
  return options;
}

/** node:url. */
export const url = {
  URL,
  URLSearchParams,
  get URLPattern(): unknown {
    return (globalThis as unknown as Record<string, unknown>)["URLPattern"];
  },
  Url,
  domainToASCII,
  domainToUnicode,
  fileURLToPath,
  fileURLToPathBuffer: (value: unknown): Uint8Array => new TextEncoder().encode(fileURLToPath(value)),
  format,
  parse,
  pathToFileURL,
  resolve: (from: unknown, to: unknown): string => parse(from, false, true).resolve(to),
  resolveObject: (from: unknown, to: unknown): unknown =>
    from ? parse(from, false, true).resolveObject(to) : to,
  urlToHttpOptions,
};

declare const TextEncoder: new () => { encode(text: string): Uint8Array };
