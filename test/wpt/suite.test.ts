import assert from "node:assert/strict";
import { test } from "node:test";
import { matches, readExpectations, surprises } from "./expectations.ts";
import { runAll } from "./pool.ts";
import { installSuite, type Suite } from "./suite.ts";
import { type FileResult, listTests } from "./test-file.ts";
import { updateExpectations } from "./update.ts";

/** What takes minutes of processor time, and is left to `npm run wpt`. */
const slow = ["WebCryptoAPI/generateKey/", "WebCryptoAPI/derive_bits_keys/"];

test(
  "Workers pass the web-platform-tests that they are expected to pass, and no others",
  { timeout: 400_000 },
  async (t) => {
    let suite: Suite;
    try {
      suite = installSuite();
    } catch (error) {
      t.skip((error as Error).message);
      return;
    }
    const expectations = readExpectations();
    if (suite.version !== expectations.suite) {
      t.skip(`expectations are for suite ${expectations.suite}, this is ${suite.version}`);
      return;
    }
    const tests = listTests(suite, []).filter(
      ({ name, path }) =>
        !slow.some((part) => name.startsWith(part)) && expectations.skip[path] === undefined,
    );
    const results = await runAll(suite, tests, "worker");
    const found = results.flatMap((result) => surprises(result, expectations.files[result.name] ?? []));
    assert.deepEqual(found, []);
    t.diagnostic(`${results.reduce((sum, { subtests }) => sum + subtests.length, 0)} subtests`);
  },
);

const failing: FileResult = {
  name: "a.any.js",
  subtests: [
    { name: "one (1)", status: "pass", message: "" },
    { name: "two (2)", status: "fail", message: "bad" },
  ],
};

test("a failure that is not expected is a surprise, and so is an expected one that does not come", () => {
  assert.deepEqual(
    surprises(failing, []).map(({ kind, subtest }) => [kind, subtest]),
    [["fails", "two (2)"]],
  );
  assert.deepEqual(surprises(failing, [{ why: "w", subtests: ["two*"] }]), []);
  assert.deepEqual(
    surprises(failing, [{ why: "w", subtests: ["two (2)", "one (1)", "gone"] }]).map(({ kind, subtest }) => [
      kind,
      subtest,
    ]),
    [
      ["passes", "one (1)"],
      ["passes", "gone"],
    ],
  );
  assert.deepEqual(surprises(failing, [{ why: "w", subtests: ["*"], flaky: true }]), []);
});

test("a pattern's star stands for any text, and nothing else in it is special", () => {
  assert.ok(matches("a*c", "a\nbc"));
  assert.ok(matches("f(x)?", "f(x)?"));
  assert.ok(!matches("f(x)?", "f("));
  assert.ok(!matches("a", "ab"));
});

test("an update adds what fails with its reason, and drops what passes", () => {
  const old = { suite: "1", skip: {}, files: { "a.any.js": [{ why: "old", subtests: ["one (1)"] }] } };
  const text = updateExpectations(old, "2", [failing], surprises(failing, old.files["a.any.js"]), "new");
  assert.deepEqual(JSON.parse(text), {
    suite: "2",
    skip: {},
    files: { "a.any.js": [{ why: "new", subtests: ["two (2)"] }] },
  });
});
