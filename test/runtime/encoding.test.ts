import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, test } from "node:test";
import { Guest, same } from "./harness.ts";

let guest: Guest;
before(async () => {
  guest = await Guest.create();
});
after(() => guest.dispose());

test("TextEncoder encodes as Node's, lone surrogates included", () =>
  same(guest, (t) => {
    const encoder = new TextEncoder();
    const texts = [
      "",
      "abc",
      "äöü",
      "€",
      "\u{1f600}",
      "a\ud800b",
      "\udc00",
      "\ud800",
      "\ud83d\ude00\ud83d",
      "\u0000\u007f\u0080\u07ff\u0800\uffff",
    ];
    return [
      ...texts.map((text) => t.bytes(encoder.encode(text))),
      t.bytes(encoder.encode()),
      encoder.encoding,
      encoder.encode("x".repeat(5000)).length,
    ];
  }));

test("encodeInto stops where the next character does not fit", () =>
  same(guest, (t) => {
    const encoder = new TextEncoder();
    const out: unknown[] = [];
    for (const text of ["abc", "äb", "a€", "\u{1f600}", "a\u{1f600}b", "\ud800x"]) {
      for (let size = 0; size < 7; size++) {
        const target = new Uint8Array(size);
        out.push([encoder.encodeInto(text, target), t.bytes(target)]);
      }
    }
    out.push(t.error(() => encoder.encodeInto("a", [] as never)));
    return out;
  }));

test("TextDecoder decodes UTF-8 as Node's, well-formed or not", () =>
  same(guest, (t) => {
    const inputs = [
      [],
      [97, 98, 99],
      [0xc3, 0xa4],
      [0xe2, 0x82, 0xac],
      [0xf0, 0x9f, 0x98, 0x80],
      [0xef, 0xbb, 0xbf, 97],
      [0xef, 0xbb, 0xbf, 0xef, 0xbb, 0xbf, 97],
      [0x80],
      [0xc0, 0x80],
      [0xc1, 0xbf],
      [0xc3],
      [0xc3, 0x41],
      [0xe2, 0x82],
      [0xe2, 0x82, 0x41],
      [0xe0, 0x80, 0x80],
      [0xed, 0xa0, 0x80],
      [0xf0, 0x80, 0x80, 0x80],
      [0xf4, 0x90, 0x80, 0x80],
      [0xf5, 0x80],
      [0xff, 0xfe, 0x41],
      [0xf0, 0x9f, 0x98, 0x41, 0xf0, 0x9f],
      [0x41, 0xf0, 0x90, 0x41],
    ];
    const out: unknown[] = [];
    for (const input of inputs) {
      const bytes = new Uint8Array(input);
      out.push(new TextDecoder().decode(bytes));
      out.push(new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes));
      out.push(t.error(() => new TextDecoder("utf-8", { fatal: true }).decode(bytes)));
      const piecewise = new TextDecoder();
      let text = "";
      for (const byte of input) text += piecewise.decode(new Uint8Array([byte]), { stream: true });
      out.push(text + piecewise.decode());
    }
    const buffer = new Uint8Array([120, 195, 164, 120]);
    out.push(
      new TextDecoder().decode(buffer.buffer),
      new TextDecoder().decode(new DataView(buffer.buffer, 1, 2)),
    );
    out.push(new TextDecoder().decode(buffer.subarray(1, 3)), new TextDecoder().decode());
    out.push(
      t.error(() => new TextDecoder().decode("x" as never)),
      t.error(() => new TextDecoder().decode(null as never)),
    );
    const again = new TextDecoder("utf-8", { fatal: true });
    out.push(
      t.error(() => again.decode(new Uint8Array([0xc3]))),
      again.decode(new Uint8Array([65])),
    );
    out.push(new TextDecoder().decode(new Uint8Array(5000).fill(65)).length);
    return out;
  }));

test("UTF-16 and single bytes decode, in pieces and with marks", () =>
  same(guest, (t) => {
    const out: unknown[] = [];
    const cases: [string, number[]][] = [
      ["utf-16le", [0x61, 0, 0xac, 0x20]],
      ["utf-16le", [0x3d, 0xd8, 0x00, 0xde]],
      ["utf-16le", [0x3d, 0xd8, 0x61, 0]],
      ["utf-16le", [0xff, 0xfe, 0x61, 0]],
      ["utf-16le", [0x61]],
      ["utf-16le", [0x00, 0xdc]],
      ["utf-16le", [0x3d, 0xd8]],
      ["utf-16be", [0, 0x61, 0x20, 0xac]],
      ["utf-16be", [0xfe, 0xff, 0, 0x61]],
    ];
    for (const [label, input] of cases) {
      const decoder = new TextDecoder(label);
      out.push(decoder.decode(new Uint8Array(input)), decoder.encoding);
      const piecewise = new TextDecoder(label);
      let text = "";
      for (const byte of input) text += piecewise.decode(new Uint8Array([byte]), { stream: true });
      out.push(text + piecewise.decode());
      out.push(t.error(() => new TextDecoder(label, { fatal: true }).decode(new Uint8Array(input))));
    }
    return out;
  }));

