import assert from "node:assert/strict";
import * as net from "node:net";
import { test } from "node:test";
import { socks } from "../../src/config/schema/forward.ts";
import { ProxyError } from "../../src/errors/proxy-error.ts";
import { NEED_MORE, SocksReader } from "../../src/forward/socks/socks-reader.ts";
import { SocksServer } from "../../src/forward/socks/socks-server.ts";
import { validAuthority } from "../../src/http/http1/authority.ts";
import { Listener } from "../../src/net/listener.ts";
import { StreamPair } from "../../src/net/stream-pair.ts";
import { parseUpstreamProxy } from "../../src/net/upstream-proxy.ts";
import { ProxyHandshake } from "../../src/services/network/proxy-handshake.ts";
import { FunctionService, TestContextOfServices, until } from "../integration/http-harness.ts";
import { mutateBytes } from "./byte-mutator.ts";
import { Random } from "./random.ts";

const name = Buffer.from("db.example.com");
const four = Buffer.from([5, 1, 0, 1, 127, 0, 0, 1, 0, 80]);
const six = Buffer.from([5, 1, 0, 4, ...Buffer.alloc(15), 1, 0x1f, 0x90]);
const named = Buffer.concat([Buffer.from([5, 1, 0, 3, name.length]), name, Buffer.from([1, 187])]);
const login = Buffer.from([1, 3, 97, 100, 97, 6, 112, 101, 110, 99, 105, 108]);
const greeting = Buffer.from([5, 2, 0, 2]);
const conversations = [four, six, named].flatMap((request) => [
  Buffer.concat([greeting, request]),
  Buffer.concat([greeting, login, request]),
]);

/** All that a reader makes of the bytes in these pieces, and what is left over. */
function readAll(pieces: readonly Buffer[], wantsLogin: boolean): { said: unknown[]; rest: string } {
  const reader = new SocksReader();
  const said: unknown[] = [];
  let over = false;
  for (const piece of pieces) {
    reader.push(piece);
    while (!over) {
      const message = reader.next();
      if (message === NEED_MORE) break;
      said.push("methods" in message ? { ...message, methods: [...message.methods] } : message);
      if (message.kind === "greeting") reader.expect(wantsLogin ? "login" : "request");
      else if (message.kind === "login") reader.expect("request");
      else over = true;
    }
  }
  return { said, rest: reader.takeRest().toString("hex") };
}

function split(random: Random, bytes: Buffer): Buffer[] {
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = 1 + random.below(9);
    pieces.push(bytes.subarray(at, at + length));
    at += length;
  }
  return pieces;
}

test("mutated SOCKS is read the same in whatever pieces it comes, and names valid places alone", () => {
  const random = new Random(1928);
  let requests = 0;
  for (let i = 0; i < 30_000; i++) {
    const bytes = mutateBytes(random, random.pick(conversations));
    const wantsLogin = random.below(2) === 0;
    const whole = readAll([bytes], wantsLogin);
    assert.deepEqual(readAll(split(random, bytes), wantsLogin), whole, bytes.toString("hex"));
    const last = whole.said.at(-1) as { kind: string; host: string; port: number } | undefined;
    if (last?.kind !== "request") continue;
    requests++;
    const shown = last.host.includes(":") ? `[${last.host}]` : last.host;
    assert.ok(validAuthority(`${shown}:${last.port}`), shown);
  }
  assert.ok(requests > 3000, `${requests} of the inputs were requests`);
});

test("mutated SOCKS on real connections leaves nothing behind", async (t) => {
  const random = new Random(1929);
  const context = new TestContextOfServices();
  let tunnels = 0;
  const service = new FunctionService(
    () => {},
    (tunnel) => {
      tunnels++;
      const kind = random.below(3);
      const refuse = (): void => tunnel.refuse(new ProxyError("upstream_unreachable", "cannot connect"));
      if (kind === 0) refuse();
      else if (kind === 1) {
        const pair = new StreamPair(false);
        tunnel.accept(pair.near);
        // An echo.
        pair.far.writable.attach(pair.far.readable);
        pair.far.readable.pipe(pair.far.writable);
      } else setTimeout(refuse, 20);
    },
  );
  for (const auth of [undefined, { realm: "x", users: { ada: "pencil" } }]) {
    const config = socks.parse({ timeouts: { handshake: 200, idle: 200 } });
    const server = new SocksServer("socks", config, auth, service, context.forServices);
    const listener = new Listener((socket) => server.accept(socket, null));
    t.after(() => listener.close());
    await listener.listen({ kind: "tcp", host: "127.0.0.1", port: 0 });
    const one = async (): Promise<void> => {
      const bytes = Buffer.concat([mutateBytes(random, random.pick(conversations)), Buffer.from("early")]);
      const socket = net.connect({ host: "127.0.0.1", port: listener.port });
      const closed = new Promise((resolve) => socket.once("close", resolve));
      socket.on("error", () => {});
      socket.resume();
      const middle = random.below(bytes.length + 1);
      const leaves = random.below(3) === 0;
      socket.write(bytes.subarray(0, middle));
      setImmediate(() => {
        if (leaves) socket.destroy();
        else socket.end(bytes.subarray(middle));
      });
      await closed;
    };
    for (let round = 0; round < 10; round++) await Promise.all(Array.from({ length: 25 }, one));
    server.close();
    await until(() => server.connections === 0 && context.wheel.size === 0);
    assert.equal(server.traffic.active, 0);
  }
  assert.ok(tunnels > 20, `${tunnels} tunnels were asked for`);
});

