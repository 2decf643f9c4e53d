import type { MirrorConfig } from "../../config/schema/router.ts";
import { ProxyError } from "../../errors/proxy-error.ts";
import { type BodySink, type BodySource, BytesBody, type Lender } from "../../http/body.ts";
import { type ByteStream, type ClientFacts, Exchange } from "../../http/exchange.ts";
import type { HeaderBlock } from "../../http/header-block.ts";
import { RequestHead, type ResponseHead } from "../../http/message.ts";
import { type TimerOwner, type TimerWheel, WheelTimer } from "../../net/timer-wheel.ts";
import type { Middleware } from "../middleware/middleware.ts";
import { PassedExchange } from "../middleware/passed-exchange.ts";
import type { Resolve, Service, Tunnel } from "../service.ts";

/** A shadow may take so long for its whole answer, and send so much of it, before it is cut off. */
const maxMs = 30_000;
const maxAnswer = 1024 * 1024;

/**
 * Sends a copy of each request to a second service and throws the answer away. The copy is sent when the request's body
 * has gone by, so the client never waits for the shadow; a body that is too long, or breaks off, is not sent at all.
 */
export class Mirror implements Middleware {
  readonly config: MirrorConfig;
  readonly wheel: TimerWheel;
  shadows = 0;
  /** Bodies that are being copied: as many as shadows, or slow clients could fill the memory with them. */
  copies = 0;
  #service: Service | null = null;

  constructor(config: MirrorConfig, wheel: TimerWheel) {
    this.config = config;
    this.wheel = wheel;
  }

  link(resolve: Resolve): void {
    this.#service = resolve(this.config.service);
  }

  handle(exchange: Exchange, next: Service): void {
    const { request, bodyLength } = exchange;
    const { percent, bodyBytes } = this.config;
    // What changes the connection cannot be done twice, and a loop would double with each round.
    if (
      request.upgrade !== "" ||
      bodyLength > bodyBytes ||
      exchange.depth >= Exchange.maxDepth / 2 ||
      Math.random() * 100 >= percent
    ) {
      next.handle(exchange);
      return;
    }
    const copy = copyOf(request);
    if (exchange.hasBody) next.handle(new MirroredExchange(exchange, this, copy));
    else {
      next.handle(exchange);
      this.send(copy, null, exchange.client, exchange.depth);
    }
  }

  connect(tunnel: Tunnel, next: Service): void {
    next.connect(tunnel);
  }

  send(request: RequestHead, body: Uint8Array | null, client: ClientFacts, depth: number): void {
    if (this.shadows >= this.config.concurrent || this.#service === null) return;
    this.shadows++;
    const shadow = new Shadow(this, request, body === null ? null : new BytesBody(body), client, depth + 1);
    this.#service.handle(shadow);
  }
}

/** Taken before the service behind can change the head. */
function copyOf(request: RequestHead): RequestHead {
  const { method, scheme, authority, target, headers } = request;
  return new RequestHead(method, scheme, authority, target, headers.clone());
}

/** The exchange of the copy: whatever comes of it is dropped. */
class Shadow extends Exchange implements TimerOwner, BodySink {
  readonly #mirror: Mirror;
  readonly #timer = new WheelTimer(this);
  #source: BodySource | null = null;
  #received = 0;
  #isOver = false;

