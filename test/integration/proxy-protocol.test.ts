import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import * as net from "node:net";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import * as tls from "node:tls";
import { promisify } from "node:util";
import { crc32c } from "../../src/net/crc32c.ts";
import { INVALID, MORE } from "../../src/net/opening.ts";
import { PreambleReader, signature } from "../../src/net/proxy-preamble.ts";
import { Authority } from "../support/authority.ts";
import { unused } from "../support/client.ts";
import { missing, startHaProxy } from "../support/peer-program.ts";
import { eventually, readMetrics, sumOf } from "../support/shard.ts";
import { type RunningSluice, runSluice, startSluice } from "../support/sluice.ts";
import { TemporaryDirectory } from "../support/temporary.ts";

const run = promisify(execFile);

interface Binary {
  readonly command?: number;
  readonly family?: number;
  readonly addresses?: Buffer;
  readonly tlvs?: Buffer;
  readonly version?: number;
}

const v4 = Buffer.from([203, 0, 113, 9, 192, 0, 2, 1, 0x9c, 0x40, 0x01, 0xbb]);

/** A preamble of version 2. */
function binary({
  command = 1,
  family = 0x11,
  addresses = v4,
  tlvs = Buffer.alloc(0),
  version = 2,
}: Binary): Buffer {
  const head = Buffer.from([(version << 4) | command, family, 0, 0]);
  head.writeUInt16BE(addresses.length + tlvs.length, 2);
  return Buffer.concat([signature, head, addresses, tlvs]);
}

function tlv(type: number, value: Buffer, length: number = value.length): Buffer {
  return Buffer.concat([Buffer.from([type, length >> 8, length & 255]), value]);
}

/** What stands behind a preamble, whether it comes at once or byte by byte. */
function read(bytes: Buffer): { used: number; reader: PreambleReader } {
  const reader = new PreambleReader();
  const used = reader.read(bytes);
  const slow = new PreambleReader();
  let last = MORE;
  for (let length = 0; length <= bytes.length && last === MORE; length++)
    last = slow.read(bytes.subarray(0, length));
  assert.equal(last, used, "byte by byte");
  assert.deepEqual(slow.peer, reader.peer);
  return { used, reader };
}

test("a preamble of version 1 tells the client, and what follows it is left", () => {
  const line = Buffer.from("PROXY TCP4 203.0.113.9 192.0.2.1 40000 443\r\nGET");
  const { used, reader } = read(line);
  assert.equal(line.subarray(used).toString(), "GET");
  assert.deepEqual(reader.peer, {
    address: "203.0.113.9",
    port: 40_000,
    localAddress: "192.0.2.1",
    localPort: 443,
  });
  const six = read(Buffer.from("PROXY TCP6 2001:0DB8::0:1 ::1 1 65535\r\n"));
  assert.equal(six.reader.peer?.address, "2001:db8::1");
  for (const text of ["PROXY UNKNOWN\r\n", "PROXY UNKNOWN ffff::1 x y z\r\n"]) {
    const unknown = read(Buffer.from(text));
    assert.equal(unknown.used, text.length);
    assert.equal(unknown.reader.peer, null);
  }
});

test("a line that is not in order is no preamble", () => {
  const bad = [
    "GET / HTTP/1.1\r\n",
    "PROXY\r\n",
    "PROXY TCP4\r\n",
    "PROXY  TCP4 203.0.113.9 192.0.2.1 40000 443\r\n",
    "PROXY TCP4 203.0.113.9 192.0.2.1 40000 443 \r\n",
    "PROXY TCP4 203.0.113.9 192.0.2.1 40000 65536\r\n",
    "PROXY TCP4 203.0.113.9 192.0.2.1 040000 443\r\n",
    "PROXY TCP4 203.0.113.9 192.0.2.1 -1 443\r\n",
    "PROXY TCP4 203.0.113.09 192.0.2.1 40000 443\r\n",
    "PROXY TCP4 ::1 ::1 40000 443\r\n",
    "PROXY TCP6 203.0.113.9 192.0.2.1 40000 443\r\n",
    "PROXY UDP4 203.0.113.9 192.0.2.1 40000 443\r\n",
    "proxy TCP4 203.0.113.9 192.0.2.1 40000 443\r\n",
    `PROXY UNKNOWN ${"x".repeat(100)}\r\n`,
    `PROXY TCP4 ${"1".repeat(200)}`,
  ];
  for (const text of bad) assert.equal(read(Buffer.from(text)).used, INVALID, JSON.stringify(text));
  // The longest line of the specification, 107 bytes with its end.
  const longest = `PROXY UNKNOWN ${"f:".repeat(45)}f`.padEnd(105, "f");
  assert.equal(read(Buffer.from(`${longest}\r\n`)).used, 107);
  assert.equal(read(Buffer.from(`${longest}f\r\n`)).used, INVALID);
  assert.equal(read(Buffer.from("PROXY TCP4 203.0.113.9")).used, MORE);
});

