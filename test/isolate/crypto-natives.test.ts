import assert from "node:assert/strict";
import {
  createCipheriv,
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  hkdfSync,
  pbkdf2Sync,
  scryptSync,
  sign,
  verify,
} from "node:crypto";
import { test } from "node:test";
import { ThreadJob } from "../../src/isolate/calls/call.ts";
import { nativeOnThread } from "../../src/isolate/calls/native-threads.ts";
import { natives } from "../../src/isolate/natives/registry.ts";

function call(name: string, parameters: object, ...pieces: Buffer[]): string | Uint8Array {
  const sizes = pieces.slice(0, -1).map((piece) => piece.length);
  const native = natives.get(`crypto.${name}`);
  assert.ok(native !== undefined);
  return native(JSON.stringify({ ...parameters, sizes }), Buffer.concat(pieces));
}

const password = Buffer.from("password");
const salt = Buffer.from("salt");
const data = Buffer.from("some data");

test("natives hash, authenticate and derive as Node does", () => {
  assert.deepEqual(call("hash", { algorithm: "sha256" }, data), createHash("sha256").update(data).digest());
  assert.equal(call("hash", { algorithm: "shake128", outputLength: 40 }, data).length, 40);
  assert.deepEqual(
    call("hmac", { algorithm: "sha1" }, salt, data),
    createHmac("sha1", salt).update(data).digest(),
  );
  assert.deepEqual(
    call("pbkdf2", { digest: "sha512", iterations: 10, length: 40 }, password, salt),
    pbkdf2Sync(password, salt, 10, 40, "sha512"),
  );
  assert.deepEqual(
    call("scrypt", { N: 16, r: 8, p: 1, length: 32 }, password, salt),
    scryptSync(password, salt, 32, { N: 16 }),
  );
  assert.deepEqual(
    call("hkdf", { digest: "sha256", length: 50 }, password, salt, data),
    new Uint8Array(hkdfSync("sha256", password, salt, data, 50)),
  );
  assert.equal(natives.get("crypto.random")?.("12", Buffer.alloc(0)).length, 12);
  assert.ok(
    (JSON.parse(natives.get("crypto.names")?.("hashes", Buffer.alloc(0)) as string) as string[]).includes(
      "sha256",
    ),
  );
});

test("natives encipher whole messages, and refuse those with a wrong tag", () => {
  const key = Buffer.alloc(16, 1);
  const iv = Buffer.alloc(12, 2);
  const none = Buffer.alloc(0);
  const expected = createCipheriv("aes-128-gcm", key, iv);
  const sealed = Buffer.concat([expected.update(data), expected.final(), expected.getAuthTag()]);
  const gcm = { algorithm: "aes-128-gcm", iv: true, padding: true };
  assert.deepEqual(call("cipher", gcm, key, iv, none, none, data), sealed);
  const [text, tag] = [sealed.subarray(0, -16), sealed.subarray(-16)];
  assert.deepEqual(call("cipher", { ...gcm, decrypt: true }, key, iv, none, tag, text), data);
  assert.throws(
    () => call("cipher", { ...gcm, decrypt: true }, key, iv, none, Buffer.alloc(16), text),
    /unable to authenticate/,
  );
  const ecb = { algorithm: "aes-128-ecb", iv: false, padding: false };
  assert.equal(call("cipher", ecb, key, none, none, none, Buffer.alloc(32)).length, 32);
  assert.throws(() => call("cipher", ecb, Buffer.alloc(5), none, none, none, data), /Invalid key length/);
  assert.throws(() => call("cipher", { algorithm: "rot13" }, key, none, none, none, data), /not known/);
});