test("mutated answers of upstream proxies end the handshake in one way, once", async (t) => {
  const random = new Random(9110);
  const answers = [
    Buffer.from("HTTP/1.1 200 OK\r\nVia: x\r\n\r\nfirst bytes"),
    Buffer.from("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 407 No\r\nContent-Length: 0\r\n\r\n"),
    Buffer.concat([Buffer.from([5, 2, 1, 0, 5, 0, 0, 1, 0, 0, 0, 0, 0, 0]), Buffer.from("first bytes")]),
    Buffer.from([5, 0, 5, 0, 0, 3, 4, 1, 2, 3, 4, 0, 80, 9]),
    Buffer.from([5, 0, 5, 5, 0, 4, ...Buffer.alloc(18)]),
  ];
  let ways = 0;
  for (let i = 0; i < 600; i++) {
    const bytes = mutateBytes(random, random.pick(answers));
    const proxy = parseUpstreamProxy(`${bytes[0] === 5 ? "socks5" : "http"}://ada:pencil@proxy.test`);
    const sides: net.Socket[] = [];
    const server = net.createServer((socket) => {
      sides.push(socket.on("error", () => {}));
      for (const piece of split(random, bytes)) socket.write(piece);
      if (random.below(2) === 0) socket.end();
      socket.resume();
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    t.after(() => server.close());
    const socket = net.connect({ port: (server.address() as net.AddressInfo).port, allowHalfOpen: true });
    socket.on("error", () => {});
    await new Promise((resolve) => socket.once("connect", resolve));
    let ends = 0;
    const ended = new Promise<void>((resolve) => {
      const owner = {
        onWay: () => {
          ends++;
          ways++;
          resolve();
        },
        onNoWay: (error: ProxyError) => {
          ends++;
          assert.doesNotMatch(error.message, /pencil/);
          resolve();
        },
      };
      const handshake = new ProxyHandshake(owner, socket, proxy, "site.test", 443);
      handshake.start();
      // As the time limit does, for a proxy that says too little.
      setTimeout(() => {
        handshake.stop();
        resolve();
      }, 20);
    });
    await ended;
    assert.ok(ends <= 1);
    assert.equal(socket.listenerCount("readable"), 0);
    socket.destroy();
    for (const side of sides) side.destroy();
    server.close();
  }
  assert.ok(ways > 20, `${ways} ways were opened`);
});

test("a pair of streams delivers all bytes in order, with backpressure, ends and failures", async () => {
  const random = new Random(3);
  for (let i = 0; i < 300; i++) {
    const { near, far, outward } = new StreamPair(false);
    const sent = Buffer.from(Array.from({ length: random.below(200) }, () => random.below(256)));
    let got = Buffer.alloc(0);
    let ended = "";
    let asked = false;
    near.writable.attach({
      resume: () => {
        asked = true;
      },
      cancel: () => {},
    });
    const pieces = split(random, sent);
    let peeked = 0;
    outward.onWaiting = (bytes) => {
      peeked = bytes.length;
    };
    const early = random.below(pieces.length + 1);
    for (const piece of pieces.slice(0, early)) near.writable.write(piece);
    assert.equal(peeked, Buffer.concat(pieces.slice(0, early)).length);
    far.readable.pipe({
      write: (chunk) => {
        got = Buffer.concat([got, chunk]);
        const more = random.below(3) > 0;
        if (!more) setImmediate(() => far.readable.resume());
        return more;
      },
      end: () => {
        ended = "end";
      },
      fail: () => {
        ended = "fail";
      },
    });
    for (const piece of pieces.slice(early)) {
      asked = false;
      if (!near.writable.write(piece)) await until(() => asked);
    }
    near.writable.end(null);
    await until(() => ended !== "");
    assert.equal(ended, "end");
    assert.ok(got.equals(sent));
  }
});