test("a preamble of version 2 tells the client by its family, or nothing", () => {
  const four = read(Buffer.concat([binary({}), Buffer.from("rest")]));
  assert.equal(four.used, 28);
  assert.deepEqual(four.reader.peer, {
    address: "203.0.113.9",
    port: 40_000,
    localAddress: "192.0.2.1",
    localPort: 443,
  });
  const addresses = Buffer.alloc(36);
  addresses.writeUInt16BE(0x2001, 0);
  addresses.writeUInt8(1, 15);
  addresses.writeUInt16BE(0xffff, 16 + 10);
  addresses.writeUInt32BE(0x7f00_0001, 16 + 12);
  addresses.writeUInt16BE(7, 32);
  const six = read(binary({ family: 0x21, addresses })).reader.peer;
  // An IPv4 address in its mapped form is one.
  assert.deepEqual(six, { address: "2001::1", port: 7, localAddress: "127.0.0.1", localPort: 0 });
  const unix = read(binary({ family: 0x31, addresses: Buffer.alloc(216) })).reader.peer;
  assert.equal(unix?.address, "");
  for (const local of [
    binary({ command: 0 }),
    binary({ command: 0, family: 0, addresses: Buffer.alloc(0) }),
    binary({ command: 0, family: 0xff, addresses: Buffer.alloc(5) }),
    binary({ family: 0, addresses: Buffer.alloc(0) }),
    binary({ family: 0x12 }),
  ]) {
    const { used, reader } = read(local);
    assert.equal(used, local.length);
    assert.equal(reader.peer, null);
  }
});

test("TLVs are passed over within their bounds, and a checksum must be right", () => {
  const rest = Buffer.concat([
    tlv(0x01, Buffer.from("h2")),
    tlv(0xee, Buffer.alloc(300)),
    tlv(0x04, Buffer.alloc(0)),
  ]);
  assert.equal(read(binary({ tlvs: rest })).used, 28 + rest.length);
  const checked = binary({ tlvs: Buffer.concat([rest, tlv(0x03, Buffer.alloc(4))]) });
  checked.writeUInt32BE(crc32c(checked), checked.length - 4);
  assert.equal(read(checked).used, checked.length);
  const changed = Buffer.from(checked);
  changed.writeUInt8(10, 16);
  for (const bad of [
    changed,
    binary({ tlvs: tlv(0x03, Buffer.alloc(3)) }),
    binary({ tlvs: tlv(0x01, Buffer.alloc(4), 5) }),
    binary({ tlvs: Buffer.from([1, 0]) }),
    binary({ version: 1 }),
    binary({ command: 2 }),
    binary({ family: 0x41 }),
    binary({ family: 0x13 }),
    binary({ family: 0x21 }),
    binary({ tlvs: Buffer.alloc(5000) }),
    Buffer.from("\r\n\r\nGET / HTTP/1.1"),
  ]) {
    assert.equal(read(bad).used, INVALID, bad.toString("hex", 0, 40));
  }
  // The check value of RFC 3720's CRC.
  assert.equal(crc32c(Buffer.from("123456789")), 0xe306_9283);
});

const authority = new Authority("Test CA");
const own = authority.issue(["localhost"]);
const files = {
  "ca.pem": authority.certificate,
  "own.pem": own.certificate,
  "own.key": own.key,
  "say.js": `export default {
    fetch(request) { return Response.json(request.cf); },
    async connect(socket) {
      const { remoteAddress, localAddress } = await socket.opened;
      const writer = socket.writable.getWriter();
      await writer.write(new TextEncoder().encode(remoteAddress + " " + localAddress));
      await writer.close();
    },
  };`,
};

function config(socket: string): string {
  return `
sockets:
  public:
    address: 127.0.0.1:0
    service: say
    ${socket}
admin: { address: "unix:./admin.sock" }
services:
  say: { worker: { main: ./say.js, compatibilityDate: 2026-01-01 } }
`;
}

