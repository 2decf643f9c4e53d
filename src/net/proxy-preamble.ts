import { parseIp } from "./cidr.ts";
import { crc32c } from "./crc32c.ts";
import { formatIp, readIp } from "./ip-text.ts";
import { INVALID, MORE, type OpeningReader } from "./opening.ts";
import type { Peer } from "./peer.ts";

/** How version 2 of the PROXY protocol begins (HAProxy's proxy-protocol.txt §2.2). */
export const signature: Buffer = Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1");

const prefix = Buffer.from("PROXY ", "latin1");
/** With its CRLF (§2.1). */
const longestLine = 107;
const fixedBytes = 16;
/** Longer addresses and TLVs are refused; what HAProxy and load balancers of clouds send stays under 1 KiB. */
const longestRest = 4096;

/** No more input than this is ever looked at. */
export const maxPreambleBytes: number = fixedBytes + longestRest;

const crcType = 0x03;
/** Bytes of the addresses by family: none, IPv4, IPv6, unix (§2.2). */
const addressBytes = [0, 12, 36, 216] as const;
const stream = 1;

/** Reads a preamble of the PROXY protocol, version 1 or 2, each byte of which is judged as soon as it is there. */
export class PreambleReader implements OpeningReader {
  /** What the preamble tells; null where it tells nothing, and the connection is the sender's own (LOCAL, UNKNOWN). */
  peer: Peer | null = null;

  read(bytes: Buffer): number {
    if (bytes.length === 0) return MORE;
    const isBinary = bytes[0] === signature[0];
    const start = isBinary ? signature : prefix;
    const length = Math.min(bytes.length, start.length);
    if (bytes.compare(start, 0, length, 0, length) !== 0) return INVALID;
    if (bytes.length < start.length) return MORE;
    return isBinary ? this.#readBinary(bytes) : this.#readLine(bytes);
  }

  /** §2.1: `PROXY TCP4 192.0.2.1 192.0.2.2 40000 443`, CRLF. */
  #readLine(bytes: Buffer): number {
    const end = bytes.subarray(0, longestLine).indexOf("\r\n");
    if (end === -1) return bytes.length < longestLine ? MORE : INVALID;
    const words = bytes.toString("latin1", prefix.length, end).split(" ");
    const [family, ...rest] = words;
    // Whatever follows UNKNOWN is ignored.
    if (family === "UNKNOWN") return end + 2;
    if ((family !== "TCP4" && family !== "TCP6") || rest.length !== 4) return INVALID;
    const [source = "", destination = "", sourcePort = "", destinationPort = ""] = rest;
    const from = parseIp(source);
    const to = parseIp(destination);
    const port = readPort(sourcePort);
    const localPort = readPort(destinationPort);
    if (from === null || to === null || port === -1 || localPort === -1) return INVALID;
    if (source.includes(":") !== (family === "TCP6") || destination.includes(":") !== (family === "TCP6")) {
      return INVALID;
    }
    this.peer = { address: formatIp(from), port, localAddress: formatIp(to), localPort };
    return end + 2;
  }

  /** §2.2. */
  #readBinary(bytes: Buffer): number {
    const version = bytes[12] ?? 0x20;
    const command = version & 15;
    if (version >> 4 !== 2 || command > 1) return INVALID;
    const family = (bytes[13] ?? 0) >> 4;
    const transport = (bytes[13] ?? 0) & 15;
    if (command === 1 && (family > 3 || transport > 2)) return INVALID;
    if (bytes.length < fixedBytes) return MORE;
    const length = bytes.readUInt16BE(14);
    if (length > longestRest) return INVALID;
    if (bytes.length < fixedBytes + length) return MORE;
    const end = fixedBytes + length;
    // LOCAL: the sender's own connection, as of a health check. What else it says is to be discarded.
    if (command === 0) return end;
    const known = addressBytes[family] ?? 0;
    if (length < known) return INVALID;
    const header = bytes.subarray(0, end);
    if (!tlvsAreSound(header, fixedBytes + known)) return INVALID;
    // Another transport, or none: the addresses do not tell of this connection.
    if (transport === stream) this.peer = readAddresses(header, family);
    return end;
  }
}

function readAddresses(header: Buffer, family: number): Peer | null {
  // A client of a unix socket has no address.
  if (family === 3) return { address: "", port: 0, localAddress: "", localPort: 0 };
  if (family === 0) return null;
  const size = family === 1 ? 4 : 16;
  const ports = fixedBytes + 2 * size;
  return {
    address: formatIp(readIp(header.subarray(fixedBytes, fixedBytes + size))),
    port: header.readUInt16BE(ports),
    localAddress: formatIp(readIp(header.subarray(fixedBytes + size, ports))),
    localPort: header.readUInt16BE(ports + 2),
  };
}

/** §2.2.1: each TLV fits, and a checksum is right. */
function tlvsAreSound(header: Buffer, from: number): boolean {
  let at = from;
  while (at < header.length) {
    if (at + 3 > header.length) return false;
    const value = at + 3;
    const length = header.readUInt16BE(at + 1);
    if (value + length > header.length) return false;
    if (header[at] === crcType && !checksumHolds(header, value, length)) return false;
    at = value + length;
  }
  return true;
}

/** §2.2.3: over the whole header, with zeros in the checksum's place. */
function checksumHolds(header: Buffer, at: number, length: number): boolean {
  if (length !== 4) return false;
  const copy = Buffer.from(header);
  copy.writeUInt32BE(0, at);
  return crc32c(copy) === header.readUInt32BE(at);
}

/** A decimal port without sign or leading zeros; -1 when the text is none. */
function readPort(text: string): number {
  if (text.length === 0 || text.length > 5 || (text.length > 1 && text.startsWith("0"))) return -1;
  let port = 0;
  for (let i = 0; i < text.length; i++) {
    const digit = text.charCodeAt(i) - 48;
    if (digit < 0 || digit > 9) return -1;
    port = port * 10 + digit;
  }
  return port > 65_535 ? -1 : port;
}
