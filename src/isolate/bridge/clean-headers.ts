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

/** Longest of the names above; a longer one needs no look-up. */
const LONGEST = 17;

/**
 * The header section that came from a guest, checked line by line as if it came from a socket, since a Worker could
 * have broken the runtime that checked it before. Null when a line is not valid.
 * @param contentLength takes the value of Content-Length, for the answer to HEAD.
 */
export function cleanHeaders(text: string, contentLength?: { value: string }): HeaderBlock | null {
  let kept = "";
  let run = 0;
  for (let line = 0; line < text.length; ) {
    let at = line;
    while (at < text.length && isTokenCode(text.charCodeAt(at))) at++;
    if (at === line || text.charCodeAt(at) !== 58) return null;
    const colon = at;
    for (at = colon + 1; at < text.length; at++) {
      const code = text.charCodeAt(at);
      if (code < 32 ? code !== 9 : code === 127 || code > 255) break;
    }
    if (text.charCodeAt(at) !== 13 || text.charCodeAt(at + 1) !== 10) return null;
    const next = at + 2;
    if (colon - line <= LONGEST) {
      const name = text.slice(line, colon).toLowerCase();
      if (dropped.has(name)) {
        if (name === "content-length" && contentLength)
          contentLength.value = text.slice(colon + 1, at).trim();
        kept += text.slice(run, line);
        run = next;
      }
    }
    line = next;
  }
  return new HeaderBlock(run === 0 ? text : kept + text.slice(run));
}
