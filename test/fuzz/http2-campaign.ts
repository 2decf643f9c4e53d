import { once } from "node:events";
import * as net from "node:net";
import { ACK, block, frame, get, preface, SETTINGS } from "../support/http2-frames.ts";
import { Random } from "./random.ts";

/** What came of the connections of a campaign. */
export interface FrameTally {
  connections: number;
  /** Those that ended before we ended them. */
  ended: number;
}

const methods = ["GET", "POST", "HEAD", "OPTIONS", "CONNECT", ""];
const paths = ["/", "/x?y", "*", "x", "", "/\xff", "/a#b", "/".padEnd(20_000, "z")];
const names = [
  ...["x-a", "host", "te", "cookie", "content-length", "connection", "expect", "upgrade", ":path", ":status"],
  ...["transfer-encoding", "X-Upper", "", "a b", "proxy-connection", "trailer", "priority", ":protocol"],
];
const values = [
  "1",
  "",
  "trailers",
  "100-continue",
  "5",
  "-1",
  "websocket",
  "a\r\nb",
  "\0",
  "v".repeat(9_000),
];

/** Connections that send random and mutated frames, some of them sensible, in random pieces. */
export class Http2Campaign {
  readonly tally: FrameTally = { connections: 0, ended: 0 };
  readonly #random: Random;
  readonly #port: number;

  constructor(seed: number, port: number) {
    this.#random = new Random(seed);
    this.#port = port;
  }

  async run(connections: number): Promise<void> {
    for (let i = 0; i < connections; i++) {
      await this.#connect();
      this.tally.connections++;
    }
  }

  async #connect(): Promise<void> {
    const random = this.#random;
    const socket = net.connect({ host: "127.0.0.1", port: this.#port, noDelay: true });
    let isEnded = false;
    socket.on("error", () => {});
    socket.resume();
    socket.on("end", () => {
      isEnded = true;
    });
    await once(socket, "connect");
    let input = Buffer.concat([
      Buffer.from(preface, "latin1"),
      frame(SETTINGS, 0, 0),
      frame(SETTINGS, ACK, 0),
    ]);
    if (random.below(20) === 0) input = Buffer.from(this.mutated(input));
    const count = 1 + random.below(12);
    for (let i = 0; i < count; i++) {
      const next = this.frame(i);
      input = Buffer.concat([input, random.below(8) === 0 ? this.mutated(next) : next]);
    }
    for (let from = 0; from < input.length && !socket.destroyed; ) {
      const size = 1 + random.below(random.below(3) === 0 ? 20 : 40_000);
      socket.write(input.subarray(from, from + size));
      from += size;
      if (random.below(3) === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    for (let i = random.below(30); i > 0 && !isEnded; i--)
      await new Promise((resolve) => setImmediate(resolve));
    this.tally.ended += isEnded ? 1 : 0;
    const closed = socket.closed ? null : once(socket, "close");
    if (random.below(2) === 0) socket.resetAndDestroy();
    else socket.destroy();
    await closed;
  }

  /** A frame as a client might send it, or a fool. @param at how many came before it */
  frame(at: number): Buffer {
    const random = this.#random;
    const stream = random.below(5) === 0 ? random.below(2 ** 31) : 2 * at + 1;
    if (at === 0 || random.below(3) === 0) return frame(1, 4 | random.below(2), 2 * at + 1, get());
    switch (random.below(10)) {
      case 0:
        return frame(random.below(256), random.below(256), stream, this.#bytes(random.below(64)));
      case 1:
        return frame(0, random.below(2), 2 * random.below(at + 1) + 1, this.#bytes(random.below(20_000)));
      case 2:
        return frame(3, 0, 2 * random.below(at + 1) + 1, this.#bytes(4));
      case 3:
        return frame(8, 0, random.below(2) === 0 ? 0 : stream, this.#bytes(4));
      case 4:
        return frame(SETTINGS, 0, 0, this.#bytes(6 * random.below(5)));
      case 5:
        return Buffer.concat([
          frame(1, random.below(2), stream, get().subarray(0, 9)),
          frame(9, random.below(2) * 4, stream, get().subarray(9)),
        ]);
      case 6:
        return frame(6, random.below(2), 0, this.#bytes(8));
      default:
        return frame(1, 4 | random.below(2), stream, this.#head());
    }
  }

  #head(): Buffer {
    const random = this.#random;
    if (random.below(3) === 0) return get(random.pick(paths));
    const fields: Array<readonly [string, string]> = [
      [":method", random.pick(methods)],
      [":scheme", random.below(8) === 0 ? "ftp" : "http"],
      [":authority", random.below(6) === 0 ? "a@b" : "site"],
      [":path", random.pick(paths)],
    ];
    for (let i = random.below(4); i > 0; i--) fields.push([random.pick(names), random.pick(values)]);
    return block(fields);
  }

  #bytes(length: number): Buffer {
    return Buffer.from(Array.from({ length }, () => this.#random.below(256)));
  }

  mutated(bytes: Buffer): Buffer {
    const random = this.#random;
    const copy = Buffer.from(bytes);
    for (let i = 1 + random.below(3); i > 0 && copy.length > 0; i--) {
      copy[random.below(copy.length)] = random.below(256);
    }
    return random.below(4) === 0 ? copy.subarray(0, random.below(copy.length + 1)) : copy;
  }
}
