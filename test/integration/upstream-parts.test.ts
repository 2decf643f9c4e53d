import assert from "node:assert/strict";
import { test } from "node:test";
import { resolve as resolveSchema } from "../../src/config/schema/upstream.ts";
import { ProxyError } from "../../src/errors/proxy-error.ts";
import type { BodySink, BodySource, Lender } from "../../src/http/body.ts";
import { HeaderBlock } from "../../src/http/header-block.ts";
import { RequestHead } from "../../src/http/message.ts";
import { createBalancer, hashText } from "../../src/services/external/balancer.ts";
import type { Endpoint } from "../../src/services/external/endpoint.ts";
import { NameResolver } from "../../src/services/external/name-resolver.ts";
import { ReplayBody } from "../../src/services/external/replay-body.ts";

const client = { address: "203.0.113.7", port: 1, socket: "s", secure: false, httpVersion: "HTTP/1.1" };

/** What a balancer sees of endpoints. */
function endpoints(...weights: number[]): Endpoint[] {
  return weights.map((weight, index) => {
    const where = `10.0.0.${index}:80`;
    return {
      where,
      weight,
      share: weight,
      credit: 0,
      active: 0,
      seed: hashText(where),
    } as unknown as Endpoint;
  });
}

test("a hash gives each endpoint its share, and a weight that grows takes from the others alone", () => {
  const balancer = createBalancer({ kind: "hash", by: { header: "x-key" } });
  const choose = (from: Endpoint[], key: string) => {
    const request = new RequestHead("GET", "http", "site", "/");
    request.headers.append("x-key", key);
    return from.indexOf(balancer.choose(from, { request, client }));
  };
  const even = endpoints(1, 1, 2);
  const grown = endpoints(1, 1, 4);
  const counts = [0, 0, 0];
  for (let i = 0; i < 20_000; i++) {
    const place = choose(even, `key-${i}`);
    counts[place] = (counts[place] ?? 0) + 1;
    const later = choose(grown, `key-${i}`);
    assert.ok(later === place || later === 2);
  }
  const shares = counts.map((count) => count / 20_000);
  for (const [i, expected] of [0.25, 0.25, 0.5].entries()) {
    assert.ok(Math.abs((shares[i] ?? 0) - expected) < 0.02, `${shares}`);
  }
});

test("IPv6 clients of one /64 are one client", () => {
  const balancer = createBalancer({ kind: "hash", by: "client" });
  const from = endpoints(1, 1, 1, 1, 1, 1, 1, 1);
  const of = (address: string) => balancer.choose(from, { request: null, client: { ...client, address } });
  for (let i = 0; i < 20; i++) assert.equal(of(`2001:db8:0:1::${i}`), of("2001:db8:0:1:ffff::1"));
});

test("random2 draws two different ones, and never one without weight", () => {
  const from = endpoints(1, 0, 1);
  const draws = [0, 0, 0.99, 0.99, 0.4, 0, 0.4, 0.99, 0, 0.99];
  const balancer = createBalancer({ kind: "random2" }, () => draws.shift() ?? 0);
  while (draws.length > 0) assert.notEqual(balancer.choose(from, { request: null, client }).weight, 0);
});

test("what stands in the hosts file is looked up there, and has no TTL", async () => {
  const { addresses, ttlMs } = await new NameResolver(resolveSchema.parse({})).resolve("localhost");
  assert.ok(addresses.includes("127.0.0.1") || addresses.includes("::1"));
  assert.equal(ttlMs, null);
});

/** A number generator that gives the same for the same seed (Lehmer). */
function generator(seed: number): (below: number) => number {
  let state = seed * 7919 + 1;
  return (below) => {
    state = (state * 48_271) % 0x7fffffff;
    return state % below;
  };
}

/** Sends chunks whenever it may; it checks that it is used as the contract says. */
class Source implements BodySource {
  readonly length = -1;
  cancelled: ProxyError | null = null;
  readonly #chunks: Buffer[];
  #sink: BodySink | null = null;
  #running = false;
  readonly #trailers: HeaderBlock;

