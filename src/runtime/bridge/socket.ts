import { Deferred, markHandled } from "../web/primordials.ts";
import { ReadableStream, WritableStream } from "../web/streams.ts";
import { type BodyReaders, HandleBody } from "./handle-body.ts";
import type { OutStreams } from "./out-streams.ts";
import type { SecureTransport, SocketOptions } from "./socket-options.ts";

/** The language's own, whatever the Worker puts in its place. */
const PromiseNative = Promise;

export interface SocketInfo {
  /** Who is at the other end, `host:port`; empty when that is not known. */
  readonly remoteAddress: string;
  /** For a tunnel that a client asks for: where it wants to go, `host:port`. */
  readonly localAddress: string;
}

export let isSocket: (value: unknown) => value is Socket;

/** What the bridge does with a socket, and no Worker can. */
export let socketEnd: {
  isTouched(socket: Socket): boolean;
  /** The number of the fetch that opened it, if its bytes have not been touched; else 0. */
  untouched(socket: Socket): number;
  /** `hear` is called once, when the Worker first reads, writes or closes. */
  onTouch(socket: Socket, hear: () => void): void;
  /** Begins to send what is written; gives the number of the out. @param done called when nothing more will be */
  startWriting(socket: Socket, done: () => void): number;
  /** Settles when the chunk that is being written has left; null when none is. */
  writing(socket: Socket): Promise<void> | null;
  connected(socket: Socket, body: number, localAddress: string, remoteAddress: string): void;
  failed(socket: Socket, error: Error): void;
};

/** Makes the socket that goes on with TLS. @param host whose name the certificate must have; empty: where it connects to */
export type Upgrade = (host: string) => Socket;

/**
 * A stream of bytes in both directions. What the Worker writes before the other end stands is sent once it does. As
 * long as neither side was touched, the socket can be handed on whole and its bytes never enter the isolate.
 */
export class Socket {
  readonly #readable: ReadableStream;
  readonly #writable: WritableStream;
  readonly #opened = new Deferred<SocketInfo>();
  readonly #closed = new Deferred<void>();
  readonly #readers: BodyReaders;
  readonly #outs: OutStreams;
  readonly #id: number;
  readonly #options: SocketOptions;
  readonly #upgrade: Upgrade | null;
  readonly #outgoing: ReadableStream;
  #out: OutController | null = null;
  #in: OutController | null = null;
  #touched = false;
  #upgraded = false;
  #isOver = false;
  #body: HandleBody | null = null;
  #source: ReadableStreamDefaultReaderLike | null = null;
  #bodyReady: () => void = nothing;
  /** Settles when the chunk that is being written has left. */
  #writing: Deferred<void> | null = null;
  #failure: Error | null = null;
  #onTouch: () => void = nothing;

