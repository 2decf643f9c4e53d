import assert from "node:assert/strict";
import { createHmac, generateKeyPairSync, type KeyObject, randomBytes } from "node:crypto";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { type TestContext, test } from "node:test";
import { type JWTPayload, SignJWT } from "jose";
import { eventually, readMetrics, sumOf } from "../support/shard.ts";
import { Edge, status } from "./middleware-harness.ts";

const elliptic = generateKeyPairSync("ec", { namedCurve: "P-256" });
const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
const edwards = generateKeyPairSync("ed25519");
const secret = randomBytes(32).toString("hex");

function pem({ publicKey }: { readonly publicKey: KeyObject }): string {
  return JSON.stringify(publicKey.export({ type: "spki", format: "pem" }));
}

interface Making {
  readonly alg?: string;
  readonly kid?: string;
  readonly typ?: string;
  readonly key?: KeyObject | Uint8Array;
  readonly expires?: number;
}

async function makeToken(claims: JWTPayload, making: Making = {}): Promise<string> {
  const { alg = "ES256", key = elliptic.privateKey, expires = 600, kid, typ } = making;
  const header = { alg, ...(kid === undefined ? {} : { kid }), ...(typ === undefined ? {} : { typ }) };
  const now = Math.floor(Date.now() / 1000);
  return new SignJWT({ iat: now, exp: now + expires, ...claims }).setProtectedHeader(header).sign(key);
}

function bearer(token: string, more: Readonly<Record<string, string>> = {}): RequestInit {
  return { headers: { authorization: `Bearer ${token}`, ...more } };
}

test("a token passes with the algorithms of its own key, and its claims become headers that no client sets", async (context) => {
  const edge = await Edge.start(
    context,
    `[{ jwt: {
      algorithms: [ES256, PS256, EdDSA, Ed25519, HS256],
      keys: [{ pem: ${pem(elliptic)} }, { pem: ${pem(rsa)} }, { jwk: ${JSON.stringify(edwards.publicKey.export({ format: "jwk" }))} }, { secret: "\${SECRET}" }],
      issuer: me, audience: [api, web], realm: shop,
      claimHeaders: { x-user: sub, x-roles: access.roles, x-none: nothing }, payloadHeader: x-claims } }]`,
    "",
    {},
    { SECRET: secret },
  );
  const claims = { iss: "me", aud: "api", sub: "ädä", access: { roles: ["a", "ö,b"] } };
  const tokens = [
    await makeToken(claims),
    await makeToken(claims, { alg: "PS256", key: rsa.privateKey }),
    await makeToken(claims, { alg: "EdDSA", key: edwards.privateKey }),
    await makeToken(claims, { alg: "Ed25519", key: edwards.privateKey }),
    await makeToken(claims, { alg: "HS256", key: Buffer.from(secret) }),
  ];
  for (const token of [...tokens, ...tokens]) {
    const forged = { "x-user": "root", "X-None": "1", "x-claims": "e30" };
    const { headers } = await edge.echo("/", bearer(token, forged));
    assert.equal(Buffer.from(headers["x-user"] ?? "", "latin1").toString(), "ädä");
    assert.equal(headers["x-roles"], '["a","\\u00f6,b"]');
    assert.equal(headers["x-none"], undefined);
    const all = JSON.parse(Buffer.from(headers["x-claims"] ?? "", "base64url").toString()) as JWTPayload;
    assert.equal(all.sub, "ädä");
    assert.equal(headers.authorization, `Bearer ${token}`);
  }
});

