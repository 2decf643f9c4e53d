import { Buffer } from "../parts/node-buffer.ts";
import { EventEmitter } from "../parts/node-events.ts";
import { statusCodes } from "./http-common.ts";
import { type ByteReader, Readable, type StreamDone } from "./stream-classes.ts";

/** What this file reads of a Response. */
export interface ResponseLike {
  readonly status: number;
  readonly statusText: string;
  readonly headers: { forEach(visit: (value: string, name: string) => void): void; getSetCookie(): string[] };
  readonly body: { getReader(): ByteReader } | null;
}

/** What `socket` of a message shows: there is none that the Worker could reach. */
export class NoSocket extends EventEmitter {
  readonly encrypted: boolean;
  readonly authorized = true;

  constructor(encrypted: boolean) {
    super();
    this.encrypted = encrypted;
  }

  setTimeout(): this {
    return this;
  }
  setNoDelay(): this {
    return this;
  }
  setKeepAlive(): this {
    return this;
  }
  ref(): this {
    return this;
  }
  unref(): this {
    return this;
  }
  address(): object {
    return {};
  }
}

/** A response as `http.request` gives it. */
export class IncomingMessage extends Readable {
  readonly httpVersion = "1.1";
  readonly httpVersionMajor = 1;
  readonly httpVersionMinor = 1;
  readonly headers: Record<string, string | string[]> = {};
  readonly rawHeaders: string[] = [];
  readonly trailers = {};
  readonly rawTrailers: string[] = [];
  statusCode: number | undefined;
  statusMessage: string | undefined;
  complete = false;
  url = "";
  method: string | undefined;
  readonly socket: NoSocket;
  #reader: ByteReader | null = null;

  constructor(socket: NoSocket) {
    super();
    this.socket = socket;
  }

  get connection(): NoSocket {
    return this.socket;
  }

  get headersDistinct(): Record<string, string[]> {
    const all: Record<string, string[]> = {};
    for (let i = 0; i < this.rawHeaders.length; i += 2) {
      const name = (this.rawHeaders[i] as string).toLowerCase();
      const values = all[name] ?? [];
      values.push(this.rawHeaders[i + 1] as string);
      all[name] = values;
    }
    return all;
  }

  /** Takes over what `fetch` has given. */
  fill(response: ResponseLike): void {
    this.statusCode = response.status;
    this.statusMessage = response.statusText || (statusCodes[response.status] ?? "");
    response.headers.forEach((value, name) => {
      if (name === "set-cookie") return;
      this.headers[name] = value;
      this.rawHeaders.push(name, value);
    });
    const cookies = response.headers.getSetCookie();
    if (cookies.length > 0) this.headers["set-cookie"] = cookies;
    for (const cookie of cookies) this.rawHeaders.push("set-cookie", cookie);
    this.#reader = response.body?.getReader() ?? null;
  }

  setTimeout(_ms: number, done?: () => void): this {
    if (done !== undefined) this.on("timeout", done);
    return this;
  }

  _read(): void {
    if (this.#reader === null) {
      this.complete = true;
      this.push(null);
      return;
    }
    this.#reader.read().then(
      ({ done, value }) => {
        if (value !== undefined && !done) {
          this.push(Buffer(value.buffer, value.byteOffset, value.byteLength));
          return;
        }
        this.complete = true;
        this.push(null);
      },
      (error: unknown) => this.destroy(error),
    );
  }

  _destroy(error: Error | null, done: StreamDone): void {
    this.#reader?.cancel(error ?? undefined).then(undefined, () => {});
    done(error);
  }
}
