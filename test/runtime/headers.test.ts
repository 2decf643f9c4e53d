import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Guest, same } from "./harness.ts";

let guest: Guest;
before(async () => {
  guest = await Guest.create();
});
after(() => guest.dispose());

test("Headers are made from pairs, records, other Headers and nothing as in Node", () =>
  same(guest, (t) => {
    const show = (init?: unknown): unknown => [...new Headers(init as never)];
    return [
      show(),
      show(undefined),
      show({ "X-B": "2", "x-a": "1" }),
      show([
        ["a", "1"],
        ["A", "2"],
        ["b", "3"],
      ]),
      show(new Map([["k", "v"]])),
      show(new Headers({ q: "1" })),
      show({ a: 1, b: true, c: null }),
      show([
        ["Set-Cookie", "a=1"],
        ["set-cookie", "b=2"],
        ["z", "1"],
      ]),
      t.error(() => new Headers([["a"]] as never)),
      t.error(() => new Headers([["a", "b", "c"]] as never)),
      t.error(() => new Headers("x" as never)),
      t.error(() => new Headers(null as never)),
      t.error(() => new Headers(5 as never)),
      t.error(() => (Headers as unknown as () => void)()),
    ];
  }));

test("get, set, has, delete, append and getSetCookie are as in Node", () =>
  same(guest, () => {
    const headers = new Headers([
      ["Accept", "a"],
      ["X-One", "1"],
      ["accept", "b"],
    ]);
    const out: unknown[] = [];
    out.push(headers.get("ACCEPT"), headers.get("missing"), headers.has("x-ONE"), headers.has("x"));
    headers.set("accept", "c");
    out.push(headers.get("Accept"));
    headers.set("new", "  padded \t");
    out.push(headers.get("new"));
    headers.append("X-One", "2");
    out.push(headers.get("x-one"));
    headers.delete("x-one");
    headers.delete("x-one");
    out.push(headers.get("x-one"), [...headers]);
    headers.append("Set-Cookie", "a=1; Path=/");
    headers.append("set-cookie", "b=2");
    out.push(headers.getSetCookie(), headers.get("set-cookie"), [...headers]);
    headers.set("set-cookie", "c=3");
    out.push(headers.getSetCookie());
    headers.set("empty", "");
    out.push(headers.get("empty"));
    return out;
  }));

test("names and values that could break a message are refused", () =>
  same(guest, (t) => {
    const headers = new Headers();
    const names = ["", "a b", "a:", "a\r\n", "ä", "\u0100", "(", "a\u0000", "!#$%&'*+-.^_`|~", "é"];
    const values = [
      "a\r\nb",
      "a\nb",
      "a\u0000",
      "\u0100",
      "a\rb",
      "\r\na\r\n",
      "tab\tinside",
      "latin1 \u00e9",
    ];
    return [
      names.map((name) => t.error(() => headers.set(name, "x"))),
      names.map((name) => t.error(() => headers.append(name, "x"))),
      names.map((name) => t.error(() => headers.get(name))),
      names.map((name) => t.error(() => headers.has(name))),
      names.map((name) => t.error(() => headers.delete(name))),
      values.map((value) => t.error(() => headers.set("x", value))),
      t.error(() => (headers.set as unknown as (a: string) => void)("x")),
      t.error(() => (headers.get as unknown as () => void)()),
    ];
  }));

test("controls in values are refused, though the Fetch standard lets them pass", async () => {
  assert.deepEqual(
    await guest.run((t) => [
      t.error(() => new Headers({ a: "\u0001" })),
      t.error(() => new Headers({ a: "\u007f" })),
    ]),
    ["TypeError", "TypeError"],
  );
});

test("iteration is sorted, combined and live as in Node", () =>
  same(guest, (t) => {
    const headers = new Headers([
      ["b", "1"],
      ["A", "2"],
      ["c", "3"],
      ["B", "4"],
    ]);
    const out: unknown[] = [[...headers.keys()], [...headers.values()], [...headers.entries()]];
    const seen: unknown[] = [];
    headers.forEach(function (this: unknown, value, name, parent) {
      seen.push([name, value, parent === headers, this]);
    }, "me");
    out.push(seen);
    const iterator = headers[Symbol.iterator]();
    out.push(iterator.next());
    headers.append("d", "5");
    out.push([...iterator]);
    out.push(iterator.next());
    out.push(Object.prototype.toString.call(headers), Object.prototype.toString.call(headers.keys()));
    out.push(Headers.prototype[Symbol.iterator] === Headers.prototype.entries);
    out.push(t.error(() => Headers.prototype.get.call({} as Headers, "a")));
    out.push(Headers.name, Headers.length, Object.keys(headers));
    return out;
  }));

test("a block that nobody changed goes out as the very text that came in", async () => {
  const result = await guest.run(`() => {
    const block = "Host: a\\r\\nX-Upper:  spaced \\r\\nset-cookie: 1\\r\\nSet-Cookie: 2\\r\\nEmpty:\\r\\n";
    const headers = web.fromBlock(block, "request");
    const read = [headers.get("host"), headers.get("x-upper"), headers.get("empty"), headers.getSetCookie(), [...headers]];
    const same = web.toBlock(headers) === block;
    headers.set("X-UPPER", "new");
    headers.delete("set-cookie");
    headers.append("Last", "z");
    return [same, read, web.toBlock(headers), web.toBlock(new Headers(headers))];
  }`);
  assert.deepEqual(result, [
    true,
    [
      "a",
      "spaced",
      "",
      ["1", "2"],
      [
        ["empty", ""],
        ["host", "a"],
        ["set-cookie", "1"],
        ["set-cookie", "2"],
        ["x-upper", "spaced"],
      ],
    ],
    "Host: a\r\nX-UPPER: new\r\nEmpty:\r\nLast: z\r\n",
    "Host: a\r\nX-UPPER: new\r\nEmpty:\r\nLast: z\r\n",
  ]);
});

test("immutable headers refuse every change", async () => {
  const result = await guest.run(`(t) => {
    const headers = web.fromBlock("a: 1\\r\\n", "immutable");
    return [
      t.error(() => headers.set("a", "2")), t.error(() => headers.append("b", "2")), t.error(() => headers.delete("a")),
      headers.get("a"), new Headers(headers).get("a"), t.error(() => new Headers(headers).set("a", "2")),
    ];
  }`);
  assert.deepEqual(result, ["TypeError", "TypeError", "TypeError", "1", "1", "nothing thrown"]);
});

test("a Worker that patches prototypes cannot make Headers carry a line break", async () => {
  const own = await Guest.create();
  const result = await own.run(`(t) => {
    String.prototype.charCodeAt = () => 65;
    Array.prototype[Symbol.iterator] = function* () {};
    RegExp.prototype.exec = () => null;
    const headers = new Headers();
    const first = t.error(() => headers.set("x", "a\\r\\nEvil: 1"));
    headers.set("ok", "fine");
    return [first, web.toBlock(headers)];
  }`);
  own.dispose();
  assert.deepEqual(result, ["TypeError", "ok: fine\r\n"]);
});
