import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Guest, same } from "./harness.ts";

let guest: Guest;
before(async () => {
  guest = await Guest.create();
});
after(() => guest.dispose());

test("ports of a channel exchange clones, in order, once they are started", () =>
  same(guest, async () => {
    const { port1, port2 } = new MessageChannel();
    const out: unknown[] = [];
    const sent = { list: [1, new Map([["a", new Date(5)]])] };
    port1.postMessage("early");
    port1.postMessage(sent);
    sent.list.push(2);
    await new Promise<void>((resolve) => {
      port2.onmessage = (event: MessageEvent) => {
        out.push(
          event.type,
          typeof event.data === "string" ? event.data : event.data.list.length,
          event.ports.length,
        );
        if (typeof event.data !== "string") resolve();
      };
    });
    port2.onmessage = null;
    port1.addEventListener("message", (event) => out.push((event as MessageEvent).data));
    const answered = new Promise((resolve) => port1.addEventListener("message", resolve));
    port1.start();
    port2.postMessage("back");
    await answered;
    port1.close();
    return out;
  }));

test("a port travels through another, and what was sent to it before arrives after", () =>
  same(guest, async (t) => {
    const outer = new MessageChannel();
    const inner = new MessageChannel();
    const out: unknown[] = [];
    inner.port1.postMessage("waiting");
    outer.port1.postMessage({ port: inner.port2 }, [inner.port2]);
    out.push(
      t.error(() => outer.port1.postMessage(null, [inner.port2])),
      t.error(() => outer.port1.postMessage(inner.port1)),
      t.error(() => outer.port1.postMessage(null, [outer.port1])),
    );
    const received = await new Promise<MessageEvent>((resolve) => {
      outer.port2.onmessage = resolve as never;
    });
    const port = received.data.port as MessagePort;
    out.push(port instanceof MessagePort, received.ports.length, received.ports[0] === port);
    const message = await new Promise<MessageEvent>((resolve) => {
      port.onmessage = resolve as never;
    });
    out.push(message.data);
    outer.port1.close();
    inner.port1.close();
    return out;
  }));

test("a port that is closed takes and gives nothing more", async () => {
  assert.deepEqual(
    await guest.run(async () => {
      const { port1, port2 } = new MessageChannel();
      const out: unknown[] = [];
      port2.onmessage = (event: MessageEvent) => out.push(event.data);
      const closed = new Promise((resolve) => port2.addEventListener("close", resolve));
      port1.close();
      port1.postMessage("lost");
      out.push(((await closed) as Event).type);
      return out;
    }),
    ["close"],
  );
});

test("streams are transferred with what goes through them cloned", async () => {
  // Not compared to Node, whose transferred streams keep a process alive.
  const found = await guest.run(async (t) => {
    const chunk = { a: [1] };
    const source = new ReadableStream({
      start(controller) {
        controller.enqueue(chunk);
        controller.enqueue("two");
        controller.close();
      },
    });
    const moved = structuredClone(source, { transfer: [source as never] });
    const written: unknown[] = [];
    const sink = new WritableStream({ write: (one) => void written.push(one) });
    const target = structuredClone(sink, { transfer: [sink as never] });
    await moved
      .pipeThrough(
        new TransformStream({
          transform(one, controller) {
            if (one === chunk) throw new Error("not cloned");
            controller.enqueue(one);
          },
        }),
      )
      .pipeTo(target);
    const pair = new TransformStream();
    const both = structuredClone(pair, { transfer: [pair as never] });
    const writer = both.writable.getWriter();
    void writer.write("through");
    const locked = new ReadableStream();
    locked.getReader();
    return [
      written,
      source.locked,
      sink.locked,
      pair.readable.locked && pair.writable.locked,
      await both.readable.getReader().read(),
      t.error(() => structuredClone(locked, { transfer: [locked as never] })),
      t.error(() => structuredClone(new ReadableStream())),
      t.error(() => structuredClone(new TransformStream())),
    ];
  });
  assert.deepEqual(found, [
    [{ a: [1] }, "two"],
    false,
    true,
    true,
    { value: "through", done: false },
    "DataCloneError",
    "DataCloneError",
    "DataCloneError",
  ]);
});

test("a transferred stream carries errors and cancellation over", async () => {
  const found = await guest.run(async (t) => {
    const failing = new ReadableStream({ start: (controller) => controller.error(new RangeError("bad")) });
    const moved = structuredClone(failing, { transfer: [failing as never] });
    let reason: unknown = null;
    const endless = new ReadableStream({
      cancel(why) {
        reason = why;
      },
    });
    const other = structuredClone(endless, { transfer: [endless as never] });
    await other.cancel("enough");
    await new Promise((resolve) => setTimeout(resolve, 5));
    const uncloneable = new ReadableStream({
      pull: (controller) => controller.enqueue(() => {}),
    });
    const third = structuredClone(uncloneable, { transfer: [uncloneable as never] });
    return [await t.rejection(moved.getReader().read()), reason, await t.rejection(third.getReader().read())];
  });
  assert.deepEqual(found, ["RangeError", "enough", "DataCloneError"]);
});

test("nothing is transferred when cloning fails", () =>
  same(guest, (t) => {
    const buffer = new ArrayBuffer(8);
    const stream = new ReadableStream();
    return [
      t.error(() => structuredClone([buffer, () => {}], { transfer: [buffer, stream as never] })),
      buffer.byteLength,
      stream.locked,
      t.error(() => structuredClone(1, { transfer: [buffer, buffer] })),
      t.error(() => structuredClone(1, { transfer: [{} as never] })),
      t.error(() => structuredClone(1, { transfer: [1 as never] })),
      buffer.byteLength,
    ];
  }));
