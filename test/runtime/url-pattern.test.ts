import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Guest, type Scenario, same } from "./harness.ts";

let guest: Guest;
before(async () => {
  guest = await Guest.create();
});
after(() => guest.dispose());

const names = "protocol username password hostname port pathname search hash".split(" ");

/** Runs in both places: each case is the arguments of the constructor and those of `exec`. */
function tell(cases: readonly (readonly [unknown[], unknown[][]])[], parts: readonly string[]): unknown {
  type Pattern = Record<string, unknown> & { test(...i: unknown[]): boolean; exec(...i: unknown[]): unknown };
  const Pattern = (globalThis as unknown as { URLPattern: new (...input: unknown[]) => Pattern }).URLPattern;
  return cases.map(([args, inputs]) => {
    let pattern: Pattern;
    try {
      pattern = new Pattern(...args);
    } catch (error) {
      return (error as Error).name;
    }
    return [
      parts.map((part) => pattern[part]),
      pattern.hasRegExpGroups,
      inputs.map((input) => {
        try {
          return [pattern.test(...input), pattern.exec(...input)];
        } catch (error) {
          return (error as Error).name;
        }
      }),
    ];
  });
}

function sameAsNode(cases: readonly (readonly [unknown[], unknown[][]])[]): Promise<void> {
  const scenario = new Function(
    `return (${tell.toString()})(${JSON.stringify(cases)}, ${JSON.stringify(names)});`,
  );
  return same(guest, scenario as Scenario);
}

test("patterns for paths match, and name what they matched, as in Node", () =>
  sameAsNode([
    [
      [{ pathname: "/books/:id" }],
      [["https://a.b/books/12"], ["https://a.b/books/"], ["https://a.b/books/1/2"]],
    ],
    [[{ pathname: "/books/:id(\\d+)" }], [["https://a.b/books/12"], ["https://a.b/books/x"]]],
    [[{ pathname: "/a/:rest*" }], [["https://a.b/a"], ["https://a.b/a/b/c"], ["https://a.b/ab"]]],
    [[{ pathname: "/a/:rest+" }], [["https://a.b/a"], ["https://a.b/a/b/c"]]],
    [[{ pathname: "/a/:one?/b" }], [["https://a.b/a/b"], ["https://a.b/a/x/b"]]],
    [[{ pathname: "/a{/b}?" }], [["https://a.b/a"], ["https://a.b/a/b"]]],
    [[{ pathname: "/a{b:c}*d" }], [["https://a.b/abxbyd"], ["https://a.b/ad"]]],
    [[{ pathname: "/*.:ext(png|jpg)" }], [["https://a.b/x/y.png"], ["https://a.b/y.gif"]]],
    [[{ pathname: "*/x" }], [["https://a.b/q/x"]]],
    [[{ pathname: "/:a-:b" }], [["https://a.b/1-2"]]],
    [[{ pathname: "/caf\u00e9" }], [["https://a.b/caf%C3%A9"], ["https://a.b/caf\u00e9"]]],
    [[{ pathname: "/\u00fc:n\u00e4me" }], [["https://a.b/\u00fcx"]]],
    [[{ pathname: "/Case" }], [["https://a.b/case"]]],
    [[{ pathname: "/Case" }, { ignoreCase: true }], [["https://a.b/case"]]],
  ]));

test("patterns for whole URLs are split as in Node", () =>
  sameAsNode([
    [["https://example.com/a/*"], [["https://example.com/a/b"], ["https://example.com:8080/a/b"]]],
    [["http{s}?://*.example.com:*/x?q=:v#:h"], [["http://a.example.com/x?q=1#2"], ["ftp://a.example.com/x"]]],
    [["https://:user::pass@host/"], [["https://a:b@host/"]]],
    [
      ["/a?b#c", "https://example.com/x"],
      [["https://example.com/a?b#c"], ["/a?b#c", "https://example.com"]],
    ],
    [["./b", "https://example.com/x/y"], []],
    [["data\\:*"], [["data:x"]]],
    [["data:x:y"], [["data:x"]]],
    [["https://[\\:\\:1]/"], [["https://[::1]/"]]],
    [["http{s}?:*"], [["https://a.b/"]]],
    [["https://example.com:443/"], [["https://example.com/"]]],
    [["a/b"], []],
    [["https://{sub.}?example.com/foo"], [["https://example.com/foo"], ["https://sub.example.com/foo"]]],
    [[], [["https://a.b/"], []]],
    [[{}], [[{ pathname: "/x" }], [{ baseURL: "https://a.b/c?d" }]]],
    [[{ baseURL: "https://a.b/c/d?e#f", pathname: "g" }], [["https://a.b/c/g?e#f"], ["https://a.b/c/g"]]],
  ]));

