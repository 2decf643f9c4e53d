import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Guest, same } from "./harness.ts";

let guest: Guest;
before(async () => {
  guest = await Guest.create();
  guest.context.evalSync(`
    globalThis.counts = { text: 0, bytes: 0, stream: 0, tee: 0 };
    globalThis.hostBody = (text) => {
      let stream = null;
      return {
        length: text.length,
        async text() { counts.text++; return text; },
        async bytes() { counts.bytes++; return new TextEncoder().encode(text); },
        stream() {
          counts.stream++;
          stream ??= new ReadableStream({ type: "bytes", pull(c) { c.enqueue(new TextEncoder().encode(text)); c.close(); } });
          return stream;
        },
        tee() { counts.tee++; return [hostBody(text), hostBody(text)]; },
        cancel() {},
      };
    };
    globalThis.makeRequest = (body = null, method = "POST") => web.requestFromHost({
      method, url: "http://example.com/p?q", headers: "X-A: 1\\r\\nContent-Type: text/plain\\r\\n", body,
      clientAddress: "192.0.2.1", tls: "", clientPort: 5, secure: false, httpVersion: 11,
      onSignal(abort) { globalThis.abortClient = abort; },
    });
    globalThis.makeResponse = (body = null, status = 200) => web.responseFromHost({
      status, statusText: "Fine", headers: "X-B: 2\\r\\nSet-Cookie: a=1\\r\\nSet-Cookie: b=2\\r\\n", body, url: "http://o/", redirected: false,
    });
  `);
});
after(() => guest.dispose());

test("Request's constructor reads its input as Node's does", () =>
  same(guest, (t) => {
    const show = (input: unknown, init?: unknown): unknown => {
      try {
        const request = new Request(input as string, init as RequestInit);
        return [
          request.method,
          request.url,
          [...request.headers],
          request.redirect,
          request.body === null,
          request.bodyUsed,
        ];
      } catch (error) {
        return (error as Error).name;
      }
    };
    const url = "http://example.com/";
    return [
      show(url),
      show("http://EXAMPLE.com"),
      show(new URL("http://a/b#c")),
      show("relative"),
      show("http://u:p@a/"),
      ...[
        "get",
        "GET",
        "post",
        "patch",
        "PATCH",
        "Put",
        "delete",
        "options",
        "head",
        "CONNECT",
        "trace",
        "TRACK",
        "x y",
        "",
        "Custom",
      ].map((method) => show(url, { method })),
      show(url, { headers: { a: "b" } }),
      show(url, {
        headers: [
          ["a", "b"],
          ["a", "c"],
        ],
      }),
      show(url, { method: "POST", body: "text" }),
      show(url, { method: "POST", body: "text", headers: { "content-type": "own" } }),
      show(url, { method: "POST", body: new URLSearchParams("a=b") }),
      show(url, { method: "POST", body: new Blob(["x"], { type: "A/b" }) }),
      show(url, { method: "POST", body: new Blob(["x"]) }),
      show(url, { method: "POST", body: new Uint8Array(3) }),
      show(url, { method: "POST", body: 12 }),
      show(url, { method: "POST", body: null }),
      show(url, { method: "POST", body: new ReadableStream(), duplex: "half" }),
      show(url, { body: "x" }),
      show(url, { method: "HEAD", body: "x" }),
      ...["follow", "error", "manual", "other"].map((redirect) => show(url, { redirect })),
      show(url, { signal: {} }),
      show(url, { signal: null }),
      show(url, null),
      show(url, 5),
      t.error(() => new (Request as unknown as new () => Request)()),
      Object.prototype.toString.call(new Request(url)),
      Request.length,
    ];
  }));