test("natives read, write and use keys", () => {
  const pem = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({
    format: "pem",
    type: "sec1",
  });
  const read = JSON.parse(
    call("readKey", { kind: "private", format: "pem" }, Buffer.from(pem)) as string,
  ) as {
    type: string;
    asymmetricKeyType: string;
    details: object;
    der: string;
  };
  assert.deepEqual(
    [read.type, read.asymmetricKeyType, read.details],
    ["private", "ec", { namedCurve: "prime256v1" }],
  );
  const der = Buffer.from(read.der, "base64");
  const publicRead = JSON.parse(
    call("readKey", { kind: "public", format: "pem" }, Buffer.from(pem)) as string,
  ) as { der: string };
  const publicDer = Buffer.from(publicRead.der, "base64");
  assert.equal(call("writeKey", { kind: "private", format: "pem", type: "sec1" }, der), pem);
  assert.equal(
    (JSON.parse(call("writeKey", { kind: "public", format: "jwk" }, publicDer) as string) as { kty: string })
      .kty,
    "EC",
  );

  const signature = Buffer.from(call("sign", { digest: "sha256" }, der, data) as Uint8Array);
  assert.ok(
    verify("sha256", data, createPublicKey({ key: publicDer, format: "der", type: "spki" }), signature),
  );
  assert.equal(call("verify", { digest: "sha256" }, publicDer, signature, data), "true");
  assert.equal(call("verify", { digest: "sha256" }, publicDer, signature, salt), "false");
  const theirs = sign("sha256", data, { key: createPrivateKey(pem), dsaEncoding: "ieee-p1363" });
  assert.equal(
    call("verify", { digest: "sha256", dsaEncoding: "ieee-p1363" }, publicDer, theirs, data),
    "true",
  );

  const pair = JSON.parse(
    call("generateKeyPair", { type: "rsa", modulusLength: 1024 }, Buffer.alloc(0)) as string,
  ) as {
    publicKey: { der: string };
    privateKey: { der: string };
  };
  const [one, other] = [
    Buffer.from(pair.publicKey.der, "base64"),
    Buffer.from(pair.privateKey.der, "base64"),
  ];
  const none = Buffer.alloc(0);
  const sealed = Buffer.from(
    call("rsa", { operation: "publicEncrypt", oaepHash: "sha256" }, one, none, data) as Uint8Array,
  );
  assert.deepEqual(
    call("rsa", { operation: "privateDecrypt", oaepHash: "sha256" }, other, none, sealed),
    data,
  );

  const ecdh = { curve: "secp256k1", operation: "generate" };
  const [alice, bob] = [call("ecdh", ecdh, none), call("ecdh", ecdh, none)].map((made) => {
    const keys = JSON.parse(made as string) as { privateKey: string; publicKey: string };
    return { own: Buffer.from(keys.privateKey, "base64"), shown: Buffer.from(keys.publicKey, "base64") };
  });
  assert.ok(alice !== undefined && bob !== undefined);
  assert.deepEqual(
    call("ecdh", { ...ecdh, operation: "compute" }, alice.own, bob.shown),
    call("ecdh", { ...ecdh, operation: "compute" }, bob.own, alice.shown),
  );
  assert.equal(call("ecdh", { ...ecdh, operation: "public", compressed: true }, alice.own, none).length, 33);
});

test("natives refuse what takes long, is malformed, or tells of the host", () => {
  assert.throws(() => call("pbkdf2", { digest: "sha1", iterations: 1e9, length: 8 }, password, salt), {
    name: "RangeError",
  });
  assert.throws(() => call("scrypt", { N: 1 << 24, r: 8, p: 1, length: 8 }, password, salt), {
    name: "RangeError",
  });
  assert.throws(() => call("generateKeyPair", { type: "rsa", modulusLength: 16_384 }, Buffer.alloc(0)), {
    name: "RangeError",
  });
  assert.throws(() => call("generateKeyPair", { type: "dh" }, Buffer.alloc(0)), /not supported/);
  assert.throws(() => call("hash", { algorithm: "nothing" }, data), /"nothing" is not known/);
  assert.throws(
    () => call("readKey", { kind: "private", format: "pem" }, Buffer.from("-----BEGIN")),
    /cannot read the key/,
  );
  assert.throws(() => natives.get("crypto.hmac")?.('{"algorithm":"sha1","sizes":[99]}', data), /size/);
  const encrypted = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({
    format: "pem",
    type: "pkcs8",
    cipher: "aes-128-cbc",
    passphrase: "x",
  });
  assert.throws(
    () => call("readKey", { kind: "private", format: "pem" }, Buffer.from(encrypted)),
    /encrypted/,
  );
});

test("what takes long runs on a thread with the same result", async () => {
  const bytes = Buffer.concat([password, salt]);
  const text = JSON.stringify({ digest: "sha256", iterations: 1000, length: 32, sizes: [password.length] });
  const job = nativeOnThread(`crypto.pbkdf2\n${text}`, bytes);
  assert.ok(job instanceof ThreadJob);
  assert.deepEqual(Buffer.from((await job.start()).bytes), pbkdf2Sync(password, salt, 1000, 32, "sha256"));
  const pair = nativeOnThread('crypto.generateKeyPair\n{"type":"ed25519"}', Buffer.alloc(0));
  assert.ok(pair instanceof ThreadJob);
  assert.match((await pair.start()).text, /^\{"publicKey":\{"type":"public","asymmetricKeyType":"ed25519"/);
  assert.throws(() => nativeOnThread("crypto.hash\n{}", bytes), /no such function/);
});
