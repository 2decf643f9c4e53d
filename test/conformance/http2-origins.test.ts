import assert from "node:assert/strict";
import { test } from "node:test";
import {
  block,
  CONTINUATION,
  DATA,
  END_HEADERS,
  END_STREAM,
  frame,
  GOAWAY,
  HEADERS,
  PING,
  RST_STREAM,
  SETTINGS,
  WINDOW_UPDATE,
} from "../support/http2-frames.ts";
import { type RawAnswer, RawHttp } from "../support/raw-http.ts";
import { startSluice } from "../support/sluice.ts";
import { FrameOrigin } from "./frame-origin.ts";

// http-rules 1, 2 and 13 where the origin speaks HTTP/2 and the client HTTP/1.1: RFC 9113 §8.1, §8.2, §8.3.2.

const PUSH_PROMISE = 5;
const ENDED = END_HEADERS | END_STREAM;
const POISON = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nPOISON";

type Fields = ReadonlyArray<readonly [name: string, value: string]>;
type Answer = (stream: number) => readonly Buffer[];

function answered(fields: Fields, body: string | null = "ok"): Answer {
  return (stream) =>
    body === null
      ? [frame(HEADERS, ENDED, stream, block(fields))]
      : [
          frame(HEADERS, END_HEADERS, stream, block(fields)),
          frame(DATA, END_STREAM, stream, Buffer.from(body)),
        ];
}

const status200 = [":status", "200"] as const;

/** Heads that are malformed: 502. */
const refused: ReadonlyArray<readonly [clause: string, answer: Answer]> = [
  ["no status (§8.3.2)", answered([["x", "y"]])],
  ["two statuses", answered([status200, status200])],
  ["a status of two digits", answered([[":status", "99"]])],
  ["a status over 599", answered([[":status", "600"]])],
  ["a status that is no number", answered([[":status", "2xx"]])],
  ["a status with a line end", answered([[":status", "200 OK\r\nX-Bad: 1"]])],
  ["101 (§8.6)", answered([[":status", "101"]])],
  ["a pseudo-field of requests", answered([status200, [":path", "/"]])],
  ["a pseudo-field after a field", answered([["x", "y"], status200])],
  ["a name in upper case (§8.2.1)", answered([status200, ["X-Up", "y"]])],
  ["Connection (§8.2.2)", answered([status200, ["connection", "x-own"]])],
  ["Transfer-Encoding (§8.2.2)", answered([status200, ["transfer-encoding", "chunked"]])],
  ["Upgrade (§8.2.2)", answered([status200, ["upgrade", "websocket"]])],
  ["Keep-Alive (§8.2.2)", answered([status200, ["keep-alive", "timeout=5"]])],
  ["two lengths", answered([status200, ["content-length", "2"], ["content-length", "2"]])],
  ["a list of lengths", answered([status200, ["content-length", "2, 2"]])],
  ["a signed length", answered([status200, ["content-length", "+2"]])],
  ["a length over 2^53-1", answered([status200, ["content-length", "18446744073709551618"]])],
  ["an interim response that ends the stream (§8.1)", answered([[":status", "103"]], null)],
  [
    "interim responses without end",
    (stream) =>
      Array.from({ length: 40 }, () => frame(HEADERS, END_HEADERS, stream, block([[":status", "103"]]))),
  ],
  ["DATA before a head", (stream) => [frame(DATA, END_STREAM, stream, Buffer.from(POISON))]],
  ["a reset before a head", (stream) => [frame(RST_STREAM, 0, stream, Buffer.from([0, 0, 0, 2]))]],
  [
    "a header block that cannot be decoded",
    (stream) => [frame(HEADERS, ENDED, stream, Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]))],
  ],
  [
    "a push that nobody has allowed (§8.4)",
    (stream) => [
      frame(
        PUSH_PROMISE,
        END_HEADERS,
        stream,
        Buffer.concat([
          Buffer.from([0, 0, 0, 2]),
          block([
            [":method", "GET"],
            [":scheme", "http"],
            [":authority", "site"],
            [":path", "/x"],
          ]),
        ]),
      ),
    ],
  ],
  [
    "a frame that is too long",
    (stream) => [
      frame(HEADERS, END_HEADERS, stream, block([status200])).subarray(0, 0),
      frame(DATA, 0, stream, Buffer.alloc(16_385)),
    ],
  ],
  [
    "a header section without end",
    (stream) => [
      frame(HEADERS, 0, stream, block([status200])),
      ...Array.from({ length: 200 }, () => frame(CONTINUATION, 0, stream, block([["x", "y".repeat(4_000)]]))),
    ],
  ],
];

