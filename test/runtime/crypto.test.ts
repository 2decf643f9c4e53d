import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Guest, same } from "./harness.ts";

interface CryptoKeyPair {
  readonly publicKey: CryptoKey;
  readonly privateKey: CryptoKey;
}

let guest: Guest;
before(async () => {
  guest = await Guest.create();
});
after(() => guest.dispose());

test("ciphers encrypt and decrypt, with the result that Node's give", async () => {
  await same(guest, async (t) => {
    const { subtle } = crypto;
    const data = new TextEncoder().encode("the quick brown fox jumps over the lazy dog");
    const raw = new Uint8Array(32).map((_, i) => i);
    const results: unknown[] = [];
    for (const algorithm of [
      { name: "aes-cbc", iv: new Uint8Array(16) },
      { name: "AES-CTR", counter: new Uint8Array(16), length: 64 },
      { name: "AES-GCM", iv: new Uint8Array(12), additionalData: new Uint8Array(3), tagLength: 96 },
      { name: "AES-OCB", iv: new Uint8Array(12) },
      { name: "ChaCha20-Poly1305", iv: new Uint8Array(12) },
    ]) {
      const format = algorithm.name.startsWith("C") || algorithm.name.endsWith("OCB") ? "raw-secret" : "raw";
      const key = await subtle.importKey(format as "raw", raw, algorithm.name, true, ["encrypt", "decrypt"]);
      const sealed = await subtle.encrypt(algorithm, key, data);
      results.push([...t.bytes(sealed)], [...t.bytes(await subtle.decrypt(algorithm, key, sealed))]);
      results.push(key.type, key.extractable, key.algorithm, key.usages, await subtle.exportKey("jwk", key));
      new Uint8Array(sealed).fill(1, 0, 1);
      results.push(await t.rejection(subtle.decrypt({ ...algorithm, tagLength: 7 } as never, key, sealed)));
    }
    return results;
  });
});

test("signatures of each kind are verified, and refused when a byte is another", async () => {
  await same(guest, async () => {
    const { subtle } = crypto;
    const data = new Uint8Array(1000).fill(7);
    const results: unknown[] = [];
    for (const [make, use] of [
      [{ name: "HMAC", hash: "SHA-256" }, "HMAC"],
      [
        { name: "ECDSA", namedCurve: "P-256" },
        { name: "ECDSA", hash: { name: "SHA-384" } },
      ],
      ["Ed25519", "ed25519"],
      ["Ed448", { name: "Ed448" }],
      ["ML-DSA-44", { name: "ML-DSA-44", context: new Uint8Array(4) }],
      [
        { name: "RSA-PSS", modulusLength: 1024, publicExponent: new Uint8Array([1, 0, 1]), hash: "SHA-1" },
        { name: "RSA-PSS", saltLength: 20 },
      ],
      [
        {
          name: "RSASSA-PKCS1-v1_5",
          modulusLength: 1024,
          publicExponent: new Uint8Array([1, 0, 1]),
          hash: "SHA-512",
        },
        "RSASSA-PKCS1-v1_5",
      ],
      [{ name: "KMAC128" }, { name: "KMAC128", outputLength: 256 }],
    ] as [never, never][]) {
      const made = (await subtle.generateKey(make, false, ["sign", "verify"])) as unknown as CryptoKeyPair;
      const [signer, verifier] = made.privateKey
        ? [made.privateKey, made.publicKey]
        : [made as unknown as CryptoKey, made as unknown as CryptoKey];
      const signature = new Uint8Array(await subtle.sign(use, signer, data));
      const good = await subtle.verify(use, verifier, signature, data);
      signature[5] = (signature[5] as number) ^ 1;
      results.push([good, await subtle.verify(use, verifier, signature, data), signature.length > 16]);
      results.push([signer.type, signer.usages, verifier.type, verifier.usages, signer.extractable]);
      const { publicExponent, ...rest } = verifier.algorithm as unknown as Record<string, unknown>;
      results.push(rest, publicExponent instanceof Uint8Array && [...publicExponent]);
    }
    return results;
  });
});

