import { link } from "../bridge/rpc-link.ts";
import { AbortController } from "../web/abort.ts";
import { DOMException } from "../web/dom-exception.ts";
import { ErrorEvent, MessageEvent } from "../web/event-kinds.ts";
import { EventStreamParser, type EventStreamSink } from "../web/event-stream-parser.ts";
import { dispatch, Event, EventTarget, getHandler, markTrusted, setHandler } from "../web/events.ts";
import { parseMime } from "../web/mime.ts";
import {
  MathMin,
  markHandled,
  PromiseThen,
  promiseResolve,
  SymbolDispose,
  TypedArrayTag,
} from "../web/primordials.ts";
import { Request } from "../web/request.ts";
import { isResponse, type Response } from "../web/response.ts";
import { ReaderCore, type ReadRequest } from "../web/streams/readable-core.ts";
import { isReadableStream, type ReadableStream, readableCore } from "../web/streams/readable-stream.ts";
import { clearTimeout, setTimeout } from "../web/timers.ts";
import { originOf, parseUrl } from "../web/url-record.ts";
import { encodeUtf8, latin1 } from "../web/utf8.ts";
import {
  defineConstants,
  defineInterface,
  internal,
  quote,
  requireArguments,
  toDictionary,
  toUSVString,
} from "../web/webidl.ts";

export interface EventSourceInit {
  withCredentials?: boolean;
  /** A service binding that is asked in place of the global `fetch`, as in workerd. */
  fetcher?: { fetch(request: Request): Promise<Response> };
}

const CONNECTING = 0;
const OPEN = 1;
const CLOSED = 2;

/** Milliseconds before the next connection, until the stream says otherwise. */
const RECONNECT = 3000;
/** However often connecting fails, the pause grows no longer than this. */
const MAX_PAUSE = 60_000;

/** HTML §9.2. Connects anew with Last-Event-ID when the connection ends, until it is closed or refused. */
export class EventSource extends EventTarget {
  readonly #url: string;
  readonly #fetcher: EventSourceInit["fetcher"] | null;
  readonly #withCredentials: boolean;
  #state = CONNECTING;
  #origin = "";
  #lastEventId = "";
  #reconnect = RECONNECT;
  /** Attempts in a row that have brought no answer. */
  #failures = 0;
  #timer = 0;
  #controller: AbortController | null = null;
  #reader: ReaderCore | null = null;

  constructor(url: string | { toString(): string }, init?: EventSourceInit) {
    super();
    if (url === (internal as never)) {
      this.#url = "";
      this.#fetcher = null;
      this.#withCredentials = false;
      return;
    }
    requireArguments(arguments.length, 1, "EventSource constructor");
    const text = toUSVString(url);
    const record = parseUrl(text, null);
    if (record === null) {
      throw new DOMException(`cannot make an EventSource: ${quote(text)} is not a valid URL`, "SyntaxError");
    }
    const dictionary = toDictionary(init, "cannot make an EventSource: init") as EventSourceInit | null;
    this.#url = record.href;
    this.#withCredentials = Boolean(dictionary?.withCredentials);
    this.#fetcher = dictionary?.fetcher ?? null;
    link.outbound.demandOpen("make an EventSource");
    void this.#connect();
  }

