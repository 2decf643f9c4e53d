import type { RetriesConfig } from "../../config/schema/upstream.ts";
import type { Traffic } from "../../observability/traffic.ts";
import { FailureSet } from "./failure-kind.ts";

/** When and how often a request is sent again. */
export class RetryPolicy {
  /** Attempts after the first. */
  readonly attempts: number;
  readonly on: FailureSet;
  /** Milliseconds until the head of a response, for each attempt; 0 is no limit. */
  readonly perTryMs: number;
  /** Milliseconds before the same endpoint is asked again; null when it never is. */
  readonly backoffMs: number | null;
  /** Bytes of a request's body that are kept. */
  readonly bodyBuffer: number;
  readonly #percent: number;
  readonly #min: number;
  /** Exchanges that are being tried again. */
  #retrying = 0;

  /** @param config without one, what could not be connected to is tried elsewhere. */
  constructor(config: RetriesConfig | undefined) {
    this.attempts = config?.attempts ?? 2;
    this.on = new FailureSet(config?.on ?? ["connect"]);
    this.perTryMs = config?.perTryTimeout ?? 0;
    this.backoffMs = config?.backoff ?? null;
    this.bodyBuffer = config?.bodyBuffer ?? 0;
    this.#percent = config?.budget.percent ?? 100;
    this.#min = config?.budget.min ?? 0;
  }

  /** Takes one retry out of the budget. @returns false when there is none; otherwise `end` gives it back */
  begin(traffic: Traffic): boolean {
    if (this.#retrying >= Math.max(this.#min, (this.#percent / 100) * traffic.active)) return false;
    this.#retrying++;
    return true;
  }

  end(): void {
    this.#retrying--;
  }

  /** Milliseconds, doubled with each attempt; the random half keeps those that failed together from coming back so. */
  delay(attempt: number, random: number): number {
    const full = Math.min((this.backoffMs ?? 0) * 2 ** Math.max(0, attempt - 1), maxBackoffMs);
    return full / 2 + (random * full) / 2;
  }
}

const maxBackoffMs = 1_000;
