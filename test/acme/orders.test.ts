import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { AcmeHarness } from "../support/acme-harness.ts";
import type { Fault } from "../support/acme-server.ts";

const dayMs = 86_400_000;

function namesOf(pem: string): string {
  return new X509Certificate(pem).subjectAltName ?? "";
}

test("a certificate is ordered at the start, kept on disk for the owner alone, and not ordered again", async (t) => {
  const acme = await AcmeHarness.start(t);
  const keeper = await acme.keeper(t, acme.socket({ email: "ops@shop.test" }));
  const placeholder = keeper.keypairs(acme.socket())[0];
  assert.match(namesOf(placeholder?.certificate ?? ""), /DNS:shop.test, DNS:www.shop.test/);
  assert.equal(keeper.notAfter(acme.socket()), 0);

  const told = await acme.order();
  assert.equal(told.event, "acme.certificate_issued", told.message);
  const { certificate = "", key = "" } = keeper.keypairs(acme.socket())[0] ?? {};
  const leaf = new X509Certificate(certificate);
  assert.equal(leaf.checkIssued(new X509Certificate(readFileSync(acme.server.ca.path))), true);
  assert.equal(keeper.notAfter(acme.socket()), leaf.validToDate.getTime());
  assert.match(key, /BEGIN PRIVATE KEY/);
  assert.deepEqual(acme.server.contacts, [["mailto:ops@shop.test"]]);
  assert.deepEqual(acme.shown, { tokens: {}, certificates: {} }, "no challenge is left");
  assert.equal(acme.issued, 1);

  const storage = acme.home.at("acme");
  const [authority = ""] = readdirSync(storage);
  assert.equal(statSync(storage).mode & 0o777, 0o700);
  assert.equal(statSync(join(storage, authority)).mode & 0o777, 0o700);
  const names = readdirSync(join(storage, authority));
  assert.deepEqual(names.map((name) => name.replace(/-[0-9a-f]{12}/, "")).sort(), [
    "account.json",
    "shop.test.pem",
  ]);
  for (const name of names) assert.equal(statSync(join(storage, authority, name)).mode & 0o777, 0o600, name);

  // Secrets stay out of the log.
  const log = JSON.stringify(acme.told);
  const { key: accountKey } = JSON.parse(readFileSync(join(storage, authority, "account.json"), "utf8")) as {
    key: string;
  };
  for (const secret of [key, accountKey]) assert.equal(log.includes(secret.split("\n")[1] ?? "?"), false);

  const second = await acme.keeper(t, acme.socket());
  assert.equal(second.keypairs(acme.socket())[0]?.certificate, certificate);
  acme.system.advance(1000);
  assert.equal(acme.server.orders, 1);
});

test("it is renewed when a third of its lifetime is left, over the account that is there", async (t) => {
  const acme = await AcmeHarness.start(t);
  acme.server.lifetime = (90 * dayMs) / 1000;
  const keeper = await acme.keeper(t, acme.socket());
  await acme.order();
  const first = keeper.keypairs(acme.socket())[0]?.certificate;
  while (acme.system.offset < 55 * dayMs) acme.system.advance(acme.system.next);
  assert.equal(acme.server.orders, 1);
  while (acme.server.orders < 2) {
    assert.ok(acme.system.offset < 60 * dayMs, "it is ordered in time");
    acme.system.advance(Math.max(acme.system.next, 1));
    await new Promise((resolve) => setTimeout(resolve, 20));
    if (acme.system.next < 0) break;
  }
  await acme.ended(2);
  assert.notEqual(keeper.keypairs(acme.socket())[0]?.certificate, first);
  assert.equal(acme.server.contacts.length, 1);
});

test("keys are ECDSA, or RSA if config says so", async (t) => {
  const acme = await AcmeHarness.start(t);
  for (const keyType of ["ecdsa", "rsa"] as const) {
    const socket = acme.socket({ keyType, domains: [`${keyType}.test`] });
    const keeper = await acme.keeper(t, socket);
    await acme.order();
    const { publicKey } = new X509Certificate(keeper.keypairs(socket)[0]?.certificate ?? "");
    assert.equal(publicKey.asymmetricKeyType, keyType === "rsa" ? "rsa" : "ec");
    keeper.close();
  }
});

