import assert from "node:assert/strict";
import * as crypto from "node:crypto";
import { rename, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { checkPassword, readPassword, readUserFile } from "../../src/net/password.ts";
import { type LoginWaiter, Users } from "../../src/net/users.ts";
import { eventually } from "../support/shard.ts";
import { Edge, status } from "./middleware-harness.ts";

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64").replaceAll("=", "");
const salt = Buffer.from("0123456789abcdef");

function scryptHash(password: string): string {
  const hash = crypto.scryptSync(password, salt, 32, { N: 1024, r: 8, p: 1 });
  return `$scrypt$ln=10,r=8,p=1$${base64(salt)}$${base64(hash)}`;
}

function as(user: string, password: string): RequestInit {
  return { headers: { authorization: `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}` } };
}

test("a hash of Argon2id is checked, and one that would take too much is not taken", async (context) => {
  if (crypto.argon2Sync === undefined) {
    context.skip("this Node.js has no Argon2");
    return;
  }
  const parameters = {
    message: "pässword",
    nonce: salt,
    memory: 64,
    passes: 2,
    parallelism: 1,
    tagLength: 32,
  };
  const hash = crypto.argon2Sync("argon2id", parameters);
  const stored = readPassword(`$argon2id$v=19$m=64,t=2,p=1$${base64(salt)}$${base64(hash)}`);
  assert.equal(await checkPassword(stored, "pässword"), true);
  assert.equal(await checkPassword(stored, "password"), false);
  for (const cost of [
    "m=200000,t=1,p=1",
    "m=131072,t=9,p=1",
    "m=4,t=1,p=1",
    "m=64,t=0,p=1",
    "m=64,t=1,p=17",
  ]) {
    assert.throws(() => readPassword(`$argon2id$v=19$${cost}$${base64(salt)}$${base64(hash)}`), cost);
  }
});

test("formats whose hashes are quick to guess are refused, in a file passwords as they are too", () => {
  for (const hash of [
    "$2y$05$aaaaaaaaaaaaaaaaaaaaaa",
    "$apr1$x$y",
    "{SHA}x",
    "plain",
    "$scrypt$ln=30,r=8,p=1$0123456789abcdef$x",
  ]) {
    assert.throws(() => readUserFile(`# users\n\nada:${hash}\n`), /^Error: line 3: expected/, hash);
  }
  assert.throws(() => readUserFile("# none\n"), /it has no users/);
  assert.throws(() => readUserFile(`ada:${scryptHash("a")}\nada:${scryptHash("b")}\n`), /line 2: the name/);
  assert.throws(() => readUserFile(`:${scryptHash("a")}\n`), /line 1: expected name:hash/);
  assert.deepEqual(
    [...readUserFile(`ada:${scryptHash("a")}\r\nbob: ${scryptHash("b")}\n`).keys()],
    ["ada", "bob"],
  );
});

test("checks of passwords have a bound, and who left is not checked", async () => {
  const users = new Users({ users: { ada: scryptHash("right") } }, {});
  const verdicts: string[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  const ask = (password: string, left = false): void => {
    const waiter: LoginWaiter = {
      left,
      onVerdict(isRight, problem) {
        verdicts.push(problem === null ? `${isRight}` : problem.code);
        if (verdicts.filter((verdict) => verdict === "false").length === 66) resolve();
      },
    };
    users.verify({ user: "ada", password }, waiter);
  };
  for (let i = 0; i < 66; i++) ask("wrong");
  ask("wrong");
  assert.deepEqual(verdicts, ["upstream_busy"]);
  await promise;
  assert.equal(users.knows({ user: "ada", password: "wrong" }), false);
  const passed = Promise.withResolvers<boolean>();
  ask("right", true);
  users.verify(
    { user: "ada", password: "right" },
    { left: false, onVerdict: (isRight) => passed.resolve(isRight) },
  );
  assert.equal(await passed.promise, true);
  assert.equal(users.knows({ user: "ada", password: "right" }), true);
  assert.equal(users.knows({ user: "adar", password: "ight" }), false);
  assert.equal(verdicts.length, 67);
});

test("users come from a file, which is read again when it changes; one that cannot be used changes nothing", async (context) => {
  const edge = await Edge.start(
    context,
    "[{ basicAuth: { usersFile: users.txt, userHeader: x-user } }]",
    "",
    { "users.txt": `# staff\nada:${scryptHash("one")}\n` },
  );
  assert.equal((await edge.echo("/", as("ada", "one"))).headers["x-user"], "ada");
  assert.equal(await status(edge.ask("/", as("ada", "two"))), 401);
  const replace = async (text: string): Promise<void> => {
    const path = edge.sluice.directory.at("users.txt");
    await writeFile(`${path}.new`, text);
    await rename(`${path}.new`, path);
  };
  await replace("ada:two\n");
  await edge.sluice.sees(/users\.unusable|cannot use a file of users: line 1/);
  assert.equal(await status(edge.ask("/", as("ada", "one"))), 200);
  await replace(`ada:${scryptHash("two")}\n`);
  await eventually(
    "the new password counts",
    async () => (await status(edge.ask("/", as("ada", "two")))) === 200,
  );
  assert.equal(await status(edge.ask("/", as("ada", "one"))), 401);
});