test("keys are derived, agreed on, wrapped and encapsulated", async () => {
  await same(guest, async (t) => {
    const subtle = crypto.subtle as SubtleCrypto & Record<string, (...args: unknown[]) => Promise<never>>;
    const results: unknown[] = [];
    const password = await subtle.importKey("raw", new Uint8Array(8).fill(1), "PBKDF2", false, [
      "deriveBits",
      "deriveKey",
    ]);
    const pbkdf2 = { name: "PBKDF2", hash: "SHA-256", salt: new Uint8Array(16), iterations: 1000 };
    results.push(t.bytes(await subtle.deriveBits(pbkdf2, password, 256)));
    const aes = await subtle.deriveKey(pbkdf2, password, { name: "AES-GCM", length: 128 }, true, [
      "wrapKey",
      "unwrapKey",
    ]);
    results.push(aes.algorithm, t.bytes(await subtle.exportKey("raw", aes)));
    const mac = await subtle.deriveKey(pbkdf2, password, { name: "HMAC", hash: "SHA-512" }, true, ["sign"]);
    results.push(mac.algorithm, await subtle.exportKey("jwk", mac));
    const secret = await subtle.importKey("raw", new Uint8Array(8).fill(2), "HKDF", false, ["deriveBits"]);
    const hkdf = { name: "HKDF", hash: "SHA-1", salt: new Uint8Array(0), info: new Uint8Array(3) };
    results.push(t.bytes(await subtle.deriveBits(hkdf, secret, 512)));
    for (const algorithm of [{ name: "ECDH", namedCurve: "P-384" }, { name: "X25519" }]) {
      const one = (await subtle.generateKey(algorithm, false, ["deriveBits"])) as CryptoKeyPair;
      const two = (await subtle.generateKey(algorithm, false, ["deriveBits"])) as CryptoKeyPair;
      const ab = await subtle.deriveBits(
        { name: algorithm.name, public: two.publicKey },
        one.privateKey,
        256,
      );
      const ba = await subtle.deriveBits(
        { name: algorithm.name, public: one.publicKey },
        two.privateKey,
        256,
      );
      results.push(t.bytes(ab).join() === t.bytes(ba).join());
    }
    const wrap = { name: "AES-GCM", iv: new Uint8Array(12) };
    for (const format of ["raw", "jwk"] as const) {
      const wrapped = await subtle.wrapKey(format, mac, aes, wrap);
      const back = await subtle.unwrapKey(
        format,
        wrapped,
        aes,
        wrap,
        { name: "HMAC", hash: "SHA-512" },
        true,
        ["sign"],
      );
      results.push(t.bytes(await subtle.exportKey("raw", back)));
    }
    const kem = (await subtle.generateKey("ML-KEM-768" as never, false, [
      "encapsulateBits",
      "decapsulateBits",
    ] as never)) as unknown as CryptoKeyPair;
    const made = (await subtle.encapsulateBits?.("ML-KEM-768", kem.publicKey)) as {
      sharedKey: ArrayBuffer;
      ciphertext: ArrayBuffer;
    };
    const opened = await subtle.decapsulateBits?.("ML-KEM-768", kem.privateKey, made.ciphertext);
    results.push(
      t.bytes(made.sharedKey).join() === t.bytes(opened as ArrayBuffer).join(),
      made.ciphertext.byteLength,
    );
    return results;
  });
});

