import { StackMap } from "./stack-map.ts";

/** A script that runs in an isolate, and the way back from it to the user's files. */
export interface GuestScript {
  /** The name that it was compiled under, as stack frames show it. */
  readonly filename: string;
  readonly map: StackMap;
}

const maxStack = 64 * 1024;
const maxLine = 1024;
const maxFrames = 50;

/**
 * A guest's stack in V8's format with each frame at its place in the user's files. Frames of the runtime and of Sluice
 * are left out. The guest decides what a stack says, so this accepts anything, never throws, and gives back at most 64 KiB.
 */
export function mapStack(stack: string, script: GuestScript): string {
  const lines: string[] = [];
  let frames = 0;
  for (const line of stack.slice(0, maxStack).split("\n")) {
    if (!isFrame(line)) {
      lines.push(line.length > maxLine ? `${line.slice(0, maxLine)}…` : line);
      continue;
    }
    const mapped = mapFrame(line, script);
    if (mapped === null) continue;
    if (frames++ === maxFrames) break;
    lines.push(mapped);
  }
  return lines.join("\n").slice(0, maxStack);
}

/** As `mapStack`, for a Worker as it came from the bundler. The map is decoded when it is first needed. */
export function guestScript(filename: string, sourceMap: string): GuestScript {
  return { filename, map: new StackMap(sourceMap) };
}

function isFrame(line: string): boolean {
  return line.length <= maxLine && line.trimStart().startsWith("at ");
}

/** `at f (name:1:2)`, `at async f (name:1:2)`, `at name:1:2`; null when the frame is not the user's. */
function mapFrame(line: string, { filename, map }: GuestScript): string | null {
  const end = line.endsWith(")") ? line.length - 1 : line.length;
  if (line.endsWith("(<anonymous>)") || /\(index \d+\)$/.test(line)) return line;
  const columnAt = line.lastIndexOf(":", end - 1);
  const lineAt = line.lastIndexOf(":", columnAt - 1);
  if (columnAt < 0 || lineAt < 0) return null;
  const lineNumber = readNumber(line, lineAt + 1, columnAt);
  const column = readNumber(line, columnAt + 1, end);
  const start = lineAt - filename.length;
  if (lineNumber < 1 || column < 1 || start < 1 || !line.startsWith(filename, start)) return null;
  const before = line[start - 1];
  if (before !== "(" && before !== " ") return null;
  const place = map.find(lineNumber, column);
  if (place === null) return line;
  return `${line.slice(0, start)}${place.file}:${place.line}:${place.column}${line.slice(end)}`;
}

/** A decimal number, or -1. */
function readNumber(text: string, from: number, to: number): number {
  if (from >= to || to - from > 9) return -1;
  let value = 0;
  for (let index = from; index < to; index++) {
    const digit = text.charCodeAt(index) - 48;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value;
}
