import { sweepNext, unwatch, watch } from "./crypto-key.ts";
import { normalize, toIdentifier } from "./crypto-normalize.ts";
import { CryptoRequest } from "./crypto-request.ts";
import { viewBytes } from "./encoding.ts";
import {
  Deferred,
  MathMin,
  markHandled,
  PromiseThen,
  promiseResolve,
  TypedArrayLength,
  Uint8ArrayNative,
  viewBuffer,
  viewOffset,
} from "./primordials.ts";
import { WritableStream } from "./streams.ts";
import { encodeUtf8 } from "./utf8.ts";
import { defineInterface, requireArguments } from "./webidl.ts";

/** Bytes that go to the host at a time. */
const PIECE = 65_536;

let last = 0;

/** A hash on the host that is given its data piece by piece. */
class StreamedHash {
  readonly id: number = --last;
  readonly result: Deferred<ArrayBuffer> = new Deferred();
  readonly #name: string;
  written = 0;

  constructor(name: string) {
    this.#name = name;
    watch(this);
    markHandled(this.result.promise);
  }

  write(chunk: unknown): Promise<unknown> {
    const bytes = typeof chunk === "string" ? encodeUtf8(chunk) : viewBytes(chunk, "chunk");
    const size = TypedArrayLength(bytes);
    this.written += size;
    let sent: Promise<unknown> = promiseResolve(undefined);
    for (let from = 0; from < size; from += PIECE) {
      const length = MathMin(size - from, PIECE);
      sent = this.#send(new Uint8ArrayNative(viewBuffer(bytes), viewOffset(bytes) + from, length), false);
      if (from + length < size) markHandled(sent);
    }
    return sent;
  }

  close(): Promise<unknown> {
    unwatch(this.id);
    return PromiseThen(
      this.#send(new Uint8ArrayNative(0), true),
      (digest) => this.result.resolve(digest),
      (error) => {
        this.result.reject(error);
        throw error;
      },
    );
  }

  /** The host lets go of the hash when it hears that nothing refers to it any more. */
  abort(reason: unknown): void {
    this.result.reject(reason);
  }

  #send(data: Uint8Array, isLast: boolean): Promise<ArrayBuffer> {
    const request = new CryptoRequest("hash").set("hash", this.id).set("name", this.#name);
    return request
      .set("last", isLast)
      .bytes("data", data)
      .send((text, bytes) => {
        if (text === "sweep") sweepNext();
        return viewBuffer(bytes);
      });
  }
}

/** A stream whose data is hashed as it comes, so that nothing of it is kept (Cloudflare Workers). */
export class DigestStream extends WritableStream {
  readonly #hash: StreamedHash;

  /** @param algorithm a digest. @throws DOMException NotSupportedError when it is none. */
  constructor(algorithm: object | string) {
    requireArguments(arguments.length, 1, "DigestStream");
    const hash = new StreamedHash(normalize(toIdentifier(algorithm), "digest").name);
    super({
      write: (chunk: unknown) => hash.write(chunk),
      close: () => hash.close(),
      abort: (reason: unknown) => hash.abort(reason),
    });
    this.#hash = hash;
  }

  /** The digest, when the stream is closed; rejects when it is aborted. */
  get digest(): Promise<ArrayBuffer> {
    return this.#hash.result.promise;
  }

  /** Bytes that were hashed so far. */
  get bytesWritten(): number {
    return this.#hash.written;
  }
}

defineInterface(DigestStream, "DigestStream", 1);
