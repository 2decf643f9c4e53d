import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { CallResult, ThreadJob } from "../../src/isolate/calls/call.ts";
import { CryptoCalls } from "../../src/isolate/calls/crypto.ts";
import { Threads, threads } from "../../src/isolate/calls/threads.ts";
import { collect } from "../integration/network-harness.ts";
import { WorkerBench, type WorkerSource } from "../integration/worker-harness.ts";

let bench: WorkerBench | null = null;
afterEach(() => {
  bench?.stop();
  bench = null;
});

async function run(code: string, limits: WorkerSource["limits"] = {}): Promise<unknown> {
  bench ??= await WorkerBench.start({ main: { code, limits } });
  return JSON.parse((await collect(bench.worker(), {})).text);
}

test("keys that nothing refers to any more make room for others", async () => {
  const code = `export default { async fetch() {
    const raw = new Uint8Array(32);
    const sum = [];
    for (let i = 0; i < 3000; i++) {
      const key = await crypto.subtle.importKey("raw", raw, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
      if (i % 1000 === 0) sum.push((await crypto.subtle.sign("HMAC", key, raw)).byteLength);
    }
    return Response.json(sum);
  } };`;
  for (let i = 0; i < 4; i++) assert.deepEqual(await run(code, { cpuMs: 1000 }), [32, 32, 32]);
});

test("streams that are never closed make room for others", async () => {
  const code = `export default { async fetch() {
    for (let i = 0; i < 900; i++) await new crypto.DigestStream("SHA-1").getWriter().write("x");
    return Response.json("done");
  } };`;
  for (let i = 0; i < 3; i++) assert.equal(await run(code, { cpuMs: 1000 }), "done");
});

test("a Worker keeps only so many keys, and is told", async () => {
  const code = `export default { async fetch() {
    const raw = new Uint8Array(16);
    const keys = [];
    try {
      for (;;) keys.push(await crypto.subtle.importKey("raw", raw, "AES-GCM", false, ["encrypt"]));
    } catch (error) {
      const sealed = await crypto.subtle.encrypt({ name: "AES-GCM", iv: raw }, keys[8000], raw);
      return Response.json([keys.length, error.name, sealed.byteLength]);
    }
  } };`;
  assert.deepEqual(await run(code, { cpuMs: 1000 }), [8192, "OperationError", 32]);
});

test("inputs and results of many windows go there and back", async () => {
  const code = `export default { async fetch() {
    const data = new Uint8Array(3_000_001).map((_, i) => i * 7);
    const key = await crypto.subtle.generateKey({ name: "AES-CTR", length: 256 }, false, ["encrypt", "decrypt"]);
    const algorithm = { name: "AES-CTR", counter: new Uint8Array(16), length: 64 };
    const back = new Uint8Array(await crypto.subtle.decrypt(algorithm, key, await crypto.subtle.encrypt(algorithm, key, data)));
    return Response.json([back.length, back.every((byte, i) => byte === data[i])]);
  } };`;
  assert.deepEqual(await run(code, { cpuMs: 1000 }), [3_000_001, true]);
});

test("work of a Worker that has ended leaves nothing waiting", async () => {
  const code = `export default { async fetch() {
    const { subtle } = crypto;
    const key = await subtle.importKey("raw", new Uint8Array(8), "PBKDF2", false, ["deriveBits"]);
    const algorithm = { name: "PBKDF2", hash: "SHA-256", salt: new Uint8Array(8), iterations: 20_000 };
    const all = [];
    for (let i = 0; i < 40; i++) all.push(subtle.deriveBits(algorithm, key, 256));
    await Promise.race(all);
    return Response.json(all.length);
  } };`;
  assert.equal(await run(code), 40);
  bench?.stop();
  bench = null;
  while (threads.size > 0) await new Promise((resolve) => setImmediate(resolve));
});

test("guests take turns on the threads, and none has them all", async () => {
  const order: string[] = [];
  const ends: (() => void)[] = [];
  const add = (to: Threads, guest: object, name: string): void =>
    to.add(guest, () => {
      order.push(name);
      return name === "dropped" ? null : new Promise((resolve) => ends.push(resolve));
    });
  const settle = async (from: Threads): Promise<void> => {
    while (from.size > 0) {
      ends.shift()?.();
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  const [greedy, other] = [{}, {}];
  const single = new Threads(1, 1);
  for (const name of ["a1", "a2", "a3"]) add(single, greedy, name);
  for (const name of ["dropped", "b1"]) add(single, other, name);
  await settle(single);
  assert.deepEqual(order, ["a1", "a2", "dropped", "a3", "b1"]);

  order.length = 0;
  const shared = new Threads(3, 2);
  for (const name of ["a1", "a2", "a3"]) add(shared, greedy, name);
  assert.deepEqual(order, ["a1", "a2"]);
  add(shared, other, "b1");
  assert.deepEqual(order, ["a1", "a2", "b1"]);
  await settle(shared);
  assert.deepEqual(order, ["a1", "a2", "b1", "a3"]);
});

test("a request that a guest made up is refused, and none comes to another guest's keys", async () => {
  const scope = { buffer: { take: () => true, give() {} }, collect() {} };
  const one = new CryptoCalls(scope);
  const other = new CryptoCalls(scope);
  const ask = async (
    calls: CryptoCalls,
    request: object,
    bytes = new Uint8Array(16),
  ): Promise<CallResult> => {
    const begun = calls.call(JSON.stringify(request), bytes);
    return begun instanceof ThreadJob ? begun.start() : begun;
  };
  const place = { at: 0, size: 16 };
  const importing = {
    op: "importKey",
    format: "raw",
    data: place,
    algorithm: { name: "AES-CBC" },
    usages: ["encrypt"],
  };
  const key = JSON.parse((await ask(one, importing)).text) as { id: number; extractable: boolean };
  assert.equal(key.extractable, false);
  const encrypt = { op: "encrypt", algorithm: { name: "AES-CBC", iv: place }, key: key.id, data: place };
  assert.equal((await ask(one, encrypt)).bytes.length, 32);
  for (const [calls, request] of [
    [other, encrypt],
    [one, { ...encrypt, key: "1" }],
    [one, { ...encrypt, data: { at: 8, size: 9 } }],
    [one, { ...encrypt, data: { at: -1, size: 4 } }],
    [one, { ...encrypt, data: { at: 0, size: 0.5 } }],
    [one, { ...encrypt, algorithm: { name: "AES-CBC", iv: place, other: 1 } }],
    [one, { ...encrypt, algorithm: { name: { toString: 1 }, iv: place } }],
    [one, { ...encrypt, op: "constructor" }],
    [one, { ...encrypt, op: "supports" }],
    [one, { op: "exportKey", format: "raw", key: key.id }],
    [one, { op: "wrapKey", format: "raw", key: key.id, wrappingKey: key.id, algorithm: encrypt.algorithm }],
    [one, { op: "hash", hash: 5, name: "SHA-1", data: place }],
    [one, { ...encrypt, free: 5 }],
    [one, { ...encrypt, free: [key.id] }],
    [one, encrypt],
  ] as [CryptoCalls, object][]) {
    await assert.rejects(async () => ask(calls, request), `${JSON.stringify(request)}`);
  }
  assert.ok((await ask(one, importing)) instanceof CallResult);
});
