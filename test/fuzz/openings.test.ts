import assert from "node:assert/strict";
import * as net from "node:net";
import { Duplex } from "node:stream";
import { test } from "node:test";
import * as tls from "node:tls";
import { parseIp } from "../../src/net/cidr.ts";
import { Listener } from "../../src/net/listener.ts";
import { INVALID, MORE } from "../../src/net/opening.ts";
import { PreambleStage } from "../../src/net/preamble-stage.ts";
import { PreambleWriter } from "../../src/net/preamble-writer.ts";
import { maxPreambleBytes, PreambleReader } from "../../src/net/proxy-preamble.ts";
import { TimerWheel } from "../../src/net/timer-wheel.ts";
import { Gauges } from "../../src/observability/traffic.ts";
import { ClientHelloReader, MALFORMED, NEED_MORE, readClientHello } from "../../src/tls/client-hello.ts";
import { Authority } from "../support/authority.ts";
import { clientHello, inRecords } from "../support/client-hello.ts";
import { mutateBytes } from "./byte-mutator.ts";
import { Random } from "./random.ts";

const client = {
  address: "203.0.113.9",
  port: 40_000,
  socket: "public",
  secure: true,
  httpVersion: "HTTP/1.1",
  localAddress: "192.0.2.1",
  localPort: 443,
  host: "db.example.com",
  tls: { version: "TLSv1.3", cipher: "TLS_AES_128_GCM_SHA256", cf: "{}", clientCertificate: "" },
};
const six = { ...client, address: "2001:db8::9", localAddress: "2001:db8::1" };
const preambles = [
  new PreambleWriter(1, []).of(client),
  new PreambleWriter(1, []).of(six),
  new PreambleWriter(2, ["authority", "ssl"]).of(client),
  new PreambleWriter(2, ["authority", "ssl"]).of(six),
  new PreambleWriter(2, []).of(null),
  new PreambleWriter(1, []).of(null),
];

test("mutated preambles are read the same in whatever pieces they come, or refused, within their bounds", () => {
  const random = new Random(20_261_122);
  let read = 0;
  for (let i = 0; i < 20_000; i++) {
    const bytes = mutateBytes(random, random.pick(preambles));
    const whole = new PreambleReader();
    const used = whole.read(bytes);
    assert.ok(used === MORE || used === INVALID || (used > 0 && used <= bytes.length));
    assert.ok(used <= maxPreambleBytes);
    const pieces = new PreambleReader();
    let result = MORE;
    for (let end = 1 + random.below(4); result === MORE && end < bytes.length; end += 1 + random.below(9)) {
      result = pieces.read(bytes.subarray(0, end));
    }
    if (result === MORE) result = pieces.read(bytes);
    assert.equal(result, used, bytes.toString("hex"));
    assert.deepEqual(pieces.peer, whole.peer);
    const { peer } = whole;
    if (peer === null) continue;
    read++;
    assert.ok(used > 0);
    for (const port of [peer.port, peer.localPort]) assert.ok(port >= 0 && port <= 65_535);
    for (const address of [peer.address, peer.localAddress]) {
      assert.ok(address === "" || parseIp(address) !== null, address);
    }
  }
  assert.ok(read > 2000, `${read} of the inputs were read`);
});

test("mutated preambles on real connections leave nothing behind", async (t) => {
  const random = new Random(7);
  const wheel = new TimerWheel(() => performance.now());
  const context = { log: { log() {}, access() {}, accessEnabled: false }, gauges: new Gauges(), wheel };
  let taken = 0;
  const stage = new PreambleStage(
    "public",
    { from: ["127.0.0.1"], timeout: 200 },
    true,
    context,
    () => false,
    (socket) => {
      taken++;
      socket.on("error", () => {});
      socket.end();
      socket.resume();
    },
  );
  const listener = new Listener((socket) => stage.accept(socket));
  t.after(() => listener.close());
  await listener.listen({ kind: "tcp", host: "127.0.0.1", port: 0 });
  const one = async (): Promise<void> => {
    const bytes = mutateBytes(random, random.pick(preambles));
    const socket = net.connect({ host: "127.0.0.1", port: listener.port });
    const closed = new Promise((resolve) => socket.once("close", resolve));
    socket.on("error", () => {});
    socket.resume();
    const middle = random.below(bytes.length + 1);
    socket.write(bytes.subarray(0, middle));
    setImmediate(() => {
      if (random.below(4) === 0) socket.destroy();
      else socket.end(bytes.subarray(middle));
    });
    await closed;
  };
  for (let round = 0; round < 20; round++) await Promise.all(Array.from({ length: 25 }, one));
  assert.ok(taken > 20, `${taken} were taken`);
  assert.equal(stage.pending, 0);
  assert.equal(wheel.size, 0);
});

