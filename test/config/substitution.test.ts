import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { substitute } from "../../src/config/substitution.ts";

const environment = { NAME: "value", EMPTY: "", NESTED: "$" + "{NAME}", _A1: "x" };

// `#` stands for `$`, so that the text is not read as a template.
const cases: Array<[text: string, expected: string]> = [
  ["plain", "plain"],
  ["#{NAME}", "value"],
  ["a#{NAME}b#{_A1}c", "avaluebxc"],
  ["#{MISSING:-default}", "default"],
  ["#{EMPTY:-default}", "default"],
  ["#{EMPTY}", ""],
  ["#{NAME:-default}", "value"],
  ["#{MISSING:-}", ""],
  ["#{MISSING:-http://a:80/?b}", "http://a:80/?b"],
  ["##{NAME}", "#{NAME}"],
  ["###{NAME}", "##{NAME}"],
  ["#NAME #", "#NAME #"],
  ["#{NESTED}", "#{NAME}"],
];

describe("variables", () => {
  for (const [text, expected] of cases) {
    test(`fill ${text.replaceAll("#", "$")} in as ${expected.replaceAll("#", "$")}`, () => {
      const result = substitute(text.replaceAll("#", "$"), environment);
      assert.equal(result.text, expected.replaceAll("#", "$"));
      assert.deepEqual(result.problems, []);
    });
  }

  test("are told apart from text that is not theirs", () => {
    assert.equal(substitute("plain", environment).filled, false);
    assert.equal(substitute("$$".concat("{NAME}"), environment).filled, false);
    assert.deepEqual(
      [
        substitute("$".concat("{NAME}"), environment).whole,
        substitute("$".concat("{NAME} "), environment).whole,
      ],
      [true, false],
    );
  });
});
