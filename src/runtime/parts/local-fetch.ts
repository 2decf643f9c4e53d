import { atob } from "../web/base64.ts";
import { parseMime, serializeMime } from "../web/mime.ts";
import {
  StringCharCodeAt,
  StringFromCharCode,
  StringIndexOf,
  StringSlice,
  StringStartsWith,
  StringToLowerCase,
  Uint8ArrayNative,
} from "../web/primordials.ts";
import type { RequestParts } from "../web/request.ts";
import { type Response, responseFromBytes } from "../web/response.ts";
import { quote } from "../web/webidl.ts";
import { trimAsciiSpace } from "../web/whitespace.ts";

/**
 * `fetch()` of what is no http or https URL: `data:` URLs (Fetch §4.2, scheme fetch), for which nobody is asked.
 *
 * @throws TypeError for other schemes, and for a data URL that cannot be read.
 */
export async function localFetch(request: RequestParts): Promise<Response> {
  const { signal, url } = request;
  if (signal?.aborted) throw signal.reason;
  if (!StringStartsWith(url, "data:")) {
    throw new TypeError(`cannot fetch ${quote(url)}: the scheme is not http, https or data`);
  }
  const data = parseDataUrl(url);
  if (data === null) throw new TypeError(`cannot fetch ${quote(url)}: it is not a valid data URL`);
  const headers = `Content-Type: ${data.type}\r\n`;
  const hash = StringIndexOf(url, "#");
  return responseFromBytes(
    hash < 0 ? url : StringSlice(url, 0, hash),
    headers,
    request.method === "HEAD" ? null : data.bytes,
  );
}

/** Fetch §6, the data URL processor. Null on failure. @param url in normal form, so ASCII */
function parseDataUrl(url: string): { type: string; bytes: Uint8Array } | null {
  const hash = StringIndexOf(url, "#");
  const end = hash < 0 ? url.length : hash;
  const comma = StringIndexOf(url, ",");
  if (comma < 0 || comma >= end) return null;
  let type = trimAsciiSpace(StringSlice(url, 5, comma));
  let bytes = percentDecoded(StringSlice(url, comma + 1, end));
  const stripped = withoutBase64(type);
  if (stripped !== null) {
    type = stripped;
    const decoded = decodeBase64(bytes);
    if (decoded === null) return null;
    bytes = decoded;
  }
  if (StringStartsWith(type, ";")) type = `text/plain${type}`;
  const mime = parseMime(type);
  return { type: mime === null ? "text/plain;charset=US-ASCII" : serializeMime(mime), bytes };
}

/** The type before `;base64` at its end, or null when it does not end so. */
function withoutBase64(type: string): string | null {
  const at = type.length - 6;
  if (at < 1 || StringToLowerCase(StringSlice(type, at)) !== "base64") return null;
  let semicolon = at - 1;
  while (semicolon > 0 && StringCharCodeAt(type, semicolon) === 32) semicolon--;
  return StringCharCodeAt(type, semicolon) === 59 ? StringSlice(type, 0, semicolon) : null;
}

function hexDigit(code: number): number {
  if (code >= 48 && code <= 57) return code - 48;
  const letter = code | 32;
  return letter >= 97 && letter <= 102 ? letter - 87 : -1;
}

/** URL §1.3, percent-decode. */
function percentDecoded(text: string): Uint8Array {
  const bytes = new Uint8ArrayNative(text.length);
  let used = 0;
  for (let i = 0; i < text.length; i++) {
    const code = StringCharCodeAt(text, i);
    const high = code === 37 && i + 2 < text.length ? hexDigit(StringCharCodeAt(text, i + 1)) : -1;
    const low = high < 0 ? -1 : hexDigit(StringCharCodeAt(text, i + 2));
    if (low < 0) bytes[used++] = code;
    else {
      bytes[used++] = high * 16 + low;
      i += 2;
    }
  }
  const exact = new Uint8ArrayNative(used);
  for (let i = 0; i < used; i++) exact[i] = bytes[i] as number;
  return exact;
}

function decodeBase64(bytes: Uint8Array): Uint8Array | null {
  let text = "";
  for (let i = 0; i < bytes.length; i++) text += StringFromCharCode(bytes[i] as number);
  try {
    const decoded = atob(text);
    const result = new Uint8ArrayNative(decoded.length);
    for (let i = 0; i < result.length; i++) result[i] = StringCharCodeAt(decoded, i);
    return result;
  } catch {
    return null;
  }
}
