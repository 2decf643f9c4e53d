import assert from "node:assert/strict";
import { createCipheriv, createHash, createHmac, pbkdf2Sync } from "node:crypto";
import { afterEach, test } from "node:test";
import { collect } from "../integration/network-harness.ts";
import { WorkerBench } from "../integration/worker-harness.ts";

let bench: WorkerBench | null = null;
afterEach(() => {
  bench?.stop();
  bench = null;
});

async function run(body: string): Promise<unknown> {
  const code = `import crypto from "node:crypto"; import { promisify } from "node:util";
    export default { async fetch() { return Response.json(await (async () => { ${body} })()); } };`;
  bench = await WorkerBench.start({ main: { code, flags: ["nodejs_compat"] } });
  const answer = await collect(bench.worker(), {});
  assert.equal(answer.status, 200, `${answer.text} ${JSON.stringify(bench.logs)}`);
  return JSON.parse(answer.text);
}

test("hashes, codes and derived keys are those of Node", async () => {
  const seen = await run(`
    return [crypto.createHash("sha256").update("a").update(Buffer.from("b")).digest("hex"), crypto.createHash("md5").copy().update("x").digest("base64"),
      crypto.createHmac("sha1", "key").update("data").digest("hex"), crypto.pbkdf2Sync("p", "s", 10, 20, "sha512").toString("hex"),
      (await promisify(crypto.pbkdf2)("p", "s", 10, 20, "sha512")).toString("hex"), crypto.randomBytes(9).length,
      crypto.timingSafeEqual(Buffer.from("a"), Buffer.from("a")), crypto.randomInt(5) < 5, crypto.randomUUID().length,
      (() => { try { crypto.createHash("none"); } catch (e) { return e.message; } })()];`);
  assert.deepEqual(seen, [
    createHash("sha256").update("ab").digest("hex"),
    createHash("md5").update("x").digest("base64"),
    createHmac("sha1", "key").update("data").digest("hex"),
    pbkdf2Sync("p", "s", 10, 20, "sha512").toString("hex"),
    pbkdf2Sync("p", "s", 10, 20, "sha512").toString("hex"),
    9,
    true,
    true,
    36,
    "Digest method not supported",
  ]);
});

test("what a cipher has hidden comes back, and not when it was changed", async () => {
  const seen = await run(`
    const key = crypto.randomBytes(32), iv = crypto.randomBytes(12);
    const c = crypto.createCipheriv("aes-256-gcm", key, iv); c.setAAD(Buffer.from("aad"));
    const hidden = Buffer.concat([c.update("secret", "utf8"), c.final()]); const tag = c.getAuthTag();
    const open = (tag) => { const d = crypto.createDecipheriv("aes-256-gcm", key, iv); d.setAAD(Buffer.from("aad")); d.setAuthTag(tag);
      return d.update(hidden, null, "utf8") + d.final("utf8"); };
    let wrong; try { open(Buffer.alloc(16)); } catch (e) { wrong = e.message; }
    const b = crypto.createCipheriv("aes-128-cbc", Buffer.alloc(16), Buffer.alloc(16));
    return [open(tag), wrong, b.update("text", "utf8", "hex") + b.final("hex")];`);
  const expected = createCipheriv("aes-128-cbc", Buffer.alloc(16), Buffer.alloc(16));
  assert.deepEqual(seen, [
    "secret",
    "Unsupported state or unable to authenticate data",
    expected.update("text", "utf8", "hex") + expected.final("hex"),
  ]);
});

test("keys are made, exported, read, and sign", async () => {
  const seen = await run(`
    const { privateKey, publicKey } = crypto.generateKeyPairSync("ec", { namedCurve: "P-256" });
    const pem = privateKey.export({ format: "pem", type: "pkcs8" });
    const again = crypto.createPrivateKey(pem);
    const s = crypto.createSign("SHA256").update("data").sign(again);
    const rsa = await promisify(crypto.generateKeyPair)("rsa", { modulusLength: 2048, publicKeyEncoding: { type: "spki", format: "pem" },
      privateKeyEncoding: { type: "pkcs8", format: "pem" } }).catch((e) => String(e));
    const one = crypto.createECDH("prime256v1"), two = crypto.createECDH("prime256v1");
    one.generateKeys(); two.generateKeys();
    return [crypto.createVerify("SHA256").update("data").verify(publicKey, s), crypto.createVerify("SHA256").update("other").verify(publicKey, s),
      publicKey.export({ format: "jwk" }).crv, again.equals(privateKey), publicKey.asymmetricKeyType,
      one.computeSecret(two.getPublicKey()).equals(two.computeSecret(one.getPublicKey())), typeof rsa];`);
  assert.deepEqual(seen, [true, false, "P-256", true, "ec", true, "object"]);
});
