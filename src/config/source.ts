/** Where a diagnostic points: everything needed to print it, and nothing that a substituted value could stand in. */
export interface Place {
  /** Absolute path. */
  readonly file: string;
  /** 1-based. */
  readonly line: number;
  /** 1-based, in UTF-16 code units, as editors count. */
  readonly column: number;
  /** In code units of the line; at least 1. */
  readonly length: number;
  /** The line as it stands in the file, variables not substituted. */
  readonly lineText: string;
}

/** A stretch of one source file, `end` exclusive, in UTF-16 code units. */
export interface Span {
  readonly source: SourceFile;
  readonly start: number;
  readonly end: number;
}

/** The text of one file, with the places of its lines. */
export class SourceFile {
  /** Absolute path. */
  readonly path: string;
  readonly text: string;
  readonly #starts: number[] = [0];

  constructor(path: string, text: string) {
    this.path = path;
    this.text = text;
    for (let i = text.indexOf("\n"); i !== -1; i = text.indexOf("\n", i + 1)) this.#starts.push(i + 1);
  }

  /** The place of `start` … `end`; what goes past the first line is left out, since the caret stands under one line. */
  place(start: number, end: number): Place {
    const line = this.#lineOf(start);
    const from = this.#starts[line] ?? 0;
    let to = this.#starts[line + 1] ?? this.text.length + 1;
    to -= 1;
    if (this.text.charCodeAt(to - 1) === 0x0d) to -= 1;
    return {
      file: this.path,
      line: line + 1,
      column: start - from + 1,
      length: Math.max(1, Math.min(end, to) - start),
      lineText: this.text.slice(from, to),
    };
  }

  #lineOf(offset: number): number {
    let low = 0;
    let high = this.#starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.#starts[middle] ?? 0) <= offset) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

/** The place of a span, or null when there is none: the value came from the command line. */
export function placeOf(span: Span | null): Place | null {
  return span === null ? null : span.source.place(span.start, span.end);
}
