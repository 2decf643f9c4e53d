import assert from "node:assert/strict";
import { test } from "node:test";
import { cleanHeaders } from "../../src/isolate/bridge/clean-headers.ts";

test("lines of a guest's header section stay as they are", () => {
  const text = "X-One: 1\r\nx-two:2\r\nEmpty:\r\nlatin: \u00e9\ttab\r\nHosts: no host\r\n";
  assert.equal(cleanHeaders(text)?.text, text);
  assert.equal(cleanHeaders("")?.text, "");
});

test("framing and hop-by-hop fields of a guest are dropped, whatever their case", () => {
  const names =
    "connection content-length host http2-settings keep-alive proxy-connection te transfer-encoding upgrade";
  for (const name of names.split(" ")) {
    for (const written of [name, name.toUpperCase()]) {
      const length = { contentLength: "", upgrade: "" };
      assert.equal(
        cleanHeaders(`a: 1\r\n${written}: 5\r\nb: 2\r\n`, length)?.text,
        "a: 1\r\nb: 2\r\n",
        written,
      );
      assert.equal(length.contentLength, name === "content-length" ? "5" : "");
      assert.equal(cleanHeaders(`${written}: 5\r\n`)?.text, "", written);
    }
  }
});

test("a guest's header section that could split a message is refused", () => {
  const wrong = [
    "a: 1", // no end of line
    "a: 1\r\nb: 2",
    "a: 1\nb: 2\r\n",
    "a: 1\rb: 2\r\n",
    "a: 1\r\n\r\n",
    "\r\n",
    ": 1\r\n",
    "a : 1\r\n",
    " a: 1\r\n",
    "a: 1\r\n b\r\n",
    "a\r\n",
    "a: \u0000\r\n",
    "a: \u007f\r\n",
    "a: \u0100\r\n",
    "\u00e9: 1\r\n",
    "a: 1\r\r\n",
    "a: 1\n\r\n",
  ];
  for (const text of wrong) assert.equal(cleanHeaders(text), null, JSON.stringify(text));
});
