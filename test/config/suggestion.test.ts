import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { nearest } from "../../src/config/suggestion.ts";

const names = ["gateway", "app", "internet", "injectRequestHeaders", "static-assets"];

const cases: Array<[written: string, expected: string | null]> = [
  ["gatway", "gateway"],
  ["gaetway", "gateway"],
  ["GATEWAY", "gateway"],
  ["ap", "app"],
  ["apps", "app"],
  ["inject_request_headers", "injectRequestHeaders"],
  ["injectRequestHeader", "injectRequestHeaders"],
  ["static", "static-assets"],
  ["staticassets", "static-assets"],
  ["x", null],
  ["", null],
  ["zzz", null],
  ["somewhere", null],
];

describe("the nearest name", () => {
  for (const [written, expected] of cases) {
    test(`to ${JSON.stringify(written)} is ${expected ?? "none"}`, () => {
      assert.equal(nearest(written, names), expected);
    });
  }

  test("is none when a cut-off name could go on in two ways", () => {
    assert.equal(nearest("gate", ["gateway-one", "gateway-two"]), null);
  });
});