  constructor(chunks: Buffer[], trailers: HeaderBlock) {
    this.#chunks = chunks;
    this.#trailers = trailers;
  }

  pipe(sink: BodySink): void {
    assert.equal(this.#sink, null, "a source is piped once");
    this.#sink = sink;
    queueMicrotask(() => this.resume());
  }

  resume(): void {
    const sink = this.#sink;
    assert.ok(!this.#running, "resume comes from outside of a write");
    if (sink === null) return;
    this.#running = true;
    for (let chunk = this.#chunks.shift(); chunk !== undefined; chunk = this.#chunks.shift()) {
      const lent = Buffer.from(chunk);
      let isBack = false;
      const lender: Lender = {
        giveBack: () => {
          assert.ok(!isBack);
          isBack = true;
          // Whoever still looks at it sees something else.
          lent.fill(0);
        },
      };
      const more = sink.lend === undefined ? sink.write(lent) : sink.lend(lent, lender);
      if (!more) {
        this.#running = false;
        return;
      }
    }
    this.#running = false;
    this.#sink = null;
    sink.end(this.#trailers);
  }

  cancel(error: ProxyError): void {
    this.cancelled = error;
    this.#sink = null;
  }
}

test("a replayed body is whole for whoever comes last, however those before it have ended", async () => {
  for (let seed = 1; seed <= 300; seed++) {
    const random = generator(seed);
    const chunks = Array.from({ length: random(12) }, () => Buffer.alloc(1 + random(3_000), 97 + random(26)));
    const whole = Buffer.concat(chunks).toString();
    const trailers = new HeaderBlock();
    const body = new ReplayBody(new Source(chunks, trailers), 64 * 1024);
    const attempts = 1 + random(4);
    for (let attempt = 1; attempt <= attempts; attempt++) {
      const isLast = attempt === attempts;
      const stopAfter = isLast ? Number.POSITIVE_INFINITY : random(8);
      await new Promise<void>((done) => {
        let received = "";
        let writes = 0;
        const sink: BodySink = {
          write: (chunk) => {
            received += Buffer.from(chunk).toString();
            if (++writes > stopAfter) {
              // As an attempt that fails: it takes nothing more, and does not say so.
              done();
              return false;
            }
            if (random(3) > 0) return true;
            if (random(2) === 0) setImmediate(() => body.resume());
            else queueMicrotask(() => body.resume());
            return false;
          },
          end: (found) => {
            assert.equal(received, whole, `seed ${seed}, attempt ${attempt}`);
            assert.equal(found, trailers);
            done();
          },
          fail: () => assert.fail("nothing fails"),
        };
        if (random(2) === 0)
          sink.lend = (chunk, lender) => {
            const more = sink.write(chunk);
            lender.giveBack();
            return more;
          };
        body.pipe(sink);
        if (isLast && random(2) === 0) body.settle();
        if (!isLast && random(4) === 0) setImmediate(done);
      });
      assert.ok(isLast || body.replayable);
    }
  }
});

test("a body that is longer than what is kept passes once, and holds no more than that", async () => {
  const source = new Source(
    Array.from({ length: 100 }, () => Buffer.alloc(1_000, "x")),
    new HeaderBlock(),
  );
  const body = new ReplayBody(source, 10_000);
  let received = 0;
  await new Promise<void>((done) => {
    body.pipe({
      write: (chunk) => {
        received += chunk.length;
        return true;
      },
      end: () => done(),
      fail: () => assert.fail("nothing fails"),
    });
  });
  assert.equal(received, 100_000);
  assert.ok(!body.replayable);
});

test("a cancelled body is cancelled at its source once no attempt follows", () => {
  const error = new ProxyError("client_disconnected", "cannot go on: the client left");
  const source = new Source([], new HeaderBlock());
  const body = new ReplayBody(source, 10);
  body.cancel(error);
  assert.equal(source.cancelled, null);
  body.settle();
  assert.equal(source.cancelled, error);
});