test("windows-1252 maps every byte as the standard's index does", async () => {
  const high = "€\x81‚ƒ„…†‡ˆ‰Š‹Œ\x8dŽ\x8f\x90‘’“”•–—˜™š›œ\x9džŸ";
  const result = await guest.run(() => {
    const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
    return [new TextDecoder("latin1").decode(bytes), new TextDecoder("ascii").encoding];
  });
  const expected = Array.from({ length: 256 }, (_, i) =>
    i >= 0x80 && i < 0xa0 ? high[i - 0x80] : String.fromCharCode(i),
  ).join("");
  assert.deepEqual(result, [expected, "windows-1252"]);
});

test("labels are read as Node reads them", () =>
  same(guest, (t) => {
    const labels = [
      "UTF-8",
      " utf8\n",
      "Unicode-1-1-utf-8",
      "utf-16",
      "UCS-2",
      "x-cp1252",
      "us-ascii",
      "nonsense",
      "",
      "utf-8\u0000",
    ];
    return labels.map((label) => [t.error(() => new TextDecoder(label)), label]);
  }));

test("btoa and atob are as in Node", () =>
  same(guest, (t) => {
    const texts = ["", "a", "ab", "abc", "abcd", "\u0000\u00ff", "x".repeat(2000)];
    const encoded = [
      "",
      "YQ==",
      "YQ=",
      "YQ",
      "YWI=",
      "YWJj",
      " YW Jj\n",
      "Y",
      "YQ===",
      "Y=Q=",
      "YW.j",
      "====",
      "=",
      "YWJjZA",
      "AA==BB",
      "/+8=",
      "ab\u00e9=",
    ];
    return [
      texts.map((text) => btoa(text)),
      texts.map((text) => atob(btoa(text)) === text),
      t.error(() => btoa("\u0100")),
      encoded.map((text) => {
        try {
          return atob(text);
        } catch (error) {
          return (error as Error).name;
        }
      }),
      btoa(null as never),
      btoa(12 as never),
      t.error(() => (btoa as unknown as () => void)()),
    ];
  }));

test("TextEncoderStream and TextDecoderStream carry halves over from chunk to chunk", () =>
  same(guest, async (t) => {
    const pieces = (list: unknown[]): ReadableStream =>
      new ReadableStream({
        start(controller) {
          for (const item of list) controller.enqueue(item);
          controller.close();
        },
      });
    const encoded = await t.chunks(
      pieces(["a", "\ud83d", "\ude00", "b\ud83d"]).pipeThrough(new TextEncoderStream() as never),
    );
    const decoded = await t.chunks(
      pieces([
        new Uint8Array([0xef, 0xbb]),
        new Uint8Array([0xbf, 0xe2, 0x82]),
        new Uint8Array([0xac, 0xc3]),
      ]).pipeThrough(new TextDecoderStream() as never),
    );
    const fatal = t.chunks(
      pieces([new Uint8Array([0xff])]).pipeThrough(new TextDecoderStream("utf-8", { fatal: true }) as never),
    );
    const stream = new TextDecoderStream("utf-16le", { ignoreBOM: true });
    return [
      encoded.flat(),
      decoded.join(""),
      await t.rejection(fatal),
      stream.encoding,
      stream.fatal,
      stream.ignoreBOM,
      new TextEncoderStream().encoding,
    ];
  }));

/** What each pair of bytes from 81 40 to FE FE decodes to: how many are characters, and all of them as one hash. */
async function sweep(label: string, prefix: number[] = []): Promise<[number, string]> {
  const text = (await guest.run(
    `() => {
      const decoder = new TextDecoder(${JSON.stringify(label)});
      const found = [];
      for (let lead = 0x81; lead <= 0xfe; lead++) {
        for (let trail = 0x40; trail <= 0xfe; trail++) {
          const text = decoder.decode(new Uint8Array([${prefix.map((byte) => `${byte}, `).join("")}lead, trail]));
          found.push(text.includes("\\ufffd") ? "-" : text);
        }
      }
      return found.join("\\n") + "\\n";
    }`,
  )) as string;
  const characters = text.split("\n").filter((line) => line !== "-" && line !== "").length;
  return [characters, createHash("sha256").update(text).digest("hex").slice(0, 16)];
}

