/** Where in a message a parser stands. */
export type State =
  | "idle"
  | "startLine"
  | "fields"
  | "fixed"
  | "untilClose"
  | "chunkSize"
  | "chunkExtension"
  | "chunkSizeEnd"
  | "chunkData"
  | "chunkDataCr"
  | "chunkDataLf"
  | "trailers"
  | "complete"
  | "paused"
  | "failed";

interface Row {
  /** The peer closes its side here; `failed` means that the message is cut off. */
  readonly close: State;
  readonly [cause: string]: State;
}

/**
 * Every move from one state to another, by its cause. A move that is not in the table does not type-check, since the
 * parser names it as `transitions.<state>.<cause>`. Any state goes to `failed` when the peer breaks the grammar.
 *
 * A body that runs until the connection closes ends well by a close; everything else that a close interrupts is
 * incomplete (RFC 9112 §8).
 */
export const transitions = {
  idle: { octets: "startLine", close: "idle" },
  startLine: { line: "fields", close: "failed" },
  fields: {
    interim: "idle",
    none: "complete",
    fixed: "fixed",
    chunked: "chunkSize",
    untilClose: "untilClose",
    close: "failed",
  },
  fixed: { whole: "complete", close: "failed" },
  untilClose: { close: "complete" },
  chunkSize: { extension: "chunkExtension", cr: "chunkSizeEnd", close: "failed" },
  chunkExtension: { cr: "chunkSizeEnd", close: "failed" },
  chunkSizeEnd: { chunk: "chunkData", last: "trailers", close: "failed" },
  chunkData: { whole: "chunkDataCr", close: "failed" },
  chunkDataCr: { cr: "chunkDataLf", close: "failed" },
  chunkDataLf: { lf: "chunkSize", close: "failed" },
  trailers: { end: "complete", close: "failed" },
  complete: { told: "paused", close: "complete" },
  paused: { resume: "idle", close: "paused" },
  failed: { close: "failed" },
} as const satisfies Record<State, Row>;

/** How the head just read goes on: an interim response has no body and another head after it. */
export type BodyKind = Exclude<keyof typeof transitions.fields, "close">;