const own = new Authority("CA").issue(["db.example.com"]);

/** What OpenSSL makes of the first bytes of a connection: the name, null when it reads no ClientHello, or that it waits. */
class OpenSsl {
  #name: string | null = null;
  #protocols: readonly string[] = [];
  readonly #server = tls.createServer({
    cert: own.certificate,
    key: own.key,
    SNICallback: (name, done) => {
      this.#name = name;
      done(null);
    },
    ALPNCallback: ({ protocols }) => {
      this.#protocols = protocols;
      return protocols[0];
    },
  });

  constructor() {
    this.#server.on("tlsClientError", () => {});
  }

  async read(bytes: Buffer): Promise<{ name: string; protocols: readonly string[] } | null> {
    this.#name = null;
    this.#protocols = [];
    let answer: Buffer | null = null;
    const answered = new Promise<void>((resolve) => {
      const carrier = new Duplex({
        read() {},
        write(chunk: Buffer, _encoding, done) {
          answer ??= chunk;
          resolve();
          done();
        },
        destroy(_error, done) {
          resolve();
          done(null);
        },
      });
      this.#server.emit("connection", carrier);
      carrier.push(bytes);
      // It waits for the rest of some, which will not come.
      setTimeout(() => carrier.destroy(), 20);
    });
    await answered;
    // A ServerHello or a HelloRetryRequest: it has taken the message as it was. Anything else is an alert.
    const first = answer as Buffer | null;
    if (first === null || first[0] !== 22) return null;
    return { name: this.#name ?? "", protocols: this.#protocols };
  }

  close(): void {
    this.#server.close();
  }
}

test("mutated ClientHellos are read as OpenSSL reads them, or refused, in whatever pieces they come", async () => {
  const random = new Random(42);
  const hellos = [
    await clientHello({ servername: "db.example.com", ALPNProtocols: ["h2", "http/1.1"] }),
    await clientHello({ servername: "a.example.com", maxVersion: "TLSv1.2" }),
  ];
  hellos.push(inRecords(hellos[0] as Buffer, 120));
  const openssl = new OpenSsl();
  let agreed = 0;
  let refused = 0;
  for (let i = 0; i < 12_000; i++) {
    const bytes = mutateBytes(random, random.pick(hellos));
    const result = readClientHello(bytes);
    const reader = new ClientHelloReader();
    let pieces: ReturnType<ClientHelloReader["read"]> = NEED_MORE;
    for (let end = 1; pieces === NEED_MORE && end < bytes.length; end += 1 + random.below(40)) {
      pieces = reader.read(bytes.subarray(0, end));
    }
    if (pieces === NEED_MORE) pieces = reader.read(bytes);
    assert.deepEqual(pieces, result, bytes.toString("hex"));
    if (result === MALFORMED) refused++;
    if (typeof result !== "object" || i % 8 !== 0) continue;
    assert.match(result.serverName, /^[a-z0-9._-]*$/);
    const theirs = await openssl.read(bytes);
    if (theirs === null) continue;
    agreed++;
    assert.equal(result.serverName, theirs.name.toLowerCase().replace(/\.$/, ""), bytes.toString("hex"));
    // Node.js reads them as ASCII, and drops the eighth bit.
    const ascii = result.protocols.map((name) => Buffer.from(name, "latin1").toString("ascii"));
    if (theirs.protocols.length > 0) assert.deepEqual(ascii, theirs.protocols);
  }
  openssl.close();
  assert.ok(agreed > 100 && refused > 1000, `${agreed} read alike, ${refused} refused`);
});
