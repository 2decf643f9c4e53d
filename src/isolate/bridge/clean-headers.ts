import { HeaderBlock, isTokenCode } from "../../http/header-block.ts";

/**
 * Fields that a Worker cannot set: they belong to one connection or to framing, which is always written anew
 * (RFC 9110 §7.6.1, RFC 9112 §6), or repeat what the URL says.
 */
const dropped = new Set([
  "connection",
  "content-length",
  "host",
  "http2-settings",
  "keep-alive",
  "proxy-connection",
  "te",
  "transfer-encoding",
  "upgrade",
]);

/** Values of fields that are dropped: the length for the answer to HEAD, and what a fetch wants to upgrade to. */
export interface KeptFields {
  contentLength: string;
  upgrade: string;
}

/** By the lengths of the names above, which letters they begin with: all else needs no look-up. */
const firstLetters: readonly string[] = (() => {
  const letters: string[] = new Array<string>(18).fill("");
  for (const name of dropped) letters[name.length] += name[0] ?? "";
  return letters;
})();

/** What may not stand in a section: controls but TAB, CR and LF, and characters beyond Latin-1. */
const forbidden = /[^\t\r\n\x20-\x7e\x80-\xff]/;

/**
 * The header section that came from a guest, checked line by line as if it came from a socket, since a Worker could
 * have broken the runtime that checked it before. Null when a line is not valid.
 * @param kept takes what is of use of the fields that are dropped.
 */
export function cleanHeaders(text: string, kept?: KeptFields): HeaderBlock | null {
  if (text === "") return new HeaderBlock();
  // One pass of native code over all characters, and searches for the ends of lines, cost half of a loop over them here.
  if (forbidden.test(text)) return null;
  let left = "";
  let run = 0;
  for (let line = 0; line < text.length; ) {
    let colon = line;
    while (isTokenCode(text.charCodeAt(colon))) colon++;
    if (colon === line || text.charCodeAt(colon) !== 58) return null;
    const end = text.indexOf("\r", colon);
    const next = end + 2;
    if (end < 0 || text.indexOf("\n", colon) !== end + 1) return null;
    if (mayBeDropped(text, line, colon - line)) {
      const name = text.slice(line, colon).toLowerCase();
      if (dropped.has(name)) {
        if (kept !== undefined) {
          if (name === "content-length") kept.contentLength = text.slice(colon + 1, end).trim();
          else if (name === "upgrade") kept.upgrade = text.slice(colon + 1, end).trim();
        }
        left += text.slice(run, line);
        run = next;
      }
    }
    line = next;
  }
  return new HeaderBlock(run === 0 ? text : left + text.slice(run));
}

function mayBeDropped(text: string, at: number, length: number): boolean {
  if (length > 17) return false;
  const letters = firstLetters[length] as string;
  const letter = text.charCodeAt(at) | 32;
  for (let i = 0; i < letters.length; i++) {
    if (letters.charCodeAt(i) === letter) return true;
  }
  return false;
}
