import assert from "node:assert/strict";
import { once } from "node:events";
import type { Socket } from "node:net";
import { test } from "node:test";
import { eventually } from "../support/shard.ts";
import { echo, handshake, today, WebSocketStage } from "./websocket-harness.ts";

interface FrameOptions {
  readonly fin?: boolean;
  readonly rsv?: number;
  readonly masked?: boolean;
  /** Bytes of the length, in place of the fewest. */
  readonly lengthBytes?: 0 | 2 | 8;
}

/** A client's frame, or one that no client may send. */
function frame(opcode: number, payload: string | Buffer = "", options: FrameOptions = {}): Buffer {
  const data = Buffer.from(payload);
  const { fin = true, rsv = 0, masked = true } = options;
  const lengthBytes = options.lengthBytes ?? (data.length < 126 ? 0 : data.length < 65_536 ? 2 : 8);
  const head = Buffer.alloc(2 + lengthBytes);
  head[0] = (fin ? 0x80 : 0) | (rsv << 4) | opcode;
  head[1] = (masked ? 0x80 : 0) | (lengthBytes === 0 ? data.length : lengthBytes === 2 ? 126 : 127);
  if (lengthBytes === 2) head.writeUInt16BE(data.length, 2);
  if (lengthBytes === 8) head.writeBigUInt64BE(BigInt(data.length), 2);
  const mask = Buffer.from([0x12, 0x34, 0x56, 0x78]);
  if (!masked) return Buffer.concat([head, data]);
  return Buffer.concat([head, mask, data.map((byte, i) => byte ^ (mask[i & 3] as number))]);
}

function close(code: number, reason: string | Buffer = ""): Buffer {
  const head = Buffer.alloc(2);
  head.writeUInt16BE(code);
  return frame(8, Buffer.concat([head, Buffer.from(reason)]));
}

/** Reads a server's frames. */
class FrameClient {
  readonly socket: Socket;
  #bytes: Buffer = Buffer.alloc(0);
  ended = false;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on("data", (chunk: Buffer) => {
      this.#bytes = Buffer.concat([this.#bytes, chunk]);
    });
    socket.on("end", () => {
      this.ended = true;
    });
    socket.on("error", () => {});
  }

  static async open(stage: WebSocketStage, extra = ""): Promise<FrameClient> {
    const client = new FrameClient(await stage.raw(handshake + extra));
    while (!client.#bytes.includes("\r\n\r\n")) await once(client.socket, "data");
    client.#bytes = client.#bytes.subarray(client.#bytes.indexOf("\r\n\r\n") + 4);
    return client;
  }

  /** Opcode and payload of the next frame, as text; "end" at the end. */
  async next(): Promise<string> {
    for (;;) {
      const bytes = this.#bytes;
      if (bytes.length >= 2) {
        assert.equal((bytes[1] as number) & 0x80, 0, "a server does not mask");
        const short = (bytes[1] as number) & 0x7f;
        const at = short < 126 ? 2 : short === 126 ? 4 : 10;
        if (bytes.length >= at) {
          const size =
            short < 126 ? short : short === 126 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2));
          if (bytes.length >= at + size) {
            const data = bytes.subarray(at, at + size);
            this.#bytes = bytes.subarray(at + size);
            const opcode = (bytes[0] as number) & 15;
            if (opcode !== 8) return `${opcode} ${data}`;
            return data.length === 0 ? "8" : `8 ${data.readUInt16BE(0)} ${data.subarray(2)}`.trimEnd();
          }
        }
      }
      if (this.ended || this.socket.destroyed) return "end";
      await Promise.race([once(this.socket, "data"), once(this.socket, "close"), once(this.socket, "end")]);
    }
  }
}

const fragments = [frame(1, "a", { fin: false }), frame(0, "b", { fin: false }), frame(0, "c")];
const euro = Buffer.from("€");

