import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { SignJWT } from "jose";
import { jwt as jwtSchema } from "../../src/config/schema/jwt.ts";
import { type MiddlewareConfig, middlewares } from "../../src/config/schema/middleware.ts";
import { ProxyError } from "../../src/errors/proxy-error.ts";
import type { BodySink, BodySource } from "../../src/http/body.ts";
import type { Exchange } from "../../src/http/exchange.ts";
import { HeaderBlock } from "../../src/http/header-block.ts";
import { ResponseHead } from "../../src/http/message.ts";
import { Chain } from "../../src/services/middleware/chain.ts";
import { Jwt } from "../../src/services/middleware/jwt/jwt.ts";
import { Refusals } from "../../src/services/middleware/refusals.ts";
import { FunctionService, TestContextOfServices, TestProxy, until } from "./http-harness.ts";

const secret = "0123456789abcdef0123456789abcdef";

/** A body that a test drives, and that tells how it ended. */
class DrivenBody implements BodySource {
  readonly length = -1;
  sink: BodySink | null = null;
  cancelled = 0;
  resumed = 0;

  pipe(sink: BodySink): void {
    this.sink = sink;
  }

  resume(): void {
    this.resumed++;
  }

  cancel(): void {
    this.cancelled++;
  }
}

/** A proxy in this process, all of whose counts and timers must be zero when the test ends. */
class Rig {
  readonly context = new TestContextOfServices();
  readonly bodies: DrivenBody[] = [];
  readonly asked: Exchange[] = [];
  readonly app: FunctionService;
  /** What is asked for keys and opinions; answers nothing by itself. */
  readonly oracle: FunctionService;
  proxy!: TestProxy;

  constructor(answer: (rig: Rig, exchange: Exchange) => void) {
    this.app = new FunctionService((exchange) => answer(this, exchange));
    this.oracle = new FunctionService((exchange) => this.asked.push(exchange));
  }

  static async start(
    context: TestContext,
    list: unknown,
    answer: (rig: Rig, exchange: Exchange) => void,
  ): Promise<Rig> {
    const rig = new Rig(answer);
    const chain = new Chain("app", middlewares.parse(list) as MiddlewareConfig[], rig.context.forServices);
    chain.link(() => rig.oracle);
    rig.proxy = await TestProxy.start(context, { service: chain.before(rig.app) });
    context.after(() => assert.equal(rig.context.wheel.size, 0, "no timer is left"));
    return rig;
  }

  get errors(): Record<string, number> {
    return this.proxy.errors;
  }
}

const stream = (rig: Rig, exchange: Exchange): void => {
  const body = new DrivenBody();
  rig.bodies.push(body);
  exchange.respond(new ResponseHead(200, HeaderBlock.from([["content-type", "text/plain"]])), body);
};

const get = (more = ""): string => `GET / HTTP/1.1\r\nHost: site\r\nAccept-Encoding: gzip\r\n${more}\r\n`;

test("a client that leaves while its response is compressed cancels the body once, wherever it is", async (context) => {
  const rig = await Rig.start(context, [{ compression: { concurrent: 3 } }], stream);
  const steps: ReadonlyArray<(body: DrivenBody) => void> = [
    () => {},
    (body) => body.sink?.write(Buffer.from("some")),
    (body) => {
      // More than the client and the coder take.
      while (body.sink?.write(Buffer.alloc(65_536, Math.random().toString())) === true);
    },
  ];
  for (const [index, step] of steps.entries()) {
    const client = await rig.proxy.dial(context);
    client.send(get());
    await until(() => rig.bodies[index]?.sink !== undefined && rig.bodies[index]?.sink !== null);
    const body = rig.bodies[index] as DrivenBody;
    step(body);
    client.socket.resetAndDestroy();
    await until(() => body.cancelled > 0);
    // What comes afterwards goes nowhere.
    assert.equal(body.sink?.write(Buffer.from("late")), false);
    body.sink?.end(null);
    assert.equal(body.cancelled, 1);
  }
  await until(() => rig.proxy.server.exchanges === 0);
});

test("a body that fails while it is compressed breaks the response, and one that ends is whole, each once", async (context) => {
  const rig = await Rig.start(context, [{ compression: {} }], stream);
  const broken = await rig.proxy.dial(context);
  broken.send(get());
  await until(() => rig.bodies[0]?.sink != null);
  rig.bodies[0]?.sink?.write(Buffer.from("some"));
  rig.bodies[0]?.sink?.fail(new ProxyError("upstream_truncated", "cannot read the response: it ended early"));
  assert.ok(!(await broken.end()).endsWith("0\r\n\r\n"));
  const whole = await rig.proxy.dial(context);
  whole.send(get());
  await until(() => rig.bodies[1]?.sink != null);
  rig.bodies[1]?.sink?.write(Buffer.from("some"));
  rig.bodies[1]?.sink?.end(HeaderBlock.from([["x-sum", "1"]]));
  assert.match(await whole.got("\r\n0\r\n"), /content-encoding: gzip/i);
  whole.socket.destroy();
  assert.deepEqual(
    rig.bodies.map((body) => body.cancelled),
    [0, 0],
  );
});

