/** The ways in which a peer can break HTTP/1.1. Each side maps them to its own error codes. */
export type ViolationKind =
  | "malformed"
  | "headTooLarge"
  | "targetTooLong"
  | "codingUnknown"
  | "versionUnsupported"
  | "expectationUnknown"
  | "connectTargetInvalid"
  | "headCutOff"
  | "bodyCutOff";

/**
 * Thrown inside the parser only, and caught by its `next()`. It is no Error, so that a flood of malformed messages does
 * not pay for stack traces.
 */
export class Violation {
  readonly kind: ViolationKind;
  readonly reason: string;

  constructor(kind: ViolationKind, reason: string) {
    this.kind = kind;
    this.reason = reason;
  }
}

export function malformed(reason: string): Violation {
  return new Violation("malformed", reason);
}
