import { part } from "../part.ts";
import type { Decoder } from "../web/encoding.ts";
import {
  ObjectCreate,
  StringCodePointAt,
  StringIndexOf,
  StringSlice,
  Uint32ArrayNative,
} from "../web/primordials.ts";
import { Units } from "../web/utf8.ts";

/** The encodings of Encoding §4.2 that `encoding.ts` does not know by itself: name, colon, labels. */
const encodings: readonly string[] = [
  "ibm866: 866 cp866 csibm866 ibm866",
  "iso-8859-2: csisolatin2 iso-8859-2 iso-ir-101 iso8859-2 iso88592 iso_8859-2 iso_8859-2:1987 l2 latin2",
  "iso-8859-3: csisolatin3 iso-8859-3 iso-ir-109 iso8859-3 iso88593 iso_8859-3 iso_8859-3:1988 l3 latin3",
  "iso-8859-4: csisolatin4 iso-8859-4 iso-ir-110 iso8859-4 iso88594 iso_8859-4 iso_8859-4:1988 l4 latin4",
  "iso-8859-5: csisolatincyrillic cyrillic iso-8859-5 iso-ir-144 iso8859-5 iso88595 iso_8859-5 iso_8859-5:1988",
  "iso-8859-6: arabic asmo-708 csiso88596e csiso88596i csisolatinarabic ecma-114 iso-8859-6 iso-8859-6-e iso-8859-6-i iso-ir-127 iso8859-6 iso88596 iso_8859-6 iso_8859-6:1987",
  "iso-8859-7: csisolatingreek ecma-118 elot_928 greek greek8 iso-8859-7 iso-ir-126 iso8859-7 iso88597 iso_8859-7 iso_8859-7:1987 sun_eu_greek",
  "iso-8859-8: csiso88598e csisolatinhebrew hebrew iso-8859-8 iso-8859-8-e iso-ir-138 iso8859-8 iso88598 iso_8859-8 iso_8859-8:1988 visual",
  "iso-8859-8-i: csiso88598i iso-8859-8-i logical",
  "iso-8859-10: csisolatin6 iso-8859-10 iso-ir-157 iso8859-10 iso885910 l6 latin6",
  "iso-8859-13: iso-8859-13 iso8859-13 iso885913",
  "iso-8859-14: iso-8859-14 iso8859-14 iso885914",
  "iso-8859-15: csisolatin9 iso-8859-15 iso8859-15 iso885915 iso_8859-15 l9",
  "iso-8859-16: iso-8859-16",
  "koi8-r: cskoi8r koi koi8 koi8-r koi8_r",
  "koi8-u: koi8-ru koi8-u",
  "macintosh: csmacintosh mac macintosh x-mac-roman",
  "windows-874: dos-874 iso-8859-11 iso8859-11 iso885911 tis-620 windows-874",
  "windows-1250: cp1250 windows-1250 x-cp1250",
  "windows-1251: cp1251 windows-1251 x-cp1251",
  "windows-1253: cp1253 windows-1253 x-cp1253",
  "windows-1254: cp1254 csisolatin5 iso-8859-9 iso-ir-148 iso8859-9 iso88599 iso_8859-9 iso_8859-9:1989 l5 latin5 windows-1254 x-cp1254",
  "windows-1255: cp1255 windows-1255 x-cp1255",
  "windows-1256: cp1256 windows-1256 x-cp1256",
  "windows-1257: cp1257 windows-1257 x-cp1257",
  "windows-1258: cp1258 windows-1258 x-cp1258",
  "x-mac-cyrillic: x-mac-cyrillic x-mac-ukrainian",
  "gbk: chinese csgb2312 csiso58gb231280 gb2312 gb_2312 gb_2312-80 gbk iso-ir-58 x-gbk",
  "gb18030: gb18030",
  "big5: big5 big5-hkscs cn-big5 csbig5 x-x-big5",
  "euc-jp: cseucpkdfmtjapanese euc-jp x-euc-jp",
  "iso-2022-jp: csiso2022jp iso-2022-jp",
  "shift_jis: csshiftjis ms932 ms_kanji shift-jis shift_jis sjis windows-31j x-sjis",
  "euc-kr: cseuckr csksc56011987 euc-kr iso-ir-149 korean ks_c_5601-1987 ks_c_5601-1989 ksc5601 ksc_5601 windows-949",
  "replacement: csiso2022kr hz-gb-2312 iso-2022-cn iso-2022-cn-ext iso-2022-kr replacement",
  "x-user-defined: x-user-defined",
];