test("the multi-byte encodings hold every character of the standard's indexes", async () => {
  assert.deepEqual(await sweep("big5"), [18594, "a404c8c42b608cf6"]);
  assert.deepEqual(await sweep("euc-kr"), [17048, "02d3e7a42e909abb"]);
  assert.deepEqual(await sweep("euc-jp"), [7399, "93f6f844b939343c"]);
  assert.deepEqual(await sweep("euc-jp", [0x8f]), [6067, "e3fa7c2e75fe6b42"]);
  assert.deepEqual(await sweep("shift_jis"), [17668, "5e928d6bacbbc46b"]);
  assert.deepEqual(await sweep("gb18030"), [23940, "b6255c31f8056e2c"]);
});

/** Label, bytes, text; malformed data is U+FFFD. */
const legacy: readonly (readonly [string, readonly number[], string])[] = [
  ["shift_jis", [0x83, 0x65, 0x83, 0x58, 0x83, 0x67, 0xb1, 0x5c], "\u30c6\u30b9\u30c8\uff71\\"],
  ["sjis", [0x82, 0x20, 0xa0, 0xfd, 0x81], "\ufffd \ufffd\ufffd\ufffd"],
  ["windows-31j", [0xf0, 0x40, 0x80], "\ue000\x80"],
  ["euc-jp", [0xa5, 0xc6, 0x8e, 0xb1, 0x8f, 0xb0, 0xa1, 0x41], "\u30c6\uff71\u4e02A"],
  ["euc-jp", [0xa5, 0x41, 0x8f, 0xa1, 0x20, 0xff], "\ufffdA\ufffd \ufffd"],
  ["iso-2022-jp", [0x1b, 0x24, 0x42, 0x25, 0x46, 0x1b, 0x28, 0x42, 0x41], "\u30c6A"],
  ["iso-2022-jp", [0x1b, 0x28, 0x4a, 0x5c, 0x7e, 0x1b, 0x28, 0x49, 0x31], "\u00a5\u203e\uff71"],
  ["iso-2022-jp", [0x1b, 0x28, 0x42, 0x1b, 0x28, 0x42, 0x41], "\ufffdA"],
  ["iso-2022-jp", [0x1b, 0x24, 0x20, 0x0e], "\ufffd$ \ufffd"],
  ["iso-2022-jp", [0x1b, 0x24, 0x42, 0x25, 0x1b], "\ufffd\ufffd"],
  ["gbk", [0xb2, 0xe2, 0x80, 0x81, 0x30, 0x81, 0x30], "\u6d4b\u20ac\u0080"],
  ["gb18030", [0x94, 0x39, 0xda, 0x33, 0xfe, 0x39, 0xfe, 0x39], "\u{1f4a9}\ufffd"],
  ["gb18030", [0x81, 0x30, 0x81, 0x41, 0xff], "\ufffd0\u4e04\ufffd"],
  ["gb18030", [0x81, 0x35, 0xf4, 0x37, 0xa2, 0xe3], "\ue7c7\u20ac"],
  ["big5", [0xb4, 0xfa, 0x88, 0x62, 0x8b, 0x7f, 0x87, 0x40], "\u6e2c\u00ca\u0304\ufffd\x7f\u43f0"],
  ["euc-kr", [0xc5, 0xd7, 0x81, 0x41, 0xc9, 0xa1, 0x41], "\ud14c\uac02\ufffdA"],
  ["koi8-r", [0xd4, 0xc5, 0xd3, 0xd4, 0x80], "\u0442\u0435\u0441\u0442\u2500"],
  ["windows-1251", [0xf2, 0xe5, 0x98, 0xff], "\u0442\u0435\x98\u044f"],
  ["iso-8859-8-i", [0xe0, 0xa1], "\u05d0\ufffd"],
  ["windows-874", [0x80, 0xa1, 0xdb], "\u20ac\u0e01\ufffd"],
  ["macintosh", [0x80, 0xf0, 0xff], "\u00c4\uf8ff\u02c7"],
  ["x-user-defined", [0x41, 0x80, 0xff], "A\uf780\uf7ff"],
];

