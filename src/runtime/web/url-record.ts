import { host } from "./host.ts";
import { StringCharCodeAt, StringIndexOf, StringSlice, StringStartsWith } from "./primordials.ts";

/** A parsed URL: its serialisation, and where its components stand in it (see `src/wire/url.ts`). Immutable. */
export class UrlRecord {
  readonly href: string;
  readonly protocolEnd: number;
  readonly usernameEnd: number;
  readonly passwordEnd: number;
  readonly hostStart: number;
  readonly hostEnd: number;
  readonly pathStart: number;
  readonly searchStart: number;
  readonly hashStart: number;

  constructor(
    href: string,
    protocolEnd: number,
    usernameEnd: number,
    passwordEnd: number,
    hostStart: number,
    hostEnd: number,
    pathStart: number,
    searchStart: number,
    hashStart: number,
  ) {
    this.href = href;
    this.protocolEnd = protocolEnd;
    this.usernameEnd = usernameEnd;
    this.passwordEnd = passwordEnd;
    this.hostStart = hostStart;
    this.hostEnd = hostEnd;
    this.pathStart = pathStart;
    this.searchStart = searchStart;
    this.hashStart = hashStart;
  }
}

const inHost = 1;
const inPath = 2;
const inQuery = 4;
const inFragment = 8;

/** The characters that each component of a special URL may hold and that parsing leaves exactly as they are. */
const plain = new Uint8Array(128);
allow("abcdefghijklmnopqrstuvwxyz0123456789-.", inHost | inPath | inQuery | inFragment);
allow("ABCDEFGHIJKLMNOPQRSTUVWXYZ_~!$&()*+,;=:@/%", inPath | inQuery | inFragment);
allow("'", inPath | inFragment);
allow("?", inQuery | inFragment);
allow("[]|", inPath | inQuery | inFragment);

function allow(characters: string, where: number): void {
  for (let i = 0; i < characters.length; i++) {
    const code = characters.charCodeAt(i);
    plain[code] = (plain[code] as number) | where;
  }
}

/**
 * Parses an absolute http or https URL that is already in its normal form, which nearly every request URL is: the
 * result's href is the input itself. Everything that parsing would change or refuse gives null, and goes to the host:
 * upper case in the host, escapes or internationalised labels in it, credentials, default ports, dot segments, and
 * any character that needs escaping. Some 0.15 µs for 60 characters; the way through the host takes 3 µs.
 */
export function parsePlain(input: string): UrlRecord | null {
  const { length } = input;
  let protocolEnd: number;
  if (StringStartsWith(input, "http://")) protocolEnd = 5;
  else if (StringStartsWith(input, "https://")) protocolEnd = 6;
  else return null;

  const hostStart = protocolEnd + 2;
  let i = hostStart;
  let label = hostStart;
  for (; i < length; i++) {
    const code = StringCharCodeAt(input, i);
    if (code === 46) {
      if (!plainLabel(input, label, i)) return null;
      label = i + 1;
    } else if (code >= 128 || ((plain[code] as number) & inHost) === 0) {
      break;
    }
  }
  const hostEnd = i;
  if (!plainLabel(input, label, hostEnd)) return null;
  // A host whose last label begins with a digit may be an IPv4 address in one of its many spellings (URL §3.5).
  if (isDigit(StringCharCodeAt(input, label)) && !plainIPv4(input, hostStart, hostEnd)) return null;

  if (i < length && StringCharCodeAt(input, i) === 58) {
    i = plainPort(input, i + 1, protocolEnd === 5 ? 80 : 443);
    if (i < 0) return null;
  }
  // Without a path, the normal form has one more character.
  if (i >= length || StringCharCodeAt(input, i) !== 47) return null;

  const pathStart = i;
  i = plainPath(input, i);
  if (i < 0) return null;
  const searchStart = i;
  if (i < length && StringCharCodeAt(input, i) === 63) {
    i = plainRun(input, i + 1, inQuery);
    if (i < length && StringCharCodeAt(input, i) !== 35) return null;
  }
  const hashStart = i;
  if (i < length && plainRun(input, i + 1, inFragment) < length) return null;
  return new UrlRecord(
    input,
    protocolEnd,
    hostStart,
    hostStart,
    hostStart,
    hostEnd,
    pathStart,
    searchStart,
    hashStart,
  );
}

