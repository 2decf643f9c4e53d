import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Guest } from "./harness.ts";

let guest: Guest;
before(async () => {
  guest = await Guest.create();
});
after(() => guest.dispose());

interface Rewritten {
  readonly out: string;
  readonly log: unknown[];
}

/** @param set registers handlers on `rw`, and may write to `log`. @param size of the pieces, in bytes. */
async function rewrite(html: string, set: string, size = 1 << 20, in_ = guest): Promise<Rewritten> {
  return (await in_.run(`async () => {
    const log = [];
    const rw = new HTMLRewriter();
    ${set}
    const bytes = new TextEncoder().encode(${JSON.stringify(html)});
    const body = new ReadableStream({
      start(controller) {
        for (let i = 0; i < bytes.length; i += ${size}) controller.enqueue(bytes.slice(i, i + ${size}));
        controller.close();
      },
    });
    const out = await rw.transform(new Response(body)).text();
    return { out, log };
  }`)) as Rewritten;
}

const page =
  '<!DOCTYPE html><html lang="en"><head><title>A & <b>x</b></title><script>a("<p>");<!-- <script></p></script> --></script>' +
  '</head><body class="a b"><!-- hi --><div id=x data-a=\'1\' checked><p class="k">one<b>tw\u00f6</b><br>three</p></div>' +
  "<ul><li>1</li><li>2</li><li>3</li></ul><svg><path d=x /><![CDATA[<p>]]></svg>" +
  "<textarea><p></textarea><a href='http://h/?a=1&amp;b'>l</a></body></html>\n";

test("what no handler changes comes out as it went in, however it is cut", async () => {
  const broken = `${page}<p a='unclosed</p></ x><?pi?><!x></><a / b=c/><plaintext></plaintext>`;
  for (const size of [1, 2, 3, 7, 1000]) {
    const seen =
      "rw.on('*', { element() {}, text() {}, comments() {} }).onDocument({ text() {}, doctype() {} });";
    assert.equal((await rewrite(broken, seen, size)).out, broken);
    assert.equal((await rewrite(broken, "", size)).out, broken);
  }
});

const selections: readonly (readonly [string, string[]])[] = [
  ["li", ["li", "li", "li"]],
  ["P", ["p"]],
  ["body > *", ["div", "ul", "svg", "textarea", "a"]],
  ["body p b", ["b"]],
  ["div > b", []],
  ["#x, a", ["div", "a"]],
  [".a.b", ["body"]],
  ["[data-a]", ["div"]],
  ['[data-a="1"]', ["div"]],
  ["[lang|=en]", ["html"]],
  ["[class~=b]", ["body"]],
  ["[href^=http]", ["a"]],
  ["[href$=b]", ["a"]],
  ["[href*='a=1']", ["a"]],
  ["[LANG='EN' i]", ["html"]],
  ["li:first-child", ["li"]],
  ["li:nth-child(2n + 1)", ["li", "li"]],
  ["ul :nth-of-type(-n+2)", ["li", "li"]],
  ["body > :not(div):not(.q)", ["ul", "svg", "textarea", "a"]],
  ["svg *", ["path"]],
  ["textarea p, script p, title b", []],
];

test("selectors choose elements by name, attributes, place and ancestors", async () => {
  for (const [selector, expected] of selections) {
    const { log } = await rewrite(
      page,
      `rw.on(${JSON.stringify(selector)}, { element(e) { log.push(e.tagName); } });`,
    );
    assert.deepEqual(log, expected, selector);
  }
});

test("negations nest, and any namespace is meant by *|", async () => {
  for (const [selector, expected] of [
    ["div :not(:not(.k))", ["p"]],
    ["*|li", ["li", "li", "li"]],
  ] as const) {
    const { log } = await rewrite(
      page,
      `rw.on(${JSON.stringify(selector)}, { element(e) { log.push(e.tagName); } });`,
    );
    assert.deepEqual(log, expected, selector);
  }
});

test("a selector that is malformed, or that a stream cannot match, is refused", async () => {
  const bad = [
    "",
    "p >",
    "*|",
    "> p",
    "p,,q",
    "[a",
    "[a=]",
    "p:hover",
    "p + q",
    "p ~ q",
    ":not(",
    ":nth-child(x)",
    "p)",
    "::before",
    ".",
  ];
  const errors = await guest.run(
    `(t) => ${JSON.stringify(bad)}.map((s) => t.error(() => new HTMLRewriter().on(s, {})))`,
  );
  assert.deepEqual(
    errors,
    bad.map(() => "TypeError"),
  );
});