  constructor(
    mirror: Mirror,
    request: RequestHead,
    body: BodySource | null,
    client: ClientFacts,
    depth: number,
  ) {
    super(request, body, client, depth);
    this.#mirror = mirror;
    mirror.wheel.arm(this.#timer, mirror.wheel.now() + maxMs);
  }

  inform(): void {}

  respond(_head: ResponseHead, body: BodySource | null): void {
    if (this.#isOver || body === null) {
      body?.cancel(dropped());
      this.#end();
      return;
    }
    // Read to its end, so that the connection can be used again.
    this.#source = body;
    body.pipe(this);
  }

  upgrade(_head: ResponseHead, stream: ByteStream): void {
    stream.readable.cancel(dropped());
    stream.writable.fail(dropped());
    this.#end();
  }

  fail(): void {
    this.#source = null;
    this.#end();
  }

  write(chunk: Uint8Array): boolean {
    if (this.#isOver) return false;
    this.#received += chunk.length;
    if (this.#received <= maxAnswer) return true;
    this.#cutOff();
    return false;
  }

  end(): void {
    this.#source = null;
    this.#end();
  }

  onTimer(): void {
    this.#cutOff();
  }

  #cutOff(): void {
    const source = this.#source;
    this.#source = null;
    this.#end();
    source?.cancel(dropped());
    this.abort(dropped());
  }

  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#mirror.wheel.cancel(this.#timer);
    this.#mirror.shadows--;
  }
}

function dropped(): ProxyError {
  return new ProxyError("client_disconnected", "cannot use the answer: it is a shadow's");
}

/** An exchange whose body is copied as it goes by. */
class MirroredExchange extends PassedExchange {
  readonly #mirror: Mirror;
  readonly #copy: RequestHead;

  constructor(outer: Exchange, mirror: Mirror, copy: RequestHead) {
    super(outer);
    this.#mirror = mirror;
    this.#copy = copy;
  }

  override takeBody(): BodySource | null {
    const body = this.outer.takeBody();
    const { config, copies } = this.#mirror;
    if (body === null || copies >= config.concurrent) return body;
    this.#mirror.copies++;
    return new CopiedBody(body, this);
  }

  get limit(): number {
    return this.#mirror.config.bodyBytes;
  }

  /** The copy is over, whatever came of it. */
  copied(): void {
    this.#mirror.copies--;
  }

  whole(bytes: Uint8Array): void {
    this.#mirror.send(this.#copy, bytes, this.client, this.depth);
  }
}

class CopiedBody implements BodySource, BodySink {
  readonly length: number;
  readonly #source: BodySource;
  readonly #exchange: MirroredExchange;
  #sink: BodySink | null = null;
  /** Null once it is too long. */
  #chunks: Uint8Array[] | null = [];
  #size = 0;

  constructor(source: BodySource, exchange: MirroredExchange) {
    this.length = source.length;
    this.#source = source;
    this.#exchange = exchange;
  }

  pipe(sink: BodySink): void {
    this.#sink = sink;
    this.#source.pipe(this);
  }

  resume(): void {
    this.#source.resume();
  }

  cancel(error: ProxyError): void {
    this.#sink = null;
    this.#drop();
    this.#source.cancel(error);
  }

  write(chunk: Uint8Array): boolean {
    this.#keep(chunk);
    return this.#sink?.write(chunk) ?? false;
  }

  lend(chunk: Uint8Array, lender: Lender): boolean {
    this.#keep(chunk);
    const sink = this.#sink;
    if (sink?.lend !== undefined) return sink.lend(chunk, lender);
    const more = sink?.write(Uint8Array.from(chunk)) ?? false;
    lender.giveBack();
    return more;
  }

  end(trailers: HeaderBlock | null): void {
    const sink = this.#sink;
    const chunks = this.#chunks;
    this.#sink = null;
    this.#drop();
    sink?.end(trailers);
    if (chunks !== null) this.#exchange.whole(Buffer.concat(chunks));
  }

  fail(error: ProxyError): void {
    const sink = this.#sink;
    this.#sink = null;
    this.#drop();
    sink?.fail(error);
  }

  #drop(): void {
    if (this.#chunks === null) return;
    this.#chunks = null;
    this.#exchange.copied();
  }

  #keep(chunk: Uint8Array): void {
    if (this.#chunks === null) return;
    this.#size += chunk.length;
    if (this.#size > this.#exchange.limit) this.#drop();
    // The sink owns the chunk from now on, and may change it.
    else this.#chunks.push(Uint8Array.from(chunk));
  }
}
