import { ProxyError } from "../../errors/proxy-error.ts";
import type { BodySource } from "../../http/body.ts";
import type { ByteStream, Exchange } from "../../http/exchange.ts";
import type { ResponseHead } from "../../http/message.ts";
import { type TimerOwner, type TimerWheel, WheelTimer } from "../../net/timer-wheel.ts";
import type { Middleware } from "../middleware/middleware.ts";
import { PassedExchange } from "../middleware/passed-exchange.ts";
import type { Service, Tunnel } from "../service.ts";

/** Bounds the time until the response's head. */
export class RouteTimeout implements Middleware {
  readonly #ms: number;
  readonly #wheel: TimerWheel;

  constructor(ms: number, wheel: TimerWheel) {
    this.#ms = ms;
    this.#wheel = wheel;
  }

  handle(exchange: Exchange, next: Service): void {
    next.handle(new TimedExchange(exchange, this.#wheel, this.#ms));
  }

  /** The service behind has timeouts of its own for tunnels. */
  connect(tunnel: Tunnel, next: Service): void {
    next.connect(tunnel);
  }
}

class TimedExchange extends PassedExchange implements TimerOwner {
  readonly #wheel: TimerWheel;
  readonly #ms: number;
  readonly #timer = new WheelTimer(this);

  constructor(outer: Exchange, wheel: TimerWheel, ms: number) {
    super(outer);
    this.#wheel = wheel;
    this.#ms = ms;
    wheel.arm(this.#timer, wheel.now() + ms);
  }

  override respond(head: ResponseHead, body: BodySource | null): void {
    this.#wheel.cancel(this.#timer);
    super.respond(head, body);
  }

  override upgrade(head: ResponseHead, stream: ByteStream): void {
    this.#wheel.cancel(this.#timer);
    super.upgrade(head, stream);
  }

  override fail(error: ProxyError): void {
    this.#wheel.cancel(this.#timer);
    super.fail(error);
  }

  override abort(error: ProxyError): void {
    this.#wheel.cancel(this.#timer);
    super.abort(error);
  }

  onTimer(): void {
    const error = new ProxyError(
      "upstream_total_timeout",
      `cannot wait for the response: the rule allows ${this.#ms} ms`,
    );
    this.outer.handler = null;
    this.outer.fail(error);
    super.abort(error);
  }
}