function isDigit(code: number): boolean {
  return code >= 48 && code <= 57;
}

/** A label without IDNA's attention: not empty, no hyphens at places three and four ("xn--"), none at its ends. */
function plainLabel(input: string, start: number, end: number): boolean {
  if (start >= end) return false;
  if (StringCharCodeAt(input, start) === 45 || StringCharCodeAt(input, end - 1) === 45) return false;
  return !(
    end - start >= 4 &&
    StringCharCodeAt(input, start + 2) === 45 &&
    StringCharCodeAt(input, start + 3) === 45
  );
}

/** Four decimal numbers of 0 to 255 without leading zeros. */
function plainIPv4(input: string, start: number, end: number): boolean {
  let dots = 0;
  let value = -1;
  for (let i = start; i < end; i++) {
    const code = StringCharCodeAt(input, i);
    if (code === 46) {
      dots++;
      value = -1;
    } else if (isDigit(code) && value !== 0) {
      value = (value < 0 ? 0 : value * 10) + code - 48;
      if (value > 255) return false;
    } else {
      return false;
    }
  }
  return dots === 3;
}

/** The index after a port of 1 to 65,535 that is not the scheme's own, or -1. */
function plainPort(input: string, start: number, standard: number): number {
  let port = 0;
  let i = start;
  for (; i < input.length; i++) {
    const code = StringCharCodeAt(input, i);
    if (!isDigit(code)) break;
    port = port * 10 + code - 48;
    if (port === 0 || port > 65535) return -1;
  }
  return i === start || port === standard ? -1 : i;
}

/** The index of the "?" or "#" after the path, or the length; -1 when the path would change. */
function plainPath(input: string, start: number): number {
  let i = start;
  for (; i < input.length; i++) {
    const code = StringCharCodeAt(input, i);
    if (code === 47) {
      // A segment that begins like a dot segment, "%2e" included, is for the host to judge.
      const next = StringCharCodeAt(input, i + 1);
      if (next === 46 || (next === 37 && StringCharCodeAt(input, i + 2) === 50)) return -1;
    } else if (code >= 128 || ((plain[code] as number) & inPath) === 0) {
      return code === 63 || code === 35 ? i : -1;
    }
  }
  return i;
}

function plainRun(input: string, start: number, where: number): number {
  let i = start;
  for (; i < input.length; i++) {
    const code = StringCharCodeAt(input, i);
    if (code >= 128 || ((plain[code] as number) & where) === 0) break;
  }
  return i;
}

/** The URL parser (URL §4.4); null when the input is not valid. */
export function parseUrl(input: string, base: string | null): UrlRecord | null {
  if (base === null) {
    const record = parsePlain(input);
    if (record !== null) return record;
  } else if (StringCharCodeAt(input, 0) === 47 && StringCharCodeAt(input, 1) !== 47) {
    // A path against an ordinary base, the usual way to make a subrequest.
    const origin = parsePlain(base);
    if (origin !== null) {
      const record = parsePlain(StringSlice(base, 0, origin.pathStart) + input);
      if (record !== null) return record;
    }
  }
  return readRecord(host.parseUrl(input, base));
}

/** Sets one component, "" as its value included; null when the host refuses. */
export function setUrlPart(record: UrlRecord, part: string, value: string): UrlRecord | null {
  return readRecord(host.setUrlPart(record.href, part, value));
}

function readRecord(text: string): UrlRecord | null {
  if (text === "") return null;
  let at = 0;
  const next = (): number => {
    const comma = StringIndexOf(text, ",", at);
    const value = +StringSlice(text, at, comma);
    at = comma + 1;
    return value;
  };
  const protocolEnd = next();
  const usernameEnd = next();
  const passwordEnd = next();
  const hostStart = next();
  const hostEnd = next();
  const pathStart = next();
  const searchStart = next();
  const hashStart = next();
  const href = StringSlice(text, at);
  return new UrlRecord(
    href,
    protocolEnd,
    usernameEnd,
    passwordEnd,
    hostStart,
    hostEnd,
    pathStart,
    searchStart,
    hashStart,
  );
}

/** The origin of an http, https, ws or wss URL in normal form, or without a path. */
export function originOf(href: string): string {
  const path = StringIndexOf(href, "/", StringIndexOf(href, "//") + 2);
  return path < 0 ? href : StringSlice(href, 0, path);
}
