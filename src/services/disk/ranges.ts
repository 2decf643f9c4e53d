/** Bytes from `start` up to, but not including, `end`. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/**
 * More ranges than that, or ones that overlap, cost the server more than they spare the client: RFC 9110 §14.2 lets the
 * whole be sent instead.
 */
const maxRanges = 16;

/**
 * Reads a Range field for content of `size` bytes (RFC 9110 §14.1.2). Ranges beyond the end are left out.
 *
 * @returns the ranges in the order asked for; empty when none can be satisfied (416); null when the field does not count.
 */
export function parseRanges(value: string, size: number): ByteRange[] | null {
  const unit = value.indexOf("=");
  if (unit === -1 || value.slice(0, unit).trim().toLowerCase() !== "bytes") return null;
  const specs = value.slice(unit + 1).split(",");
  if (specs.length > maxRanges) return null;
  const ranges: ByteRange[] = [];
  let empty = true;
  for (const spec of specs) {
    const text = spec.trim();
    if (text === "") continue;
    empty = false;
    const range = parseSpec(text, size);
    if (range === null) return null;
    if (range.start < range.end) ranges.push(range);
  }
  if (empty || overlap(ranges)) return null;
  return ranges;
}

/** Null when the text is no range; an empty range when it cannot be satisfied. */
function parseSpec(text: string, size: number): ByteRange | null {
  const dash = text.indexOf("-");
  if (dash === -1) return null;
  if (dash === 0) {
    const suffix = readInteger(text.slice(1));
    return suffix === -1 ? null : { start: Math.max(0, size - suffix), end: size };
  }
  const first = readInteger(text.slice(0, dash));
  const lastText = text.slice(dash + 1);
  const last = lastText === "" ? Number.POSITIVE_INFINITY : readInteger(lastText);
  if (first === -1 || last === -1 || last < first) return null;
  if (first >= size) return { start: size, end: size };
  return { start: first, end: Math.min(last + 1, size) };
}

/** Numbers too large to be exact are larger than every file. */
function readInteger(text: string): number {
  if (text.length === 0) return -1;
  let value = 0;
  for (let i = 0; i < text.length; i++) {
    const digit = text.charCodeAt(i) - 48;
    if (digit < 0 || digit > 9) return -1;
    value = Math.min(value * 10 + digit, Number.MAX_SAFE_INTEGER - 1);
  }
  return value;
}

function overlap(ranges: readonly ByteRange[]): boolean {
  const sorted = ranges.toSorted((a, b) => a.start - b.start);
  return sorted.some((range, i) => i > 0 && range.start < (sorted[i - 1]?.end ?? 0));
}
