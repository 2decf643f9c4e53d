import { ProxyError } from "../../errors/proxy-error.ts";
import { type TimerOwner, type TimerWheel, WheelTimer } from "../../net/timer-wheel.ts";
import type { Upstream } from "./upstream.ts";
import { UpstreamConnection } from "./upstream-connection.ts";
import type { UpstreamExchange } from "./upstream-exchange.ts";

/**
 * The connections to one upstream. An idle connection is used last in, first out, so that a quiet time lets the others
 * run out. At the bound, exchanges wait in order; the wait counts against their time to connect.
 */
export class UpstreamPool implements TimerOwner {
  readonly #upstream: Upstream;
  readonly #wheel: TimerWheel;
  readonly #timer: WheelTimer = new WheelTimer(this);
  readonly #idle: UpstreamConnection[] = [];
  /** All connections, idle, busy and being opened. */
  readonly #open: Set<UpstreamConnection> = new Set();
  /** Exchanges that wait for a connection, with the time until which they do. */
  readonly #waiting: Map<UpstreamExchange, number> = new Map();
  #closed = false;

  constructor(upstream: Upstream) {
    this.#upstream = upstream;
    this.#wheel = upstream.wheel;
  }

  get open(): number {
    return this.#open.size;
  }

  get idle(): number {
    return this.#idle.length;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /**
   * Gives the exchange a connection, now or later, by `onConnection` or `onNoConnection`.
   * @param fresh an idle connection will not do, since one has just failed.
   */
  acquire(exchange: UpstreamExchange, fresh: boolean): void {
    if (!fresh) {
      for (let connection = this.#idle.pop(); connection !== undefined; connection = this.#idle.pop()) {
        if (!connection.usable) continue;
        connection.begin(exchange);
        return;
      }
    }
    const { connections } = this.#upstream.config.limits;
    if (this.#open.size >= connections && this.#idle.length > 0) this.#idle.shift()?.destroy();
    if (this.#open.size < connections) {
      this.#openFor(exchange, this.#connectDeadline());
      return;
    }
    const deadline = this.#connectDeadline();
    if (this.#waiting.size === 0) this.#wheel.arm(this.#timer, deadline);
    this.#waiting.set(exchange, deadline);
  }

  /** The exchange does not want a connection any more. */
  leave(exchange: UpstreamExchange): void {
    if (this.#waiting.delete(exchange) && this.#waiting.size === 0) this.#wheel.cancel(this.#timer);
  }

  /** A connection has done its exchange, and can serve another. @returns false when it is not wanted. */
  release(connection: UpstreamConnection): boolean {
    const next = this.#nextWaiting();
    if (next !== null) {
      connection.begin(next);
      return true;
    }
    if (this.#closed || this.#idle.length >= this.#upstream.config.limits.idleConnections) return false;
    this.#idle.push(connection);
    return true;
  }

  /** A connection is closed, or is about to be and counts no more. Idempotent. */
  forget(connection: UpstreamConnection): void {
    if (!this.#open.delete(connection)) return;
    const index = this.#idle.lastIndexOf(connection);
    if (index >= 0) this.#idle.splice(index, 1);
    if (this.#waiting.size === 0 || this.#open.size >= this.#upstream.config.limits.connections) return;
    const deadline = this.#waiting.values().next().value ?? this.#connectDeadline();
    const next = this.#nextWaiting();
    if (next !== null) this.#openFor(next, deadline);
  }

  /** Closes the idle connections; the others close when their exchange is done. */
  close(): void {
    this.#closed = true;
    for (const connection of [...this.#idle]) connection.destroy();
  }

  onTimer(now: number): void {
    for (const [exchange, deadline] of this.#waiting) {
      if (deadline > now) {
        this.#wheel.arm(this.#timer, deadline);
        return;
      }
      this.#waiting.delete(exchange);
      const { connections } = this.#upstream.config.limits;
      exchange.onNoConnection(
        new ProxyError(
          "upstream_busy",
          `cannot connect to ${this.#upstream.where}: all ${connections} connections are in use`,
        ),
      );
    }
  }

  #openFor(exchange: UpstreamExchange, deadline: number): void {
    const connection = new UpstreamConnection(this.#upstream, this, exchange, deadline);
    this.#open.add(connection);
    connection.open();
  }

  #nextWaiting(): UpstreamExchange | null {
    const first = this.#waiting.keys().next().value;
    if (first === undefined) return null;
    this.leave(first);
    return first;
  }

  #connectDeadline(): number {
    const { connect } = this.#upstream.config.timeouts;
    return connect > 0 ? this.#wheel.now() + connect : Number.POSITIVE_INFINITY;
  }
}