const onTcp = config("tcp: {}\n    proxyProtocol: { from: [127.0.0.1], timeout: 400ms }");
const onHttp = config("http: { trustedProxies: [127.0.0.0/8] }\n    proxyProtocol: accept");
const secure = "tls: { certificates: [{ certificate: ./own.pem, key: ./own.key }] }";

function portOf(sluice: RunningSluice): number {
  return Number(new URL(sluice.url).port);
}

/** Sends some bytes; what comes back until the connection ends in whatever way. */
function say(t: TestContext, port: number, ...parts: ReadonlyArray<Buffer | string>): Promise<string> {
  return new Promise((resolve) => {
    const socket = net.connect({ host: "127.0.0.1", port, noDelay: true });
    t.after(() => socket.destroy());
    let got = "";
    socket.on("data", (chunk) => {
      got += String(chunk);
    });
    socket.on("error", () => {});
    socket.on("close", () => resolve(got));
    const next = (index: number): void => {
      const part = parts[index];
      if (part !== undefined && !socket.destroyed) socket.write(part, () => setImmediate(next, index + 1));
    };
    socket.on("connect", () => next(0));
  });
}

async function failures(sluice: RunningSluice): Promise<Record<string, number>> {
  const metrics = await readMetrics(join(sluice.directory.path, "admin.sock"));
  const found: Record<string, number> = {};
  for (const [key, value] of metrics) {
    const reason = /^sluice_socket_opening_failures_total\{.*reason="(\w+)"/.exec(key)?.[1];
    if (reason !== undefined) found[reason] = value;
  }
  return found;
}

test("the client that a trusted proxy tells is the client of the connection, for a Worker and in the log", async (t) => {
  const sluice = await startSluice(t, onTcp, { files });
  const port = portOf(sluice);
  const one = "PROXY TCP4 203.0.113.9 192.0.2.1 40000 443\r\n";
  assert.equal(await say(t, port, one), "203.0.113.9:40000 192.0.2.1:443");
  assert.equal(
    await say(t, port, one.slice(0, 3), one.slice(3, 20), one.slice(20)),
    "203.0.113.9:40000 192.0.2.1:443",
  );
  assert.equal(await say(t, port, binary({})), "203.0.113.9:40000 192.0.2.1:443");
  assert.match(await say(t, port, binary({ command: 0 })), /^127\.0\.0\.1:\d+ 127\.0\.0\.1:\d+$/);
  await eventually("four access lines", () => sluice.stdout.split('"event":"access"').length === 5);
  assert.equal(sluice.stdout.split('"client":"203.0.113.9"').length - 1, 3);
});

test("without a preamble, with a bad one or a slow one a trusted proxy's connection is closed, counted and told", async (t) => {
  const sluice = await startSluice(t, onTcp, { files });
  const port = portOf(sluice);
  assert.equal(await say(t, port, "hello"), "");
  assert.equal(await say(t, port, binary({ family: 0x41 })), "");
  assert.equal(await say(t, port, "PROXY TCP4 1.2"), "");
  assert.deepEqual(await failures(sluice), { malformed: 2, timeout: 1 });
  await sluice.sees(/cannot read a PROXY preamble: it is not in order/);
  const metrics = await readMetrics(join(sluice.directory.path, "admin.sock"));
  assert.equal(sumOf(metrics, "sluice_socket_openings_pending"), 0);
});

test("a preamble from anybody else is an error of HTTP or TLS, and a tcp socket does not let them in", async (t) => {
  const others = "{ from: [192.0.2.0/24] }";
  const http = await startSluice(t, config(`proxyProtocol: ${others}`), { files });
  const request = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
  assert.match(await say(t, portOf(http), request), /^HTTP\/1\.1 200 /);
  for (const preamble of ["PROXY TCP4 203.0.113.9 192.0.2.1 1 2\r\n", binary({})]) {
    assert.match(await say(t, portOf(http), preamble, request), /^HTTP\/1\.1 400 /);
  }
  const tcp = await startSluice(t, config(`tcp: {}\n    proxyProtocol: ${others}`), { files });
  assert.equal(await say(t, portOf(tcp), "PROXY TCP4 203.0.113.9 192.0.2.1 1 2\r\n"), "");
  assert.deepEqual(await failures(tcp), { untrusted: 1 });
  const over = await startSluice(t, config(`${secure}\n    proxyProtocol: ${others}`), { files });
  assert.doesNotMatch(await say(t, portOf(over), binary({}), request), /200/);
});

test("the preamble comes before TLS, and the request after it has the client that it tells", async (t) => {
  const sluice = await startSluice(t, config(`${secure}\n    proxyProtocol: { from: [127.0.0.1] }`), {
    files,
  });
  const raw = net.connect({ host: "127.0.0.1", port: portOf(sluice) });
  await once(raw, "connect");
  raw.write(binary({}));
  const socket = tls.connect({ socket: raw, ca: authority.certificate, servername: "localhost" });
  t.after(() => socket.destroy());
  socket.write("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  const [chunk] = (await once(socket, "data")) as [Buffer];
  assert.match(String(chunk), /200 OK/);
  await eventually("the access line", () => sluice.stdout.includes('"client":"203.0.113.9"'));
});

test("curl sends a preamble, and hops that the client tells are not believed because its proxy is", async (t) => {
  const sluice = await startSluice(t, onHttp, { files });
  const args = ["-sS", "--haproxy-protocol", sluice.url];
  const { stdout } = await run("curl", args);
  assert.match(stdout, /127\.0\.0\.1/);
  const request = "GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 10.9.9.9\r\nConnection: close\r\n\r\n";
  await say(t, portOf(sluice), binary({}), request);
  await eventually("the access line", () => sluice.stdout.includes('"client":"203.0.113.9"'));
  assert.doesNotMatch(sluice.stdout, /10\.9\.9\.9/);
});

const noHaProxy = missing("haproxy");

test(
  "HAProxy's preambles of both versions are read, over plain HTTP, TLS and byte streams",
  { skip: noHaProxy },
  async (t) => {
    const http = await startSluice(t, onHttp, { files });
    const over = await startSluice(t, config(`${secure}\n    proxyProtocol: { from: [127.0.0.1] }`), {
      files,
    });
    const tcp = await startSluice(t, onTcp, { files });
    const ports = await Promise.all(Array.from({ length: 4 }, () => unused()));
    const [one, two, three, four] = ports;
    await startHaProxy(
      t,
      four ?? 0,
      [
        [one, http, "send-proxy"],
        [two, http, "send-proxy-v2 proxy-v2-options crc32c,unique-id"],
        [three, over, "send-proxy-v2-ssl"],
        [four, tcp, "send-proxy-v2"],
      ]
        .map(
          ([port, sluice, how]) => `listen at${String(port)}
  bind 127.0.0.1:${String(port)}
  server us 127.0.0.1:${portOf(sluice as RunningSluice)} ${String(how)}
`,
        )
        .join(""),
    );
    // From another address of the loopback network, which only the preamble tells.
    const from = ["-sS", "--interface", "127.0.0.7"];
    for (const port of [one, two]) await run("curl", [...from, `http://127.0.0.1:${port}/`]);
    await run("curl", [
      ...from,
      "--cacert",
      join(over.directory.path, "ca.pem"),
      `https://localhost:${three}/`,
    ]);
    await eventually(
      "three access lines",
      () => (http.stdout + over.stdout).split('"client":"127.0.0.7"').length === 4,
    );
    assert.match(await say(t, four ?? 0), new RegExp(`^127\\.0\\.0\\.1:\\d+ 127\\.0\\.0\\.1:${four}$`));
  },
);

test("a socket that accepts preambles names whom it believes", async (t) => {
  const directory = new TemporaryDirectory(t);
  directory.write(
    "proxy.yaml",
    `sockets:
  a: { address: 127.0.0.1:0, service: internet, proxyProtocol: accept }
  b: { address: 127.0.0.1:0, service: internet, proxyProtocol: { from: [] } }
  c: { address: 127.0.0.1:0, service: internet, proxyProtocol: { from: [everybody] } }
  d: { address: 127.0.0.1:0, service: internet, proxyProtocol: { from: [unix, 10.0.0.0/8] } }
`,
  );
  const { code, stderr } = await runSluice(t, ["check", "proxy.yaml"], { cwd: directory.path });
  assert.equal(code, 1);
  assert.match(stderr, /proxy\.yaml:2:\d+: error: cannot accept preambles on socket "a": nobody is trusted/);
  assert.match(stderr, /proxy\.yaml:3:/);
  assert.match(stderr, /proxy\.yaml:4:\d+: error: .*expected an address or a CIDR/);
  assert.doesNotMatch(stderr, /:5:/);
});