/** Input of a client, and the frames that answer it: cases 1 to 7 of the Autobahn suite, in our words. */
const cases: ReadonlyArray<readonly [name: string, input: readonly Buffer[], answers: readonly string[]]> = [
  [
    "text of 125, 126 and 65,536 bytes",
    [125, 126, 65_536].map((n) => frame(1, "*".repeat(n))),
    [125, 126, 65_536].map((n) => `1 ${"*".repeat(n)}`),
  ],
  ["empty text and empty bytes", [frame(1), frame(2)], ["1 ", "2 "]],
  ["a ping with 125 bytes", [frame(9, "p".repeat(125))], [`10 ${"p".repeat(125)}`]],
  ["pongs that nobody asked for", [frame(10, "x"), frame(10), frame(1, "on")], ["1 on"]],
  [
    "ten pings in a row",
    Array.from({ length: 10 }, (_, i) => frame(9, `${i}`)),
    Array.from({ length: 10 }, (_, i) => `10 ${i}`),
  ],
  ["a ping above 125 bytes", [frame(9, "p".repeat(126))], ["8 1002", "end"]],
  ["reserved bits", [frame(1, "x", { rsv: 1 })], ["8 1002", "end"]],
  ["the bit of compression where none was agreed on", [frame(1, "x", { rsv: 4 })], ["8 1002", "end"]],
  ["a reserved opcode for data", [frame(3)], ["8 1002", "end"]],
  ["a reserved opcode for control", [frame(11)], ["8 1002", "end"]],
  ["a ping in fragments", [frame(9, "x", { fin: false })], ["8 1002", "end"]],
  ["a message in fragments", fragments, ["1 abc"]],
  [
    "a ping between fragments",
    [fragments[0] as Buffer, frame(9, "p"), fragments[1] as Buffer, fragments[2] as Buffer],
    ["10 p", "1 abc"],
  ],
  ["a message that begins with a continuation", [frame(0, "x")], ["8 1002", "end"]],
  ["a new message within fragments", [fragments[0] as Buffer, frame(1, "x")], ["8 1002", "end"]],
  ["empty fragments", [frame(1, "", { fin: false }), frame(0, "", { fin: false }), frame(0)], ["1 "]],
  [
    "UTF-8 that a fragment's end divides",
    [frame(1, euro.subarray(0, 1), { fin: false }), frame(0, euro.subarray(1))],
    ["1 €"],
  ],
  ["UTF-8 that is none", [frame(1, Buffer.from([0xce, 0xba, 0xed, 0xa0, 0x80]))], ["8 1007", "end"]],
  ["UTF-8 that ends too soon", [frame(1, euro.subarray(0, 2))], ["8 1007", "end"]],
  ["an overlong form", [frame(1, Buffer.from([0xc0, 0xaf]))], ["8 1007", "end"]],
  ["a frame without a mask", [frame(1, "x", { masked: false })], ["8 1002", "end"]],
  ["a length in more bytes than it needs", [frame(1, "x", { lengthBytes: 2 })], ["8 1002", "end"]],
  ["a length in eight bytes for two", [frame(1, "*".repeat(300), { lengthBytes: 8 })], ["8 1002", "end"]],
  ["a close without a code", [frame(8)], ["8", "end"]],
  ["a close with a reason of 123 bytes", [close(1000, "r".repeat(123))], ["8 1000", "end"]],
  ["a close with one byte", [frame(8, "x")], ["8 1002", "end"]],
  ["a close above 125 bytes", [close(1000, "r".repeat(124))], ["8 1002", "end"]],
  ["a close whose reason is no UTF-8", [close(1000, Buffer.from([0xff]))], ["8 1007", "end"]],
  ["data after a close", [close(1000), frame(1, "late"), frame(9)], ["8 1000", "end"]],
  ...[1000, 1001, 1003, 1007, 1011, 1014, 3000, 4999].map(
    (code) => [`a close with ${code}`, [close(code)], [`8 ${code}`, "end"]] as const,
  ),
  ...[0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535].map(
    (code) => [`a close with ${code}, which nobody may send`, [close(code)], ["8 1002", "end"]] as const,
  ),
];

test("frames are read to the letter, whole and in pieces", async (t) => {
  const stage = await WebSocketStage.start(t, { workers: { main: today(echo) } });
  for (const [name, input, answers] of cases) {
    const whole = Buffer.concat(input);
    for (const pieces of whole.length > 400 ? [whole.length] : [whole.length, 1]) {
      const client = await FrameClient.open(stage);
      client.socket.setNoDelay(true);
      for (let at = 0; at < whole.length; at += pieces) client.socket.write(whole.subarray(at, at + pieces));
      for (const answer of answers) assert.equal(await client.next(), answer, name);
      client.socket.destroy();
    }
  }
  await eventually("nothing is left", () => stage.bench.worker().inHand === 0);
  assert.ok(stage.bench.logged("websocket.failed").length > 20);
});