const changes: readonly (readonly [string, string])[] = [
  ['e.before("<x>").before("2", { html: true })', "&lt;x&gt;2<p c=1>t</p>"],
  ['e.after("1").after("2")', "<p c=1>t</p>21"],
  ['e.prepend("1").prepend("<i>", { html: true })', "<p c=1><i>1t</p>"],
  ['e.append("1").append("2")', "<p c=1>t12</p>"],
  ['e.replace("<r>", { html: true })', "<r>"],
  ['e.before("1").after("2").remove()', "12"],
  ['e.removeAndKeepContent().prepend("1").append("2")', "1t2"],
  ['e.append("x").setInnerContent("a&b").append("c")', "<p c=1>a&amp;bc</p>"],
  ['e.setAttribute("D", \'a"b\')', '<p c=1 d="a&quot;b">t</p>'],
  ['e.setAttribute("C", "2")', '<p c="2">t</p>'],
  ['e.removeAttribute("C")', "<p>t</p>"],
  ['e.tagName = "h1"', "<h1 c=1>t</h1>"],
  ['e.onEndTag((t) => { t.before("1").after("2").after("3"); })', "<p c=1>t1</p>32"],
  ['e.onEndTag((t) => { t.name = "q"; })', "<p c=1>t</q>"],
  ["e.onEndTag((t) => { t.remove(); })", "<p c=1>t"],
];

test("elements and end tags are changed as the handler says", async () => {
  for (const [change, expected] of changes) {
    const { out } = await rewrite("<p c=1>t</p>", `rw.on("p", { element(e) { ${change}; } });`, 2);
    assert.equal(out, expected, change);
  }
});

test("elements without content keep what goes around them, and have no inside", async () => {
  const set = `rw.on("br", { element(e) {
    e.prepend("no").append("no").setInnerContent("no").before("1").after("2");
    try { e.onEndTag(() => {}); } catch (error) { log.push(error.name); }
  } })`;
  assert.deepEqual(await rewrite("a<br>b", set), { out: "a1<br>2b", log: ["TypeError"] });
});

test("content for the end of an element without an end tag stands where the element ends", async () => {
  const set = `rw.on("p", { element(e) { e.append("+").after("/"); } });`;
  assert.equal((await rewrite("<div><p>a<p>b</div>c<p>d", set)).out, "<div><p>a<p>b+/+/</div>c<p>d+/");
});

test("text comes in pieces, the last of which is empty, and can be changed", async () => {
  const set = `let whole = "";
    rw.on("p", { text(t) {
      whole += t.text;
      if (t.lastInTextNode) { log.push(whole, t.text); whole = ""; t.after("!"); } else t.replace(t.text.toUpperCase());
    } });`;
  for (const size of [1, 3, 100]) {
    const { out, log } = await rewrite("<p>h\u00e9llo<b>&amp;x</b></p>y", set, size);
    assert.equal(out, "<p>H\u00c9LLO!<b>&amp;AMP;X!</b></p>y");
    assert.deepEqual(log, ["h\u00e9llo", "", "&amp;x", ""]);
  }
});

test("comments, the doctype and the end of the document have handlers", async () => {
  const set = `rw.onDocument({
      doctype(d) { log.push([d.name, d.publicId, d.systemId]); },
      comments(c) { log.push(c.text); if (c.text === "a") c.text = "A"; else c.before("<").remove(); },
      end(e) { e.append("<e>", { html: true }); },
    });
    rw.on("p", { comments(c) { log.push("p"); try { c.text = "-->"; } catch (error) { log.push(error.name); } } });`;
  const html = "<!DOCTYPE HTML PUBLIC \"p\" 's'><!--a--><p><!bogus></p>";
  const expected = {
    out: `${html.slice(0, 30)}<!--A--><p>&lt;</p><e>`,
    log: [["html", "p", "s"], "a", "p", "TypeError", "bogus"],
  };
  assert.deepEqual(await rewrite(html, set), expected);
  assert.deepEqual(await rewrite(html, set, 1), expected);
});

test("elements know their namespace, and HTML breaks out of SVG and MathML", async () => {
  const set = `rw.on("*", { element(e) { log.push(e.tagName + " " + e.namespaceURI.split("/").pop()); } });`;
  const html =
    "<svg><g><title><b></b></title><p><g/></svg><math><mi><i></i></mi><mo/><div></math><svg><math>";
  const expected =
    "svg svg,g svg,title svg,b xhtml,p xhtml,g xhtml,math MathML,mi MathML,i xhtml,mo MathML,div xhtml";
  assert.equal(`${(await rewrite(html, set)).log}`, `${expected},svg svg,math svg`);
});

