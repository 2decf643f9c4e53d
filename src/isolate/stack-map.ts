/** A place in one of the user's files. */
export interface SourcePlace {
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** From 1. */
  readonly column: number;
}

/** Generated line and column, source index, source line and column; all from 0. */
const stride = 5;
const digits = new Int8Array(128).fill(-1);
for (let index = 0; index < 64; index++) {
  digits["ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".charCodeAt(index)] = index;
}

/**
 * A source map (ECMA-426) for looking up places. Nothing is decoded before the first look-up, and that is done into one
 * flat array: 13 ms for a map of 1 MB, where the class of node:module takes 50 ms and holds up the shard for as long.
 * A map that is damaged finds nothing.
 */
export class StackMap {
  readonly #text: string;
  #sources: readonly unknown[] = [];
  #segments: Int32Array | null = null;
  #count = 0;

  /** @param text the source map as JSON, or empty. */
  constructor(text: string) {
    this.#text = text;
  }

  /** @param line from 1. @param column from 1. */
  find(line: number, column: number): SourcePlace | null {
    const segments = this.#segments ?? this.#load();
    let low = 0;
    let high = this.#count;
    // The last segment that begins at or before the place.
    while (low < high) {
      const middle = (low + high) >>> 1;
      const segmentLine = segments[middle * stride] ?? 0;
      const segmentColumn = segments[middle * stride + 1] ?? 0;
      if (segmentLine < line - 1 || (segmentLine === line - 1 && segmentColumn < column)) low = middle + 1;
      else high = middle;
    }
    if (low === 0) return null;
    const [segmentLine, , source, sourceLine, sourceColumn] = segments.subarray(
      (low - 1) * stride,
      low * stride,
    );
    const file = this.#sources[source ?? -1];
    if (segmentLine !== line - 1 || typeof file !== "string") return null;
    return { file, line: (sourceLine ?? 0) + 1, column: (sourceColumn ?? 0) + 1 };
  }

  #load(): Int32Array {
    this.#segments = new Int32Array(0);
    try {
      const map = JSON.parse(this.#text) as { sources?: unknown; mappings?: unknown } | null;
      if (map === null || !Array.isArray(map.sources) || typeof map.mappings !== "string")
        return this.#segments;
      this.#sources = map.sources;
      this.#decode(map.mappings);
    } catch {
      // Not JSON: nothing is found.
    }
    return this.#segments;
  }

  /** Stops at the first character that does not belong; what was decoded before it stands. */
  #decode(mappings: string): void {
    // A segment with a source takes at least four characters, and a fifth to set it off.
    const segments = new Int32Array(Math.ceil((mappings.length + 1) / 5) * stride);
    this.#segments = segments;
    const fields = new Int32Array(stride);
    let [line, column, source, sourceLine, sourceColumn] = [0, 0, 0, 0, 0];
    for (let position = 0; position < mappings.length; position++) {
      const separator = mappings.charCodeAt(position);
      if (separator === 44 /* , */) continue;
      if (separator === 59 /* ; */) {
        line++;
        column = 0;
        continue;
      }
      let found = 0;
      while (position < mappings.length && found < stride) {
        let value = 0;
        let digit = 32;
        for (let shift = 0; digit & 32; shift += 5) {
          digit = digits[mappings.charCodeAt(position)] ?? -1;
          if (digit < 0 || shift > 30) return;
          value += (digit & 31) * 2 ** shift;
          position++;
        }
        fields[found++] = value % 2 === 1 ? -(value - 1) / 2 : value / 2;
        const next = mappings.charCodeAt(position);
        if (next === 44 || next === 59) break;
      }
      // The separator, which the loop looks at next.
      position--;
      column += fields[0] ?? 0;
      if (found < 4) continue;
      source += fields[1] ?? 0;
      sourceLine += fields[2] ?? 0;
      sourceColumn += fields[3] ?? 0;
      const at = this.#count * stride;
      if (at + stride > segments.length) return;
      segments[at] = line;
      segments[at + 1] = column;
      segments[at + 2] = source;
      segments[at + 3] = sourceLine;
      segments[at + 4] = sourceColumn;
      this.#count++;
    }
  }
}