test("a client that leaves while keys are fetched for its token leaves nothing, nor does a service that never answers", async (context) => {
  const list = [{ jwt: { algorithms: ["ES256"], jwks: { service: "login", timeout: 300 } } }];
  const rig = await Rig.start(context, list, () => assert.fail("nobody passes"));
  const token = `${Buffer.from('{"alg":"ES256"}').toString("base64url")}.e30.AAAA`;
  const ask = get(`Authorization: Bearer ${token}\r\n`);
  const leaving = await rig.proxy.dial(context);
  const staying = await rig.proxy.dial(context);
  leaving.send(ask);
  staying.send(ask);
  await until(() => rig.asked.length > 0);
  leaving.socket.resetAndDestroy();
  assert.match(await staying.got("\r\n\r\n"), /^HTTP\/1\.1 504 /);
  // One question for both, and it was given up.
  assert.equal(rig.asked.length, 1);
  assert.equal(rig.oracle.aborts.length, 1);
  const late = new DrivenBody();
  rig.asked[0]?.respond(new ResponseHead(200), late);
  assert.equal(late.cancelled, 1);
  staying.socket.destroy();
  await until(() => rig.proxy.server.exchanges === 0);
});

test("the first middleware that refuses answers, those behind it are not asked, and the request's body is let go", async (context) => {
  const list = [
    { ip: { deny: ["203.0.113.0/24"] } },
    { jwt: { algorithms: ["HS256"], keys: [{ secret }], optional: true } },
    { maintenance: {} },
    { forwardAuth: { service: "login" } },
  ];
  const rig = await Rig.start(context, list, () => assert.fail("nobody passes"));
  const client = await rig.proxy.dial(context);
  client.send("POST / HTTP/1.1\r\nHost: site\r\nContent-Length: 5\r\n\r\nfirst");
  assert.match(await client.got("We will be back soon"), /^HTTP\/1\.1 503 /);
  assert.equal(rig.asked.length, 0);
  const counted = rig.context.metrics.snapshot().counters;
  assert.deepEqual(counted, [
    ['sluice_middleware_refusals_total{service="app",middleware="maintenance"}', 1],
  ]);
  client.socket.destroy();
});

test("a request's body that grows too long after the response has begun ends both, and the response's body is let go", async (context) => {
  const rig = await Rig.start(context, [{ bodyLimit: "10B" }], (rig, exchange) => {
    const sink = { write: () => true, end: () => assert.fail("it is not whole"), fail: () => {} };
    exchange.takeBody()?.pipe(sink);
    stream(rig, exchange);
  });
  const client = await rig.proxy.dial(context);
  client.send("POST / HTTP/1.1\r\nHost: site\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n");
  await until(() => rig.bodies[0]?.sink != null);
  rig.bodies[0]?.sink?.write(Buffer.from("begun"));
  await client.got("begun");
  client.send("6\r\n567890\r\n");
  assert.ok(!(await client.end()).endsWith("0\r\n\r\n"));
  assert.equal(rig.bodies[0]?.cancelled, 1);
  assert.deepEqual(rig.errors, { request_body_too_large: 1 });
});

test("a token that was verified is not checked again until it expires or its time in the cache is over", async () => {
  const context = new TestContextOfServices();
  const config = jwtSchema.parse({
    algorithms: ["HS256"],
    keys: [{ secret }],
    clockTolerance: 0,
    cache: "1h",
  });
  const refusals = new Refusals(undefined, "app", "jwt");
  const jwt = new Jwt(config, context.forServices, refusals);
  const token = await new SignJWT({ exp: Math.floor(Date.now() / 1000) + 2 })
    .setProtectedHeader({ alg: "HS256" })
    .sign(Buffer.from(secret));
  const passed: boolean[] = [];
  const next = new FunctionService(() => passed.push(true));
  const { SubExchange } = await import("./http-harness.ts");
  const ask = (): InstanceType<typeof SubExchange> => {
    const exchange = new SubExchange();
    exchange.request.headers.append("authorization", `Bearer ${token}`);
    jwt.handle(exchange, next);
    return exchange;
  };
  ask();
  assert.equal(passed.length, 0, "the first is checked off the main thread");
  await until(() => passed.length === 1);
  ask();
  assert.equal(passed.length, 2, "the next one passes at once");
  // It is cached for an hour, but holds two seconds.
  await until(() => {
    const before = passed.length;
    ask();
    return passed.length === before;
  });
  const expired = ask();
  await until(() => expired.status === 401);
});