test("what nothing ends is a comment or a doctype up to the end, or stays as it is", async () => {
  const set = `rw.onDocument({ comments(c) { log.push("c:" + c.text); }, doctype(d) { log.push("d:" + d.name); } });`;
  const cases: [string, string[]][] = [
    ["<!--a--", ["c:a"]],
    ["<!--a--!", ["c:a"]],
    ["<?b", ["c:?b"]],
    ["<!docty", ["c:docty"]],
    ["<!doctype x", ["d:x"]],
    ["<p a='", []],
    ["</p", []],
    ["<script><!--", []],
  ];
  for (const [html, log] of cases) assert.deepEqual(await rewrite(html, set, 1), { out: html, log }, html);
});

test("handlers that are asynchronous are waited for, in order", async () => {
  const set = `const later = () => new Promise((resolve) => setTimeout(resolve, 1));
    rw.on("p", {
      async element(e) { await later(); log.push(e.getAttribute("n")); e.setAttribute("seen", ""); e.onEndTag(async (t) => { await later(); t.before("."); }); },
      async text(t) { await later(); if (!t.lastInTextNode) t.replace("T"); },
    });`;
  const { out, log } = await rewrite("<p n=1>a</p><p n=2>b</p>", set);
  assert.equal(out, '<p n=1 seen="">T.</p><p n=2 seen="">T.</p>');
  assert.deepEqual(log, ["1", "2"]);
});

test("a handler's error breaks the body off with that error", async () => {
  const result = await guest.run(async () => {
    const Rewriter = (
      globalThis as unknown as { HTMLRewriter: new () => { on(s: string, h: object): never } }
    ).HTMLRewriter;
    const messages: string[] = [];
    for (const element of [
      () => {
        throw new Error("now");
      },
      () => Promise.reject(new Error("later")),
    ]) {
      const rewriter = new Rewriter() as unknown as {
        on(s: string, h: object): { transform(r: Response): Response };
      };
      try {
        await rewriter.on("p", { element }).transform(new Response("<p>")).text();
      } catch (error) {
        messages.push((error as Error).message);
      }
    }
    return messages;
  });
  assert.deepEqual(result, ["now", "later"]);
});

test("content is of no use when its handler has ended", async () => {
  const set = `let kept;
    rw.on("p", { element(e) { kept = e; }, text() { try { kept.before("x"); } catch (error) { log.push(error.name); } } });`;
  assert.deepEqual((await rewrite("<p>a</p>", set)).log, ["TypeError", "TypeError"]);
});

test("a transformed response keeps its head, but not the length, and streams", async () => {
  const result = await guest.run(`async () => {
    let send;
    const body = new ReadableStream({ start(controller) { send = controller; } });
    const headers = { "content-type": "text/html", "content-length": "9", "x-a": "b" };
    const response = new HTMLRewriter().on("p", { element(e) { e.remove(); } })
      .transform(new Response(body, { status: 201, headers }));
    const reader = response.body.getReader();
    send.enqueue(new TextEncoder().encode("<b>x</b><p>y"));
    const first = new TextDecoder().decode((await reader.read()).value);
    send.enqueue(new TextEncoder().encode("</p>z"));
    const second = new TextDecoder().decode((await reader.read()).value);
    send.close();
    const { done } = await reader.read();
    const empty = new HTMLRewriter().transform(new Response(null, { status: 204 }));
    return [first, second, done, response.status, [...response.headers], empty.status, empty.body];
  }`);
  const headers = [
    ["content-type", "text/html"],
    ["x-a", "b"],
  ];
  assert.deepEqual(result, ["<b>x</b>", "z", true, 201, headers, 204, null]);
});

test("a document in another encoding is read in it, and goes on in UTF-8", async () => {
  const result = await guest.run(`async () => {
    const headers = { "content-type": "text/html; charset=Shift_JIS" };
    const bytes = new Uint8Array([0x3c, 0x70, 0x3e, 0x83, 0x65, 0x3c, 0x2f, 0x70, 0x3e]);
    const response = new HTMLRewriter().on("p", { element(e) { e.append("\\u00e4"); } })
      .transform(new Response(bytes, { headers }));
    return [response.headers.get("content-type"), await response.text()];
  }`);
  assert.deepEqual(result, ["text/html;charset=utf-8", "<p>\u30c6\u00e4</p>"]);
});

test("patched prototypes neither see nor change what is rewritten", async () => {
  const own = await Guest.create();
  try {
    const patch = `const no = (name) => () => { log.push(name); throw new Error(name); };
      String.prototype.slice = no("slice"); String.prototype.indexOf = no("indexOf");
      Array.prototype.push = no("push"); Array.prototype[Symbol.iterator] = no("iterator");
      RegExp.prototype.exec = no("exec"); Map.prototype.get = no("get");
      rw.on("p.k:not([x])", { element(e) { e.setAttribute("a", "b").append("!"); } });`;
    assert.deepEqual(await rewrite('<p class="k">x</p>', patch, 5, own), {
      out: '<p class="k" a="b">x!</p>',
      log: [],
    });
  } finally {
    own.dispose();
  }
});