test("a Request made from a Request takes its body, as in Node", () =>
  same(guest, async (t) => {
    const first = new Request("http://a/x", { method: "POST", body: "hello", headers: { k: "v" } });
    const second = new Request(first, { headers: { other: "1" } });
    const out: unknown[] = [first.bodyUsed, second.bodyUsed, [...second.headers], second.method];
    out.push(
      await second.text(),
      second.bodyUsed,
      await t.rejection(first.text()),
      await t.rejection(second.text()),
    );
    out.push(
      t.error(() => new Request(first)),
      t.error(() => new Request(second)),
    );
    const third = new Request("http://a/", { method: "POST", body: "x" });
    out.push(t.error(() => new Request(third, { method: "GET" })));
    const fourth = new Request(third, { body: "other" });
    out.push(await fourth.text(), third.bodyUsed);
    const locked = new Request("http://a/", { method: "POST", body: "x" });
    locked.body?.getReader();
    out.push(
      t.error(() => new Request(locked)),
      t.error(() => locked.clone()),
      await t.rejection(locked.text()),
    );
    return out;
  }));

test("signals of Requests follow the ones they were given", () =>
  same(guest, () => {
    const controller = new AbortController();
    const first = new Request("http://a/", { signal: controller.signal });
    const second = new Request(first);
    const third = first.clone();
    const own = new AbortController();
    const fourth = new Request(first, { signal: own.signal });
    const none = new Request(first, { signal: null });
    const before = [first, second, third, fourth, none].map((request) => request.signal.aborted);
    controller.abort("gone");
    const after = [first, second, third, fourth, none].map((request) => [
      request.signal.aborted,
      request.signal.reason,
    ]);
    own.abort("own");
    return [before, after, fourth.signal.reason, new Set([first.signal, first.signal]).size];
  }));

test("Response's constructor and statics are as in Node", () =>
  same(guest, async (t) => {
    const show = (response: Response): unknown => [
      response.status,
      response.statusText,
      response.ok,
      response.type,
      response.url,
      response.redirected,
      [...response.headers],
      response.body === null,
      response.bodyUsed,
    ];
    const attempt = (body: unknown, init?: unknown): unknown => {
      try {
        return show(new Response(body as string, init as ResponseInit));
      } catch (error) {
        return (error as Error).name;
      }
    };
    return [
      attempt(undefined),
      attempt(null),
      attempt(""),
      attempt("text"),
      attempt("text", { status: 201, statusText: "Made", headers: { a: "b" } }),
      attempt("text", { headers: { "Content-Type": "x/y" } }),
      ...[0, 100, 101, 199, 200, 204, 205, 304, 404, 599, 600, 65736, "300", Number.NaN].map((status) =>
        attempt(null, { status }),
      ),
      ...[204, 205, 304].map((status) => attempt("x", { status })),
      ...["", "OK then", "ä", "a\nb", "\u0100"].map((statusText) => attempt(null, { statusText })),
      attempt(new URLSearchParams("a=b")),
      attempt(new Blob(["x"], { type: "t/t" })),
      attempt(new Uint8Array([1])),
      attempt({}),
      attempt(5),
      attempt("x", null),
      show(Response.json({ a: [1] })),
      await Response.json({ a: [1] }).json(),
      show(Response.json(1, { status: 418, headers: { "content-type": "own" } })),
      t.error(() => Response.json(undefined)),
      t.error(() => Response.json(1, { status: 204 })),
      show(Response.redirect("http://a/b")),
      show(Response.redirect("http://a/b", 308)),
      t.error(() => Response.redirect("http://a/", 200 as never)),
      t.error(() => Response.redirect("nope")),
      t.error(() => Response.redirect("http://a/").headers.set("a", "b")),
      Response.error().type,
      Response.error().status,
      t.error(() => Response.error().headers.set("a", "b")),
      Object.prototype.toString.call(new Response()),
    ];
  }));

