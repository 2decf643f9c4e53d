import { Readable } from "node:stream";
import { ProxyError } from "../../errors/proxy-error.ts";
import type { BodySink, BodySource } from "../../http/body.ts";

/** A request's body as the stream that undici reads. Trailers end here: undici has no way to send them. */
export class RequestBody extends Readable implements BodySink {
  readonly #source: BodySource;
  #piped = false;
  #held = false;
  /** The stream asked for more while it was given some. */
  #wanted = false;
  #over = false;

  constructor(source: BodySource) {
    super({ highWaterMark: 65_536 });
    this.#source = source;
  }

  override _read(): void {
    this.#wanted = true;
    if (!this.#piped) {
      this.#piped = true;
      this.#source.pipe(this);
    } else if (this.#held) {
      this.#held = false;
      this.#source.resume();
    }
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    if (!this.#over) {
      this.#over = true;
      const reason =
        error instanceof ProxyError
          ? error
          : new ProxyError("upstream_reset", "cannot send the request's body: nobody takes it");
      this.#source.cancel(reason);
    }
    done(error);
  }

  write(chunk: Uint8Array): boolean {
    if (this.#over) return false;
    this.#wanted = false;
    const more = this.push(chunk) || this.#wanted;
    this.#held = !more;
    return more;
  }

  end(): void {
    if (this.#over) return;
    this.#over = true;
    this.push(null);
  }

  fail(error: ProxyError): void {
    if (this.#over) return;
    this.#over = true;
    this.destroy(error);
  }
}
