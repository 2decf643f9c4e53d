import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { HeaderBlock } from "../../src/http/header-block.ts";
import { DATA, END, ERROR, HEAD, NEED_INPUT, PAUSED } from "../../src/http/http1/events.ts";
import { RequestParser } from "../../src/http/http1/request-parser.ts";
import { ResponseParser } from "../../src/http/http1/response-parser.ts";
import { validBlock } from "../support/valid-block.ts";
import { defaultLimits } from "./recorder.ts";

const simple = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

function parserWith(text: string): RequestParser {
  const parser = new RequestParser(defaultLimits);
  parser.push(Buffer.from(text, "latin1"));
  return parser;
}

describe("a parser", () => {
  test("reads nothing of the next message before it is resumed", () => {
    const parser = parserWith(simple + simple);
    assert.equal(parser.next(), HEAD);
    assert.equal(parser.next(), END);
    const { head } = parser;
    for (let i = 0; i < 3; i++) assert.equal(parser.next(), PAUSED);
    assert.equal(parser.head, head);
    parser.resume();
    assert.equal(parser.next(), HEAD);
    assert.notEqual(parser.head, head);
  });

  test("gives the body as views of its input", () => {
    const parser = parserWith("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n");
    assert.equal(parser.next(), HEAD);
    const input = Buffer.from("abc");
    parser.push(input);
    assert.equal(parser.next(), DATA);
    assert.equal(parser.chunk.buffer, input.buffer);
    assert.equal(parser.chunk.byteOffset, input.byteOffset);
    assert.equal(parser.next(), NEED_INPUT);
  });

  test("never gives empty DATA", () => {
    const parser = parserWith("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n");
    assert.equal(parser.next(), HEAD);
    parser.push(new Uint8Array(0));
    assert.equal(parser.next(), NEED_INPUT);
    parser.push(Uint8Array.of(120));
    assert.equal(parser.next(), DATA);
    assert.equal(parser.next(), END);
  });

  test("is idle between messages only", () => {
    const parser = new RequestParser(defaultLimits);
    assert.equal(parser.idle, true);
    parser.push(Buffer.from("G"));
    assert.equal(parser.idle, false);
    assert.equal(parser.next(), NEED_INPUT);
    assert.equal(parser.idle, false);
    parser.push(Buffer.from(simple.slice(1)));
    assert.equal(parser.next(), HEAD);
    assert.equal(parser.next(), END);
    assert.equal(parser.idle, false);
    parser.resume();
    assert.equal(parser.idle, true);
  });

  test("is not idle while a pipelined request waits", () => {
    const parser = parserWith(`${simple}G`);
    parser.next();
    parser.next();
    parser.resume();
    assert.equal(parser.idle, false);
  });

  test("says the same error for ever, and reads no more", () => {
    const parser = parserWith("GARBAGE\r\n");
    assert.equal(parser.next(), ERROR);
    const { error } = parser;
    parser.push(Buffer.from(simple));
    parser.resume();
    parser.finish();
    assert.equal(parser.next(), ERROR);
    assert.equal(parser.error, error);
    assert.equal(parser.takeRest().length, 0);
  });

  test("words its errors as what could not be done and why", () => {
    const parser = parserWith("GET / HTTP/1.1\r\n\r\n");
    parser.next();
    assert.equal(parser.error?.message, "cannot read the request: Host is missing");
    const response = new ResponseParser(defaultLimits);
    response.push(Buffer.from("HTTP/1.1 999 x\r\n\r\n"));
    response.next();
    assert.equal(response.error?.message, "cannot read the response: the status is not 100 to 599");
  });

  test("hands over what is unread in one piece, also when it came in several", () => {
    const parser = parserWith("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\nab");
    parser.next();
    parser.push(Buffer.from("cd"));
    parser.push(Buffer.from("ef"));
    assert.equal(Buffer.from(parser.takeRest()).toString(), "abcdef");
    assert.equal(parser.takeRest().length, 0);
  });

  test("keeps a body view intact when the head before it came in pieces", () => {
    const parser = parserWith("POST / HTTP/1.1\r\nHost: a\r\nContent-Le");
    assert.equal(parser.next(), NEED_INPUT);
    parser.push(Buffer.from("ngth: 8\r\n\r\nabcd"));
    assert.equal(parser.next(), HEAD);
    assert.equal(parser.next(), DATA);
    const first = parser.chunk;
    assert.equal(parser.next(), NEED_INPUT);
    parser.push(Buffer.from("efgh"));
    assert.equal(parser.next(), DATA);
    assert.equal(parser.next(), END);
    parser.resume();
    parser.push(Buffer.from("GET / HT"));
    assert.equal(parser.next(), NEED_INPUT);
    assert.equal(Buffer.from(first).toString(), "abcd");
  });
});

describe("a header block", () => {
  test("keeps an octet 0xA0 at the end of a value, which may be part of a letter in UTF-8", () => {
    const block = new HeaderBlock("X: \xc3\xa0 \t\r\n");
    assert.equal(block.get("x"), "\xc3\xa0");
    assert.deepEqual([...block], [["X", "\xc3\xa0"]]);
  });

  const valid = ["", "A: b\r\n", "A:\r\nB:  \t\xff\r\n"];
  const invalid = [
    "A: b",
    "A: b\n",
    "A: b\r\n\r\n",
    " A: b\r\n",
    "A : b\r\n",
    ": b\r\n",
    "A\r\n",
    "A: \u0100\r\n",
    "A: \u010a\r\n",
    "A: \0\r\n",
  ];
  for (const text of valid) {
    test(`is valid as ${JSON.stringify(text)}`, () => assert.equal(validBlock(text), true));
  }
  for (const text of invalid) {
    test(`is not valid as ${JSON.stringify(text)}`, () => assert.equal(validBlock(text), false));
  }
});