test("bodies are read in every form as in Node", () =>
  same(guest, async (t) => {
    const out: unknown[] = [];
    const make = (): unknown[] => [
      "text ä€",
      "\ufeffmarked",
      "",
      new TextEncoder().encode('{"a": "ä"}'),
      new TextEncoder().encode("x").buffer,
      new Blob(["blob ", new Uint8Array([0xc3, 0xa4])]),
      new URLSearchParams("a=1&b=ä"),
      new ReadableStream({
        start(controller) {
          controller.enqueue(new Uint8Array([104]));
          controller.enqueue(new Uint8Array([105]));
          controller.close();
        },
      }),
      new ReadableStream({
        start(controller) {
          controller.enqueue("not bytes");
          controller.close();
        },
      }),
    ];
    for (let i = 0; i < make().length; i++) {
      const respond = (): Response => new Response(make()[i] as string);
      out.push(
        await respond()
          .text()
          .catch((error: Error) => error.name),
      );
      out.push(
        await respond()
          .arrayBuffer()
          .then(t.bytes, (error: Error) => error.name),
      );
      out.push(
        await respond()
          .json()
          .catch((error: Error) => error.name),
      );
      out.push(
        await respond()
          .blob()
          .then(
            (blob) => [blob.size, blob.type],
            (error: Error) => error.name,
          ),
      );
      out.push(
        await respond()
          .bytes()
          .then(t.bytes, (error: Error) => error.name),
      );
      out.push(
        await respond()
          .formData()
          .then(
            (form) => [...form],
            (error: Error) => error.name,
          ),
      );
      const response = respond();
      const { body } = response;
      out.push(body === response.body, body?.locked, response.bodyUsed);
      const promise = response.text().catch(() => "");
      out.push(response.bodyUsed, body?.locked);
      await promise;
      out.push(
        await t.rejection(response.text()),
        t.error(() => response.clone()),
        response.body === body,
      );
    }
    const empty = new Response();
    out.push(await empty.text(), empty.bodyUsed, await empty.text(), await t.rejection(empty.json()));
    out.push(await t.rejection(Response.prototype.text.call({} as Response)));
    return out;
  }));

test("the body's stream yields the bytes, and reading from it uses the body", () =>
  same(guest, async (t) => {
    const response = new Response("hello");
    const before = response.bodyUsed;
    const chunks = await t.chunks(response.body as never);
    const cancelled = new Response("x");
    await cancelled.body?.cancel();
    const partly = new Response("abc");
    const reader = partly.body?.getReader();
    await reader?.read();
    reader?.releaseLock();
    return [
      before,
      chunks.flat(),
      response.bodyUsed,
      cancelled.bodyUsed,
      partly.bodyUsed,
      await t.rejection(partly.text()),
    ];
  }));

test("clones read the same, whatever the body is made of", () =>
  same(guest, async () => {
    const out: unknown[] = [];
    const stream = (): ReadableStream =>
      new ReadableStream({
        pull(controller) {
          controller.enqueue(new Uint8Array([97, 98]));
          controller.close();
        },
      });
    for (const body of ["text", new Uint8Array([1, 2]), new Blob(["b"]), stream(), null]) {
      const response = new Response(body as string, { status: 202, headers: { a: "b" } });
      const copy = response.clone();
      copy.headers.set("a", "changed");
      out.push([
        response.headers.get("a"),
        copy.status,
        await response.text(),
        await copy.text(),
        response.bodyUsed,
      ]);
    }
    const request = new Request("http://a/", {
      method: "POST",
      body: stream(),
      duplex: "half",
    } as RequestInit);
    const twin = request.clone();
    out.push(await twin.text(), await request.text(), twin.url);
    const touched = new Response("t");
    void touched.body;
    const other = touched.clone();
    out.push(await touched.text(), await other.text());
    return out;
  }));

test("what the Worker changes in its array after making the body does not matter", () =>
  same(guest, async () => {
    const bytes = new Uint8Array([97]);
    const response = new Response(bytes);
    bytes[0] = 98;
    return response.text();
  }));

