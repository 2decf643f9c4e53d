import assert from "node:assert/strict";
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  readdirSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { cacheDirectories, TrustedStore } from "../../src/isolate/trusted-store.ts";
import { directoryOf } from "./files.ts";

const bytes = (text: string) => Buffer.from(text);

function open(directory: string, maxBytes?: number): TrustedStore {
  const store = TrustedStore.open({
    directories: [directory],
    ...(maxBytes === undefined ? {} : { maxBytes }),
  });
  assert(store !== null);
  return store;
}

const entriesOf = (directory: string) => readdirSync(directory).filter((name) => name.endsWith(".bin"));

test("what one process puts another one gets", (t) => {
  const directory = join(directoryOf(t, {}), "deep", "cache");
  assert(open(directory).put("name", bytes("data")));
  assert.deepEqual(open(directory).get("name"), bytes("data"));
  assert.equal(open(directory).get("other"), null);
  assert.equal(statSync(directory).mode & 0o777, 0o700);
  for (const file of readdirSync(directory))
    assert.equal(statSync(join(directory, file)).mode & 0o777, 0o600);
});

test("an entry that was altered, cut, or moved to another name is not found", (t) => {
  const directory = join(directoryOf(t, {}), "cache");
  const store = open(directory);
  store.put("a", bytes("data of a"));
  const [a] = entriesOf(directory);
  store.put("b", bytes("data of b"));
  const b = entriesOf(directory).find((name) => name !== a);
  assert(a !== undefined && b !== undefined);
  copyFileSync(join(directory, a), join(directory, b));
  assert.equal(store.get("b"), null);
  writeFileSync(join(directory, a), bytes("short"));
  assert.equal(store.get("a"), null);
  store.put("a", bytes("data of a"));
  assert.deepEqual(store.get("a"), bytes("data of a"));
});

test("an entry written under another key is not found", (t) => {
  const [one, two] = [join(directoryOf(t, {}), "cache"), join(directoryOf(t, {}), "cache")];
  open(one).put("name", bytes("data"));
  const store = open(two);
  const [entry] = entriesOf(one);
  assert(entry !== undefined);
  copyFileSync(join(one, entry), join(two, entry));
  assert.equal(store.get("name"), null);
});

test("a directory that others may write to is refused, as are links and keys that others may read", (t) => {
  const root = directoryOf(t, {});
  const refused = (directory: string) => {
    let why = "";
    assert.equal(
      TrustedStore.open({ directories: [directory] }, (text) => {
        why = text;
      }),
      null,
    );
    return why;
  };
  mkdirSync(join(root, "writable"));
  chmodSync(join(root, "writable"), 0o777);
  assert.match(
    refused(join(root, "writable")),
    /^cannot use the cache directory ".*": others may write to it$/,
  );
  symlinkSync(join(root, "writable"), join(root, "link"));
  assert.match(refused(join(root, "link")), /it is not a directory$/);
  open(join(root, "cache"));
  chmodSync(join(root, "cache", "key"), 0o644);
  assert.match(refused(join(root, "cache")), /others may read its key$/);
  chmodSync(join(root, "cache", "key"), 0o600);
  writeFileSync(join(root, "cache", "key"), "short");
  assert.match(refused(join(root, "cache")), /its key is damaged$/);
});

test("a directory of another user is refused", { skip: process.getuid?.() !== 0 }, async (t) => {
  const { chownSync } = await import("node:fs");
  const directory = join(directoryOf(t, {}), "cache");
  mkdirSync(directory, { mode: 0o700 });
  chownSync(directory, 12345, 12345);
  assert.equal(TrustedStore.open({ directories: [directory] }), null);
});

test("the next directory is used where the first cannot be made", (t) => {
  const root = directoryOf(t, { file: "" });
  const store = TrustedStore.open({ directories: [join(root, "file", "cache"), join(root, "cache")] });
  assert.equal(store?.directory, join(root, "cache"));
});

test("the entries that were used longest ago go first when the space is used up", (t) => {
  const directory = join(directoryOf(t, {}), "cache");
  const store = open(directory, 10_000);
  for (let index = 0; index < 6; index++) {
    const before = new Set(readdirSync(directory));
    store.put(`entry ${index}`, Buffer.alloc(2000, index));
    const name = readdirSync(directory).find((file) => !before.has(file));
    assert(name !== undefined || index === 5);
    // The second is the one used longest ago.
    const used = index === 1 ? 1000 : 2000 + index;
    if (name !== undefined) utimesSync(join(directory, name), used, used);
  }
  const left = [0, 1, 2, 3, 4, 5].filter((index) => store.get(`entry ${index}`) !== null);
  assert(!left.includes(1));
  assert(left.includes(5));
  const total = entriesOf(directory).reduce((sum, name) => sum + statSync(join(directory, name)).size, 0);
  assert(total <= 10_000);
});

test("an entry larger than the whole store is not kept", (t) => {
  const store = open(join(directoryOf(t, {}), "cache"), 100);
  assert.equal(store.put("name", Buffer.alloc(101)), false);
});

test("the environment names the directory", () => {
  assert.deepEqual(cacheDirectories({ SLUICE_CACHE_DIR: "/a", XDG_CACHE_HOME: "/b", HOME: "/c" }), ["/a"]);
  assert.equal(cacheDirectories({ XDG_CACHE_HOME: "/b", HOME: "/c" })[0], "/b/sluice");
  assert.equal(cacheDirectories({ HOME: "/c" })[0], "/c/.cache/sluice");
  assert.match(cacheDirectories({ HOME: "/c" })[1] ?? "", /\/sluice-\d+$/);
});
