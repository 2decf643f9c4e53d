/** Why no certificate could be had. The message reads `cannot <action>: <reason>` and holds no secret. */
export class AcmeError extends Error {
  /** The authority answered, whatever it said. */
  readonly reached: boolean;
  /** Its problem type without the prefix that all have (RFC 8555 §6.7), as `rateLimited`; empty for none. */
  readonly type: string;
  /** How long it asked to wait, in milliseconds; 0 is nothing. */
  readonly retryAfterMs: number;

  constructor(
    message: string,
    {
      reached = true,
      type = "",
      retryAfterMs = 0,
    }: Partial<Pick<AcmeError, "reached" | "type" | "retryAfterMs">> = {},
  ) {
    super(message);
    this.reached = reached;
    this.type = type;
    this.retryAfterMs = retryAfterMs;
  }
}
