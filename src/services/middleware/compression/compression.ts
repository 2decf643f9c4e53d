import type { CompressionConfig } from "../../../config/schema/compression.ts";
import type { BodySource } from "../../../http/body.ts";
import type { Exchange } from "../../../http/exchange.ts";
import type { HeaderBlock } from "../../../http/header-block.ts";
import type { RequestHead, ResponseHead } from "../../../http/message.ts";
import { TimerWheel } from "../../../net/timer-wheel.ts";
import type { ServiceContext } from "../../context.ts";
import type { Service, Tunnel } from "../../service.ts";
import type { Middleware, MiddlewareFactory } from "../middleware.ts";
import { PassedExchange } from "../passed-exchange.ts";
import { addVary } from "../vary.ts";
import { type Coding, chooseCoding } from "./accept-encoding.ts";
import { CodedBody, type CoderOwner } from "./coded-body.ts";
import type { Levels } from "./coder.ts";
import { MediaTypes, mediaType } from "./media-types.ts";

/** Compresses responses on their way to clients that can read them so (RFC 9110 §8.4, §12.5.3). */
class Compression implements Middleware, CoderOwner {
  readonly levels: Levels;
  readonly wheel: TimerWheel;
  readonly #codings: readonly Coding[];
  readonly #types: MediaTypes;
  readonly #minBytes: number;
  readonly #concurrent: number;
  #busy = 0;

  constructor(config: CompressionConfig, context: ServiceContext) {
    this.levels = config.levels;
    this.wheel = TimerWheel.of(context);
    this.#codings = config.codings;
    this.#types = new MediaTypes(config.types);
    this.#minBytes = config.minBytes;
    this.#concurrent = config.concurrent;
  }

  handle(exchange: Exchange, next: Service): void {
    const { headers } = exchange.request;
    const fields = headers.getAll("accept-encoding");
    // RFC 9111 §5.2.1.6: the client may forbid it too.
    const coding = forbidsTransform(headers) ? null : chooseCoding(fields, this.#codings);
    next.handle(new CompressedExchange(exchange, this, coding));
  }

  connect(tunnel: Tunnel, next: Service): void {
    next.connect(tunnel);
  }

  /**
   * Edits the head for the coding, and gives the body in it; both stay as they are when the response is none to compress.
   *
   * @param coding that the client likes; null when it likes none
   */
  encode(
    request: RequestHead,
    head: ResponseHead,
    body: BodySource | null,
    coding: Coding | null,
  ): BodySource | null {
    if (head.status === 304) {
      // It speaks of the response that was sent before, which may have been compressed.
      if (coding !== null) describe(head.headers);
      return body;
    }
    const isHead = request.method === "HEAD";
    const length = body === null ? head.announcedLength : body.length;
    const type = mediaType(head.headers.get("content-type"));
    if ((body === null && !isHead) || !this.#suits(head, length, type)) return body;
    addVary(head.headers, "Accept-Encoding");
    if (coding === null || (body !== null && this.#busy >= this.#concurrent)) return body;
    describe(head.headers);
    head.headers.set("content-encoding", coding);
    for (const name of ofTheBytes) head.headers.delete(name);
    head.announcedLength = -1;
    if (body === null) return null;
    this.#busy++;
    return new CodedBody(body, coding, type === "text/event-stream", this);
  }

  onCoderFree(): void {
    this.#busy--;
  }

  #suits({ headers, status }: ResponseHead, length: number, type: string): boolean {
    if (status === 206 || status === 204 || status === 205 || headers.has("content-range")) return false;
    if (length !== -1 && length < this.#minBytes) return false;
    if (!this.#types.has(type)) return false;
    return (headers.get("content-encoding") ?? "identity") === "identity" && !forbidsTransform(headers);
  }
}

/** Fields that speak of the bytes as they were. */
const ofTheBytes = ["accept-ranges", "content-md5", "digest", "content-digest", "repr-digest"];

/** Other bytes, the same meaning: a strong tag names the one, a weak one names the other (RFC 9110 §8.8.1). */
function describe(headers: HeaderBlock): void {
  addVary(headers, "Accept-Encoding");
  const tag = headers.get("etag");
  if (tag?.startsWith('"') === true) headers.set("etag", `W/${tag}`);
}

function forbidsTransform(headers: HeaderBlock): boolean {
  return headers.getAll("cache-control").some((field) =>
    field
      .toLowerCase()
      .split(",")
      .some((directive) => directive.trim() === "no-transform"),
  );
}

class CompressedExchange extends PassedExchange {
  readonly #compression: Compression;
  readonly #coding: Coding | null;

  constructor(outer: Exchange, compression: Compression, coding: Coding | null) {
    super(outer);
    this.#compression = compression;
    this.#coding = coding;
  }

  override respond(head: ResponseHead, body: BodySource | null): void {
    this.outer.respond(head, this.#compression.encode(this.request, head, body, this.#coding));
  }
}

export const createCompression: MiddlewareFactory<CompressionConfig> = (config, context) =>
  new Compression(config, context);
