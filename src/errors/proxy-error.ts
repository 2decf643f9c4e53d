/** Who caused an error: the client, the origin, a Worker, the configuration, or Sluice itself. */
export type ErrorSource = "downstream" | "upstream" | "worker" | "config" | "internal";

interface ErrorKind {
  readonly status: number;
  readonly source: ErrorSource;
  /** Nothing of the request was processed, so sending it once more is safe whatever its method (RFC 9110 §9.2.2). */
  readonly retry: boolean;
}

/**
 * Every way an exchange can fail, with the one mapping to a status code. Codes are stable: they stand in logs, metrics
 * and docs. Status 0 means that no answer can be given, because the client is gone.
 */
const kinds = {
  request_malformed: { status: 400, source: "downstream", retry: false },
  request_timeout: { status: 408, source: "downstream", retry: false },
  request_body_too_large: { status: 413, source: "downstream", retry: false },
  request_target_too_long: { status: 414, source: "downstream", retry: false },
  request_expectation_unknown: { status: 417, source: "downstream", retry: false },
  request_headers_too_large: { status: 431, source: "downstream", retry: false },
  request_coding_unknown: { status: 501, source: "downstream", retry: false },
  request_version_unsupported: { status: 505, source: "downstream", retry: false },
  request_body_incomplete: { status: 400, source: "downstream", retry: false },
  client_disconnected: { status: 0, source: "downstream", retry: false },
  method_not_allowed: { status: 405, source: "downstream", retry: false },
  /** After 101, so no status ever goes out. */
  websocket_failed: { status: 0, source: "downstream", retry: false },
  tunnel_idle_timeout: { status: 0, source: "downstream", retry: false },
  connect_target_invalid: { status: 400, source: "downstream", retry: false },
  proxy_auth_required: { status: 407, source: "downstream", retry: false },
  login_attempts_exceeded: { status: 429, source: "downstream", retry: false },
  request_misdirected: { status: 421, source: "downstream", retry: false },

  address_denied: { status: 403, source: "config", retry: false },
  destination_denied: { status: 403, source: "config", retry: false },
  route_missing: { status: 404, source: "config", retry: false },
  service_loop: { status: 508, source: "config", retry: false },
  connect_refused: { status: 403, source: "worker", retry: false },
  connect_unsupported: { status: 501, source: "config", retry: false },
  upgrade_unsupported: { status: 501, source: "config", retry: false },

  upstream_name_unresolved: { status: 502, source: "upstream", retry: true },
  upstream_unreachable: { status: 502, source: "upstream", retry: true },
  upstream_connect_timeout: { status: 504, source: "upstream", retry: true },
  upstream_tls_failed: { status: 502, source: "upstream", retry: false },
  upstream_proxy_failed: { status: 502, source: "upstream", retry: false },
  upstream_busy: { status: 503, source: "upstream", retry: true },
  upstream_overloaded: { status: 503, source: "upstream", retry: true },
  upstream_head_timeout: { status: 504, source: "upstream", retry: false },
  upstream_idle_timeout: { status: 504, source: "upstream", retry: false },
  upstream_total_timeout: { status: 504, source: "upstream", retry: false },
  upstream_reset: { status: 502, source: "upstream", retry: false },
  upstream_malformed: { status: 502, source: "upstream", retry: false },
  upstream_truncated: { status: 502, source: "upstream", retry: false },

  worker_exception: { status: 500, source: "worker", retry: false },
  worker_bad_response: { status: 500, source: "worker", retry: false },
  worker_no_handler: { status: 500, source: "worker", retry: false },
  worker_hung: { status: 500, source: "worker", retry: false },
  worker_cpu_exceeded: { status: 500, source: "worker", retry: false },
  worker_memory_exceeded: { status: 500, source: "worker", retry: false },
  worker_wall_exceeded: { status: 500, source: "worker", retry: false },
  worker_startup_failed: { status: 500, source: "worker", retry: false },
  worker_subrequests_exceeded: { status: 500, source: "worker", retry: false },
  worker_quarantined: { status: 503, source: "worker", retry: false },
  worker_body_failed: { status: 500, source: "worker", retry: false },

  disk_failed: { status: 500, source: "internal", retry: false },
  draining: { status: 503, source: "internal", retry: true },
  internal: { status: 500, source: "internal", retry: false },
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof kinds;

/** All codes, for docs and metrics. */
export const errorCodes = Object.keys(kinds) as ErrorCode[];

/**
 * The one error type that travels through the proxy. `message` reads `cannot <action>: <reason>` and is for the log
 * only: clients see the status and `id`, never the message, the cause or the stack.
 */
export class ProxyError extends Error {
  readonly code: ErrorCode;
  /** Set when the error is reported, so that what the client saw can be found in the log. */
  id = "";
  /** Extra facts for the log; never secrets. */
  readonly details: Readonly<Record<string, string | number>> | null;
  /** A header that the answer to the client must have besides, such as a challenge; null for most. */
  readonly field: readonly [name: string, value: string] | null;

  constructor(
    code: ErrorCode,
    message: string,
    options: {
      cause?: unknown;
      details?: Readonly<Record<string, string | number>>;
      field?: readonly [name: string, value: string];
    } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "ProxyError";
    this.code = code;
    this.details = options.details ?? null;
    this.field = options.field ?? null;
  }

  get status(): number {
    return kinds[this.code].status;
  }

  get source(): ErrorSource {
    return kinds[this.code].source;
  }

  /** True when the request was provably never processed. */
  get retryable(): boolean {
    return kinds[this.code].retry;
  }

  /** Anything thrown, as a ProxyError; what is not one already becomes `internal`. */
  static from(error: unknown): ProxyError {
    if (error instanceof ProxyError) return error;
    const reason = error instanceof Error ? error.message : String(error);
    return new ProxyError("internal", `cannot finish the exchange: ${reason}`, { cause: error });
  }
}
