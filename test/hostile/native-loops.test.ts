import assert from "node:assert/strict";
import { test } from "node:test";
import { get } from "../support/client.ts";
import { startSluice } from "../support/sluice.ts";
import { assertPlainFailure, attacker, filesOf, soleShard } from "./attack.ts";

const imports =
  'import * as crypto from "node:crypto"; import * as zlib from "node:zlib"; import { Buffer } from "node:buffer"; const bytes = new Uint8Array(4e6);';

/** What each does on the host takes its time in portions that a loop of the Worker's does not end. */
const loops: Readonly<Record<string, string>> = {
  hash: "for (;;) crypto.createHash('sha3-512').update(bytes).digest();",
  keys: "for (;;) crypto.generateKeyPairSync('rsa', { modulusLength: 2048 });",
  scrypt: "for (;;) crypto.scryptSync('a', 'b', 64, { N: 32768, r: 8, p: 1, maxmem: 1e9 });",
  zip: "const text = Buffer.alloc(250_000, 'ab'); for (let i = 0; i < text.length; i++) text[i] = 97 + ((i * i) % 7 & 1); for (;;) zlib.gzipSync(text, { level: 9 });",
  text: "for (;;) new TextDecoder().decode(bytes);",
};

test("a Worker that has the host compute in a loop loses its isolate, and the shard goes on", async (t) => {
  const workers = Object.fromEntries(
    Object.entries(loops).map(([name, code]) => [name, attacker(code, imports)]),
  );
  const names = Object.keys(workers);
  const sockets = ["good", ...names].map((name) => `  ${name}: { address: "127.0.0.1:0", service: ${name} }`);
  const services = names.map(
    (name) =>
      `  ${name}: { worker: { main: ./${name}.js, compatibilityDate: 2026-11-01, compatibilityFlags: [nodejs_compat] } }`,
  );
  const config = `sockets:\n${sockets.join("\n")}\nservices:\n${services.join("\n")}\n  good: { worker: { main: ./good.js, compatibilityDate: 2026-11-01 } }\n`;
  const sluice = await startSluice(t, config, { files: filesOf(workers) });
  const good = `${await sluice.listening("good")}/`;
  assert.equal((await get(good)).body, "good");
  const shard = soleShard(sluice);
  for (const name of names) {
    assertPlainFailure(await get(`${await sluice.listening(name)}/attack`), 500);
    assert.equal((await get(good)).body, "good", name);
    assert.equal(soleShard(sluice), shard, name);
  }
});