  /** The events of a stream of bytes, as in workerd: there is nothing to connect to again when it ends. */
  static from(stream: ReadableStream): EventSource {
    requireArguments(arguments.length, 1, "EventSource.from");
    if (!isReadableStream(stream))
      throw new TypeError("cannot make an EventSource: stream is not a ReadableStream");
    const source = new EventSource(internal as never);
    const reader = new ReaderCore(readableCore(stream), false);
    source.#state = OPEN;
    source.#reader = reader;
    // The caller has listeners to add first.
    PromiseThen(promiseResolve(undefined), () => {
      if (source.#reader === reader) source.#read(reader);
    });
    return source;
  }

  get url(): string {
    return this.#url;
  }

  get withCredentials(): boolean {
    return this.#withCredentials;
  }

  get readyState(): number {
    return this.#state;
  }

  get onopen(): unknown {
    return getHandler(this, "open");
  }

  set onopen(value: unknown) {
    setHandler(this, "open", value);
  }

  get onmessage(): unknown {
    return getHandler(this, "message");
  }

  set onmessage(value: unknown) {
    setHandler(this, "message", value);
  }

  get onerror(): unknown {
    return getHandler(this, "error");
  }

  set onerror(value: unknown) {
    setHandler(this, "error", value);
  }

  close(): void {
    this.#state = CLOSED;
    if (this.#timer !== 0) clearTimeout(this.#timer);
    this.#timer = 0;
    const reader = this.#reader;
    this.#reader = null;
    if (reader?.stream) markHandled(reader.stream.cancel(undefined));
    this.#controller?.abort();
    this.#controller = null;
  }

  /** As in workerd. */
  [SymbolDispose](): void {
    this.close();
  }

  async #connect(): Promise<void> {
    const controller = new AbortController();
    this.#controller = controller;
    let response: unknown;
    try {
      const headers: Record<string, string> = { accept: "text/event-stream" };
      if (this.#lastEventId !== "") headers["last-event-id"] = latin1Of(this.#lastEventId);
      const request = new Request(this.#url, { headers, cache: "no-store", signal: controller.signal });
      response =
        this.#fetcher === null || this.#fetcher === undefined
          ? await link.outbound.fetch(0, request, undefined)
          : await this.#fetcher.fetch(request);
    } catch (error) {
      if (this.#state === CLOSED) return;
      this.#failures++;
      this.#again(error);
      return;
    }
    if (this.#state === CLOSED) return;
    if (!isResponse(response)) {
      this.#fail(new TypeError("cannot connect: what the fetcher gave is not a Response"));
      return;
    }
    const { body, status, url } = response;
    const type = parseMime(response.headers.get("content-type") ?? "");
    if (status !== 200 || type?.essence !== "text/event-stream" || body === null) {
      this.#fail(
        new TypeError(
          `cannot connect: the answer has status ${status} and content type ${quote(type?.essence ?? "")}`,
        ),
      );
      return;
    }
    this.#origin = originOf(url === "" ? this.#url : url);
    this.#failures = 0;
    this.#state = OPEN;
    this.#fire(new Event("open"));
    if (this.#state === OPEN) this.#read(new ReaderCore(readableCore(body), false));
  }

  #read(reader: ReaderCore): void {
    this.#reader = reader;
    new StreamPump(reader, new EventStreamParser(this.#sink(), this.#lastEventId), (error) => {
      if (this.#reader !== reader) return;
      this.#reader = null;
      if (this.#url === "") this.#fail(error);
      else this.#again(error);
    }).next();
  }

  /** What the parser of one connection tells. Not the source itself: a Worker would see the methods. */
  #sink(): EventStreamSink {
    return {
      lastEventId: (id) => {
        this.#lastEventId = id;
      },
      retry: (milliseconds) => {
        this.#reconnect = milliseconds;
      },
      message: (type, data) => {
        if (this.#state === CLOSED) return;
        this.#fire(
          new MessageEvent(type === "" ? "message" : type, {
            data,
            origin: this.#origin,
            lastEventId: this.#lastEventId,
          }),
        );
      },
    };
  }

  /** The connection is gone; there will be another. */
  #again(error: unknown): void {
    this.#state = CONNECTING;
    this.#controller = null;
    this.#error(error);
    if (this.#state !== (CONNECTING as number)) return;
    const pause = MathMin(this.#reconnect * 2 ** MathMin(this.#failures, 10), MAX_PAUSE);
    this.#timer = setTimeout(() => {
      this.#timer = 0;
      void this.#connect();
    }, pause);
  }

  /** There is nothing to be had. */
  #fail(error: unknown): void {
    this.close();
    this.#error(error);
  }

  #error(error: unknown): void {
    const message = typeof error === "object" && error !== null ? (error as Error).message : "";
    this.#fire(new ErrorEvent("error", { message: typeof message === "string" ? message : "", error }));
  }

  #fire(event: Event): void {
    markTrusted(event);
    dispatch(this, event);
  }
}

/** Feeds a parser, a chunk at a time. */
class StreamPump implements ReadRequest {
  readonly #reader: ReaderCore;
  readonly #parser: EventStreamParser;
  readonly #over: (error: unknown) => void;
  #looping = false;
  #again = false;

  constructor(reader: ReaderCore, parser: EventStreamParser, over: (error: unknown) => void) {
    this.#reader = reader;
    this.#parser = parser;
    this.#over = over;
  }

  /** A loop where chunks are there at once: recursion would go as deep as there are chunks. */
  next(): void {
    this.#again = true;
    if (this.#looping) return;
    this.#looping = true;
    while (this.#again) {
      this.#again = false;
      this.#reader.read(this);
    }
    this.#looping = false;
  }

  chunk(value: unknown): void {
    if (TypedArrayTag(value) !== "Uint8Array") {
      const error = new TypeError("cannot read the events: a chunk is not a Uint8Array");
      const { stream } = this.#reader;
      if (stream) markHandled(stream.cancel(error));
      this.#over(error);
      return;
    }
    this.#parser.write(value as Uint8Array);
    this.next();
  }

  close(): void {
    this.#over(new TypeError("the stream of events has ended"));
  }

  error(reason: unknown): void {
    this.#over(reason);
  }
}

/** A field value holds bytes: each character of the id's UTF-8 as one (HTML §9.2.2). */
function latin1Of(text: string): string {
  const bytes = encodeUtf8(text);
  return latin1(bytes, bytes.length);
}

defineInterface(EventSource, "EventSource", 1, { from: 1 });
defineConstants(EventSource, { CONNECTING, OPEN, CLOSED });
