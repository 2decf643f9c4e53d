import { markHandled } from "../web/primordials.ts";
import { ReadableStream, WritableStream } from "../web/streams.ts";
import { type BodyReaders, HandleBody } from "./handle-body.ts";
import type { OutStreams } from "./out-streams.ts";

export interface SocketInfo {
  /** Who is at the other end, `host:port`; empty when that is not known. */
  readonly remoteAddress: string;
  /** For a tunnel that a client asks for: where it wants to go, `host:port`. */
  readonly localAddress: string;
}

/** `"host:port"` or `{ hostname, port }` as one text. */
export function addressText(address: unknown): string {
  if (typeof address === "string") return address;
  if (typeof address === "object" && address !== null) {
    const { hostname, port } = address as { hostname?: unknown; port?: unknown };
    if (typeof hostname === "string" && typeof port === "number") return `${hostname}:${port}`;
  }
  throw new TypeError('cannot connect: the address must be "host:port" or { hostname, port }');
}

export let isSocket: (value: unknown) => value is Socket;

/**
 * A stream of bytes in both directions. What the Worker writes before the other end stands is sent once it does. As
 * long as neither side was touched, the socket can be handed on whole and its bytes never enter the isolate.
 */
export class Socket {
  readonly readable: ReadableStream;
  readonly writable: WritableStream;
  readonly opened: Promise<SocketInfo>;
  readonly closed: Promise<void>;
  readonly #readers: BodyReaders;
  readonly #outs: OutStreams;
  readonly #id: number;
  readonly #outgoing: ReadableStream;
  #touched = false;
  #body: HandleBody | null = null;
  #source: ReadableStreamDefaultReaderLike | null = null;
  #bodyReady: () => void = nothing;
  #resolveOpened: (info: SocketInfo) => void = nothing;
  #rejectOpened: (error: Error) => void = nothing;
  #resolveClosed: () => void = nothing;
  #failure: Error | null = null;
  #onTouch: () => void = nothing;

  /** @param id the fetch that opens it, or 0 for a tunnel that a client asks for. */
  constructor(readers: BodyReaders, outs: OutStreams, id: number) {
    this.#readers = readers;
    this.#outs = outs;
    this.#id = id;
    this.opened = new Promise((resolve, reject) => {
      this.#resolveOpened = resolve;
      this.#rejectOpened = reject;
    });
    markHandled(this.opened);
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
    let outgoing: OutController | null = null;
    let room: () => void = nothing;
    this.#outgoing = new ReadableStream(
      {
        start(controller: OutController) {
          outgoing = controller;
        },
        pull() {
          room();
        },
      },
      { highWaterMark: 0 },
    );
    this.writable = new WritableStream(
      {
        write: (chunk: unknown): Promise<void> => {
          this.#touch();
          return new Promise((resolve) => {
            room = resolve;
            outgoing?.enqueue(chunk);
          });
        },
        close: () => {
          this.#touch();
          outgoing?.close();
        },
        abort: (reason: unknown) => {
          this.#touch();
          outgoing?.error(reason);
        },
      },
      { highWaterMark: 1 },
    );
    this.readable = new ReadableStream(
      {
        pull: async (controller: OutController): Promise<void> => {
          this.#touch();
          const source = await this.#incoming();
          const { done, value } = await source.read();
          if (done) {
            controller.close();
            this.#resolveClosed();
          } else controller.enqueue(value);
        },
        cancel: () => {
          this.#touch();
          this.#body?.cancel();
        },
      },
      { highWaterMark: 0 },
    );
  }

  /** Ends both directions. */
  async close(): Promise<void> {
    this.#touch();
    try {
      await this.writable.close();
    } catch {
      // Already closed or broken off: the other direction still has to end.
    }
    this.#body?.cancel();
    this.#resolveClosed();
  }

  static {
    isSocket = (value): value is Socket => typeof value === "object" && value !== null && #touched in value;
  }

  /** The number of the fetch that opened it, if its bytes have not been touched; else 0. */
  get untouched(): number {
    return this.#touched ? 0 : this.#id;
  }

  get isTouched(): boolean {
    return this.#touched;
  }

  /** Called once, when the Worker first reads, writes or closes. */
  onTouch(hear: () => void): void {
    this.#onTouch = hear;
  }

  /** Begins to send what is written; gives the number of the out. */
  startWriting(): number {
    return this.#outs.send(this.#outgoing, nothing);
  }

  connected(body: number, localAddress: string, remoteAddress: string): void {
    this.#body = new HandleBody(this.#readers, body, -1);
    this.#bodyReady();
    this.#resolveOpened({ localAddress, remoteAddress });
  }

  failed(error: Error): void {
    this.#failure = error;
    this.#bodyReady();
    this.#rejectOpened(error);
    this.#resolveClosed();
  }

  async #incoming(): Promise<ReadableStreamDefaultReaderLike> {
    if (this.#source !== null) return this.#source;
    if (this.#body === null && this.#failure === null) {
      await new Promise<void>((resolve) => {
        this.#bodyReady = resolve;
      });
    }
    if (this.#failure !== null) throw this.#failure;
    this.#source = (this.#body as HandleBody).stream().getReader() as ReadableStreamDefaultReaderLike;
    return this.#source;
  }

  #touch(): void {
    if (this.#touched) return;
    this.#touched = true;
    this.#onTouch();
  }
}

interface OutController {
  enqueue(chunk: unknown): void;
  close(): void;
  error(reason: unknown): void;
}

interface ReadableStreamDefaultReaderLike {
  read(): Promise<{ done: boolean; value?: unknown }>;
}

function nothing(): void {}