test("errors have the standard's names, and say nothing of the host", async () => {
  await same(guest, async (t) => {
    const { subtle } = crypto;
    const key = await subtle.importKey("raw", new Uint8Array(16), "AES-CBC", false, ["encrypt"]);
    const data = new Uint8Array(16);
    const cbc = { name: "AES-CBC", iv: data };
    return Promise.all(
      [
        subtle.encrypt("AES-CBC" as never, key, data),
        subtle.encrypt({ name: "AES-CBC", iv: new Uint8Array(3) }, key, data),
        subtle.encrypt({ name: "AES-CTR", counter: data, length: 128 }, key, data),
        subtle.decrypt(cbc, key, data),
        subtle.encrypt({ name: "nothing" }, key, data),
        subtle.encrypt(cbc, {} as never, data),
        subtle.encrypt(cbc, key, "text" as never),
        subtle.exportKey("raw", key),
        subtle.exportKey("rubbish" as never, key),
        subtle.importKey("raw", new Uint8Array(15), "AES-CBC", false, ["encrypt"]),
        subtle.importKey("raw", data, "AES-CBC", false, ["sign"]),
        subtle.importKey("raw", data, "AES-CBC", false, ["no-usage" as never]),
        subtle.importKey("raw", data, "AES-CBC", false, 5 as never),
        subtle.importKey("jwk", { kty: "RSA" }, "AES-CBC", false, ["encrypt"]),
        subtle.importKey("pkcs8", data, { name: "ECDSA", namedCurve: "P-256" }, false, ["sign"]),
        subtle.importKey("spki", data, { name: "ECDSA", namedCurve: "K-256" }, false, ["verify"]),
        subtle.generateKey({ name: "AES-GCM", length: 100 }, false, ["encrypt"]),
        subtle.generateKey({ name: "AES-GCM", length: 128 }, false, []),
        subtle.generateKey({ name: "AES-GCM" } as never, false, ["encrypt"]),
        subtle.generateKey({ name: "HMAC", hash: "MD5" }, false, ["sign"]),
        subtle.deriveBits({ name: "PBKDF2" } as never, key, 8),
        (subtle.encrypt as () => Promise<unknown>)(),
        subtle.sign.call({} as never, "HMAC", key, data),
      ].map((promise) => t.rejection(promise)),
    );
  });
  const texts = await guest.run(async () => {
    const { subtle } = crypto;
    const text = (promise: Promise<unknown>) =>
      promise.then(String, (error: Error) => `${error}\n${error.stack}`);
    return [
      await text(
        subtle.importKey("pkcs8", new Uint8Array(9), { name: "ECDSA", namedCurve: "P-256" }, true, ["sign"]),
      ),
      await text(
        subtle.importKey("jwk", { kty: "oct", k: "%" }, { name: "HMAC", hash: "SHA-1" }, true, ["sign"]),
      ),
    ];
  });
  for (const text of texts as string[]) assert.doesNotMatch(text, /node:|\.ts|asn1|openssl/i);
});

test("an algorithm's getters run once each, in order, and later changes to arguments change nothing", async () => {
  await same(guest, async (t) => {
    const { subtle } = crypto;
    const log: string[] = [];
    const hash = "SHA-256";
    const algorithm = {
      get salt() {
        log.push("salt");
        return new Uint8Array(8);
      },
      get iterations() {
        log.push("iterations");
        return 2;
      },
      get hash() {
        log.push("hash");
        return hash;
      },
    };
    const key = await subtle.importKey("raw", new Uint8Array(8), "PBKDF2", false, ["deriveBits"]);
    const bits = t.bytes(await subtle.deriveBits({ name: "PBKDF2", ...algorithm, ...{} }, key, 128));
    const mac = await subtle.importKey("raw", new Uint8Array(8), { name: "HMAC", hash: "SHA-1" }, true, [
      "sign",
    ]);
    const data = new Uint8Array(100);
    const signing = subtle.sign("HMAC", mac, data);
    data.fill(9);
    (mac.algorithm as { name: string }).name = "changed";
    mac.usages.length = 0;
    return [bits, log, t.bytes(await signing), t.bytes(await subtle.sign("HMAC", mac, new Uint8Array(1)))];
  });
});

test("a CryptoKey shows itself the same each time, cannot be made, and is cloned", async () => {
  await same(guest, async (t) => {
    const key = await crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, true, [
      "encrypt",
      "decrypt",
    ]);
    const copy = structuredClone({ key }).key;
    const exported = [await crypto.subtle.exportKey("raw", key), await crypto.subtle.exportKey("raw", copy)];
    return [
      Object.is(key.algorithm, key.algorithm),
      Object.is(key.usages, key.usages),
      Object.prototype.toString.call(key),
      t.error(() => new (CryptoKey as unknown as new () => unknown)()),
      t.error(() => Object.getOwnPropertyDescriptor(CryptoKey.prototype, "type")?.get?.call({})),
      copy !== key && copy instanceof CryptoKey,
      t.bytes(exported[0] as ArrayBuffer).join() === t.bytes(exported[1] as ArrayBuffer).join(),
      Object.getOwnPropertyNames(key),
    ];
  });
});

