import assert from "node:assert/strict";
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
