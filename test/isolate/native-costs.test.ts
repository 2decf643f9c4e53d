import assert from "node:assert/strict";
import { getCipherInfo, getCiphers } from "node:crypto";
import { test } from "node:test";
import { gunzipSync, gzipSync } from "node:zlib";
import { callOperations } from "../../src/isolate/calls/operations.ts";
import { GuestFailure } from "../../src/isolate/guest-failure.ts";
import { Natives } from "../../src/isolate/natives/natives.ts";
import { natives } from "../../src/isolate/natives/registry.ts";
import * as wire from "../../src/wire/ops.ts";

const MiB = 1 << 20;

function run(name: string, parameters: object, ...pieces: Buffer[]): string | Uint8Array {
  const sizes = pieces.slice(0, -1).map((piece) => piece.length);
  const native = natives.get(name);
  assert.ok(native !== undefined);
  return native(JSON.stringify({ ...parameters, sizes }), Buffer.concat(pieces));
}

function refused(name: string, parameters: object, ...pieces: Buffer[]): void {
  assert.throws(
    () => run(name, parameters, ...pieces),
    (error) => error instanceof GuestFailure && error.name === "RangeError",
    `${name} ${JSON.stringify(parameters)}`,
  );
}

const some = Buffer.from("some");

test("no derivation hashes a long salt for each of many blocks", async () => {
  const long = Buffer.alloc(60_000);
  refused("crypto.pbkdf2", { digest: "sha512", iterations: 1, length: MiB }, some, long);
  refused("crypto.pbkdf2", { digest: "sha512", iterations: 1, length: 64 }, some, Buffer.alloc(MiB));
  refused("crypto.pbkdf2", { digest: "constructor", iterations: 1e6, length: 64 }, some, some);
  refused("crypto.hkdf", { digest: "sha512", length: 4096 }, some, Buffer.alloc(MiB), some);
  refused("crypto.hkdf", { digest: "sha512", length: 4096 }, some, some, Buffer.alloc(MiB));
  assert.equal(
    run("crypto.pbkdf2", { digest: "sha512", iterations: 1000, length: 64 }, some, some).length,
    64,
  );

  const calls = callOperations({ buffer: { take: () => true, give() {} }, collect: () => {} });
  const crypto = calls.get(wire.CALL_CRYPTO);
  assert.ok(crypto !== undefined);
  const place = { at: 0, size: 4 };
  const imported = await crypto(
    JSON.stringify({
      op: "importKey",
      format: "raw",
      data: place,
      algorithm: { name: "PBKDF2" },
      usages: ["deriveBits"],
    }),
    some,
  );
  const key = (JSON.parse((imported as { text: string }).text) as { id: number }).id;
  for (const [size, length] of [
    [60_000, 8 * MiB],
    [MiB, 256],
  ] as const) {
    const algorithm = { name: "PBKDF2", hash: { name: "SHA-256" }, iterations: 1, salt: { at: 0, size } };
    const text = JSON.stringify({ op: "deriveBits", algorithm, key, length });
    assert.throws(() => crypto(text, Buffer.alloc(size)), GuestFailure);
  }
});

test("a request to Web Cryptography that is longer than any is refused before it is parsed", () => {
  const calls = callOperations({ buffer: { take: () => true, give() {} }, collect: () => {} });
  const long = "[".repeat(3 * MiB);
  for (const operation of [wire.CALL_CRYPTO, wire.CALL_NATIVE])
    assert.throws(() => calls.get(operation)?.(`crypto.pbkdf2\n${long}`, some), GuestFailure);
});

test("scrypt is refused what takes its first or last step long, however little memory its middle takes", () => {
  refused("crypto.scrypt", { N: 2, r: 65_536, p: 1, length: 16_384 }, some, some);
  refused("crypto.scrypt", { N: 2, r: 1, p: 65_536, length: 64 }, some, some);
  refused("crypto.scrypt", { N: 2, r: 8, p: 64, length: 64 }, some, Buffer.alloc(60_000));
  refused("crypto.scrypt", { N: 65_536, r: 8, p: 1, length: 64 }, some, some);
  assert.equal(run("crypto.scrypt", { N: 1024, r: 8, p: 1, length: 64 }, some, some).length, 64);
});