const names = readLabels();

function readLabels(): Record<string, string> {
  const table = ObjectCreate(null) as Record<string, string>;
  for (let i = 0; i < encodings.length; i++) {
    const line = encodings[i] as string;
    const colon = StringIndexOf(line, ":");
    const name = StringSlice(line, 0, colon);
    for (let from = colon + 2; from < line.length; ) {
      const space = StringIndexOf(line, " ", from);
      const end = space < 0 ? line.length : space;
      table[StringSlice(line, from, end)] = name;
      from = end + 1;
    }
  }
  return table;
}

/** The name of the encoding that `label` means, in lower case as labels are; undefined when there is none. */
export function legacyEncoding(label: string): string | undefined {
  return names[label];
}

/** @param encoding a name that `legacyEncoding` gave, but not "replacement". */
export function makeLegacyDecoder(encoding: string, fatal: boolean): Decoder {
  switch (encoding) {
    case "big5": {
      const { Big5Decoder } = part<typeof import("./legacy-encodings-big5.ts")>("legacy-encodings-big5");
      return new Big5Decoder(fatal);
    }
    case "euc-kr": {
      const { EucKrDecoder } = part<typeof import("./legacy-encodings-korean.ts")>("legacy-encodings-korean");
      return new EucKrDecoder(fatal);
    }
    case "gbk":
    case "gb18030": {
      const { Gb18030Decoder } =
        part<typeof import("./legacy-encodings-chinese.ts")>("legacy-encodings-chinese");
      return new Gb18030Decoder(fatal);
    }
    case "euc-jp":
    case "iso-2022-jp":
    case "shift_jis":
      return part<typeof import("./legacy-encodings-japanese.ts")>(
        "legacy-encodings-japanese",
      ).makeJapaneseDecoder(encoding, fatal);
    default:
      return part<typeof import("./legacy-encodings-single.ts")>(
        "legacy-encodings-single",
      ).makeSingleByteDecoder(encoding, fatal);
  }
}

/** An index of Encoding §5: code points by their pointers. */
export class CharacterIndex {
  readonly #points: Uint32Array;

  /** @param rows characters in the order of their pointers, `width` a row; a space, or a row's missing end, is a gap. */
  constructor(rows: readonly string[], width: number) {
    const points = new Uint32ArrayNative(rows.length * width);
    for (let row = 0; row < rows.length; row++) {
      const text = rows[row] as string;
      let at = row * width;
      for (let i = 0; i < text.length; i++) {
        const point = StringCodePointAt(text, i);
        if (point > 0xffff) i++;
        points[at++] = point === 32 ? 0 : point;
      }
    }
    this.#points = points;
  }

  /** 0 when nothing is there. */
  at(pointer: number): number {
    return pointer < this.#points.length ? (this.#points[pointer] as number) : 0;
  }

  /** Fills a gap. */
  fill(pointer: number, point: number): void {
    if (this.at(pointer) === 0) this.#points[pointer] = point;
  }
}

/** Stands for the end of the input among bytes. */
export const END = -1;

/**
 * A decoder as the Encoding standard writes them: `read` takes a byte, or END, and calls `emit`, `error`, or `read`
 * again for bytes that it puts back. Bytes of an unfinished character stay for the next call.
 */
export abstract class MultiByteDecoder implements Decoder {
  readonly #fatal: boolean;
  #units = new Units();

  constructor(fatal: boolean) {
    this.#fatal = fatal;
  }

  /** @throws TypeError for malformed data when it is to be fatal; the decoder is of no use afterwards. */
  decode(bytes: Uint8Array, end: number, last: boolean): string {
    this.#units = new Units();
    for (let i = 0; i < end; i++) this.read(bytes[i] as number);
    if (last) this.read(END);
    return this.#units.finish();
  }

  protected abstract read(byte: number): void;

  protected emit(point: number): void {
    if (point < 0x10000) {
      this.#units.push(point);
    } else {
      this.#units.push(0xd7c0 + (point >> 10));
      this.#units.push(0xdc00 | (point & 0x3ff));
    }
  }

  protected error(): void {
    if (this.#fatal) throw new TypeError("cannot decode: the data is not valid in its encoding");
    this.#units.push(0xfffd);
  }

  /** The end of a character that `point` is, or of none when it is 0: an ASCII byte then counts for itself. */
  protected finish(point: number, byte: number): void {
    if (point !== 0) {
      this.emit(point);
      return;
    }
    this.error();
    if (byte < 0x80) this.read(byte);
  }
}
