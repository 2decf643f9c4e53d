import { ProxyError } from "../../../errors/proxy-error.ts";
import { type TimerOwner, WheelTimer } from "../../../net/timer-wheel.ts";
import type { AttemptOwner, EndpointClient } from "../attempt.ts";
import type { Endpoint } from "../endpoint.ts";
import { WarmConnections, type WarmPool } from "../warm-connections.ts";
import { Http2Attempt } from "./attempt.ts";
import { Http2Session } from "./session.ts";

/**
 * The HTTP/2 connections to one endpoint. One is enough until the server's limit of streams is reached; then another is
 * opened, and at the bound attempts wait in order.
 */
export class Http2Pool implements EndpointClient, WarmPool, TimerOwner {
  readonly #endpoint: Endpoint;
  readonly #timer: WheelTimer = new WheelTimer(this);
  /** Those that take streams, or will; few, so that a list will do. */
  #sessions: Http2Session[] = [];
  /** All that are not closed, with those that only finish what they have. */
  readonly #open: Set<Http2Session> = new Set();
  /** In the order in which they came, with the time until which they wait. */
  readonly #waiting: Map<Http2Attempt, number> = new Map();
  #warm: WarmConnections | null = null;
  #closed = false;

  constructor(endpoint: Endpoint) {
    this.#endpoint = endpoint;
  }

  get open(): number {
    return this.#open.size;
  }

  get idle(): number {
    let idle = 0;
    for (const session of this.#sessions) if (session.isIdle) idle++;
    return idle;
  }

  get pending(): number {
    return this.#waiting.size;
  }

  attempt(owner: AttemptOwner, fresh: boolean): Http2Attempt {
    return new Http2Attempt(this.#endpoint, this, owner, fresh);
  }

  /** One connection stands for all requests, so one is kept open beforehand, whatever the count. */
  keepWarm(count: number): void {
    this.#warm = new WarmConnections(this, this.#endpoint.upstream.wheel, Math.min(count, 1));
    this.#warm.fill();
  }

  get usable(): number {
    return this.#sessions.length;
  }

  openAhead(): void {
    this.#openSession();
  }

  /**
   * Gives the attempt a session, now or later, by `onSession` or `onNoSession`.
   * @param fresh one that has just failed is not to be trusted with another try
   */
  acquire(attempt: Http2Attempt, fresh: boolean): void {
    if (!fresh) {
      for (const session of this.#sessions) {
        if (!session.hasRoom) continue;
        session.begin(attempt);
        return;
      }
    }
    const { upstream } = this.#endpoint;
    const opening = this.#sessions.filter((session) => session.isConnecting);
    const awaited = opening.reduce((sum, session) => sum + session.streamLimit, 0);
    const mayOpen = this.#open.size < upstream.config.limits.connections;
    // The bound is for those that no connection is opened for; a check of health among them would fail by our own load.
    if (this.#waiting.size >= awaited && !mayOpen && !upstream.mayWait) {
      attempt.onNoSession(upstream.refuse("pending"));
      return;
    }
    const { connect } = upstream.config.timeouts;
    const deadline = connect > 0 ? upstream.wheel.now() + connect : Number.POSITIVE_INFINITY;
    if (this.#waiting.size === 0) upstream.wheel.arm(this.#timer, deadline);
    this.#waiting.set(attempt, deadline);
    upstream.pending++;
    if (this.#waiting.size > awaited && mayOpen) this.#openSession();
  }

  /** The attempt does not want a session any more. */
  leave(attempt: Http2Attempt): void {
    if (!this.#waiting.delete(attempt)) return;
    this.#endpoint.upstream.pending--;
    if (this.#waiting.size > 0) return;
    this.#endpoint.upstream.wheel.cancel(this.#timer);
    if (!this.#closed) return;
    for (const session of [...this.#open]) if (session.isConnecting) session.close();
  }

  /** A session has room: it stands now, a stream of it has ended, or the server allows more. */
  onRoom(session: Http2Session): void {
    while (session.hasRoom) {
      const first = this.#waiting.keys().next().value;
      if (first === undefined) break;
      this.leave(first);
      session.begin(first);
    }
    if (this.#closed && session.isIdle) session.close();
  }

  /** A session takes no more streams. Idempotent. */
  retire(session: Http2Session): void {
    this.#remove(session);
    this.#reopen();
    this.#warm?.lost(session.stoodAt);
  }

  /**
   * A session is closed.
   * @param error why it could not be opened, if so: those that wait for it hear it
   */
  forget(session: Http2Session, error: ProxyError | null): void {
    this.#open.delete(session);
    this.#remove(session);
    if (error !== null && !this.#sessions.some((each) => each.isConnecting)) {
      for (const attempt of [...this.#waiting.keys()]) {
        this.leave(attempt);
        attempt.onNoSession(error);
      }
    }
    this.#reopen();
    this.#warm?.lost(session.stoodAt);
  }

  close(): void {
    this.#closed = true;
    this.#warm?.close();
    for (const session of [...this.#open]) {
      // Those that wait for it still get it, and it ends with the last of its streams: a GOAWAY would overtake a request
      // that was handed over in this turn.
      if (session.isIdle || (session.isConnecting && this.#waiting.size === 0)) session.close();
    }
  }

  onTimer(now: number): void {
    for (const [attempt, deadline] of this.#waiting) {
      if (deadline > now) {
        this.#endpoint.upstream.wheel.arm(this.#timer, deadline);
        return;
      }
      this.leave(attempt);
      const message = `cannot send the request to ${this.#endpoint.where}: no connection takes it`;
      attempt.onNoSession(new ProxyError("upstream_busy", message));
    }
  }

  #openSession(): void {
    const session = new Http2Session(this.#endpoint, this);
    this.#sessions.push(session);
    this.#open.add(session);
    session.open();
  }

  #remove(session: Http2Session): void {
    const at = this.#sessions.indexOf(session);
    if (at >= 0) this.#sessions.splice(at, 1);
  }

  /** Attempts may wait for what will not come any more. */
  #reopen(): void {
    const { connections } = this.#endpoint.upstream.config.limits;
    if (this.#waiting.size === 0 || this.#open.size >= connections) return;
    if (!this.#sessions.some((session) => session.isConnecting || session.hasRoom)) this.#openSession();
  }
}
