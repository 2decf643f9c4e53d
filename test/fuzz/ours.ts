import assert from "node:assert/strict";
import { DATA, END, ERROR, HEAD, NEED_INPUT, PAUSED } from "../../src/http/http1/events.ts";
import { RequestParser } from "../../src/http/http1/request-parser.ts";
import { ResponseParser } from "../../src/http/http1/response-parser.ts";
import { type RequestWriting, requestHead, responseHead } from "../../src/http/http1/writer.ts";
import { validBlock } from "../support/valid-block.ts";
import { defaultLimits } from "../wire/recorder.ts";
import type { Message, Reading } from "./reading.ts";

const forbidden =
  /^(?:connection|content-length|expect|host|http2-settings|keep-alive|proxy-connection|te|transfer-encoding|upgrade)$/i;

/** Reads requests in the given pieces, as the driver of a connection does: not past a message that ends it. */
export function readRequests(pieces: readonly Uint8Array[]): Reading {
  const parser = new RequestParser(defaultLimits);
  return read(parser, pieces, () => {
    checkWriting(parser);
    const { head, form } = parser;
    const target = form === "authority" ? head.authority : head.target;
    return [head.method, form, head.authority, target, `1.${parser.minor}`];
  });
}

export function readResponse(pieces: readonly Uint8Array[], method: string): Reading {
  const parser = new ResponseParser(defaultLimits);
  parser.expect(method);
  return read(parser, pieces, () => {
    const { head } = parser;
    responseHead(head, { length: 0, chunked: false, keepAlive: true, minor: 1, date: "" });
    return [String(head.status), head.reason, `1.${parser.minor}`];
  });
}

function read(
  parser: RequestParser | ResponseParser,
  pieces: readonly Uint8Array[],
  start: () => string[],
): Reading {
  const reading: Reading = { messages: [], rejected: null, closed: false };
  const drain = () => {
    for (;;) {
      const last = reading.messages.at(-1);
      switch (parser.next()) {
        case NEED_INPUT:
          return;
        case HEAD: {
          const { headers } = parser.head;
          assert.ok(validBlock(headers.text), "the block is valid");
          const fields = [...headers];
          for (const [name] of fields) assert.ok(!forbidden.test(name), `${name} is not in the block`);
          reading.messages.push({ start: start(), fields, body: "", trailers: [], complete: false });
          break;
        }
        case DATA:
          assert.ok(last !== undefined && parser.chunk.length > 0);
          last.body += Buffer.from(parser.chunk).toString("latin1");
          break;
        case END:
          assert.ok(last !== undefined);
          last.complete = true;
          last.trailers = [...(parser.trailers ?? [])];
          if (parser instanceof ResponseParser || !parser.framing.keepAlive) {
            reading.closed = true;
            return;
          }
          break;
        case PAUSED:
          parser.resume();
          break;
        case ERROR:
          reading.rejected = parser.error?.message ?? "";
          return;
      }
    }
  };
  for (const piece of pieces) {
    if (reading.closed === true || reading.rejected !== null) break;
    parser.push(piece);
    drain();
  }
  if (reading.closed !== true && reading.rejected === null) {
    parser.finish();
    drain();
  }
  return reading;
}

/** What we would send on for this request must read as the same request, alone and whole. */
function checkWriting(parser: RequestParser): void {
  const { head, form } = parser;
  if (head.authority === "") return;
  const writing: RequestWriting = {
    length: 0,
    keepAlive: true,
    form: form === "authority" ? "authority" : form === "absolute" ? "absolute" : "origin",
  };
  const again = new RequestParser({ ...defaultLimits, headerBytes: 2 * defaultLimits.headerBytes });
  again.push(Buffer.from(requestHead(head, writing), "latin1"));
  assert.equal(again.next(), HEAD);
  assert.equal(again.head.method, head.method);
  assert.equal(again.head.authority, head.authority);
  assert.equal(again.head.target, head.target);
  assert.equal(again.head.headers.text, head.headers.text);
  assert.equal(again.next(), END);
  assert.equal(again.takeRest().length, 0);
}

/** The message without what the parser must take out or may drop, for comparison with another parser's reading. */
export function endToEnd(message: Message): Pick<Message, "fields" | "trailers"> {
  const named = new Set<string>();
  for (const [name, value] of message.fields) {
    if (name.toLowerCase() !== "connection") continue;
    for (const option of value.split(",")) named.add(option.replace(/^[ \t]+|[ \t]+$/g, "").toLowerCase());
  }
  return {
    fields: message.fields.filter(([name]) => !forbidden.test(name) && !named.has(name.toLowerCase())),
    trailers: message.trailers,
  };
}
