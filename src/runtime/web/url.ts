import { StringIndexOf, StringSlice } from "./primordials.ts";
import { parsePlain, parseUrl, setUrlPart, type UrlRecord } from "./url-record.ts";
import { paramsOf, resetParams, type URLSearchParams } from "./url-search-params.ts";
import { defineInterface, internal, isObject, quote, requireArguments, toUSVString } from "./webidl.ts";

export let isURL: (value: unknown) => value is URL;

/** URL §6.1. */
export class URL {
  #record: UrlRecord;
  #params: URLSearchParams | null = null;

  constructor(url: string | URL, base?: string | URL) {
    if (base === (internal as unknown)) {
      this.#record = url as unknown as UrlRecord;
      return;
    }
    requireArguments(arguments.length, 1, "URL constructor");
    const input = toUSVString(url);
    const record = parseUrl(input, base === undefined ? null : toUSVString(base));
    if (record === null) throw invalid(input);
    this.#record = record;
  }

  static parse(url: string | URL, base?: string | URL): URL | null {
    requireArguments(arguments.length, 1, "URL.parse");
    const record = parseUrl(toUSVString(url), base === undefined ? null : toUSVString(base));
    return record === null ? null : new URL(record as unknown as string, internal as unknown as string);
  }

  static canParse(url: string | URL, base?: string | URL): boolean {
    requireArguments(arguments.length, 1, "URL.canParse");
    return parseUrl(toUSVString(url), base === undefined ? null : toUSVString(base)) !== null;
  }

  get href(): string {
    return this.#record.href;
  }

  set href(value: string) {
    const input = toUSVString(value);
    const record = parseUrl(input, null);
    if (record === null) throw invalid(input);
    this.#replace(record);
  }

  get origin(): string {
    return originOf(this.#record);
  }

  get protocol(): string {
    return StringSlice(this.#record.href, 0, this.#record.protocolEnd);
  }

  set protocol(value: string) {
    this.#set("protocol", toUSVString(value));
  }

  get username(): string {
    const { href, protocolEnd, usernameEnd } = this.#record;
    return usernameEnd > protocolEnd ? StringSlice(href, protocolEnd + 2, usernameEnd) : "";
  }

  set username(value: string) {
    this.#set("username", toUSVString(value));
  }

  get password(): string {
    const { href, usernameEnd, passwordEnd } = this.#record;
    return passwordEnd > usernameEnd ? StringSlice(href, usernameEnd + 1, passwordEnd) : "";
  }

  set password(value: string) {
    this.#set("password", toUSVString(value));
  }

  get host(): string {
    const { href, hostStart, hostEnd, pathStart } = this.#record;
    // Between an empty host and the path there may be "/.", which is not a port.
    return hostEnd > hostStart ? StringSlice(href, hostStart, pathStart) : "";
  }

  set host(value: string) {
    this.#set("host", toUSVString(value));
  }

  get hostname(): string {
    const { href, hostStart, hostEnd } = this.#record;
    return StringSlice(href, hostStart, hostEnd);
  }

  set hostname(value: string) {
    const text = toUSVString(value);
    const { href, hostStart, hostEnd } = this.#record;
    const record = parsePlain(StringSlice(href, 0, hostStart) + text + StringSlice(href, hostEnd));
    if (record !== null && record.hostEnd === hostStart + text.length) this.#record = record;
    else this.#set("hostname", text);
  }

  get port(): string {
    const { href, hostStart, hostEnd, pathStart } = this.#record;
    return hostEnd > hostStart && pathStart > hostEnd ? StringSlice(href, hostEnd + 1, pathStart) : "";
  }

  set port(value: string) {
    this.#set("port", toUSVString(value));
  }

  get pathname(): string {
    const { href, pathStart, searchStart } = this.#record;
    return StringSlice(href, pathStart, searchStart);
  }

  set pathname(value: string) {
    const text = toUSVString(value);
    const { href, pathStart, searchStart } = this.#record;
    const record = parsePlain(StringSlice(href, 0, pathStart) + text + StringSlice(href, searchStart));
    if (record !== null && record.pathStart === pathStart && record.searchStart === pathStart + text.length) {
      this.#record = record;
    } else {
      this.#set("pathname", text);
    }
  }

  get search(): string {
    const { href, searchStart, hashStart } = this.#record;
    return hashStart > searchStart + 1 ? StringSlice(href, searchStart, hashStart) : "";
  }

  set search(value: string) {
    const text = toUSVString(value);
    const { href, searchStart, hashStart } = this.#record;
    const query = text === "" || text[0] === "?" ? text : `?${text}`;
    const record =
      query === "?"
        ? null
        : parsePlain(StringSlice(href, 0, searchStart) + query + StringSlice(href, hashStart));
    if (
      record !== null &&
      record.searchStart === searchStart &&
      record.hashStart === searchStart + query.length
    ) {
      this.#replace(record);
    } else {
      this.#set("search", text);
    }
  }

  get searchParams(): URLSearchParams {
    this.#params ??= paramsOf(this.#query(), { queryChanged: (query) => this.#queryChanged(query) });
    return this.#params;
  }

  get hash(): string {
    const { href, hashStart } = this.#record;
    return hashStart + 1 < href.length ? StringSlice(href, hashStart) : "";
  }

  set hash(value: string) {
    this.#set("hash", toUSVString(value));
  }

  toString(): string {
    return this.#record.href;
  }

  toJSON(): string {
    return this.#record.href;
  }

  #query(): string {
    const { href, searchStart, hashStart } = this.#record;
    return StringSlice(href, searchStart + 1, hashStart);
  }

  #set(part: string, value: string): void {
    const record = setUrlPart(this.#record, part, value);
    if (record !== null) this.#replace(record);
  }

  #replace(record: UrlRecord): void {
    this.#record = record;
    if (this.#params !== null) resetParams(this.#params, this.#query());
  }

  #queryChanged(query: string): void {
    const { href, searchStart, hashStart } = this.#record;
    const text = query === "" ? "" : `?${query}`;
    const plain = parsePlain(StringSlice(href, 0, searchStart) + text + StringSlice(href, hashStart));
    const record = plain ?? setUrlPart(this.#record, "search", text);
    if (record !== null) this.#record = record;
  }

  static {
    isURL = (value): value is URL => isObject(value) && #record in value;
  }
}

/** URL §4.7, for the href of `record`. */
function originOf(record: UrlRecord): string {
  const { href, protocolEnd, hostStart, pathStart } = record;
  const protocol = StringSlice(href, 0, protocolEnd);
  switch (protocol) {
    case "http:":
    case "https:":
    case "ws:":
    case "wss:":
    case "ftp:":
      return `${protocol}//${StringSlice(href, hostStart, pathStart)}`;
    case "blob:": {
      const inner = parseUrl(StringSlice(href, pathStart, record.searchStart), null);
      if (inner === null || StringIndexOf(inner.href, "http") !== 0) return "null";
      const scheme = StringSlice(inner.href, 0, inner.protocolEnd);
      return scheme === "http:" || scheme === "https:" ? originOf(inner) : "null";
    }
    default:
      return "null";
  }
}

function invalid(input: string): TypeError {
  return new TypeError(`cannot parse URL: ${quote(input)} is not valid`);
}

defineInterface(URL, "URL", 1, { parse: 1, canParse: 1 });