test("what is no good token is answered 401 in the words of RFC 6750, and the log says nothing of it", async (context) => {
  const edge = await Edge.start(
    context,
    `[{ jwt: { algorithms: [ES256, RS256, HS256], keys: [{ pem: ${pem(elliptic)} }, { pem: ${pem(rsa)} }, { secret: "\${SECRET}" }],
      issuer: me, audience: api, type: at+jwt, requiredClaims: [exp, sub], maxAge: 1h, realm: 'a "b"', clockTolerance: 0 } }]`,
    "admin: { address: 'unix:./admin.sock' }\nlog: { access: true }",
    {},
    { SECRET: secret },
  );
  const good = { iss: "me", aud: "api", sub: "ada" };
  const typ = "at+jwt";
  const now = Math.floor(Date.now() / 1000);
  const [header = "", payload = ""] = (await makeToken(good, { typ })).split(".");
  const none = `${Buffer.from(JSON.stringify({ alg: "none", typ })).toString("base64url")}.${payload}`;
  // The attack of RFC 8725 §2.1: the public key, which everybody has, as a secret.
  const publicSecret = Buffer.from(elliptic.publicKey.export({ type: "spki", format: "pem" }));
  const confused = `${Buffer.from(JSON.stringify({ alg: "HS256", typ })).toString("base64url")}.${payload}`;
  const mac = createHmac("sha256", publicSecret).update(confused).digest("base64url");
  const bad: ReadonlyArray<readonly [string, RegExp]> = [
    [`${none}.`, /error="invalid_request"/],
    [`${none}.AA`, /an algorithm that is not accepted/],
    [`${confused}.${mac}`, /signed by no key/],
    [`${header}.${payload}.AAAA`, /signed by no key|malformed/],
    ["nonsense", /error="invalid_request"/],
    ["!!.??.**", /error="invalid_request"/],
    ["e30.e30.e30", /an algorithm/],
    ["AAAA.AAAA.AAAA", /malformed/],
    [await makeToken(good, { typ, expires: -10 }), /The token expired/],
    [await makeToken({ ...good, nbf: now + 60 }, { typ }), /A claim is not accepted/],
    [await makeToken({ ...good, iat: now - 7200 }, { typ }), /expired|A claim/],
    [await makeToken({ ...good, iss: "you" }, { typ }), /A claim is not accepted/],
    [await makeToken({ ...good, aud: ["web"] }, { typ }), /A claim is not accepted/],
    [await makeToken({ iss: "me", aud: "api" }, { typ }), /A claim is not accepted/],
    [await makeToken(good), /A claim is not accepted/],
    [
      await makeToken(good, { typ, key: generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey }),
      /no key/,
    ],
  ];
  for (const [token, expected] of bad) {
    const response = await edge.ask("/", { ...bearer(token), method: "POST", body: "left unread" });
    const challenge = response.headers.get("www-authenticate") ?? "";
    assert.match(challenge, /^Bearer realm="a \\"b\\"", error="invalid_(token|request)"/);
    assert.match(challenge, expected, token);
    assert.equal(response.status, challenge.includes("invalid_request") ? 400 : 401);
  }
  const bare = await edge.ask();
  assert.equal(bare.status, 401);
  assert.equal(bare.headers.get("www-authenticate"), 'Bearer realm="a \\"b\\""');
  assert.equal(await status(edge.ask("/", { headers: { authorization: "Basic eDp5" } })), 401);
  assert.equal(await status(edge.ask("/", bearer(await makeToken(good, { typ })))), 200);
  const metrics = await readMetrics(edge.sluice.directory.at("admin.sock"));
  const refused = 'service="app",middleware="jwt"';
  assert.equal(sumOf(metrics, "sluice_middleware_refusals_total", refused), bad.length + 2);
  for (const [token] of bad) {
    if (token.length > 20) assert.ok(!(edge.sluice.stdout + edge.sluice.stderr).includes(token));
  }
});

test("a token without the scopes is answered 403, and one is found in header, cookie and query, which lose it on demand", async (context) => {
  const edge = await Edge.start(
    context,
    `[{ jwt: { algorithms: [ES256], keys: [{ pem: ${pem(elliptic)} }], scopes: [read, write], removeToken: true,
      from: [authorization, { header: x-token }, { cookie: session }, { query: access_token }] } }]`,
    "log: { access: true }",
  );
  const narrow = await edge.ask("/", bearer(await makeToken({ scope: "read" })));
  assert.equal(narrow.status, 403);
  assert.equal(
    narrow.headers.get("www-authenticate"),
    'Bearer error="insufficient_scope", scope="read write"',
  );
  const token = await makeToken({ scp: ["write", "read"] });
  assert.equal((await edge.echo("/", bearer(token))).headers.authorization, undefined);
  assert.equal((await edge.echo("/", { headers: { "x-token": token } })).headers["x-token"], undefined);
  const cookies = await edge.echo("/", { headers: { cookie: `a=1; session=${token}; b=2` } });
  assert.equal(cookies.headers.cookie, "a=1; b=2");
  const query = await edge.echo(`/p?a=%2f&access_token=${token}&b=+`);
  assert.equal(query.url, "/p?a=%2f&b=+");
  assert.equal(await status(edge.ask(`/?access_token=${token}&access%5Ftoken=${token}`)), 400);
  await eventually("the access log is written", () => edge.sluice.stdout.includes('"target":"/p?a=%2f&b=+"'));
  assert.ok(!(edge.sluice.stdout + edge.sluice.stderr).includes(token));
});

