import { once } from "node:events";
import * as net from "node:net";
import type { TestContext } from "node:test";

/** A final response as it came over a raw connection. */
export interface RawAnswer {
  /** Statuses of the 1xx responses before it. */
  readonly interim: readonly number[];
  readonly status: number;
  /** The status line and the header, as received. */
  readonly head: string;
  /** What has come of the body, without framing. */
  readonly body: string;
  /** The trailer section, as received. */
  readonly trailers: string;
  /** The body came to its end; a response that only the close of the connection ends never does. */
  readonly whole: boolean;
}

/** A client that shows what is on the wire. It reads no more than it is asked for when it is `slow`. */
export class RawHttp {
  readonly socket: net.Socket;
  #input = "";
  #over = false;
  #changed: () => void = () => {};

  constructor(socket: net.Socket) {
    this.socket = socket.setEncoding("latin1");
    socket.on("data", (text: string) => {
      this.#input += text;
      this.#changed();
    });
    const over = (): void => {
      this.#over = true;
      this.#changed();
    };
    socket.on("end", over);
    socket.on("error", () => {});
    socket.on("close", over);
  }

  static async open(test: TestContext, url: string): Promise<RawHttp> {
    const { hostname, port } = new URL(url);
    const socket = net.connect({ host: hostname, port: Number(port), allowHalfOpen: true, noDelay: true });
    await once(socket, "connect");
    test.after(() => socket.destroy());
    return new RawHttp(socket);
  }

  send(text: string): void {
    this.socket.write(text, "latin1");
  }

  /** What has come and is not yet taken by `answer`. */
  get pending(): string {
    return this.#input;
  }

  get over(): boolean {
    return this.#over;
  }

  /** Waits until something holds of what is pending, or nothing more comes. */
  async until(condition: (input: string) => boolean): Promise<boolean> {
    while (!condition(this.#input)) {
      if (this.#over) return false;
      await new Promise<void>((resolve) => {
        this.#changed = resolve;
      });
    }
    return true;
  }

  /** Takes the next response: all of it, or what there is when the connection is over. Null without a whole head. */
  async answer(method = "GET"): Promise<RawAnswer | null> {
    for (;;) {
      const found = readAnswer(this.#input, method);
      if (found !== null && (found.answer.whole || this.#over)) {
        this.#input = this.#input.slice(found.length);
        return found.answer;
      }
      if (this.#over) return null;
      await new Promise<void>((resolve) => {
        this.#changed = resolve;
      });
    }
  }

  /** Waits for the other side's end, orderly or not. */
  async ended(): Promise<void> {
    await this.until(() => false);
  }
}

function readAnswer(text: string, method: string): { answer: RawAnswer; length: number } | null {
  const interim: number[] = [];
  let at = 0;
  for (;;) {
    const end = text.indexOf("\r\n\r\n", at);
    if (end < 0) return null;
    const head = text.slice(at, end + 2);
    const status = Number(head.slice(9, 12));
    at = end + 4;
    if (status < 200) {
      interim.push(status);
      continue;
    }
    const answer = (
      body: string,
      whole: boolean,
      length: number,
      trailers = "",
    ): ReturnType<typeof readAnswer> => ({
      answer: { interim, status, head, body, trailers, whole },
      length,
    });
    if (method === "HEAD" || status === 204 || status === 304) return answer("", true, at);
    const counted = /^content-length: (\d+)/im.exec(head);
    if (counted !== null) {
      const length = Number(counted[1]);
      const body = text.slice(at, at + length);
      return answer(body, body.length === length, at + body.length);
    }
    if (!/^transfer-encoding: chunked/im.test(head)) return answer(text.slice(at), false, text.length);
    let body = "";
    for (;;) {
      const line = text.indexOf("\r\n", at);
      const size = line < 0 ? Number.NaN : Number.parseInt(text.slice(at, line), 16);
      if (Number.isNaN(size)) return answer(body, false, text.length);
      at = line + 2;
      if (size === 0) {
        const last = text.startsWith("\r\n", at) ? at : text.indexOf("\r\n\r\n", at);
        if (last < 0) return answer(body, false, text.length);
        const trailers = last === at ? "" : text.slice(at, last + 2);
        return answer(body, true, last === at ? at + 2 : last + 4, trailers);
      }
      body += text.slice(at, at + size);
      if (text.length < at + size + 2) return answer(body, false, text.length);
      at += size + 2;
    }
  }
}