test("supports() knows what the host has", async () => {
  await same(guest, () => {
    const { supports } = SubtleCrypto as unknown as { supports(...args: unknown[]): boolean };
    const call = (...args: unknown[]): boolean => supports.call(SubtleCrypto, ...args);
    return [
      call("digest", "SHA-256"),
      call("digest", "SHA-257"),
      call("generateKey", "Ed25519"),
      call("generateKey", { name: "AES-GCM", length: 128 }),
      call("generateKey", { name: "AES-GCM", length: 129 }),
      call("encrypt", "ECDSA"),
      call("nothing", "SHA-256"),
      call(
        "deriveKey",
        { name: "HKDF", hash: "SHA-256", salt: new Uint8Array(0), info: new Uint8Array(0) },
        { name: "AES-GCM", length: 256 },
      ),
      call(
        "deriveBits",
        { name: "HKDF", hash: "SHA-256", salt: new Uint8Array(0), info: new Uint8Array(0) },
        7,
      ),
      call("wrapKey", "AES-KW", "AES-GCM"),
      call("encapsulateKey", "ML-KEM-768", { name: "AES-GCM", length: 256 }),
      call("getPublicKey", "Ed25519"),
    ];
  });
});

test("digests of all kinds are made", async () => {
  await same(guest, async (t) => {
    const data = new Uint8Array(100_000).fill(3);
    const digests: number[][] = [];
    for (const algorithm of [
      "sha-1",
      "SHA-256",
      { name: "SHA-384" },
      "SHA-512",
      "SHA3-256",
      { name: "cSHAKE128", outputLength: 256 },
      { name: "TurboSHAKE128", outputLength: 256 },
    ]) {
      digests.push(await crypto.subtle.digest(algorithm as never, data).then(t.bytes, () => []));
    }
    return digests;
  });
});

test("MD5 digests are made, by whatever spelling, and of nothing else", async () => {
  const outcome = await guest.run(async (t) => {
    const digests: unknown[] = [];
    for (const algorithm of ["MD5", "md5", { name: "Md5" }]) {
      digests.push(t.bytes(await crypto.subtle.digest(algorithm, new Uint8Array(0))).slice(0, 4));
    }
    const hmac = { name: "HMAC", hash: "MD5" };
    digests.push(await t.rejection(crypto.subtle.importKey("raw", new Uint8Array(8), hmac, true, ["sign"])));
    return digests;
  });
  const start = [0xd4, 0x1d, 0x8c, 0xd9];
  assert.deepEqual(outcome, [start, start, start, "NotSupportedError"]);
});

test("DigestStream hashes what is written to it", async () => {
  const outcome = await guest.run(async (t) => {
    const { DigestStream } = crypto as unknown as {
      DigestStream: new (
        algorithm: unknown,
      ) => WritableStream & { digest: Promise<ArrayBuffer>; bytesWritten: number };
    };
    const data = new Uint8Array(300_000).fill(5);
    const stream = new DigestStream("SHA-256");
    await new Response(data).body?.pipeTo(stream);
    const whole = t.bytes(await crypto.subtle.digest("SHA-256", data)).join();
    const empty = new DigestStream({ name: "md5" });
    await empty.getWriter().close();
    const aborted = new DigestStream("SHA-1");
    await aborted.abort(new RangeError("no"));
    const wrong = new DigestStream("SHA-1");
    return [
      t.bytes(await stream.digest).join() === whole,
      stream.bytesWritten,
      t.bytes(await empty.digest).slice(0, 4),
      await t.rejection(aborted.digest),
      await t.rejection(wrong.getWriter().write(5)),
      t.error(() => new DigestStream("HMAC")),
    ];
  });
  assert.deepEqual(outcome, [
    true,
    300_000,
    [0xd4, 0x1d, 0x8c, 0xd9],
    "RangeError",
    "TypeError",
    "NotSupportedError",
  ]);
});