test("a cipher takes as much at once as it is fast", () => {
  let slowest = 0;
  for (const algorithm of getCiphers()) {
    const { keyLength, ivLength = 0 } = getCipherInfo(algorithm) ?? { keyLength: 0 };
    const pieces = [Buffer.alloc(keyLength, 7), Buffer.alloc(ivLength, 9), Buffer.alloc(0), Buffer.alloc(0)];
    const members = { algorithm, iv: ivLength > 0, padding: true };
    refused("crypto.cipher", members, ...pieces, Buffer.alloc(16 * MiB + 1));
    if (/cfb1$/i.test(algorithm)) refused("crypto.cipher", members, ...pieces, Buffer.alloc(16_384));
    else if (/des|wrap|cfb8/i.test(algorithm))
      refused("crypto.cipher", members, ...pieces, Buffer.alloc(MiB));
    else continue;
    slowest++;
  }
  assert.ok(slowest > 0);
  const [key, iv] = [Buffer.alloc(32, 7), Buffer.alloc(16, 9)];
  const none = Buffer.alloc(0);
  const aes = { algorithm: "aes-256-cbc", iv: true, padding: true };
  assert.equal(run("crypto.cipher", aes, key, iv, none, none, Buffer.alloc(2 * MiB)).length, 2 * MiB + 16);
});

test("a digest, a signature and a code take as much at once as the digest is fast", () => {
  for (const algorithm of ["sha3-512", "ripemd160", "shake128", "no such"]) {
    refused("crypto.hash", { algorithm }, Buffer.alloc(4 * MiB + 1));
    refused("crypto.hmac", { algorithm }, some, Buffer.alloc(4 * MiB + 1));
  }
  refused("crypto.hash", { algorithm: "sha256" }, Buffer.alloc(16 * MiB + 1));
  refused("crypto.hmac", { algorithm: "sha256" }, Buffer.alloc(2 * MiB), some);
  for (const algorithm of ["sha256", "SHA512", "RSA-SHA256", "sha-1", "md5", "sha512-256"])
    assert.ok(run("crypto.hash", { algorithm }, Buffer.alloc(5 * MiB)).length > 0);
});

test("a key that is longer than any is refused before anything reads it", () => {
  for (const format of ["pem", "der", "jwk"])
    refused("crypto.readKey", { kind: "public", format, type: "spki" }, Buffer.alloc(MiB, "["));
  refused("crypto.verify", { digest: "sha256" }, Buffer.alloc(MiB), some, some);
});

test("compressing at once tries less hard with much, whatever level is asked for", () => {
  const data = Buffer.alloc(MiB, "abababab");
  const zlib = (method: string, options: object, bytes: Buffer): Uint8Array =>
    natives.get("node.zlib")?.(JSON.stringify({ method, options }), bytes) as Uint8Array;
  const random = Buffer.from(Array.from({ length: 300_000 }, (_, i) => 97 + (((i * i * 31) % 97) & 1)));
  const hard = zlib("gzip", { level: 9 }, random);
  assert.deepEqual(hard, zlib("gzip", { level: 2 }, random));
  assert.deepEqual(gunzipSync(hard), random);
  assert.deepEqual(gunzipSync(zlib("gzip", {}, data)), data);
  const few = random.subarray(0, 1000);
  assert.deepEqual(zlib("gzip", {}, few), gzipSync(few, { level: 6 }));
  assert.throws(() => zlib("gzip", {}, Buffer.alloc(4 * MiB + 1)), GuestFailure);
  assert.throws(() => zlib("brotliCompress", {}, Buffer.alloc(4 * MiB + 1)), GuestFailure);
  assert.throws(() => zlib("gunzip", {}, gzipSync(Buffer.alloc(17 * MiB))), /ERR_BUFFER_TOO_LARGE/);
  assert.throws(() => zlib("gunzip", {}, Buffer.alloc(17 * MiB)), GuestFailure);
});

test("pieces of an input are whole but the last, and all together bounded", () => {
  const calls = new Natives(natives, new Uint8Array(new SharedArrayBuffer(wire.SCRATCH)));
  assert.match(String(calls.call(wire.NATIVE_FEED, 0, "")), /^!Error/);
  assert.match(String(calls.call(wire.NATIVE_FEED, 1, "")), /^!Error/);
  let fed = 0;
  while (calls.call(wire.NATIVE_FEED, wire.SCRATCH, "") === 0) fed += wire.SCRATCH;
  assert.ok(fed >= 16 * MiB && fed < 18 * MiB);
  assert.match(String(calls.call("decodeUtf8", 0, "x".repeat(17 * MiB))), /^!RangeError/);
});