test("without a token a request passes where tokens are optional, without claims; a bad one does not", async (context) => {
  const edge = await Edge.start(
    context,
    `[{ jwt: { algorithms: [ES256], keys: [{ pem: ${pem(elliptic)} }], optional: true, claimHeaders: { x-user: sub } } }]`,
  );
  assert.equal((await edge.echo("/", { headers: { "x-user": "root" } })).headers["x-user"], undefined);
  assert.equal(await status(edge.ask("/", bearer("a.b.c"))), 401);
});

/** A server of keys that can be told what to answer. */
class KeyServer {
  address = "";
  asked = 0;
  answer: RequestListener = (_request, response) => response.writeHead(503).end();

  static async start(context: TestContext): Promise<KeyServer> {
    const keys = new KeyServer();
    const server = createServer((request, response) => {
      keys.asked++;
      keys.answer(request, response);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    context.after(() => {
      server.closeAllConnections();
      server.close();
    });
    keys.address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    return keys;
  }

  publish(keys: readonly unknown[], cacheControl = "max-age=3600"): void {
    this.answer = (_request, response) => {
      response.setHeader("cache-control", cacheControl);
      response.end(JSON.stringify({ keys }));
    };
  }
}

function published({ publicKey }: { readonly publicKey: KeyObject }, kid: string): object {
  return { ...publicKey.export({ format: "jwk" }), kid, use: "sig" };
}

test("keys come from a service, are fetched anew for a key that is not known, and hold while the service is down", async (context) => {
  const keys = await KeyServer.start(context);
  const edge = await Edge.start(
    context,
    "[{ jwt: { algorithms: [ES256, RS256], jwks: { service: login, minPause: 1s, ttl: 1s } } }]",
    `  login: { external: { address: "${keys.address}" } }`,
  );
  const first = await makeToken({}, { kid: "one" });
  // No keys are there yet: nobody passes, and the service is not asked for each request.
  assert.equal(await status(edge.ask("/", bearer(first))), 502);
  assert.equal(await status(edge.ask("/", bearer(first))), 502);
  assert.equal(keys.asked, 1);
  keys.publish([published(elliptic, "one"), { kty: "oct", k: "AAAA", kid: "two" }, { kty: "nonsense" }, 7]);
  await eventually("the keys are there", async () => (await status(edge.ask("/", bearer(first)))) === 200);
  const asked = keys.asked;
  const second = await makeToken({}, { alg: "RS256", key: rsa.privateKey, kid: "two" });
  assert.equal(await status(edge.ask("/", bearer(second))), 401);
  keys.publish([published(rsa, "two")]);
  await eventually("the new key is there", async () => (await status(edge.ask("/", bearer(second)))) === 200);
  // With the change the verdict on the first token is forgotten.
  assert.equal(await status(edge.ask("/", bearer(first))), 401);
  assert.ok(keys.asked > asked);
  keys.answer = (_request, response) => response.destroy();
  const third = await makeToken({ n: 3 }, { alg: "RS256", key: rsa.privateKey, kid: "two" });
  assert.equal(await status(edge.ask("/", bearer(await makeToken({}, { kid: "three" })))), 401);
  assert.equal(await status(edge.ask("/", bearer(third))), 200);
});

test("an answer that is no set of keys is none, however it is wrong", async (context) => {
  const keys = await KeyServer.start(context);
  const token = await makeToken({}, { kid: "one" });
  const answers: RequestListener[] = [
    (_request, response) => response.end("{}"),
    (_request, response) => response.end("<html>"),
    (_request, response) => response.writeHead(302, { location: "/" }).end(),
    (_request, response) => response.end(`{"keys":[]${" ".repeat(1_100_000)}}`),
    (_request, response) => response.writeHead(200, { "content-encoding": "gzip" }).end("x"),
    (_request, response) =>
      response.writeHead(200, { "content-length": "100" }).end("{", () => response.destroy()),
    () => {},
  ];
  for (const answer of answers) {
    keys.answer = answer;
    const edge = await Edge.start(
      context,
      "[{ jwt: { algorithms: [ES256], jwks: { service: login, timeout: 500ms } } }]",
      `  login: { external: { address: "${keys.address}" } }`,
    );
    const code = await status(edge.ask("/", bearer(token)));
    assert.ok(code === 502 || code === 504, `${code}`);
    await edge.sluice.stop("SIGKILL");
  }
});
