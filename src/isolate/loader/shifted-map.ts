const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const digits = new Map([...alphabet].map((character, digit) => [character.charCodeAt(0), digit]));

/** Text without a line break that is put before the character at `at`. */
interface Insertion {
  readonly at: number;
  readonly text: string;
}

/**
 * The source map (ECMA-426) of code after insertions: what stands behind one in its line moves to the right.
 *
 * @param sourceMap JSON text, or empty.
 * @param code before the insertions.
 * @param insertions in the order of their places.
 */
export function shiftColumns(sourceMap: string, code: string, insertions: readonly Insertion[]): string {
  if (sourceMap === "") return sourceMap;
  const map = JSON.parse(sourceMap) as { mappings: string };
  let next = 0;
  let lineStart = 0;
  const lines = map.mappings.split(";").map((line) => {
    const newline = code.indexOf("\n", lineStart);
    const lineEnd = newline < 0 ? code.length : newline;
    const first = next;
    while (next < insertions.length && (insertions[next] as Insertion).at <= lineEnd) next++;
    const shifted = first === next ? line : shiftLine(line, lineStart, insertions.slice(first, next));
    lineStart = lineEnd + 1;
    return shifted;
  });
  map.mappings = lines.join(";");
  return JSON.stringify(map);
}

/** Only the first field of each segment changes: the distance from the column of the one before. */
function shiftLine(line: string, lineStart: number, insertions: readonly Insertion[]): string {
  if (line === "") return line;
  let column = 0;
  let shiftedBefore = 0;
  let shift = 0;
  let next = 0;
  const segments = line.split(",").map((segment) => {
    const { value, end } = decode(segment);
    column += value;
    while (next < insertions.length && (insertions[next] as Insertion).at <= lineStart + column) {
      shift += (insertions[next] as Insertion).text.length;
      next++;
    }
    const distance = column + shift - shiftedBefore;
    shiftedBefore = column + shift;
    return encode(distance) + segment.slice(end);
  });
  return segments.join(",");
}

function decode(segment: string): { value: number; end: number } {
  let value = 0;
  let at = 0;
  for (let shift = 0; at < segment.length; shift += 5) {
    const digit = digits.get(segment.charCodeAt(at++)) ?? 0;
    value += (digit & 31) << shift;
    if ((digit & 32) === 0) break;
  }
  return { value: value & 1 ? -(value >> 1) : value >> 1, end: at };
}

function encode(value: number): string {
  let rest = value < 0 ? (-value << 1) | 1 : value << 1;
  let text = "";
  do {
    const digit = rest & 31;
    rest >>>= 5;
    text += alphabet[rest > 0 ? digit | 32 : digit];
  } while (rest > 0);
  return text;
}
