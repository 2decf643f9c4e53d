import assert from "node:assert/strict";
import { once } from "node:events";
import * as net from "node:net";
import { type TestContext, test } from "node:test";
import * as tls from "node:tls";
import { Listener } from "../../src/net/listener.ts";
import type { StageContext } from "../../src/net/opening-stage.ts";
import { TimerWheel } from "../../src/net/timer-wheel.ts";
import { Transport, type TransportOwner } from "../../src/net/transport.ts";
import { Gauges } from "../../src/observability/traffic.ts";
import {
  type ClientHello,
  ClientHelloReader,
  MALFORMED,
  NEED_MORE,
  readClientHello,
} from "../../src/tls/client-hello.ts";
import { ClientHelloStage } from "../../src/tls/client-hello-stage.ts";
import { Authority } from "../support/authority.ts";
import { clientHello, inRecords } from "../support/client-hello.ts";
import { eventually } from "../support/shard.ts";

const offer = { servername: "DB.Example.com", ALPNProtocols: ["acme-tls/1", "h2"] };

function hello(bytes: Uint8Array): ClientHello {
  const result = readClientHello(bytes);
  assert.ok(typeof result === "object", String(result));
  return result;
}

test("a ClientHello tells the name in lower case, the protocols in their order, and the versions", async () => {
  assert.deepEqual(hello(await clientHello(offer)), {
    serverName: "db.example.com",
    protocols: ["acme-tls/1", "h2"],
    versions: [0x0304, 0x0303],
  });
  const old = hello(await clientHello({ maxVersion: "TLSv1.2", servername: "" }));
  assert.equal(old.serverName, "");
  assert.deepEqual(old.protocols, []);
  assert.deepEqual(old.versions, [0x0303]);
});

test("a ClientHello may be spread over records and reads at will", async () => {
  const whole = await clientHello(offer);
  const expected = hello(whole);
  for (const size of [1, 7, 100]) {
    const bytes = inRecords(whole, size);
    if (bytes.length / (size + 5) > 64) {
      assert.equal(readClientHello(bytes), MALFORMED, "a record for each byte is an attack");
      continue;
    }
    assert.deepEqual(hello(bytes), expected);
  }
  const bytes = inRecords(whole, 90);
  const reader = new ClientHelloReader();
  for (let length = 0; length < bytes.length; length++) {
    assert.equal(reader.read(bytes.subarray(0, length)), NEED_MORE, `after ${length} bytes`);
  }
  assert.deepEqual(reader.read(bytes), expected);
  // What follows in records of its own, as 0-RTT data does, is none of its business.
  assert.deepEqual(hello(Buffer.concat([bytes, Buffer.from("more")])), expected);
});

test("what is no ClientHello is told by its first bytes", () => {
  for (const text of ["G", "GET / HTTP/1.1\r\n", "\x80", "\x16\x02", "\x15\x03", "\x16\x03\x01\x00\x00"]) {
    assert.equal(readClientHello(Buffer.from(text, "latin1")), MALFORMED, JSON.stringify(text));
  }
  // A ServerHello, and a record longer than the limit.
  assert.equal(readClientHello(Buffer.from([22, 3, 3, 0, 4, 2])), MALFORMED);
  assert.equal(readClientHello(Buffer.from([22, 3, 3, 0x40, 1])), MALFORMED);
  // A message longer than the limit.
  assert.equal(readClientHello(Buffer.from([22, 3, 3, 0, 4, 1, 1, 0, 0])), MALFORMED);
});

test("a length that does not fit, a name that is none, and two extensions of a kind are malformed", async () => {
  const good = await clientHello({ ...offer, servername: "name.test" });
  const at = good.indexOf("name.test");
  assert.ok(at > 0);
  const changed = (change: (bytes: Buffer) => void): Buffer => {
    const bytes = Buffer.from(good);
    change(bytes);
    return bytes;
  };
  const cases: Array<[string, Buffer]> = [
    ["the name is longer than its list", changed((bytes) => bytes.writeUInt16BE(10, at - 2))],
    ["the name is shorter than its list", changed((bytes) => bytes.writeUInt16BE(8, at - 2))],
    ["a name of another type", changed((bytes) => bytes.writeUInt8(1, at - 3))],
    ["a NUL", changed((bytes) => bytes.writeUInt8(0, at + 2))],
    ["a line break", changed((bytes) => bytes.writeUInt8(10, at + 2))],
    ["a colon", changed((bytes) => bytes.write(":", at + 2))],
    ["an empty label", changed((bytes) => bytes.write("..", at + 4))],
    ["a session id of 33 bytes", changed((bytes) => bytes.writeUInt8(33, 5 + 4 + 34))],
    ["no SSL 3 at all", changed((bytes) => bytes.writeUInt8(2, 9))],
  ];
  for (const [what, bytes] of cases) assert.equal(readClientHello(bytes), MALFORMED, what);
  const length = good.readUInt16BE(at - 2);
  const extension = good.subarray(at - 9, at + length);
  const twice = Buffer.concat([good.subarray(0, at + length), extension, good.subarray(at + length)]);
  twice.writeUInt16BE(twice.length - 5, 3);
  twice.writeUInt16BE(twice.length - 9, 7);
  // The length of all extensions stands behind the suites and compressions.
  const suites = 5 + 4 + 34 + 1 + twice.readUInt8(5 + 4 + 34);
  const extensions = suites + 2 + twice.readUInt16BE(suites) + 2;
  twice.writeUInt16BE(twice.readUInt16BE(extensions) + extension.length, extensions);
  assert.equal(readClientHello(twice), MALFORMED, "two names in two extensions");
});