test("timingSafeEqual compares bytes, and throws for different lengths", async () => {
  const outcome = await guest.run((t) => {
    const { timingSafeEqual } = crypto.subtle as unknown as {
      timingSafeEqual(a: unknown, b: unknown): boolean;
    };
    return [
      timingSafeEqual(new Uint8Array([1, 2]), new Uint8Array([1, 2]).buffer),
      timingSafeEqual(new Uint8Array([1, 2]), new Uint16Array([513])),
      timingSafeEqual(new Uint8Array([1, 2]), new Uint8Array([1, 3])),
      t.error(() => timingSafeEqual(new Uint8Array(1), new Uint8Array(2))),
      t.error(() => timingSafeEqual("a", new Uint8Array(2))),
    ];
  });
  assert.deepEqual(outcome, [true, true, false, "TypeError", "TypeError"]);
});

test("work that nothing could stop is refused", async () => {
  const outcome = await guest.run(async (t) => {
    const { subtle } = crypto;
    const password = await subtle.importKey("raw", new Uint8Array(8), "PBKDF2", false, ["deriveBits"]);
    const pbkdf2 = { name: "PBKDF2", hash: "SHA-256", salt: new Uint8Array(16) };
    const rsa = { name: "RSA-PSS", hash: "SHA-256" };
    return [
      await t.rejection(subtle.deriveBits({ ...pbkdf2, iterations: 2_000_001 }, password, 256)),
      await t.rejection(subtle.deriveBits({ ...pbkdf2, iterations: 100_000 }, password, 256 * 21)),
      await t.rejection(
        subtle.generateKey(
          { ...rsa, modulusLength: 8192, publicExponent: new Uint8Array([1, 0, 1]) },
          false,
          ["sign"],
        ),
      ),
      await t.rejection(
        subtle.generateKey(
          { ...rsa, modulusLength: 1024, publicExponent: new Uint8Array([1, 0, 3]) },
          false,
          ["sign"],
        ),
      ),
      await t.rejection(
        subtle.digest({ name: "cSHAKE128", outputLength: 2 ** 31 } as never, new Uint8Array(1)),
      ),
      await t.rejection(
        subtle.importKey("jwk", { kty: "RSA", n: "A".repeat(20_000), e: "AQAB" }, rsa, true, ["verify"]),
      ),
      await t.rejection(subtle.importKey("spki", new Uint8Array(20_000), rsa, true, ["verify"])),
    ];
  });
  assert.deepEqual(outcome, [
    "NotSupportedError",
    "NotSupportedError",
    "NotSupportedError",
    "OperationError",
    "OperationError",
    "DataError",
    "DataError",
  ]);
});

test("patched prototypes neither break cryptography nor see what it does", async () => {
  const own = await Guest.create();
  const seen = await own
    .run(async () => {
      let seen = "";
      const see = (what: string): void => {
        seen += `${what} `;
      };
      const trap = (holder: object, key: PropertyKey): void => {
        Object.defineProperty(holder, key, {
          configurable: true,
          get() {
            see(String(key));
            return undefined;
          },
          set() {
            see(`${String(key)}=`);
          },
        });
      };
      const { subtle } = crypto;
      for (const key of ["toJSON", "hash", "iv", "id", "at", "size", "length2", "name2"])
        trap(Object.prototype, key);
      for (const key of ["0", "1", "toJSON"]) trap(Array.prototype, key);
      Array.prototype.push = () => see("push") as never;
      Uint8Array.prototype.set = () => see("set");
      Uint8Array.prototype.slice = () => see("slice") as never;
      JSON.stringify = () => see("stringify") as never;
      JSON.parse = () => see("parse");
      Map.prototype.get = () => see("get");
      const raw = new Uint8Array(16);
      const key = await subtle.importKey("raw", raw, "AES-GCM", true, ["encrypt", "decrypt"]);
      const sealed = await subtle.encrypt({ name: "AES-GCM", iv: raw }, key, raw);
      const opened = await subtle.decrypt({ name: "AES-GCM", iv: raw }, key, sealed);
      const pair = await subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, ["sign", "verify"]);
      const signature = await subtle.sign({ name: "ECDSA", hash: "SHA-256" }, pair.privateKey, raw);
      return `${opened.byteLength} ${signature.byteLength} ${key.usages.length} ${seen}`;
    })
    .catch((error: unknown) => error);
  own.dispose();
  assert.equal(seen, "16 64 2 ");
});