  /**
   * @param id the fetch that opens it, or 0 for a tunnel that a client asks for.
   * @param upgrade null when it cannot be secured later.
   */
  constructor(
    readers: BodyReaders,
    outs: OutStreams,
    id: number,
    options: SocketOptions,
    upgrade: Upgrade | null,
  ) {
    this.#readers = readers;
    this.#outs = outs;
    this.#id = id;
    this.#options = options;
    this.#upgrade = upgrade;
    markHandled(this.#opened.promise);
    markHandled(this.#closed.promise);
    this.#outgoing = new ReadableStream(
      {
        start: (controller: OutController) => {
          this.#out = controller;
        },
        pull: () => this.#written(),
        cancel: (reason: unknown) => this.#unwritable(reason),
      },
      { highWaterMark: 0 },
    );
    this.#writable = new WritableStream(
      {
        write: (chunk: unknown): Promise<void> => this.#write(chunk),
        close: () => {
          this.#touch();
          this.#out?.close();
        },
        abort: (reason: unknown) => {
          this.#touch();
          this.#out?.error(reason);
        },
      },
      { highWaterMark: 1 },
    );
    this.#readable = new ReadableStream(
      {
        start: (controller: OutController) => {
          this.#in = controller;
        },
        pull: (controller: OutController): Promise<void> => this.#pull(controller),
        cancel: () => {
          this.#touch();
          this.#body?.cancel();
        },
      },
      { highWaterMark: 0 },
    );
  }

  get readable(): ReadableStream {
    return this.#readable;
  }

  get writable(): WritableStream {
    return this.#writable;
  }

  /** Resolves when the connection stands, TLS included; rejects when it cannot be opened. */
  get opened(): Promise<SocketInfo> {
    return this.#opened.promise;
  }

  /** Resolves when the socket is closed, rejects when it broke. */
  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  /** TLS was started on it: another socket goes on. */
  get upgraded(): boolean {
    return this.#upgraded;
  }

  get secureTransport(): SecureTransport {
    return this.#options.secureTransport;
  }

  /** Ends both directions. */
  async close(): Promise<void> {
    this.#touch();
    try {
      await this.#writable.close();
    } catch {
      // Locked, closed already or broken off: the bytes still have to end.
      this.#end();
    }
    this.#body?.cancel();
    this.#over();
  }

  /**
   * Goes on with TLS on the same connection. This socket is of no more use; what was written to it is sent before.
   * @param options `expectedServerHostname`: the name that the certificate must have, in place of the address's
   * @throws TypeError unless it was opened with `secureTransport: "starttls"`, and nobody called this before
   */
  startTls(options?: { readonly expectedServerHostname?: string }): Socket {
    if (this.#options.secureTransport !== "starttls" || this.#upgrade === null) {
      throw new TypeError('cannot start TLS: the socket was not opened with secureTransport "starttls"');
    }
    if (this.#upgraded) throw new TypeError("cannot start TLS: it was started before");
    if (this.#isOver) throw new TypeError("cannot start TLS: the socket is closed");
    const name = options?.expectedServerHostname;
    this.#upgraded = true;
    this.#touch();
    const secured = this.#upgrade(name === undefined ? "" : `${name}`);
    const error = new TypeError("cannot use the socket: it goes on with TLS in another one");
    this.#in?.error(error);
    this.#over();
    return secured;
  }

  static {
    isSocket = (value): value is Socket => typeof value === "object" && value !== null && #touched in value;
    socketEnd = {
      isTouched: (socket) => socket.#touched,
      untouched: (socket) => (socket.#touched ? 0 : socket.#id),
      onTouch(socket, hear) {
        socket.#onTouch = hear;
      },
      startWriting: (socket, done) => socket.#outs.send(socket.#outgoing, done),
      writing: (socket) => socket.#writing?.promise ?? null,
      connected(socket, body, localAddress, remoteAddress) {
        socket.#body = new HandleBody(socket.#readers, body, -1);
        socket.#bodyReady();
        socket.#opened.resolve({ remoteAddress, localAddress });
      },
      failed(socket, error) {
        socket.#failure = error;
        socket.#bodyReady();
        socket.#opened.reject(error);
        socket.#isOver = true;
        socket.#closed.reject(error);
      },
    };
  }

  #write(chunk: unknown): Promise<void> {
    this.#touch();
    if (this.#upgraded) throw new TypeError("cannot write: the socket goes on with TLS in another one");
    if (this.#isOver) throw new TypeError("cannot write: the socket is closed");
    const writing = new Deferred<void>();
    if (this.#out === null) throw new TypeError("cannot write: the socket is closed");
    this.#writing = writing;
    this.#out.enqueue(chunk);
    return writing.promise;
  }

  #written(): void {
    const writing = this.#writing;
    this.#writing = null;
    writing?.resolve(undefined);
  }

  /** Nobody takes what is written any more. */
  #unwritable(reason: unknown): void {
    this.#out = null;
    const writing = this.#writing;
    this.#writing = null;
    writing?.reject(reason);
  }

  async #pull(controller: OutController): Promise<void> {
    this.#touch();
    try {
      const source = await this.#incoming();
      const { done, value } = await source.read();
      if (this.#upgraded) return;
      if (!done) {
        controller.enqueue(value);
        return;
      }
      controller.close();
      if (this.#options.allowHalfOpen) return;
      this.#end();
      this.#over();
    } catch (error) {
      if (this.#upgraded) return;
      this.#isOver = true;
      this.#closed.reject(error);
      throw error;
    }
  }

  /** Nothing more goes out. */
  #end(): void {
    try {
      this.#out?.close();
    } catch {
      // It has ended already.
    }
  }

  #over(): void {
    this.#isOver = true;
    this.#closed.resolve(undefined);
  }

  async #incoming(): Promise<ReadableStreamDefaultReaderLike> {
    if (this.#source !== null) return this.#source;
    if (this.#body === null && this.#failure === null) {
      await new PromiseNative<void>((resolve) => {
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
