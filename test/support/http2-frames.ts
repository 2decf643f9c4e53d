import { once } from "node:events";
import * as net from "node:net";
import type { TestContext } from "node:test";

export const DATA = 0;
export const HEADERS = 1;
export const PRIORITY = 2;
export const RST_STREAM = 3;
export const SETTINGS = 4;
export const PING = 6;
export const GOAWAY = 7;
export const WINDOW_UPDATE = 8;
export const CONTINUATION = 9;

export const END_STREAM = 1;
export const ACK = 1;
export const END_HEADERS = 4;

export const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/** One frame as it stands on the wire (RFC 9113 §4.1). */
export function frame(
  type: number,
  flags: number,
  stream: number,
  payload: Uint8Array = Buffer.alloc(0),
): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream >>> 0, 5);
  return Buffer.concat([head, payload]);
}

/** A header block without compression: every field as a literal that is not indexed (RFC 7541 §6.2.2). */
export function block(fields: ReadonlyArray<readonly [name: string, value: string]>): Buffer {
  return Buffer.concat(
    fields.map(([name, value]) => Buffer.concat([Buffer.from([0]), literal(name), literal(value)])),
  );
}

function literal(text: string): Buffer {
  const bytes = Buffer.from(text, "latin1");
  if (bytes.length < 127) return Buffer.concat([Buffer.from([bytes.length]), bytes]);
  const length = [127];
  let rest = bytes.length - 127;
  for (; rest >= 128; rest >>= 7) length.push((rest & 127) | 128);
  return Buffer.concat([Buffer.from([...length, rest]), bytes]);
}

/** The pseudo-fields of a plain GET. */
export function get(path = "/", more: ReadonlyArray<readonly [string, string]> = []): Buffer {
  return block([[":method", "GET"], [":scheme", "http"], [":authority", "site"], [":path", path], ...more]);
}

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

/** A client that says in frames whatever a test wants to be said. */
export class FrameClient {
  readonly socket: net.Socket;
  readonly frames: Frame[] = [];
  closed = false;
  #rest: Buffer = Buffer.alloc(0);
  #changed: () => void = () => {};

  constructor(socket: net.Socket) {
    this.socket = socket;
    socket.on("data", (bytes: Buffer) => this.#take(bytes));
    socket.on("error", () => {});
    socket.on("end", () => {
      this.closed = true;
      this.#changed();
    });
    socket.on("close", () => {
      this.closed = true;
      this.#changed();
    });
  }

  /** Connects, and says the preface with empty SETTINGS, and acknowledges those of the server. */
  static async connect(test: TestContext, port: number): Promise<FrameClient> {
    const socket = net.connect({ host: "127.0.0.1", port, noDelay: true });
    await once(socket, "connect");
    test.after(() => socket.destroy());
    const client = new FrameClient(socket);
    client.send(Buffer.from(preface, "latin1"), frame(SETTINGS, 0, 0));
    await client.frame(SETTINGS);
    client.send(frame(SETTINGS, ACK, 0));
    return client;
  }

  send(...frames: readonly Uint8Array[]): void {
    if (!this.socket.destroyed) this.socket.write(Buffer.concat(frames));
  }

  /** Waits for a frame, whether it has come already or is to come. */
  async frame(type: number, stream = -1): Promise<Frame> {
    const what = `frame ${type} of stream ${stream}`;
    const found = (): Frame | undefined =>
      this.frames.find((each) => each.type === type && (stream < 0 || each.stream === stream));
    await this.until(() => found() !== undefined || this.closed, what);
    const frame = found();
    if (frame === undefined) throw new Error(`cannot get ${what}: closed after ${this.told}`);
    return frame;
  }

  /** The error code of a RST_STREAM or GOAWAY. */
  async code(type: typeof RST_STREAM | typeof GOAWAY, stream = -1): Promise<number> {
    const { payload } = await this.frame(type, stream);
    return payload.readUInt32BE(type === GOAWAY ? 4 : 0);
  }

  async until(condition: () => boolean, what: string, ms = 10_000): Promise<void> {
    const timeout = AbortSignal.timeout(ms);
    while (!condition()) {
      if (timeout.aborted) throw new Error(`cannot get ${what}: received ${this.told}`);
      await new Promise<void>((resolve) => {
        this.#changed = resolve;
        timeout.addEventListener("abort", () => resolve(), { once: true });
      });
    }
  }

  get told(): string {
    return this.frames
      .map(
        ({ type, stream, flags, payload }) =>
          `${type}/${flags}@${stream}${type === GOAWAY ? `:${payload.toString("latin1", 4)}` : ""}`,
      )
      .join(" ");
  }

  #take(bytes: Buffer): void {
    let rest = Buffer.concat([this.#rest, bytes]);
    while (rest.length >= 9 && rest.length >= 9 + rest.readUIntBE(0, 3)) {
      const length = rest.readUIntBE(0, 3);
      this.frames.push({
        type: rest[3] as number,
        flags: rest[4] as number,
        stream: rest.readUInt32BE(5) & 0x7fffffff,
        payload: rest.subarray(9, 9 + length),
      });
      rest = rest.subarray(9 + length);
    }
    this.#rest = rest;
    this.#changed();
  }
}