test("compressed messages: contexts, fragments and damage (RFC 7692)", async (t) => {
  const stage = await WebSocketStage.start(t, { workers: { main: today(echo) } });
  const text = "compressible ".repeat(500);
  for (const options of [
    true,
    { clientMaxWindowBits: 9 },
    { serverMaxWindowBits: 10 },
    { serverNoContextTakeover: true },
    { clientNoContextTakeover: true },
  ]) {
    const client = await stage.connect("", [], {
      perMessageDeflate: options === true ? true : { ...options, threshold: 0 },
    });
    assert.match(client.socket.extensions, /^permessage-deflate/);
    for (const message of [text, "short", text.repeat(20), ""])
      assert.equal(await client.ask(message), message);
    assert.deepEqual(await client.ask(Buffer.alloc(100_000)), Buffer.alloc(100_000));
    client.socket.send("frag", { fin: false, compress: true });
    client.socket.send("mented", { fin: true });
    assert.equal(await client.next(), "fragmented");
    client.socket.close();
    await client.closed;
  }
  // A window of 256 bytes is none that zlib has: the offer is declined.
  const small = "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=8\r\n";
  const declined = await FrameClient.open(stage, small);
  declined.socket.write(frame(1, "x", { rsv: 4 }));
  assert.equal(await declined.next(), "8 1002");
  declined.socket.destroy();
  const damaged = await FrameClient.open(stage, "Sec-WebSocket-Extensions: permessage-deflate\r\n");
  damaged.socket.write(frame(1, Buffer.from([0xff, 0xff, 0xff]), { rsv: 4 }));
  assert.equal(await damaged.next(), "8 1007");
  damaged.socket.destroy();
  for (const bad of [
    "permessage-deflate; x",
    "permessage-deflate; server_max_window_bits=99",
    "permessage-deflate;;",
    "other",
  ]) {
    const client = await FrameClient.open(stage, `Sec-WebSocket-Extensions: ${bad}\r\n`);
    client.socket.write(frame(1, "plain"));
    assert.equal(await client.next(), "1 plain", bad);
    client.socket.destroy();
  }
  await eventually("nothing is left", () => stage.bench.worker().inHand === 0);
});

test("a message above the limit ends its socket with 1009, compressed or not, and no other", async (t) => {
  const webSockets = { maxMessageBytes: "64KiB" };
  const stage = await WebSocketStage.start(t, { workers: { main: today(echo, { webSockets }) } });
  const other = await stage.connect();
  const limit = "x".repeat(65_536);
  for (const perMessageDeflate of [false, true]) {
    const client = await stage.connect("", [], { perMessageDeflate });
    assert.equal(await client.ask(limit), limit);
    client.socket.send(`${limit}y`);
    assert.equal((await client.closed).code, 1009);
  }
  const fragmented = await FrameClient.open(stage);
  fragmented.socket.write(frame(1, limit, { fin: false }));
  fragmented.socket.write(frame(0, "y"));
  assert.equal(await fragmented.next(), "8 1009");
  fragmented.socket.destroy();
  assert.equal(await other.ask("still here"), "still here");
  other.socket.close();
  await other.closed;
  await eventually(
    "the Worker has heard of each",
    () => stage.logs.filter((line) => line.startsWith("closed 1006")).length === 3,
  );
});

test("large messages pass in both directions", async (t) => {
  const stage = await WebSocketStage.start(t, {
    workers: { main: today(echo, { limits: { cpuMs: 5000 } }) },
  });
  const client = await stage.connect("", [], { perMessageDeflate: false, maxPayload: 64 * 1024 * 1024 });
  const bytes = Buffer.alloc(3_000_001, "abc");
  assert.ok(bytes.equals((await client.ask(bytes)) as Buffer));
  const text = "é".repeat(1_500_000);
  assert.ok((await client.ask(text)) === text);
  client.socket.close();
  await client.closed;
});
