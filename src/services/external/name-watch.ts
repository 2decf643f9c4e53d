import type { ResolveConfig } from "../../config/schema/upstream.ts";
import { type TimerOwner, type TimerWheel, WheelTimer } from "../../net/timer-wheel.ts";
import type { NameResolver } from "./name-resolver.ts";

/** Hears what a name leads to. */
export interface NameOwner {
  onAddresses(watch: NameWatch, addresses: readonly string[]): void;
  /** The last answer, if there is one, goes on. */
  onUnresolved(watch: NameWatch, error: Error): void;
}

/** The first wait after a failure, and the longest. */
const retryMs = 1_000;
const maxRetryMs = 30_000;

/** Resolves one name again and again: at its TTL, and after a failure with growing pauses. */
export class NameWatch implements TimerOwner {
  readonly host: string;
  /** Why the last resolution failed; null after one that did not. */
  error: Error | null = null;
  /** Some resolution has come to its end. */
  settled = false;
  readonly #owner: NameOwner;
  readonly #resolver: NameResolver;
  readonly #config: ResolveConfig;
  readonly #wheel: TimerWheel;
  readonly #timer: WheelTimer = new WheelTimer(this);
  #asking = false;
  #failures = 0;
  #lastAsked = Number.NEGATIVE_INFINITY;
  #closed = false;

  constructor(
    host: string,
    owner: NameOwner,
    resolver: NameResolver,
    config: ResolveConfig,
    wheel: TimerWheel,
  ) {
    this.host = host;
    this.#owner = owner;
    this.#resolver = resolver;
    this.#config = config;
    this.#wheel = wheel;
  }

  /** Asks now, unless it is asking, or has just done so. @returns whether an answer is on its way */
  ask(): boolean {
    if (this.#closed) return false;
    if (this.#asking) return true;
    const now = this.#wheel.now();
    if (now - this.#lastAsked < Math.min(this.#config.minTtl, retryMs)) return false;
    this.#asking = true;
    this.#lastAsked = now;
    this.#wheel.cancel(this.#timer);
    void this.#resolver.resolve(this.host).then(
      ({ addresses, ttlMs }) => this.#onAnswer(addresses, ttlMs),
      (error: unknown) => this.#onFailure(error instanceof Error ? error : new Error(String(error))),
    );
    return true;
  }

  onTimer(): void {
    this.#lastAsked = Number.NEGATIVE_INFINITY;
    this.ask();
  }

  close(): void {
    this.#closed = true;
    this.#wheel.cancel(this.#timer);
  }

  #onAnswer(addresses: readonly string[], ttlMs: number | null): void {
    if (this.#closed) return;
    const { minTtl, maxTtl, refresh } = this.#config;
    this.#failures = 0;
    this.error = null;
    this.#settle(ttlMs === null ? refresh : Math.max(minTtl, Math.min(ttlMs, maxTtl)));
    this.#owner.onAddresses(this, addresses);
  }

  #onFailure(error: Error): void {
    if (this.#closed) return;
    this.#failures++;
    this.error = error;
    this.#settle(Math.min(retryMs * 2 ** Math.min(this.#failures - 1, 10), maxRetryMs));
    this.#owner.onUnresolved(this, error);
  }

  #settle(nextMs: number): void {
    this.#asking = false;
    this.settled = true;
    this.#wheel.arm(this.#timer, this.#wheel.now() + nextMs);
  }
}