const faults: ReadonlyArray<readonly [what: string, fault: Fault, text: RegExp]> = [
  ["a directory that is none", { at: "directory", does: "html" }, /answers in an unexpected way|cannot/],
  ["a broken connection", { at: "newOrder", does: "close" }, /cannot reach the authority/],
  [
    "an error of the server",
    { at: "newOrder", status: 500, type: "serverInternal" },
    /serverInternal: as the test wants it/,
  ],
  ["an order that is none", { at: "newOrder", does: "html" }, /answers in an unexpected way/],
  [
    "authorizations that are none",
    { at: "authz", does: "html" },
    /answers in an unexpected way|cannot prove/,
  ],
  ["a refusal", { at: "newOrder", status: 403, type: "rejectedIdentifier" }, /rejectedIdentifier/],
  ["a finalization that fails", { at: "finalize", status: 400, type: "badCSR" }, /badCSR/],
  [
    "a certificate that is none",
    { at: "certificate", does: "html" },
    /cannot use the certificate: it has 0 parts/,
  ],
  [
    "an account that is refused",
    { at: "newAccount", status: 403, type: "externalAccountRequired" },
    /externalAccountRequired/,
  ],
];

for (const [what, fault, text] of faults) {
  test(`after ${what} the order is tried again later, and comes to its end`, async (t) => {
    const acme = await AcmeHarness.start(t);
    acme.server.faults.push(fault);
    const keeper = await acme.keeper(t, acme.socket({ domains: ["shop.test"] }));
    const failed = await acme.order();
    assert.equal(failed.event, "acme.order_failed");
    assert.equal(failed.level, "error", "there is no certificate yet");
    assert.match(failed.message, text);
    assert.match(failed.message, /^cannot /);
    assert.deepEqual(acme.shown, { tokens: {}, certificates: {} });
    assert.ok(acme.system.next > 1_000, `waits ${acme.system.next} ms`);
    const done = await acme.order();
    assert.equal(done.event, "acme.certificate_issued", done.message);
    assert.deepEqual(
      [...keeper.orders].map(([key, value]) => [key.replace(/.*result="(\w+)".*/, "$1"), value]),
      [
        ["failed", 1],
        ["ok", 1],
      ],
    );
  });
}

test("rateLimited is waited out as long as the authority says", async (t) => {
  const acme = await AcmeHarness.start(t);
  acme.server.faults.push({ at: "newOrder", status: 429, type: "rateLimited", retryAfter: "7200" });
  await acme.keeper(t, acme.socket());
  const failed = await acme.order();
  assert.equal(failed.fields.type, "rateLimited");
  assert.ok(Math.abs(Date.parse(String(failed.fields.retry)) - acme.system.now() - 7_200_000) < 60_000);
});

