import { isTokenCode } from "../../src/http/header-block.ts";

const COLON = 0x3a;
const TAB = 0x09;

/** True when `text` is a run of valid field lines, each ended by CRLF: what a HeaderBlock may hold (RFC 9112 §5). */
export function validBlock(text: string): boolean {
  let at = 0;
  while (at < text.length) {
    const line = at;
    while (isTokenCode(text.charCodeAt(at))) at++;
    if (at === line || text.charCodeAt(at) !== COLON) return false;
    at++;
    for (;;) {
      const code = text.charCodeAt(at);
      if (code === 0x0d) break;
      if (!((code >= 0x20 && code !== 0x7f && code < 0x100) || code === TAB)) return false;
      at++;
    }
    if (text.charCodeAt(at + 1) !== 0x0a) return false;
    at += 2;
  }
  return true;
}