test("a response wrapped around an untouched body of the host keeps the handle", async () => {
  const result = await guest.run(`async () => {
    const origin = makeResponse(hostBody("content"), 404);
    const wrapped = new Response(origin.body, origin);
    wrapped.headers.set("X-B", "changed");
    const twice = new Response(wrapped.body, { headers: wrapped.headers });
    const parts = web.takeResponseParts(twice);
    return [parts.status, parts.statusText, parts.headers, parts.body.kind, parts.body.body.length, origin.body.locked, origin.bodyUsed, wrapped.bodyUsed,
      await helper.rejection(origin.text()), helper.error(() => web.takeResponseParts(wrapped)), counts.text + counts.bytes];
  }`);
  assert.deepEqual(result, [
    200,
    "",
    "X-B: changed\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n",
    "handle",
    7,
    true,
    true,
    true,
    "TypeError",
    "TypeError",
    0,
  ]);
});

test("a response copied from another keeps status, reason and headers, which can then be changed", async () => {
  const result = await guest.run(`() => {
    const origin = makeResponse(null, 201);
    const copy = new Response("x", origin);
    copy.headers.append("X-C", "3");
    const parts = web.takeResponseParts(copy);
    return [parts.status, parts.statusText, parts.headers, parts.body, helper.error(() => origin.headers.set("a", "b"))];
  }`);
  assert.deepEqual(result, [
    201,
    "Fine",
    "X-B: 2\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Type: text/plain;charset=UTF-8\r\nX-C: 3\r\n",
    { kind: "text", text: "x" },
    "TypeError",
  ]);
});

test("a request passed on keeps its handle, method, address and header text", async () => {
  const result = await guest.run(`() => {
    const incoming = makeRequest(hostBody("upload"));
    const forwarded = new Request("http://origin/" , incoming);
    const parts = web.takeRequestParts(forwarded);
    return [parts.method, parts.url, parts.headers, parts.body.kind, incoming.bodyUsed, parts.signal === null];
  }`);
  assert.deepEqual(result, [
    "POST",
    "http://origin/",
    "X-A: 1\r\nContent-Type: text/plain\r\n",
    "handle",
    true,
    false,
  ]);
});

test("a body of the host is read whole on the host, split there, or streamed", async () => {
  const result = await guest.run(`async () => {
    for (const key in counts) counts[key] = 0;
    const out = [];
    out.push(await makeRequest(hostBody("as text")).text());
    out.push(await makeRequest(hostBody('{"a":1}')).json());
    out.push((await makeRequest(hostBody("bytes")).bytes()).length);
    const touched = makeRequest(hostBody("after body"));
    out.push(touched.body === null);
    out.push(await touched.text(), touched.bodyUsed, touched.body.locked);
    const split = makeRequest(hostBody("split"));
    const copy = split.clone();
    out.push(await copy.text(), await split.text());
    out.push((await helper.chunks(makeRequest(hostBody("ab")).body)).flat());
    const read = makeRequest(hostBody("abc"));
    await read.body.getReader().read();
    out.push(read.bodyUsed, helper.error(() => new Response(read.body)));
    return [out, counts];
  }`);
  assert.deepEqual(result, [
    ["as text", { a: 1 }, 5, false, "after body", true, true, "split", "split", [97, 98], true, "TypeError"],
    { text: 5, bytes: 1, stream: 3, tee: 1 },
  ]);
});

test("an incoming request tells of its client, and its signal aborts when the client leaves", async () => {
  const result = await guest.run(`() => {
    const request = makeRequest(null, "GET");
    const copy = new Request(request);
    const before = [request.signal.aborted, copy.signal.aborted, globalThis.abortClient !== undefined];
    abortClient();
    return [before, request.signal.aborted, copy.signal.aborted, request.signal.reason.name, request.cf, request.cf === copy.cf,
      request.redirect, request.headers.get("x-a"), request.url, new Request(request, { cf: 1 }).cf];
  }`);
  assert.deepEqual(result, [
    [false, false, true],
    true,
    true,
    "AbortError",
    { httpProtocol: "HTTP/1.1", clientAddress: "192.0.2.1", clientPort: 5, secure: false },
    true,
    "manual",
    "1",
    "http://example.com/p?q",
    1,
  ]);
});

