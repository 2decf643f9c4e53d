/** What a client asks for in the first message of a handshake; all of it in clear text, and none of it proven. */
export interface ClientHello {
  /** The name in lower case without a final dot (RFC 6066 §3); empty when there is none. */
  readonly serverName: string;
  /** Protocols that it offers, the preferred one first (RFC 7301); octets as characters. */
  readonly protocols: readonly string[];
  /** Versions that it offers, for example 0x0304 for TLS 1.3 (RFC 8446 §4.2.1). */
  readonly versions: readonly number[];
}

/** The message is not complete yet, and what has come of it is in order. */
export const NEED_MORE = "need-more";
/** What has come is no ClientHello. */
export const MALFORMED = "malformed";

/** Longer messages are refused: browsers send some 2 KiB, and post-quantum keys and many protocols fit as well. */
const maxMessage = 16_384;

/** The message comes in at most so many records. RFC 8446 §5.1 sets no limit, and records of a byte are an attack. */
const maxRecords = 64;

const recordHeader = 5;
const handshakeRecord = 22;
const clientHello = 1;
const serverNameExtension = 0;
const protocolsExtension = 16;
const versionsExtension = 43;

/** No more input than this is ever looked at. */
export const maxClientHelloBytes: number = maxMessage + maxRecords * recordHeader;

/**
 * Reads a ClientHello out of TLS records (RFC 8446 §4.1.2, §5.1), over which it may be spread at will, as they come in.
 * It decrypts nothing, and believes nothing: each length is checked against what holds it.
 */
export class ClientHelloReader {
  /** Where the next record begins. */
  #at = 0;
  #records = 0;
  #fragments: Uint8Array[] = [];
  #length = 0;
  #result: ClientHello | typeof MALFORMED | null = null;