/** What breaks off when the head has gone on. */
const broken: ReadonlyArray<readonly [clause: string, answer: Answer]> = [
  ["DATA shorter than Content-Length (§8.1.1)", answered([status200, ["content-length", "9"]])],
  ["DATA longer than Content-Length", answered([status200, ["content-length", "1"]], POISON)],
  [
    "a reset within the body",
    (stream) => [
      frame(HEADERS, END_HEADERS, stream, block([status200])),
      frame(DATA, 0, stream, Buffer.from("ok")),
      frame(RST_STREAM, 0, stream, Buffer.from([0, 0, 0, 2])),
    ],
  ],
  [
    "a second final head",
    (stream) => [
      frame(HEADERS, END_HEADERS, stream, block([status200])),
      frame(DATA, 0, stream, Buffer.from("ok")),
      frame(HEADERS, END_HEADERS, stream, block([status200])),
    ],
  ],
  [
    "a pseudo-field in trailers",
    (stream) => [
      frame(HEADERS, END_HEADERS, stream, block([status200])),
      frame(DATA, 0, stream, Buffer.from("ok")),
      frame(HEADERS, ENDED, stream, block([[":status", "200"]])),
    ],
  ],
];

test("HTTP/2 origins", { timeout: 120_000 }, async (t) => {
  const origin = await FrameOrigin.start(t);
  const sluice = await startSluice(
    t,
    `sockets:
  direct: { address: "127.0.0.1:0", service: app }
  worker: { address: "127.0.0.1:0", service: worker }
services:
  app: { external: { address: "${origin.address}", http: { version: 2 } } }
  worker: { worker: { main: ./w.js, compatibilityDate: 2026-11-01, bindings: { APP: { service: app } } } }
`,
    { files: { "w.js": "export default { fetch: (request, env) => env.APP.fetch(request) };" } },
  );
  const urls = [await sluice.listening("direct"), await sluice.listening("worker")];
  const ask = async (url: string, method = "GET"): Promise<{ answer: RawAnswer | null; client: RawHttp }> => {
    const client = await RawHttp.open(t, url);
    client.send(`${method} / HTTP/1.1\r\nHost: site\r\n\r\n`);
    return { answer: await client.answer(method), client };
  };
  const good = answered([status200]);
  const unharmed = async (url: string, clause: string): Promise<void> => {
    origin.answer = good;
    assert.equal((await ask(url)).answer?.body, "ok", `after ${clause}`);
  };

  for (const [clause, answer] of refused) {
    await t.test(`${clause} is 502`, async () => {
      for (const url of urls) {
        origin.answer = answer;
        const { answer: got, client } = await ask(url);
        assert.equal(got?.status, 502);
        assert.doesNotMatch(`${got?.head}${got?.body}${client.pending}`, /POISON|x-bad|x-up/i);
        client.socket.destroy();
        await unharmed(url, clause);
      }
    });
  }

  for (const [clause, answer] of broken) {
    await t.test(`${clause} never makes a whole response`, async () => {
      for (const url of urls) {
        origin.answer = answer;
        const { answer: got, client } = await ask(url);
        if (got?.status !== 502) assert.equal(got?.whole, false);
        assert.doesNotMatch(`${got?.head}${got?.body}${client.pending}`, /POISON/);
        client.socket.destroy();
        await unharmed(url, clause);
      }
    });
  }

  await t.test("a field that could end a line splits no response (§8.2.1)", async () => {
    for (const url of urls) {
      for (const field of [
        ["x", "y\r\nx-bad: 1\r\n\r\nPOISON"],
        ["x", "y\nx-bad: 1"],
        ["x", "y\0x-bad"],
        ["x-bad: 1\r\nx", "y"],
        ["x-bad y", "z"],
        ["", "x-bad"],
      ] as const) {
        origin.answer = answered([status200, field]);
        const { answer: got, client } = await ask(url);
        assert.doesNotMatch(`${got?.head}${got?.body}${client.pending}`, /POISON|x-bad/);
        client.socket.destroy();
      }
    }
  });

  await t.test("framing is the client's: a length, chunks, or none", async () => {
    for (const url of urls) {
      origin.answer = answered([status200, ["content-length", "2"]]);
      assert.match((await ask(url)).answer?.head ?? "", /^Content-Length: 2\r$/m);
      origin.answer = answered([status200]);
      const chunked = (await ask(url)).answer;
      assert.match(chunked?.head ?? "", /^Transfer-Encoding: chunked\r$/m);
      assert.deepEqual([chunked?.body, chunked?.whole], ["ok", true]);
      origin.answer = answered([[":status", "204"]], null);
      assert.doesNotMatch((await ask(url)).answer?.head ?? "", /content-length|transfer-encoding/i);
    }
  });

  await t.test("the answer to HEAD tells its length, and DATA with it is no next answer", async () => {
    for (const url of urls) {
      origin.answer = answered([status200, ["content-length", "6"]], null);
      assert.match((await ask(url, "HEAD")).answer?.head ?? "", /^Content-Length: 6\r$/m);
      origin.answer = answered([status200, ["content-length", String(POISON.length)]], POISON);
      const { client } = await ask(url, "HEAD");
      assert.equal(client.pending, "");
      client.socket.destroy();
      await unharmed(url, "HEAD");
    }
  });

  await t.test("trailers stay trailers, without those that frame, route or authenticate", async () => {
    const trailers: Fields = [
      ["x-sum", "7"],
      ["set-cookie", "a=b"],
      ["content-length", "9"],
      ["x", "y\r\nx-bad: 1"],
    ];
    for (const url of urls) {
      origin.answer = (stream) => [
        frame(HEADERS, END_HEADERS, stream, block([status200])),
        frame(DATA, 0, stream, Buffer.from("ok")),
        frame(HEADERS, ENDED, stream, block(trailers)),
      ];
      const { answer: got } = await ask(url);
      // An origin that frames in trailers may lose its stream; it never frames anything.
      if (got?.whole === true) assert.equal(got.trailers, "x-sum: 7\r\n");
      assert.doesNotMatch(`${got?.head}${got?.trailers}`, /set-cookie|content-length|x-bad/i);
    }
  });

  await t.test(
    "a stream that was refused is asked for again; one above GOAWAY's last too (§6.8, §8.7)",
    async () => {
      for (const url of urls) {
        for (const refusal of [
          (stream: number) => [frame(RST_STREAM, 0, stream, Buffer.from([0, 0, 0, 7]))],
          () => [frame(GOAWAY, 0, 0, Buffer.alloc(8))],
        ]) {
          let first = true;
          origin.answer = (stream) => {
            if (!first) return good(stream);
            first = false;
            return refusal(stream);
          };
          const { answer: got } = await ask(url, "POST");
          assert.deepEqual([got?.status, got?.body], [200, "ok"]);
        }
      }
    },
  );

  for (const [clause, flood] of [
    ["PING", frame(PING, 0, 0, Buffer.alloc(8))],
    ["SETTINGS", frame(SETTINGS, 0, 0)],
    ["WINDOW_UPDATE", frame(WINDOW_UPDATE, 0, 0, Buffer.from([0, 0, 0, 1]))],
  ] as const) {
    await t.test(`a burst of ${clause} hurts nobody`, async () => {
      for (const url of urls) {
        origin.answer = (stream) => [...Array.from({ length: 5_000 }, () => flood), ...good(stream)];
        const { answer: got } = await ask(url);
        assert.ok(got?.status === 200 || got?.status === 502, `${got?.status}`);
        await unharmed(url, clause);
      }
    });
  }
});
