import { StringCharCodeAt, StringSlice } from "./primordials.ts";

/** ASCII whitespace (Infra §4.6): tab, LF, FF, CR and space. */
export function isAsciiSpace(code: number): boolean {
  return code === 32 || code === 9 || code === 10 || code === 12 || code === 13;
}

/** HTTP whitespace (Fetch §2.2): tab, LF, CR and space. */
export function isHttpSpace(code: number): boolean {
  return code === 32 || code === 9 || code === 10 || code === 13;
}

/** Without ASCII whitespace at its beginning and end. */
export function trimAsciiSpace(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isAsciiSpace(StringCharCodeAt(text, start))) start++;
  while (end > start && isAsciiSpace(StringCharCodeAt(text, end - 1))) end--;
  return StringSlice(text, start, end);
}