test("legacy encodings decode whole, byte by byte and fatally alike", async () => {
  const results = (await guest.run(
    `() => ${JSON.stringify(legacy)}.map(([label, bytes]) => {
      const piecewise = new TextDecoder(label);
      let text = "";
      for (const byte of bytes) text += piecewise.decode(new Uint8Array([byte]), { stream: true });
      text += piecewise.decode();
      const fatal = new TextDecoder(label, { fatal: true });
      const strict = () => { try { return fatal.decode(new Uint8Array(bytes)); } catch (error) { return error.name; } };
      return [new TextDecoder(label).decode(new Uint8Array(bytes)), text, strict(), fatal.decode(new Uint8Array([65]))];
    })`,
  )) as string[][];
  for (const [i, [label, bytes, expected]] of legacy.entries()) {
    const strict = expected.includes("\ufffd") ? "TypeError" : expected;
    assert.deepEqual(results[i], [expected, expected, strict, "A"], `${label} ${bytes}`);
  }
});

test("a byte order mark is taken away from UTF-8 and UTF-16 only", async () => {
  const result = await guest.run(() => [
    new TextDecoder("gb18030").decode(new Uint8Array([0x84, 0x31, 0x95, 0x33, 0x41])),
    new TextDecoder("utf-16be").decode(new Uint8Array([0xfe, 0xff, 0, 0x41])),
  ]);
  assert.deepEqual(result, ["\ufeffA", "A"]);
});

test("labels of the replacement encoding are refused", () =>
  same(guest, (t) =>
    ["replacement", "iso-2022-kr", "hz-gb-2312", "csiso2022kr", "iso-2022-cn", "iso-2022-cn-ext"].map(
      (label) => t.error(() => new TextDecoder(label)),
    ),
  ));

test("a legacy encoding decodes as before when prototypes and globals are patched first", async () => {
  const own = await Guest.create();
  try {
    const result = await own.run(() => {
      const patched = (): never => {
        throw new Error("patched");
      };
      String.prototype.codePointAt = patched;
      String.prototype.charCodeAt = patched;
      String.prototype.indexOf = patched;
      String.prototype.slice = patched;
      Object.defineProperty(Object.prototype, "set", { get: patched, configurable: true });
      (globalThis as { Uint32Array?: unknown }).Uint32Array = patched;
      (globalThis as { Map?: unknown }).Map = patched;
      return ["sjis", "big5", "gbk", "euc-kr", "koi8-u"].map((label) =>
        new TextDecoder(label).decode(new Uint8Array([0xb4, 0xfa])),
      );
    });
    assert.deepEqual(result, ["\uff74\ufffd", "\u6e2c", "\u4ee3", "\ub35c", "\u0404\u0417"]);
  } finally {
    own.dispose();
  }
});

test("TextDecoderStream decodes a legacy encoding whose characters are cut in two", () =>
  same(guest, async (t) => {
    const source = new ReadableStream({
      start(controller) {
        for (const byte of [0x83, 0x65, 0x83, 0x58, 0x83]) controller.enqueue(new Uint8Array([byte]));
        controller.close();
      },
    });
    const stream = new TextDecoderStream("shift_jis");
    const chunks = await t.chunks(source.pipeThrough(stream as never));
    return [chunks.join(""), stream.encoding];
  }));

test("long texts are encoded and decoded as short ones are", () =>
  same(guest, (t) => {
    const long = (text: string): string => text.repeat(5000);
    const sum = (bytes: Uint8Array): number => bytes.reduce((a, b) => (a * 31 + b) >>> 0, 7);
    const encoder = new TextEncoder();
    const out: unknown[] = [];
    for (const piece of ["abc", "\ufeffä", "\u{1f600}x", "a\ud800b"]) {
      const bytes = encoder.encode(long(piece));
      out.push(bytes.length, sum(bytes));
      for (const options of [{}, { ignoreBOM: true }, { fatal: true }]) {
        const text = new TextDecoder("utf-8", options).decode(bytes);
        out.push(text.length, sum(encoder.encode(text)));
      }
    }
    const broken = encoder.encode(long("äb")).subarray(1, 12_000);
    out.push(new TextDecoder().decode(broken).length, sum(encoder.encode(new TextDecoder().decode(broken))));
    out.push(t.error(() => new TextDecoder("utf-8", { fatal: true }).decode(broken)));
    const stream = new TextDecoder();
    out.push((stream.decode(broken, { stream: true }) + stream.decode()).length);
    return out;
  }));