test("what is malformed is refused as in Node", () =>
  sameAsNode([
    [["https://a.b/(unclosed"], []],
    [[{ pathname: "/(" }], []],
    [[{ pathname: "/()" }], []],
    [[{ pathname: "/(a(b))" }], []],
    [[{ pathname: "/(?x)" }], []],
    [[{ pathname: "/([)" }], []],
    [[{ pathname: "/(\u00e4)" }], []],
    [[{ pathname: "/{a" }], []],
    [[{ pathname: "/a}" }], []],
    [[{ pathname: "/:a/:a" }], []],
    [[{ pathname: "/:" }], []],
    [[{ pathname: "/\\" }], []],
    [[{ protocol: "a b" }], []],
    [[{ hostname: "a b" }], []],
    [[{ port: "x" }], []],
    [[{ port: "65536" }], []],
    [[{ baseURL: "nonsense" }], []],
    [[{}, "https://a.b"], []],
    [[{}, 5], []],
    [[{ pathname: "/x" }], [[{}, "https://a.b"], ["/x", "nonsense"], [{ port: "x" }]]],
  ]));

test("a URLPattern is an interface with its accessors and methods enumerable", async () => {
  const keys =
    "protocol username password hostname port pathname search hash hasRegExpGroups test exec".split(" ");
  const result = await guest.run(`() => {
    const describe = (key) => Object.getOwnPropertyDescriptor(URLPattern.prototype, key)?.enumerable;
    return [${JSON.stringify(keys)}.map(describe), String(new URLPattern()), URLPattern.name, URLPattern.length];
  }`);
  assert.deepEqual(result, [keys.map(() => true), "[object URLPattern]", "URLPattern", 0]);
});

test("patched prototypes neither see nor change what a pattern matches", async () => {
  const own = await Guest.create();
  try {
    const result = await own.run(() => {
      const seen: string[] = [];
      const spy = (name: string) => (): never => {
        seen.push(name);
        throw new Error(name);
      };
      RegExp.prototype.exec = spy("exec");
      RegExp.prototype.test = spy("test");
      RegExp.prototype[Symbol.match] = spy("match");
      String.prototype.slice = spy("slice");
      String.prototype.indexOf = spy("indexOf");
      Array.prototype[Symbol.iterator] = spy("iterator");
      Object.defineProperty(Object.prototype, "protocol", { set: spy("protocol"), configurable: true });
      Object.defineProperty(Object.prototype, "id", { set: spy("id"), configurable: true });
      type Result = { pathname: { groups: { id: string } } } | null;
      const Pattern = (
        globalThis as unknown as { URLPattern: new (input: object) => { exec(input: string): Result } }
      ).URLPattern;
      const found = new Pattern({ pathname: "/x/:id(\\d+)" }).exec("https://a.b/x/7");
      return { id: found?.pathname.groups.id, seen: seen.length };
    });
    assert.deepEqual(result, { id: "7", seen: 0 });
  } finally {
    own.dispose();
  }
});

test("a relative input without a base URL matches nothing", async () => {
  const result = await guest.run(() => {
    const Pattern = (
      globalThis as unknown as { URLPattern: new (input: object) => { exec(i: string): unknown } }
    ).URLPattern;
    return new Pattern({ pathname: "/x" }).exec("/x");
  });
  assert.equal(result, null);
});
