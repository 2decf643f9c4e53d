import { DOMException } from "./dom-exception.ts";
import { ArraySlice, ReflectApply, StringCharCodeAt, StringFromCharCode } from "./primordials.ts";
import { quote, requireArguments } from "./webidl.ts";
import { isAsciiSpace } from "./whitespace.ts";

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const encodeTable = new Uint8Array(64);
const decodeTable = new Int8Array(256).fill(-1);
for (let i = 0; i < 64; i++) {
  encodeTable[i] = alphabet.charCodeAt(i);
  decodeTable[alphabet.charCodeAt(i)] = i;
}

const blockSize = 1024;
// Code units are gathered here and made into a string a block at a time.
const block: number[] = new Array<number>(blockSize).fill(0);

function blockToString(length: number): string {
  return ReflectApply(
    StringFromCharCode,
    undefined,
    length === blockSize ? block : ArraySlice(block, 0, length),
  );
}

/** HTML §8.3: each character is a byte. */
export function btoa(data: string): string {
  requireArguments(arguments.length, 1, "btoa");
  const text = `${data}`;
  let result = "";
  let used = 0;
  for (let i = 0; i < text.length; i += 3) {
    const a = StringCharCodeAt(text, i);
    const b = i + 1 < text.length ? StringCharCodeAt(text, i + 1) : 0;
    const c = i + 2 < text.length ? StringCharCodeAt(text, i + 2) : 0;
    if ((a | b | c) > 255) {
      throw new DOMException(
        "cannot encode as base64: data has a character above U+00FF",
        "InvalidCharacterError",
      );
    }
    block[used] = encodeTable[a >> 2] as number;
    block[used + 1] = encodeTable[((a & 3) << 4) | (b >> 4)] as number;
    block[used + 2] = i + 1 < text.length ? (encodeTable[((b & 15) << 2) | (c >> 6)] as number) : 61;
    block[used + 3] = i + 2 < text.length ? (encodeTable[c & 63] as number) : 61;
    used += 4;
    if (used === blockSize) {
      result += blockToString(used);
      used = 0;
    }
  }
  return result + blockToString(used);
}

/** HTML §8.3, decoding per Infra §7 ("forgiving-base64 decode"). */
export function atob(data: string): string {
  requireArguments(arguments.length, 1, "atob");
  const text = `${data}`;
  let end = text.length;
  let padding = 0;
  let count = 0;
  // Up to two trailing "=" are dropped, and only when that completes a quantum.
  for (let i = 0; i < text.length; i++) if (!isAsciiSpace(StringCharCodeAt(text, i))) count++;
  if (count % 4 === 0) {
    while (end > 0 && padding < 2) {
      const code = StringCharCodeAt(text, end - 1);
      if (code === 61) padding++;
      else if (!isAsciiSpace(code)) break;
      end--;
    }
  }
  let result = "";
  let used = 0;
  let bits = 0;
  let held = 0;
  for (let i = 0; i < end; i++) {
    const code = StringCharCodeAt(text, i);
    if (isAsciiSpace(code)) continue;
    const value = code < 256 ? (decodeTable[code] as number) : -1;
    if (value < 0) throw invalid(text);
    bits = ((bits << 6) | value) & 0xffffff;
    held += 6;
    if (held < 8) continue;
    held -= 8;
    block[used++] = (bits >> held) & 255;
    if (used === blockSize) {
      result += blockToString(used);
      used = 0;
    }
  }
  if (held === 6) throw invalid(text);
  return result + blockToString(used);
}

function invalid(text: string): DOMException {
  return new DOMException(
    `cannot decode base64: ${quote(text)} is not correctly encoded`,
    "InvalidCharacterError",
  );
}