test("failures are tried again ever more rarely, up to six hours", async (t) => {
  const acme = await AcmeHarness.start(t);
  acme.wrongAnswer = "something else";
  await acme.keeper(t, acme.socket({ domains: ["shop.test"] }));
  const waits: number[] = [];
  for (let attempt = 0; attempt < 8; attempt++) {
    const before = acme.server.orders;
    while (acme.server.orders === before) {
      acme.system.advance(acme.system.next);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await acme.ended(attempt + 1);
    const { message, fields } = acme.last;
    assert.match(
      message,
      /cannot prove that shop.test is ours by http-01: unauthorized: .*another key authorization/,
    );
    waits.push(Math.round((Date.parse(String(fields.retry)) - acme.system.now()) / 1000));
  }
  assert.deepEqual(waits, [15, 60, 240, 960, 3840, 15360, 21600, 21600]);
});

test("an order that stays processing is looked at as often as the authority says", async (t) => {
  const acme = await AcmeHarness.start(t);
  acme.server.processing = 2;
  await acme.keeper(t, acme.socket({ domains: ["shop.test"] }));
  const told = await acme.order();
  assert.equal(told.event, "acme.certificate_issued", told.message);
});

for (const [issues, text] of [
  ["other", /cannot use the certificate: it is for another key/],
  ["short", /cannot use the certificate: it is not for www.shop.test/],
] as const) {
  test(`a certificate that is wrong (${issues}) is not shown`, async (t) => {
    const acme = await AcmeHarness.start(t);
    acme.server.issues = issues;
    const keeper = await acme.keeper(t, acme.socket());
    const failed = await acme.order();
    assert.match(failed.message, text);
    assert.equal(keeper.notAfter(acme.socket()), 0);
  });
}

test("an account that the authority has forgotten is registered anew, with the same key", async (t) => {
  const acme = await AcmeHarness.start(t);
  const first = await acme.keeper(t, acme.socket({ domains: ["a.test"] }));
  await acme.order();
  first.close();
  acme.server.forgetAccounts();
  await acme.keeper(t, acme.socket({ domains: ["b.test"] }));
  const told = await acme.order();
  assert.equal(told.event, "acme.certificate_issued", told.message);
  const accounts = acme.told
    .filter(({ event }) => event === "acme.account")
    .map(({ fields }) => fields.account);
  assert.equal(new Set(accounts).size, 1);
});

test("another email address is told to the authority with the next order", async (t) => {
  const acme = await AcmeHarness.start(t);
  const first = await acme.keeper(t, acme.socket({ domains: ["a.test"], email: "old@shop.test" }));
  await acme.order();
  first.close();
  await acme.keeper(t, acme.socket({ domains: ["b.test"], email: "new@shop.test" }));
  await acme.order();
  assert.deepEqual(acme.server.contacts, [["mailto:new@shop.test"]]);
});

test("after a failure the other kind of challenge has its turn", async (t) => {
  const acme = await AcmeHarness.start(t);
  acme.wrongAnswer = "something else";
  await acme.keeper(t, acme.socket({ challenges: ["http-01", "tls-alpn-01"], domains: ["shop.test"] }));
  await acme.order();
  await acme.order();
  const tried = acme.told
    .filter(({ event }) => event === "acme.order_started")
    .map(({ fields }) => fields.challenge);
  assert.deepEqual(tried, ["http-01", "tls-alpn-01"]);
});

test("an authority that offers none of our challenges fails the order", async (t) => {
  const acme = await AcmeHarness.start(t);
  acme.server.offers = ["tls-alpn-01"];
  await acme.keeper(t, acme.socket());
  assert.match((await acme.order()).message, /the authority takes no http-01/);
});

test("proxies that share a storage order once", async (t) => {
  const acme = await AcmeHarness.start(t);
  const [one, other] = [await acme.keeper(t, acme.socket()), await acme.keeper(t, acme.socket())];
  acme.system.advance(0);
  await acme.ended(1);
  acme.system.advance(10_000);
  const shown = (keeper: typeof one) => keeper.keypairs(acme.socket())[0]?.certificate;
  await acme.until("both show it", () => shown(one) === shown(other));
  assert.equal(acme.server.orders, 1);
});

test("the lock of a proxy that has died holds nobody up", async (t) => {
  const acme = await AcmeHarness.start(t);
  const first = await acme.keeper(t, acme.socket());
  await acme.order();
  first.close();
  const [authority = ""] = readdirSync(acme.home.at("acme"));
  const directory = join(acme.home.at("acme"), authority);
  const pem = readdirSync(directory).find((name) => name.endsWith(".pem")) ?? "";
  // The number of a process that there cannot be.
  const { hostname } = await import("node:os");
  const dead = JSON.stringify({ host: hostname(), pid: 2 ** 30, token: "x" });
  writeFileSync(join(directory, pem.replace(".pem", ".lock")), dead);
  writeFileSync(join(directory, pem), "no certificate");
  await acme.keeper(t, acme.socket());
  const told = await acme.order();
  assert.equal(told.event, "acme.certificate_issued", told.message);
});

test("a keeper that is closed in mid-order ends it at once", async (t) => {
  const acme = await AcmeHarness.start(t);
  acme.server.faults.push({ at: "newOrder", does: "hang" });
  const keeper = await acme.keeper(t, acme.socket());
  acme.system.advance(0);
  await acme.until("the order is there", () => acme.server.count("newOrder") > 0);
  keeper.close();
  const [authority = ""] = readdirSync(acme.home.at("acme"));
  await acme.until("the lock is gone", () =>
    readdirSync(join(acme.home.at("acme"), authority)).every((name) => !name.endsWith(".lock")),
  );
  assert.equal(
    acme.told.some(({ event }) => event === "acme.order_failed"),
    false,
  );
  assert.equal(acme.system.next, -1);
});

test("with another set of names, certificates for some of them serve until the one for all is there", async (t) => {
  const acme = await AcmeHarness.start(t);
  const before = acme.socket({ domains: ["a.test"] });
  const first = await acme.keeper(t, before);
  await acme.order();
  const [old] = first.keypairs(before);
  first.close();
  const after = acme.socket({ domains: ["a.test", "b.test"] });
  const keeper = await acme.keeper(t, after);
  const shown = keeper.keypairs(after);
  assert.equal(shown.length, 2);
  assert.equal(shown[0]?.certificate, old?.certificate);
  assert.equal(namesOf(shown[1]?.certificate ?? ""), "DNS:a.test, DNS:b.test");
  await acme.order();
  assert.deepEqual(
    keeper.keypairs(after).map(({ certificate }) => namesOf(certificate)),
    ["DNS:a.test, DNS:b.test"],
  );
});

test("orders that begin together share one account", async (t) => {
  const acme = await AcmeHarness.start(t);
  const sockets = ["a.test", "b.test", "c.test"].map((name) => acme.socket({ domains: [name] }));
  await acme.keeper(t, ...sockets);
  acme.system.advance(0);
  await acme.until("all are issued", () => acme.issued === 3);
  assert.equal(acme.server.contacts.length, 1);
  assert.equal(
    acme.told.some(({ event }) => event === "acme.order_failed"),
    false,
  );
});

test("a certificate that has ended already is not shown, and not ordered again at once", async (t) => {
  const acme = await AcmeHarness.start(t);
  acme.server.lifetime = 0;
  const keeper = await acme.keeper(t, acme.socket({ domains: ["shop.test"] }));
  assert.match((await acme.order()).message, /cannot use the certificate: it ended on /);
  assert.equal(keeper.notAfter(acme.socket({ domains: ["shop.test"] })), 0);
  assert.ok(acme.system.next > 10_000);
});

test("a renewed certificate is shown also when it ends before the one that it replaces", async (t) => {
  const acme = await AcmeHarness.start(t);
  acme.server.lifetime = (90 * dayMs) / 1000;
  const socket = acme.socket({ domains: ["shop.test"] });
  const keeper = await acme.keeper(t, socket);
  await acme.order();
  const before = keeper.notAfter(socket);
  // By the clock of the authority no time has passed.
  acme.server.lifetime = (89 * dayMs) / 1000;
  while (acme.server.orders < 2) {
    acme.system.advance(acme.system.next);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await acme.ended(2);
  assert.ok(keeper.notAfter(socket) < before);
  assert.ok(acme.system.next > 1_000_000, "and it is not ordered again at once");
});

test("tokens that are no tokens, and authorizations for more than was ordered, fail the order", async (t) => {
  const acme = await AcmeHarness.start(t);
  await acme.keeper(t, acme.socket());
  acme.server.token = "../../../etc/passwd";
  assert.match((await acme.order()).message, /its token is not in base64url/);
  acme.server.token = null;
  acme.server.surplus = 1000;
  assert.match((await acme.order()).message, /too many/);
  acme.server.surplus = 0;
  assert.equal((await acme.order()).event, "acme.certificate_issued");
});