/** A listener whose connections pass a stage that looks at their ClientHello. */
class Peeking {
  readonly wheel = new TimerWheel(() => performance.now());
  readonly gauges = new Gauges();
  readonly stage: ClientHelloStage;
  readonly listener: Listener;

  constructor(
    t: TestContext,
    take: (socket: net.Socket, hello: ClientHello | null) => void,
    timeoutMs = 5000,
  ) {
    const log = { log() {}, access() {}, accessEnabled: false };
    const context: StageContext = { log, gauges: this.gauges, wheel: this.wheel };
    this.stage = new ClientHelloStage(
      "public",
      timeoutMs,
      context,
      () => this.stage.pending >= 2,
      (socket, _, found) => take(socket, found),
    );
    this.listener = new Listener((socket) => this.stage.accept(socket, null));
    t.after(() => {
      this.listener.close();
      this.stage.close();
      assert.equal(this.stage.pending, 0);
      assert.equal(this.wheel.size, 0);
    });
  }

  async listen(): Promise<number> {
    await this.listener.listen({ kind: "tcp", host: "127.0.0.1", port: 0 });
    return this.listener.port;
  }

  failures(reason: string): number {
    const key = `sluice_socket_opening_failures_total{socket="public",what="client_hello",reason="${reason}"}`;
    return this.gauges.counters.get(key) ?? 0;
  }
}

test("a TLS server takes a connection whose ClientHello was looked at", async (t) => {
  const authority = new Authority("CA");
  const { certificate, key } = authority.issue(["db.example.com"]);
  const server = tls.createServer({ cert: certificate, key, ALPNProtocols: ["h2"] }, (socket) => {
    socket.on("error", () => {});
    socket.end("hello");
  });
  const seen: Array<ClientHello | null> = [];
  const peeking = new Peeking(t, (socket, found) => {
    seen.push(found);
    server.emit("connection", socket);
  });
  const port = await peeking.listen();
  for (let i = 0; i < 3; i++) {
    const client = tls.connect({ host: "127.0.0.1", port, ca: authority.certificate, ...offer });
    const [chunk] = (await once(client, "data")) as [Buffer];
    assert.equal(chunk.toString(), "hello");
    assert.equal(client.alpnProtocol, "h2");
    client.destroy();
  }
  assert.deepEqual(
    seen.map((found) => found?.serverName),
    ["db.example.com", "db.example.com", "db.example.com"],
  );
});

/** Sends back what comes, and ends when the other side does. */
class Echo implements TransportOwner {
  readonly transport: Transport;

  constructor(socket: net.Socket) {
    this.transport = Transport.accepted(this, socket);
  }

  onConnect(): void {}
  onBytes(bytes: Buffer): void {
    this.transport.bytes(Buffer.from(bytes));
  }
  onEnd(): void {
    this.transport.end();
  }
  onDrain(): void {}
  onClose(): void {}
}

test("a transport takes a connection that was looked at: every byte in order, and the end", async (t) => {
  const bytes = inRecords(await clientHello(offer), 50);
  const seen: Array<ClientHello | null> = [];
  const peeking = new Peeking(t, (socket, found) => {
    seen.push(found);
    new Echo(socket);
  });
  const port = await peeking.listen();
  const talk = async (parts: readonly Buffer[]): Promise<Buffer> => {
    const client = net.connect({ host: "127.0.0.1", port, noDelay: true, allowHalfOpen: true });
    const got: Buffer[] = [];
    client.on("data", (chunk: Buffer) => got.push(chunk));
    const ended = once(client, "end");
    for (const part of parts) {
      await new Promise<void>((resolve) => client.write(part, () => setImmediate(resolve)));
    }
    client.end();
    await ended;
    return Buffer.concat(got);
  };
  const large = Buffer.alloc(200_000, "x");
  for (const parts of [
    [bytes],
    [bytes.subarray(0, 3), bytes.subarray(3, 70), bytes.subarray(70)],
    [Buffer.concat([bytes, large])],
    [Buffer.from("plain text")],
    [Buffer.concat([Buffer.from("plain"), large])],
  ]) {
    assert.deepEqual(await talk(parts), Buffer.concat(parts));
  }
  assert.deepEqual(
    seen.map((found) => found?.serverName ?? null),
    ["db.example.com", "db.example.com", "db.example.com", null, null],
  );
});

test("a client that says nothing, leaves, or is one too many is cut off and counted", async (t) => {
  const peeking = new Peeking(t, () => assert.fail("nothing was asked for"), 150);
  const port = await peeking.listen();
  const silent = net.connect({ host: "127.0.0.1", port });
  await once(silent, "connect");
  const leaving = net.connect({ host: "127.0.0.1", port });
  await once(leaving, "connect");
  await eventually("both are taken", () => peeking.stage.pending === 2);
  const third = net.connect({ host: "127.0.0.1", port });
  third.on("error", () => {});
  await once(third, "close");
  assert.equal(peeking.failures("busy"), 1);
  leaving.write(Buffer.from([22, 3]));
  leaving.end();
  await eventually("the one that left is gone", () => peeking.failures("closed") === 1);
  await once(silent, "close");
  assert.equal(peeking.failures("timeout"), 1);
  leaving.destroy();
});
