import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Address, formatAddress, parseAddress } from "../../src/net/address.ts";

const valid: Array<[text: string, address: Address, canonical?: string]> = [
  ["127.0.0.1:8080", { kind: "tcp", host: "127.0.0.1", port: 8080 }],
  ["*:8080", { kind: "tcp", host: "", port: 8080 }],
  [":8080", { kind: "tcp", host: "", port: 8080 }, "*:8080"],
  ["localhost:0", { kind: "tcp", host: "localhost", port: 0 }],
  ["_http._tcp.example.com:65535", { kind: "tcp", host: "_http._tcp.example.com", port: 65535 }],
  ["example.com.:443", { kind: "tcp", host: "example.com.", port: 443 }],
  ["[::1]:80", { kind: "tcp", host: "::1", port: 80 }],
  ["[::]:0", { kind: "tcp", host: "::", port: 0 }],
  ["[fe80::1%eth0]:80", { kind: "tcp", host: "fe80::1%eth0", port: 80 }],
  ["[::ffff:10.0.0.1]:80", { kind: "tcp", host: "::ffff:10.0.0.1", port: 80 }],
  ["unix:/run/app.sock", { kind: "unix", path: "/run/app.sock" }],
  ["unix:./app.sock", { kind: "unix", path: "./app.sock" }],
  ["unix-abstract:app", { kind: "unix-abstract", name: "app" }],
  ["fd:3", { kind: "fd", fd: 3 }],
  ["fd:0", { kind: "fd", fd: 0 }],
  ["systemd:http", { kind: "systemd", name: "http" }],
];

const invalid: Array<[text: string, reason: string]> = [
  ["", 'expected host:port, as in "127.0.0.1:8080"'],
  ["example.com", 'expected host:port, as in "example.com:8080"'],
  ["8080", 'expected host:port, as in "*:8080"'],
  ["http://example.com:80", 'expected host:port without a scheme, as in "127.0.0.1:8080"'],
  ["::1:80", 'an IPv6 address stands in brackets, as in "[::1]:8080"'],
  ["[::1]", 'expected a port after the "]", as in "[::1]:8080"'],
  ["[::1]80", 'expected a port after the "]", as in "[::1]:8080"'],
  ["[::1:80", 'the "[" is never closed'],
  ["[127.0.0.1]:80", "the brackets hold no IPv6 address"],
  ["localhost:", "the port is no number from 0 to 65535"],
  ["localhost:http", "the port is no number from 0 to 65535"],
  ["localhost:65536", "the port is no number from 0 to 65535"],
  ["localhost:-1", "the port is no number from 0 to 65535"],
  ["localhost:080", "the port is no number from 0 to 65535"],
  ["localhost:8e1", "the port is no number from 0 to 65535"],
  ["127.1:80", "the host is no IPv4 address in four decimal parts"],
  ["256.0.0.1:80", "the host is no IPv4 address in four decimal parts"],
  ["127.0.0.0x1:80", "the host is no IPv4 address in four decimal parts"],
  ["a..b:80", "each part of a host name holds 1 to 63 characters"],
  [`${"a".repeat(64)}:80`, "each part of a host name holds 1 to 63 characters"],
  [`${"a.".repeat(127)}a:80`, "a host name holds at most 253 characters"],
  ["a b:80", "the host holds a character that no host name has"],
  ["user@host:80", "the host holds a character that no host name has"],
  ["unix:", "expected a path after the colon"],
  ["unix:/a\0b", "the path holds a NUL"],
  [`unix:/${"a".repeat(107)}`, "the path of a unix socket holds at most 107 bytes"],
  ["unix-abstract:", "expected a name after the colon"],
  ["fd:", 'expected a descriptor\'s number, as in "fd:3"'],
  ["fd:-1", 'expected a descriptor\'s number, as in "fd:3"'],
  ["fd:three", 'expected a descriptor\'s number, as in "fd:3"'],
  ["fd:99999999999", 'expected a descriptor\'s number, as in "fd:3"'],
  ["systemd:", 'expected a name from FileDescriptorName=, as in "systemd:http"'],
  ["systemd:a:b", "no systemd socket can have this name"],
];

describe("addresses", () => {
  for (const [text, address, canonical] of valid) {
    test(`${JSON.stringify(text)} is read and written back`, () => {
      assert.deepEqual(parseAddress(text), address);
      assert.equal(formatAddress(address), canonical ?? text);
      assert.deepEqual(parseAddress(formatAddress(address)), address);
    });
  }

  for (const [text, reason] of invalid) {
    test(`${JSON.stringify(text.slice(0, 40))} is refused: ${reason}`, () => {
      assert.throws(() => parseAddress(text), {
        message: `cannot read address ${JSON.stringify(text)}: ${reason}`,
      });
    });
  }
});