test("parts tell the kind of each body, and a stream's length where it is fixed", async () => {
  const result = await guest.run(`() => {
    const kinds = [null, "t", new Uint8Array(2), new Blob(["abc"]), new ReadableStream(), new FixedLengthStream(9).readable, new URLSearchParams("a=b")];
    return kinds.map((body) => {
      const { body: parts } = web.takeResponseParts(new Response(body));
      return [parts.kind, parts.text, parts.bytes?.length, parts.length];
    });
  }`);
  assert.deepEqual(result, [
    ["none", null, null, null],
    ["text", "t", null, null],
    ["bytes", null, 2, null],
    ["bytes", null, 3, null],
    ["stream", null, null, -1],
    ["stream", null, null, 9],
    ["text", "a=b", null, null],
  ]);
});

test("webSocket, encodeBody and status 101 are as in workerd", async () => {
  const result = await guest.run(`(t) => {
    const socket = new WebSocketPair()[0];
    const response = new Response(null, { status: 101, webSocket: socket });
    return [new Response().webSocket, response.webSocket === socket, response.status,
      t.error(() => new Response(null, { status: 101, webSocket: {} })), t.error(() => new Response(null, { status: 101 })),
      t.error(() => response.clone()), t.error(() => new Response(null, { encodeBody: "other" })),
      web.takeResponseParts(new Response("x", { encodeBody: "manual" })).encodedByWorker];
  }`);
  assert.deepEqual(result, [null, true, 101, "TypeError", "RangeError", "TypeError", "TypeError", true]);
});

test("locked, cancelled and used bodies, and what bodies are made of, are as in Node", () =>
  same(guest, async (t) => {
    const locked = new Response("abc");
    const reader = (locked.body as ReadableStream).getReader();
    const out: unknown[] = [locked.bodyUsed, await t.rejection(locked.text()), t.error(() => locked.clone())];
    reader.releaseLock();
    out.push(await locked.text(), locked.bodyUsed, await t.rejection(locked.text()));
    const strings = new ReadableStream({
      start(controller) {
        controller.enqueue("text");
        controller.close();
      },
    });
    const broken = new ReadableStream({
      start(controller) {
        controller.error(new RangeError("x"));
      },
    });
    out.push(await t.rejection(new Response(strings).text()), await t.rejection(new Response(broken).text()));
    out.push(await new Response(new Uint16Array([65, 66])).text(), await new Response("\ufeffabc").text());
    const form = new FormData();
    form.append("f", new File(["x"], "n.txt", { type: "t/x" }));
    const file = (await new Response(form).formData()).get("f") as File;
    out.push(file.name, file.type, await file.text());
    const type = { headers: { "content-type": "Text/Plain; Charset=UTF-8" } };
    out.push((await new Response("x", type).blob()).type, await t.rejection(new Response("{").json()));
    out.push(await t.rejection(Response.prototype.text.call({} as Response)));
    return out;
  }));

test("Request and Response have the members of Body themselves, as in Node", () =>
  same(guest, () => {
    const names = ["body", "bodyUsed", "text", "json", "bytes", "arrayBuffer", "blob", "formData"];
    const statics = [Response.json.length, Response.error.length, Response.redirect.length];
    return [
      statics,
      [Request, Response].map((owner) =>
        names.map((name) => {
          const own = Object.getOwnPropertyDescriptor(owner.prototype, name) as PropertyDescriptor;
          const method = own.value ?? own.get;
          return [own.enumerable, own.configurable, method.name, method.length];
        }),
      ),
    ];
  }));

test("a Request keeps cache mode and keepalive, and gives them on to copies", () =>
  same(guest, () => {
    const first = new Request("http://a/", { cache: "no-store", keepalive: true });
    const copies = [
      first,
      new Request(first),
      first.clone(),
      new Request("http://b/", first),
      new Request("http://b/"),
    ];
    return copies.map((request) => [request.cache, request.keepalive]);
  }));
