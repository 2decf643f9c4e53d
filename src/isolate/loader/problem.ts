/** A place in a Worker's source where it does not compile, or where it will not do what its author means. */
export interface WorkerProblem {
  readonly severity: "error" | "warning";
  /** Absolute path, or empty when the problem has no place. */
  readonly file: string;
  /** From 1, or 0 when the problem has no place. */
  readonly line: number;
  /** From 1, in UTF-16 code units, or 0 when the problem has no place. */
  readonly column: number;
  /** Of the offending text, in UTF-16 code units; 0 is a point. */
  readonly length: number;
  /** Reads `cannot <action>: <reason>`. */
  readonly text: string;
  /** The source line, without its end; empty when the problem has no place. */
  readonly lineText: string;
}
