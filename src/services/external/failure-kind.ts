import type { ProxyError } from "../../errors/proxy-error.ts";

/** In what way an endpoint failed, as retries, passive health and metrics tell it apart. */
export type Failure = "connect" | "reset" | "timeout" | "malformed" | "status" | "check";

/** What an error says about the endpoint; null when it says nothing: the client left, or we are busy ourselves. */
export function failureOf(error: ProxyError): Failure | null {
  switch (error.code) {
    case "upstream_unreachable":
    case "upstream_connect_timeout":
    case "upstream_tls_failed":
    case "upstream_name_unresolved":
      return "connect";
    case "upstream_reset":
    case "upstream_truncated":
      return "reset";
    case "upstream_head_timeout":
    case "upstream_idle_timeout":
      return "timeout";
    case "upstream_malformed":
      return "malformed";
    default:
      return null;
  }
}

/** Which failures count for something, from a list in the config. */
export class FailureSet {
  readonly connect: boolean;
  readonly reset: boolean;
  readonly timeout: boolean;
  /** Null when no status counts. */
  readonly statuses: ReadonlySet<number> | null;

  constructor(kinds: readonly ("connect" | "reset" | "timeout" | number)[]) {
    this.connect = kinds.includes("connect");
    this.reset = kinds.includes("reset");
    this.timeout = kinds.includes("timeout");
    const statuses = kinds.filter((kind) => typeof kind === "number");
    this.statuses = statuses.length > 0 ? new Set(statuses) : null;
  }

  has(failure: Failure): boolean {
    switch (failure) {
      case "connect":
        return this.connect;
      case "reset":
        return this.reset;
      case "timeout":
        return this.timeout;
      default:
        return false;
    }
  }

  hasStatus(status: number): boolean {
    return this.statuses?.has(status) === true;
  }
}
