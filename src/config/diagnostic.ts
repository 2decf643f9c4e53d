import { type Place, placeOf, type Span } from "./source.ts";

export type Severity = "error" | "warning";

/** A second place that belongs to a diagnostic: where the same name stood before, for example. */
export interface Note {
  readonly message: string;
  readonly place: Place | null;
}

/** One finding about the config or about a Worker's source. `message` reads `cannot <action>: <reason>` for errors. */
export interface Diagnostic {
  readonly severity: Severity;
  readonly message: string;
  /** Null when no file is to blame, but the command line or the environment. */
  readonly place: Place | null;
  readonly notes: readonly Note[];
}

/** A finding of the bundler in a Worker's source; src/isolate/loader/problem.ts says more. */
export interface SourceProblem {
  readonly severity: Severity;
  /** Absolute path, or empty when the problem has no place. */
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** From 1, in UTF-16 code units. */
  readonly column: number;
  readonly length: number;
  readonly text: string;
  readonly lineText: string;
}

/** Gathers the diagnostics of one run. */
export class Report {
  readonly #found: Diagnostic[] = [];
  readonly #seen: Set<string> = new Set();
  readonly #hidden: Place[] = [];

  error(span: Span | null, message: string, notes: readonly Note[] = []): void {
    this.add({ severity: "error", message, place: placeOf(span), notes });
  }

  warning(span: Span | null, message: string, notes: readonly Note[] = []): void {
    this.add({ severity: "warning", message, place: placeOf(span), notes });
  }

  /** Source lines are shown without this stretch: it holds a secret, and what is reported ends up in logs. */
  hide(span: Span | null): void {
    const place = placeOf(span);
    if (place !== null) this.#hidden.push(place);
  }

  /** The same finding at the same place counts once: several checks may meet the same mistake. */
  add(diagnostic: Diagnostic): void {
    const place = diagnostic.place;
    const key = `${place?.file}:${place?.line}:${place?.column}:${diagnostic.message}`;
    if (this.#seen.has(key)) return;
    this.#seen.add(key);
    this.#found.push(diagnostic);
  }

  get hasErrors(): boolean {
    return this.#found.some((diagnostic) => diagnostic.severity === "error");
  }

  /** All of them: those without a place first, then by file in the order given (others after, by path) and position. */
  sorted(files: readonly string[]): Diagnostic[] {
    const found =
      this.#hidden.length === 0 ? this.#found : this.#found.map((each) => this.#withoutSecrets(each));
    return sortDiagnostics(found, files);
  }

  #withoutSecrets(diagnostic: Diagnostic): Diagnostic {
    const notes = diagnostic.notes.map((note) => ({ ...note, place: this.#mask(note.place) }));
    return { ...diagnostic, place: this.#mask(diagnostic.place), notes };
  }

  #mask(place: Place | null): Place | null {
    if (place === null) return null;
    let { lineText } = place;
    for (const { file, line, column, length } of this.#hidden) {
      if (file !== place.file || line !== place.line) continue;
      lineText = lineText.slice(0, column - 1) + "*".repeat(length) + lineText.slice(column - 1 + length);
    }
    return { ...place, lineText };
  }
}

/** Sorts diagnostics by file and position. Files that are not in `files` come last, by path. */
export function sortDiagnostics(diagnostics: readonly Diagnostic[], files: readonly string[]): Diagnostic[] {
  const order = new Map(files.map((file, index) => [file, index]));
  return diagnostics.toSorted((a, b) => {
    if (a.place === null || b.place === null) return Number(a.place !== null) - Number(b.place !== null);
    const byFile =
      (order.get(a.place.file) ?? files.length) - (order.get(b.place.file) ?? files.length) ||
      compare(a.place.file, b.place.file);
    return byFile || a.place.line - b.place.line || a.place.column - b.place.column;
  });
}

/** A bundler's finding about the Worker `name`, in the form that config diagnostics have. */
export function workerDiagnostic(name: string, problem: SourceProblem): Diagnostic {
  const { file, line, column, lineText } = problem;
  const placed = file !== "" && line > 0;
  return {
    severity: problem.severity,
    message: `Worker "${name}": ${problem.text}`,
    place: placed
      ? { file, line, column: Math.max(1, column), length: Math.max(1, problem.length), lineText }
      : null,
    notes: [],
  };
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
