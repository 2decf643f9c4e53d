import { isTokenCode, trimmed } from "../header-block.ts";
import { malformed, Violation } from "./violation.ts";

/** The elements of a comma-separated list in lower case; empty ones are left out (RFC 9110 §5.6.1). */
export function listOf(value: string): string[] {
  const elements: string[] = [];
  let from = 0;
  while (from <= value.length) {
    let to = value.indexOf(",", from);
    if (to < 0) to = value.length;
    const element = trimmed(value, from, to);
    if (element !== "") elements.push(element.toLowerCase());
    from = to + 1;
  }
  return elements;
}

/**
 * The value of a Content-Length field: decimal digits and nothing else (RFC 9110 §8.6). A list is refused even when its
 * members agree, since the next recipient may pick another member than we would.
 */
export function parseContentLength(value: string): number {
  let length = 0;
  for (let i = 0; i < value.length; i++) {
    const digit = value.charCodeAt(i) - 48;
    if (digit < 0 || digit > 9) throw malformed("Content-Length is no decimal number");
    length = length * 10 + digit;
    if (length > Number.MAX_SAFE_INTEGER) throw malformed("Content-Length is too great");
  }
  if (value.length === 0) throw malformed("Content-Length is empty");
  return length;
}

/**
 * Accepts `chunked` as the one transfer coding (RFC 9112 §6.1, §7). A body whose last coding is not `chunked` has no
 * reliable end; a coding before it is one that we do not know.
 */
export function checkTransferCodings(value: string): void {
  if (value === "chunked") return;
  if (value.length > 256) throw malformed("Transfer-Encoding is too long");
  const codings = value.split(",").map((coding) => trimmed(coding, 0, coding.length).toLowerCase());
  if (codings.at(-1) !== "chunked") throw malformed("the last transfer coding is not chunked");
  for (const coding of codings.slice(0, -1)) {
    if (coding === "chunked") throw malformed("chunked is applied twice");
    if (!isTokenCode(coding.charCodeAt(0))) throw malformed("Transfer-Encoding is no list of codings");
  }
  if (codings.length > 1) throw new Violation("codingUnknown", "a transfer coding is unknown");
}

/** The field lines of `text`, which must be a valid block, but those whose name, in lower case, is in `names`. */
export function withoutNames(text: string, names: ReadonlySet<string>): string {
  let kept = "";
  let run = 0;
  for (let line = 0; line < text.length; ) {
    const next = text.indexOf("\n", line) + 1;
    if (next === 0) return kept + text.slice(run, line);
    if (names.has(text.slice(line, text.indexOf(":", line)).toLowerCase())) {
      kept += text.slice(run, line);
      run = next;
    }
    line = next;
  }
  return run === 0 ? text : kept + text.slice(run);
}
