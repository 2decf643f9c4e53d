import { isIPv4, isIPv6 } from "node:net";

/**
 * Where a socket listens or an upstream is reached. A tcp `host` of "" is any address of the machine; an IPv6 host stands
 * without its brackets. A unix path is as it was written: whoever read it from a file resolves it against that file.
 */
export type Address =
  | { readonly kind: "tcp"; readonly host: string; readonly port: number }
  | { readonly kind: "unix"; readonly path: string }
  | { readonly kind: "unix-abstract"; readonly name: string }
  | { readonly kind: "fd"; readonly fd: number }
  | { readonly kind: "systemd"; readonly name: string };

/** `sun_path` holds 108 bytes: a path ends with a NUL, an abstract name begins with one (unix(7)). */
const maxUnixBytes = 107;

/** A domain name in its text form holds at most 253 characters (RFC 1035 §2.3.4). */
const maxHostLength = 253;

/** Larger descriptors than a process can hold are typing mistakes. */
const maxDescriptor = 0x7fff_ffff;

/**
 * Reads `host:port`, `*:port`, `:port`, `[v6]:port`, `unix:/path`, `unix-abstract:name`, `fd:3` or `systemd:name`.
 * Port 0 asks the system for a free port. Names are not resolved.
 *
 * @throws Error `cannot read address "…": reason`
 */
export function parseAddress(text: string): Address {
  if (text.startsWith("unix:")) {
    return { kind: "unix", path: checkUnixName(text, text.slice("unix:".length), "path") };
  }
  if (text.startsWith("unix-abstract:")) {
    return { kind: "unix-abstract", name: checkUnixName(text, text.slice("unix-abstract:".length), "name") };
  }
  if (text.startsWith("fd:")) {
    const fd = readNumber(text.slice("fd:".length), maxDescriptor);
    if (fd === -1) fail(text, 'expected a descriptor\'s number, as in "fd:3"');
    return { kind: "fd", fd };
  }
  if (text.startsWith("systemd:")) {
    const name = text.slice("systemd:".length);
    if (name === "") fail(text, 'expected a name from FileDescriptorName=, as in "systemd:http"');
    // sd_listen_fds_with_names(3) separates the names by colons and allows no control characters in them.
    if (name.length > 255 || name.includes(":") || hasControl(name))
      fail(text, "no systemd socket can have this name");
    return { kind: "systemd", name };
  }
  return parseTcp(text);
}

/** The shortest text that `parseAddress` reads as the same address. */
export function formatAddress(address: Address): string {
  switch (address.kind) {
    case "tcp":
      if (address.host === "") return `*:${address.port}`;
      return address.host.includes(":")
        ? `[${address.host}]:${address.port}`
        : `${address.host}:${address.port}`;
    case "unix":
      return `unix:${address.path}`;
    case "unix-abstract":
      return `unix-abstract:${address.name}`;
    case "fd":
      return `fd:${address.fd}`;
    case "systemd":
      return `systemd:${address.name}`;
  }
}

function parseTcp(text: string): Address {
  if (text === "") fail(text, 'expected host:port, as in "127.0.0.1:8080"');
  if (text.includes("://")) fail(text, 'expected host:port without a scheme, as in "127.0.0.1:8080"');
  if (text.startsWith("[")) {
    const close = text.indexOf("]");
    if (close === -1) fail(text, 'the "[" is never closed');
    const host = text.slice(1, close);
    if (!isIPv6(host)) fail(text, "the brackets hold no IPv6 address");
    if (text[close + 1] !== ":") fail(text, 'expected a port after the "]", as in "[::1]:8080"');
    return { kind: "tcp", host, port: readPort(text, text.slice(close + 2)) };
  }
  const colon = text.lastIndexOf(":");
  if (colon === -1) fail(text, `expected host:port, as in "${suggestTcp(text)}"`);
  const host = text.slice(0, colon);
  if (host.includes(":")) fail(text, 'an IPv6 address stands in brackets, as in "[::1]:8080"');
  const port = readPort(text, text.slice(colon + 1));
  if (host === "" || host === "*") return { kind: "tcp", host: "", port };
  checkHost(text, host);
  return { kind: "tcp", host, port };
}

/** What somebody most likely meant who wrote only a port or only a host. */
function suggestTcp(text: string): string {
  if (readNumber(text, 65_535) !== -1) return `*:${text}`;
  return isPlainHost(text) ? `${text}:8080` : "127.0.0.1:8080";
}

function checkHost(text: string, host: string): void {
  if (!isPlainHost(host)) fail(text, "the host holds a character that no host name has");
  if (host.length > maxHostLength) fail(text, `a host name holds at most ${maxHostLength} characters`);
  const name = host.endsWith(".") ? host.slice(0, -1) : host;
  const labels = name.split(".");
  for (const label of labels) {
    if (label === "" || label.length > 63) fail(text, "each part of a host name holds 1 to 63 characters");
  }
  // A name that ends in a number is an IPv4 address or nothing (WHATWG URL §3.5, "ends in a number"): resolvers read
  // 127.1 and 0x7f.1 as addresses, which would walk past rules that are written for the dotted form.
  const last = labels.at(-1) ?? "";
  if (isNumeric(last) && !isIPv4(host)) fail(text, "the host is no IPv4 address in four decimal parts");
}

function isNumeric(label: string): boolean {
  return readNumber(label, Number.MAX_SAFE_INTEGER) !== -1 || /^0[xX][0-9a-fA-F]*$/.test(label);
}

/** Letters, digits, hyphen, dot and underscore: the names that resolvers take (RFC 1123 §2.1, RFC 8552 for "_"). */
function isPlainHost(host: string): boolean {
  return host !== "" && /^[A-Za-z0-9._-]+$/.test(host);
}

function readPort(text: string, digits: string): number {
  const port = readNumber(digits, 65_535);
  if (port === -1) fail(text, "the port is no number from 0 to 65535");
  return port;
}

/** A decimal number without sign, blank or leading zeros; -1 when the text is none or above `max`. */
function readNumber(digits: string, max: number): number {
  if (digits === "" || digits.length > 16 || (digits.length > 1 && digits.startsWith("0"))) return -1;
  let value = 0;
  for (let i = 0; i < digits.length; i++) {
    const digit = digits.charCodeAt(i) - 48;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value > max ? -1 : value;
}

function checkUnixName(text: string, name: string, what: "path" | "name"): string {
  if (name === "") fail(text, `expected a ${what} after the colon`);
  // A NUL ends the path for the kernel, so that what is checked and what is opened would differ.
  if (name.includes("\0")) fail(text, `the ${what} holds a NUL`);
  if (Buffer.byteLength(name) > maxUnixBytes)
    fail(text, `the ${what} of a unix socket holds at most ${maxUnixBytes} bytes`);
  return name;
}

function hasControl(name: string): boolean {
  for (let i = 0; i < name.length; i++) {
    const code = name.charCodeAt(i);
    if (code < 0x20 || code === 0x7f) return true;
  }
  return false;
}

function fail(text: string, reason: string): never {
  throw new Error(`cannot read address ${JSON.stringify(text)}: ${reason}`);
}
