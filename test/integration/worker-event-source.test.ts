import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { ProxyError } from "../../src/errors/proxy-error.ts";
import { type BodySource, BytesBody } from "../../src/http/body.ts";
import { HeaderBlock } from "../../src/http/header-block.ts";
import { ResponseHead } from "../../src/http/message.ts";
import { collect } from "./network-harness.ts";
import { FakeService, to, WorkerBench } from "./worker-harness.ts";

let bench: WorkerBench | null = null;
afterEach(() => {
  bench?.stop();
  bench = null;
});

/** Answers the requests in turn: a text is a stream of events that ends, a number a status, null a failure. */
function origin(answers: ReadonlyArray<string | number | null | BodySource>): FakeService {
  let next = 0;
  return new FakeService("ORIGIN", (exchange) => {
    const answer = answers[Math.min(next++, answers.length - 1)] as string | number | null | BodySource;
    if (answer === null) exchange.fail(new ProxyError("upstream_unreachable", "cannot connect"));
    else if (typeof answer === "number") exchange.respond(new ResponseHead(answer), null);
    else {
      const headers = HeaderBlock.from([["content-type", "text/event-stream; charset=utf-8"]]);
      const body = typeof answer === "string" ? BytesBody.text(answer) : answer;
      exchange.respond(new ResponseHead(200, headers), body);
    }
  });
}

async function evaluate(body: string, fake: FakeService = origin([204])): Promise<unknown> {
  const bindings = { ORIGIN: { service: to("ORIGIN") } };
  const code = `
    function gather(source, count, types = ["message"]) {
      return new Promise((resolve) => {
        const seen = [];
        const add = (what) => { seen.push(what); if (seen.length === count) { source.close(); resolve(seen); } };
        source.onopen = (event) => add(["open", event.isTrusted]);
        source.onerror = (event) => add(["error", source.readyState, event.message]);
        for (const type of types)
          source.addEventListener(type, (event) => add([event.type, event.data, event.lastEventId, event.origin]));
      });
    }
    export default { async fetch(request, env) { return Response.json(await (async () => { ${body} })() ?? null); } };`;
  bench = await WorkerBench.start({ main: { code, bindings } }, [fake]);
  const answer = await collect(bench.worker(), {});
  assert.equal(answer.error, null);
  return JSON.parse(answer.text);
}

test("EventSource dispatches the events of a stream, and connects again with the last id", async () => {
  const fake = origin([
    "\ufeffretry: 1\n: comment\nid: 7\ndata: one\n\nevent: named\ndata:two\ndata: lines\n\ndata\n\nid: 8\n\ndata: unfinished",
    "data: again\n\n",
  ]);
  const result = await evaluate(
    `const source = new EventSource("http://o/events", { fetcher: env.ORIGIN });
    const before = [source.readyState, source.url, source.withCredentials];
    return [before, await gather(source, 7, ["message", "named"]), source.readyState];`,
    fake,
  );
  assert.deepEqual(result, [
    [0, "http://o/events", false],
    [
      ["open", true],
      ["message", "one", "7", "http://o"],
      ["named", "two\nlines", "7", "http://o"],
      ["message", "", "7", "http://o"],
      ["error", 0, "the stream of events has ended"],
      ["open", true],
      ["message", "again", "8", "http://o"],
    ],
    2,
  ]);
  const [first, second] = fake.exchanges.map((exchange) => exchange.request.headers);
  assert.equal(first?.get("accept"), "text/event-stream");
  assert.equal(first?.get("last-event-id"), null);
  assert.equal(second?.get("last-event-id"), "8");
});

test("another status or content type is final", async () => {
  const result = await evaluate(
    `const source = new EventSource("http://o/", { fetcher: env.ORIGIN });
    return gather(source, 1);`,
    origin([204]),
  );
  assert.deepEqual(result, [["error", 2, 'cannot connect: the answer has status 204 and content type ""']]);
});

test("a connection that cannot be had is tried again", async () => {
  const fake = origin(["retry: 0\n\n", null, "data: at last\n\n"]);
  const result = await evaluate(
    `const source = new EventSource("http://o/", { fetcher: env.ORIGIN });
    return (await gather(source, 5)).map((one) => one[0] + " " + one[1]);`,
    fake,
  );
  assert.deepEqual(result, ["open true", "error 0", "error 0", "open true", "message at last"]);
  assert.equal(fake.exchanges.length, 3);
});

test("closing stops the stream at the origin, and nothing is dispatched any more", async () => {
  const stopped = Promise.withResolvers<void>();
  const endless: BodySource = {
    length: -1,
    pipe: (sink) => queueMicrotask(() => sink.write(Buffer.from("data: 1\n\ndata: 2\n\n"))),
    resume() {},
    cancel: () => stopped.resolve(),
  };
  const result = await evaluate(
    `const source = new EventSource("http://o/", { fetcher: env.ORIGIN });
    const seen = [];
    await new Promise((resolve) => {
      source.onmessage = (event) => { seen.push(event.data); source.close(); resolve(); };
    });
    return [seen, source.readyState];`,
    origin([endless]),
  );
  assert.deepEqual(result, [["1"], 2]);
  await stopped.promise;
});

test("EventSource.from reads a stream's bytes, however they are cut", async () => {
  const result = await evaluate(
    `const bytes = new TextEncoder().encode("id: é\\r\\ndata: a\\rdata: b\\r\\n\\r\\nevent: x\\ndata: 😀\\n\\n");
    const results = [];
    for (const size of [1, 2, 3, 100]) {
      const stream = new ReadableStream({ start(controller) {
        for (let i = 0; i < bytes.length; i += size) controller.enqueue(bytes.slice(i, i + size));
        controller.close();
      } });
      const source = EventSource.from(stream);
      results.push([source.readyState, source.url, (await gather(source, 3, ["message", "x"])).map((one) => one.slice(0, 3))]);
    }
    return results;`,
  );
  const events = [
    ["message", "a\nb", "é"],
    ["x", "😀", "é"],
    ["error", 2, "the stream of events has ended"],
  ];
  assert.deepEqual(result, new Array(4).fill([1, "", events]));
});

test("a stream that refuses to be cancelled is nobody's unhandled rejection", async () => {
  const result = await evaluate(
    `const stream = new ReadableStream({
      start(controller) { controller.enqueue("no bytes"); },
      cancel() { throw new RangeError("not now"); },
    });
    const events = await gather(EventSource.from(stream), 1);
    await new Promise((resolve) => setTimeout(resolve, 1));
    return events.map(([type]) => type);`,
  );
  assert.deepEqual(result, ["error"]);
  assert.deepEqual(bench?.logged("worker.rejection"), []);
});

test("an EventSource with a bad argument is refused", async () => {
  const result = await evaluate(
    `const fail = (action) => { try { action(); } catch (error) { return [error.name, error.message]; } };
    return [fail(() => new EventSource("no url")), fail(() => new EventSource()), fail(() => EventSource.from("x")),
      fail(() => new EventSource("http://o/", 5)), EventSource.CLOSED, EventSource.prototype.OPEN, EventSource.length, String(EventSource.prototype)];`,
  );
  assert.deepEqual(result, [
    ["SyntaxError", 'cannot make an EventSource: "no url" is not a valid URL'],
    ["TypeError", "cannot call EventSource constructor: 1 argument required, 0 given"],
    ["TypeError", "cannot make an EventSource: stream is not a ReadableStream"],
    ["TypeError", "cannot make an EventSource: init is not an object"],
    2,
    1,
    1,
    "[object EventSource]",
  ]);
});