  /** @param bytes all that has come of the connection, from its first byte; what was there before must not change. */
  read(bytes: Uint8Array): ClientHello | typeof NEED_MORE | typeof MALFORMED {
    if (this.#result !== null) return this.#result;
    const result = this.#read(bytes);
    if (result !== NEED_MORE) this.#result = result;
    return result;
  }

  #read(bytes: Uint8Array): ClientHello | typeof NEED_MORE | typeof MALFORMED {
    for (;;) {
      const at = this.#at;
      const left = bytes.length - at;
      // Each byte is judged as soon as it is there: who speaks another protocol is not waited for.
      if (left > 0 && bytes[at] !== handshakeRecord) return MALFORMED;
      if (left > 1 && bytes[at + 1] !== 3) return MALFORMED;
      if (left < recordHeader) return NEED_MORE;
      const length = pair(bytes, at + 3);
      if (length === 0 || length > maxMessage || this.#records >= maxRecords) return MALFORMED;
      if (this.#length === 0 && left > recordHeader && bytes[at + recordHeader] !== clientHello)
        return MALFORMED;
      if (left < recordHeader + length) return NEED_MORE;
      this.#records++;
      this.#fragments.push(bytes.slice(at + recordHeader, at + recordHeader + length));
      this.#length += length;
      this.#at = at + recordHeader + length;
      if (this.#length < 4) continue;
      const message = this.#whole();
      const needed = ((message[1] ?? 0) << 16) | pair(message, 2);
      if (needed > maxMessage - 4) return MALFORMED;
      if (message.length < 4 + needed) continue;
      // Nothing may follow it before the server has answered, but 0-RTT data in records of their own.
      if (message.length > 4 + needed) return MALFORMED;
      return readMessage(message.subarray(4)) ?? MALFORMED;
    }
  }

  #whole(): Uint8Array {
    const [first] = this.#fragments;
    if (this.#fragments.length === 1 && first !== undefined) return first;
    const whole = new Uint8Array(this.#length);
    let at = 0;
    for (const fragment of this.#fragments) {
      whole.set(fragment, at);
      at += fragment.length;
    }
    this.#fragments = [whole];
    return whole;
  }
}

/** The same for a ClientHello that is there as a whole. */
export function readClientHello(bytes: Uint8Array): ClientHello | typeof NEED_MORE | typeof MALFORMED {
  return new ClientHelloReader().read(bytes);
}

/** A part of a message, from which lengths and what they count are taken in order. */
class Fields {
  readonly #bytes: Uint8Array;
  #at = 0;
  /** Something was longer than what holds it. */
  failed = false;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get rest(): number {
    return this.failed ? 0 : this.#bytes.length - this.#at;
  }

  number(size: 1 | 2): number {
    const bytes = this.take(size);
    return size === 1 ? (bytes[0] ?? 0) : pair(bytes, 0);
  }

  take(length: number): Uint8Array {
    if (length > this.rest) {
      this.failed = true;
      return nothing;
    }
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  /** A vector: its length in so many bytes, then its content (RFC 8446 §3.4). */
  vector(size: 1 | 2): Uint8Array {
    return this.take(this.number(size));
  }
}

const nothing = new Uint8Array(0);

/** RFC 8446 §4.1.2; null when it is not in order. */
function readMessage(body: Uint8Array): ClientHello | null {
  const fields = new Fields(body);
  const legacyVersion = fields.number(2);
  fields.take(32);
  const session = fields.vector(1);
  const suites = fields.vector(2);
  const compressions = fields.vector(1);
  if (fields.failed || session.length > 32 || suites.length < 2 || suites.length % 2 === 1) return null;
  if (compressions.length === 0 || legacyVersion >> 8 !== 3) return null;
  let serverName: string | null = "";
  let protocols: readonly string[] | null = [];
  let versions: readonly number[] | null = [legacyVersion];
  // TLS 1.2 allows a message without extensions (RFC 5246 §7.4.1.2).
  if (fields.rest > 0) {
    const extensions = new Fields(fields.vector(2));
    if (fields.failed || fields.rest > 0) return null;
    const seen = new Set<number>();
    while (extensions.rest > 0) {
      const type = extensions.number(2);
      const data = extensions.vector(2);
      // RFC 8446 §4.2 forbids two of a kind: parsers differ in which they take.
      if (extensions.failed || seen.has(type)) return null;
      seen.add(type);
      if (type === serverNameExtension) serverName = readServerName(data);
      else if (type === protocolsExtension) protocols = readProtocols(data);
      else if (type === versionsExtension) versions = readVersions(data);
    }
  }
  if (serverName === null || protocols === null || versions === null) return null;
  return { serverName, protocols, versions };
}

/** RFC 6066 §3: a list of names, of which there is one of the only type. */
function readServerName(data: Uint8Array): string | null {
  const fields = new Fields(data);
  const list = new Fields(fields.vector(2));
  if (fields.failed || fields.rest > 0 || list.rest === 0) return null;
  let name: string | null = null;
  while (list.rest > 0) {
    const type = list.number(1);
    const value = list.vector(2);
    if (list.failed || type !== 0 || name !== null) return null;
    name = readName(value);
    if (name === null) return null;
  }
  return name;
}

/** A host name that can stand in a log, in a rule and in a request for a connection; null for any other text. */
function readName(bytes: Uint8Array): string | null {
  const end = bytes.length > 1 && bytes[bytes.length - 1] === 46 ? bytes.length - 1 : bytes.length;
  if (end === 0 || end > 253) return null;
  let name = "";
  for (let i = 0; i < end; i++) {
    const code = bytes[i] ?? 0;
    const isLetter = (code | 32) >= 97 && (code | 32) <= 122;
    const isDigit = code >= 48 && code <= 57;
    if (!isLetter && !isDigit && code !== 45 && code !== 46 && code !== 95) return null;
    if (code === 46 && (i === 0 || bytes[i - 1] === 46)) return null;
    name += String.fromCharCode(code >= 65 && code <= 90 ? code | 32 : code);
  }
  return name;
}

/** RFC 7301 §3.1. */
function readProtocols(data: Uint8Array): readonly string[] | null {
  const fields = new Fields(data);
  const list = new Fields(fields.vector(2));
  if (fields.failed || fields.rest > 0 || list.rest === 0) return null;
  const protocols: string[] = [];
  while (list.rest > 0) {
    const name = list.vector(1);
    if (list.failed || name.length === 0) return null;
    protocols.push(String.fromCharCode(...name));
  }
  return protocols;
}

/** RFC 8446 §4.2.1. */
function readVersions(data: Uint8Array): readonly number[] | null {
  const fields = new Fields(data);
  const list = fields.vector(1);
  if (fields.failed || fields.rest > 0 || list.length < 2 || list.length % 2 === 1) return null;
  const versions: number[] = [];
  for (let i = 0; i < list.length; i += 2) versions.push(pair(list, i));
  return versions;
}

function pair(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}
