import type { ExternalConfig } from "../../../config/schema/external.ts";
import { ProxyError } from "../../../errors/proxy-error.ts";
import { type TimerOwner, type TimerWheel, WheelTimer } from "../../../net/timer-wheel.ts";
import type { AttemptOwner, EndpointClient } from "../attempt.ts";
import type { Endpoint } from "../endpoint.ts";
import { WarmConnections, type WarmPool } from "../warm-connections.ts";
import { Http1Attempt } from "./attempt.ts";
import { Http1Connection } from "./connection.ts";

/**
 * The HTTP/1.1 connections to one endpoint. An idle connection is used last in, first out, so that a quiet time lets the others
 * run out. At the bound, attempts wait in order; the wait counts against their time to connect.
 */
export class Http1Pool implements EndpointClient, WarmPool, TimerOwner {
  readonly #endpoint: Endpoint;
  readonly #wheel: TimerWheel;
  readonly #timer: WheelTimer = new WheelTimer(this);
  readonly #idle: Http1Connection[] = [];
  /** All connections, idle, busy and being opened. */
  readonly #open: Set<Http1Connection> = new Set();
  /** Attempts that wait for a connection, with the time until which they do. */
  readonly #waiting: Map<Http1Attempt, number> = new Map();
  #warm: WarmConnections | null = null;
  #closed = false;

  constructor(endpoint: Endpoint) {
    this.#endpoint = endpoint;
    this.#wheel = endpoint.upstream.wheel;
  }

  get open(): number {
    return this.#open.size;
  }

  get idle(): number {
    return this.#idle.length;
  }

  get pending(): number {
    return this.#waiting.size;
  }

  keepWarm(count: number): void {
    const { connections, idleConnections } = this.#limits;
    this.#warm = new WarmConnections(this, this.#wheel, Math.min(count, connections, idleConnections));
    this.#warm.fill();
  }

  get usable(): number {
    return this.#open.size;
  }

  openAhead(): void {
    this.#openFor(null, this.#connectDeadline());
  }

  attempt(owner: AttemptOwner, fresh: boolean): Http1Attempt {
    return new Http1Attempt(this.#endpoint, this, owner, fresh);
  }

  /**
   * Gives the attempt a connection, now or later, by `onConnection` or `onNoConnection`.
   * @param fresh an idle connection will not do, since one has just failed.
   */
  acquire(attempt: Http1Attempt, fresh: boolean): void {
    if (!fresh) {
      for (let connection = this.#idle.pop(); connection !== undefined; connection = this.#idle.pop()) {
        if (!connection.usable) continue;
        connection.begin(attempt);
        return;
      }
    }
    const { connections } = this.#limits;
    if (this.#open.size >= connections && this.#idle.length > 0) this.#idle.shift()?.destroy();
    if (this.#open.size < connections) {
      this.#openFor(attempt, this.#connectDeadline());
      return;
    }
    const { upstream } = this.#endpoint;
    if (!upstream.mayWait) {
      attempt.onNoConnection(upstream.refuse("pending"));
      return;
    }
    const deadline = this.#connectDeadline();
    if (this.#waiting.size === 0) this.#wheel.arm(this.#timer, deadline);
    this.#waiting.set(attempt, deadline);
    upstream.pending++;
  }

  /** The attempt does not want a connection any more. */
  leave(attempt: Http1Attempt): void {
    if (!this.#waiting.delete(attempt)) return;
    this.#endpoint.upstream.pending--;
    if (this.#waiting.size === 0) this.#wheel.cancel(this.#timer);
  }

  /** A connection has done its attempt, and can serve another. @returns false when it is not wanted. */
  release(connection: Http1Connection): boolean {
    // What its preamble tells is true of one client alone.
    if (this.#endpoint.upstream.preambles !== null) return false;
    const next = this.#nextWaiting();
    if (next !== null) {
      connection.begin(next);
      return true;
    }
    if (this.#closed || this.#idle.length >= this.#limits.idleConnections) return false;
    this.#idle.push(connection);
    return true;
  }

  /** A connection is closed, or is about to be and counts no more. Idempotent. */
  forget(connection: Http1Connection): void {
    if (!this.#open.delete(connection)) return;
    const index = this.#idle.lastIndexOf(connection);
    if (index >= 0) this.#idle.splice(index, 1);
    this.#warm?.lost(connection.stoodAt);
    if (this.#waiting.size === 0 || this.#open.size >= this.#limits.connections) return;
    const deadline = this.#waiting.values().next().value ?? this.#connectDeadline();
    const next = this.#nextWaiting();
    if (next !== null) this.#openFor(next, deadline);
  }

  /** Closes the idle connections; the others close when their attempt is done. */
  close(): void {
    this.#closed = true;
    this.#warm?.close();
    for (const connection of [...this.#idle]) connection.destroy();
  }

  onTimer(now: number): void {
    for (const [attempt, deadline] of this.#waiting) {
      if (deadline > now) {
        this.#wheel.arm(this.#timer, deadline);
        return;
      }
      this.leave(attempt);
      const { connections } = this.#limits;
      attempt.onNoConnection(
        new ProxyError(
          "upstream_busy",
          `cannot connect to ${this.#endpoint.where}: all ${connections} connections are in use`,
        ),
      );
    }
  }

  #openFor(attempt: Http1Attempt | null, deadline: number): void {
    const connection = new Http1Connection(this.#endpoint, this, attempt, deadline);
    this.#open.add(connection);
    connection.open();
  }

  get #limits(): ExternalConfig["limits"] {
    return this.#endpoint.upstream.config.limits;
  }

  #nextWaiting(): Http1Attempt | null {
    const first = this.#waiting.keys().next().value;
    if (first === undefined) return null;
    this.leave(first);
    return first;
  }

  #connectDeadline(): number {
    const { connect } = this.#endpoint.upstream.config.timeouts;
    return connect > 0 ? this.#wheel.now() + connect : Number.POSITIVE_INFINITY;
  }
}
