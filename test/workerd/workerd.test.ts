import assert from "node:assert/strict";
import { test } from "node:test";
import { TemporaryDirectory } from "../support/temporary.ts";
import { runBoth } from "./both.ts";
import { compare, readExpectations, surprises } from "./differences.ts";
import { probeFiles } from "./files.ts";
import { missingWorkerd } from "./program.ts";

const missing = missingWorkerd();
const expectations = readExpectations();

for (const file of probeFiles) {
  test(
    `Workers do what they do in workerd, but where a reason is given: ${file.name}`,
    { skip: missing ?? false },
    async (t) => {
      const { places, differences } = compare(await runBoth(new TemporaryDirectory(t), file));
      assert.deepEqual(surprises(differences, expectations[file.name] ?? []), []);
      t.diagnostic(`${places - differences.length} of ${places} agree`);
    },
  );
}

test("a difference needs a reason, and a reason a difference", () => {
  const { places, differences } = compare({
    sluice: { a: { x: 1, y: [1] }, b: 2 },
    workerd: { a: { x: 1, y: [2] }, c: 3 },
    onlyTheirs: false,
  });
  assert.equal(places, 4);
  assert.deepEqual(surprises(differences, [{ why: "w", paths: ["a · y", "gone*"] }]), [
    'c: "(absent)", in workerd 3',
    'b: 2, in workerd "(absent)"',
    "gone*: expected to differ, and does not",
  ]);
});
