import assert from "node:assert/strict";
import type { BodySource } from "../../src/http/body.ts";
import { joinEnds, type Message, MessageEnd } from "../../src/http/websocket/message-end.ts";
import type { SocketSettings } from "../../src/http/websocket/settings.ts";
import { WireSocket } from "../../src/http/websocket/wire-socket.ts";
import type { Tally } from "./campaign.ts";
import { Random } from "./random.ts";
import { type FrameEvent, hex, readFrames } from "./websocket-reference.ts";

const limit = 2000;

const settings: SocketSettings = {
  maxMessageBytes: limit,
  maxBacklogBytes: 1 << 20,
  pingInterval: 0,
  idleTimeout: 0,
  alarms: { now: () => 0, make: () => ({ at() {}, off() {} }) },
  budget: { take: () => true, give() {} },
  report() {},
};

/** Takes what the wire hands over. */
class Hearer extends MessageEnd {
  readonly events: FrameEvent[];
  readonly buffered = 0;
  /** Holds after so many messages, until it is released from outside. */
  #patience: number;

  constructor(events: FrameEvent[], patience: number) {
    super();
    this.events = events;
    this.#patience = patience;
  }

  joined(): void {}
  release(): void {}

  send(message: Message): boolean {
    this.events.push(typeof message === "string" ? ["text", message] : ["bytes", hex(message)]);
    return --this.#patience !== 0;
  }

  close(code: number, reason: string): void {
    this.events.push(["close", code, reason]);
    this.peer?.close(code, "");
  }

  abort(): void {}
}

/** Reads frames with our reader, in pieces. */
function ours(pieces: readonly Uint8Array[], patience: number): FrameEvent[] {
  const events: FrameEvent[] = [];
  /** Control frames, a head and maybe a payload; nothing else is ever sent. */
  let output: Buffer = Buffer.alloc(0);
  const wire = new WireSocket(true, null, settings);
  const waiting = pieces.map((piece) => Buffer.from(piece));
  const source: Pick<BodySource, "resume" | "cancel"> = { resume() {}, cancel() {} };
  wire.writable.attach(source);
  wire.readable.pipe({
    write(chunk) {
      output = Buffer.concat([output, chunk]);
      const size = 2 + (output[1] as number);
      if (output.length < size) return true;
      const opcode = (output[0] as number) & 15;
      if (opcode === 10) events.push(["ping", hex(output.subarray(2, size))]);
      // A close that answers none of the client's.
      else if (!events.some(([kind]) => kind === "close")) events.push(["fail", output.readUInt16BE(2)]);
      output = output.subarray(size);
      return true;
    },
    end() {},
    fail() {},
  });
  wire.readable.resume();
  joinEnds(new Hearer(events, patience), wire);
  for (const piece of waiting) if (!wire.writable.write(piece)) wire.release();
  for (let i = 0; i < 4; i++) wire.release();
  return events;
}

const payloads = ["", "a", "hello", "€uro", "x".repeat(125), "y".repeat(126), "z".repeat(1500)];

/** Frames of a client, whole and mutated, against a plain reading of RFC 6455. Throws at the first disagreement. */
export class WebSocketCampaign {
  readonly side = "websocket frames";
  readonly tally: Tally = { inputs: 0, agreed: 0, refused: 0, stricter: 0 };
  readonly #seed: number;
  readonly #random: Random;

  constructor(seed: number) {
    this.#seed = seed;
    this.#random = new Random(seed);
  }

  async replay(): Promise<void> {}

  async run(inputs: number): Promise<void> {
    for (let i = 0; i < inputs; i++) {
      const input = this.#input();
      try {
        this.#compare(input);
      } catch (error) {
        const place = `seed ${this.#seed}, input ${this.tally.inputs}`;
        throw new Error(`cannot agree on the frames of ${place}: ${hex(input)}`, { cause: error });
      }
      this.tally.inputs++;
    }
  }

  #compare(input: Buffer): void {
    const expected = readFrames(input, limit);
    assert.deepEqual(ours([input], 0), expected, "whole");
    assert.deepEqual(ours(this.#pieces(input), 1 + this.#random.below(3)), expected, "in pieces");
    if (input.length < 300)
      assert.deepEqual(
        ours(
          [...input].map((byte) => Uint8Array.of(byte)),
          0,
        ),
        expected,
        "byte by byte",
      );
    if (expected.at(-1)?.[0] === "fail") this.tally.refused++;
    this.tally.agreed += expected.filter(([kind]) => kind !== "fail").length;
  }

  #pieces(input: Buffer): Buffer[] {
    const pieces: Buffer[] = [];
    for (let at = 0; at < input.length; ) {
      const end = at + 1 + this.#random.below(this.#random.pick([3, 20, 400]));
      pieces.push(input.subarray(at, end));
      at = end;
    }
    return pieces;
  }

  #input(): Buffer {
    const random = this.#random;
    const frames: Buffer[] = [];
    for (let i = random.below(6); i >= 0; i--) frames.push(this.#frame());
    const input = Buffer.concat(frames);
    for (let i = random.below(3); i > 0 && input.length > 0; i--) {
      const at = random.below(random.pick([input.length, Math.min(4, input.length)]));
      input[at] = random.pick([random.below(256), (input[at] as number) ^ (1 << random.below(8))]);
    }
    return random.below(8) === 0 ? input.subarray(0, random.below(input.length + 1)) : input;
  }

  #frame(): Buffer {
    const random = this.#random;
    const opcode = random.pick([1, 1, 1, 2, 2, 0, 0, 8, 9, 9, 10, random.below(16)]);
    let payload = Buffer.from(random.pick(payloads));
    if (opcode === 8 && random.below(4) > 0) {
      const code = random.pick([1000, 1001, 1005, 1011, 1016, 3000, 4999, random.below(65_536)]);
      payload = Buffer.concat([Buffer.from([code >> 8, code & 255]), payload.subarray(0, 100)]);
    } else if (opcode > 7 && random.below(8) > 0) payload = payload.subarray(0, 125);
    const form =
      payload.length < 126 && random.below(30) > 0
        ? 0
        : payload.length < 65_536 && random.below(30) > 0
          ? 2
          : 8;
    const head = Buffer.alloc(2 + form);
    head[0] = (opcode > 7 || random.below(3) > 0 ? 0x80 : 0) | opcode;
    head[1] = 0x80 | (form === 0 ? payload.length : form === 2 ? 126 : 127);
    if (form === 2) head.writeUInt16BE(payload.length, 2);
    if (form === 8) head.writeBigUInt64BE(BigInt(payload.length), 2);
    const mask = Buffer.from([
      random.below(256),
      random.below(256),
      random.below(256),
      random.pick([0, random.below(256)]),
    ]);
    return Buffer.concat([head, mask, payload.map((byte, i) => byte ^ (mask[i % 4] as number))]);
  }
}
