import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Guest, same } from "./harness.ts";

let guest: Guest;
before(async () => {
  guest = await Guest.create();
});
after(() => guest.dispose());

test("a stream is read to its end, with start, pull and cancel called as in Node", () =>
  same(guest, async (t) => {
    const calls: unknown[] = [];
    let count = 0;
    const stream = new ReadableStream(
      {
        start(controller) {
          calls.push(["start", controller.desiredSize]);
        },
        pull(controller) {
          calls.push(["pull", controller.desiredSize]);
          if (++count > 3) controller.close();
          else controller.enqueue(count);
        },
        cancel(reason) {
          calls.push(["cancel", reason]);
        },
      },
      { highWaterMark: 2 },
    );
    const chunks: unknown[] = [];
    const reader = stream.getReader();
    for (let step = await reader.read(); !step.done; step = await reader.read()) chunks.push(step.value);
    const other = new ReadableStream({ cancel: (reason) => void calls.push(["cancelled", reason]) });
    await other.cancel("why");
    return [chunks, calls, stream.locked, t.bytes(new Uint8Array(1)), await other.getReader().read()];
  }));

test("constructors refuse what Node's refuse", () =>
  same(guest, (t) => {
    const Readable = ReadableStream as unknown as new (...args: unknown[]) => unknown;
    const Writable = WritableStream as unknown as new (...args: unknown[]) => unknown;
    const Transform = TransformStream as unknown as new (...args: unknown[]) => unknown;
    return [
      t.error(() => new Readable(null)),
      t.error(() => new Readable({ type: "other" })),
      t.error(() => new Readable({ pull: 5 })),
      t.error(() => new Readable({}, { highWaterMark: -1 })),
      t.error(() => new Readable({}, { highWaterMark: Number.NaN })),
      t.error(() => new Readable({}, { size: 5 })),
      t.error(() => new Readable({ type: "bytes" }, { size: () => 1 })),
      t.error(() => new Readable({ type: "bytes", autoAllocateChunkSize: 0 })),
      t.error(
        () =>
          new Readable({
            start() {
              throw new RangeError("x");
            },
          }),
      ),
      t.error(() => new Writable(null)),
      t.error(() => new Writable({ type: "x" })),
      t.error(() => new Writable({ write: 1 })),
      t.error(() => new Transform(null)),
      t.error(() => new Transform({ readableType: "x" })),
      t.error(() => new Transform({ flush: {} })),
      t.error(() => new CountQueuingStrategy({} as never)),
      (new CountQueuingStrategy({ highWaterMark: 4 }).size as () => number)(),
      new ByteLengthQueuingStrategy({ highWaterMark: 4 }).size(new Uint8Array(3)),
      new ByteLengthQueuingStrategy({ highWaterMark: 4 }).highWaterMark,
      ...[
        ReadableStreamDefaultController,
        ReadableByteStreamController,
        ReadableStreamBYOBRequest,
        WritableStreamDefaultController,
        TransformStreamDefaultController,
      ].map((one) => t.error(() => new (one as unknown as new () => unknown)())),
      t.error(() => new ReadableStreamDefaultReader({} as never)),
      t.error(() => new ReadableStreamBYOBReader(new ReadableStream() as never)),
      t.error(() => new ReadableStream().getReader({ mode: "other" } as never)),
    ];
  }));

test("readers lock, release, cancel and learn of closing as in Node", () =>
  same(guest, async (t) => {
    const out: unknown[] = [];
    let saved: ReadableStreamDefaultController | undefined;
    const stream = new ReadableStream({
      start: (controller) => {
        saved = controller;
      },
    });
    const controller = saved as ReadableStreamDefaultController;
    const reader = stream.getReader();
    out.push(
      stream.locked,
      t.error(() => stream.getReader()),
      await t.rejection(stream.cancel()),
    );
    const pending = reader.read();
    controller.enqueue("one");
    out.push(await pending);
    const rejected = t.rejection(reader.read());
    reader.releaseLock();
    out.push(
      await rejected,
      await t.rejection(reader.closed),
      await t.rejection(reader.read()),
      stream.locked,
    );
    reader.releaseLock();
    const second = stream.getReader();
    controller.enqueue("two");
    controller.close();
    out.push(
      t.error(() => controller.enqueue("three")),
      t.error(() => controller.close()),
      controller.desiredSize,
    );
    out.push(await second.read(), await second.read(), await second.closed);
    const failing = new ReadableStream({ start: (c) => c.error(new RangeError("bad")) });
    out.push(await t.rejection(failing.getReader().read()));
    out.push(await t.rejection(failing.cancel()));
    const throwing = new ReadableStream({
      pull: () => {
        throw new SyntaxError("pull");
      },
    });
    out.push(await t.rejection(throwing.getReader().read()));
    return out;
  }));

test("a size that is no size errors the stream", () =>
  same(guest, async (t) => {
    const out: unknown[] = [];
    for (const size of [-1, Number.NaN, Number.POSITIVE_INFINITY]) {
      let controller: ReadableStreamDefaultController | undefined;
      const stream = new ReadableStream(
        {
          start: (c) => {
            controller = c;
          },
        },
        { size: () => size },
      );
      out.push(
        t.error(() => controller?.enqueue("x")),
        await t.rejection(stream.getReader().read()),
      );
      const writable = new WritableStream({}, { size: () => size });
      out.push(await t.rejection(writable.getWriter().write("x")));
    }
    return out;
  }));

test("tee gives both branches everything, and cancels when both are cancelled", () =>
  same(guest, async (t) => {
    const make = (type?: "bytes"): [ReadableStream, unknown[]] => {
      const log: unknown[] = [];
      let count = 0;
      return [
        new ReadableStream({
          ...(type === undefined ? {} : { type }),
          pull(controller: ReadableStreamDefaultController) {
            if (++count > 3) controller.close();
            else controller.enqueue(new Uint8Array([count]));
          },
          cancel: (reason: unknown) => void log.push(reason),
        } as never),
        log,
      ];
    };
    const out: unknown[] = [];
    for (const type of [undefined, "bytes"] as const) {
      const [stream] = make(type);
      const [a, b] = stream.tee();
      out.push(stream.locked, await t.chunks(a as never), await t.chunks(b as never));
      const [second, log] = make(type);
      const [c, d] = second.tee();
      const first = c.cancel("one");
      await d.cancel("two");
      await first;
      out.push(log);
      const bad = new ReadableStream({ type, pull: () => Promise.reject(new RangeError("x")) } as never);
      const [e, f] = bad.tee();
      out.push(await t.rejection(e.getReader().read()), await t.rejection(f.getReader().read()));
    }
    return out;
  }));

test("the branches of a byte stream share no memory", () =>
  same(guest, async () => {
    const stream = new ReadableStream({
      type: "bytes",
      start(controller: ReadableByteStreamController) {
        controller.enqueue(new Uint8Array([1, 2]));
        controller.close();
      },
    } as never);
    const [a, b] = stream.tee();
    const first = (await a.getReader().read()).value as Uint8Array;
    first[0] = 99;
    return [...((await b.getReader().read()).value as Uint8Array)];
  }));

test("pipeTo moves everything and closes, aborts and cancels as its options say", () =>
  same(guest, async (t) => {
    const out: unknown[] = [];
    const source = (
      chunks: unknown[],
      end: "close" | "error" | "stay" = "close",
    ): [ReadableStream, unknown[]] => {
      const log: unknown[] = [];
      const left = [...chunks];
      return [
        new ReadableStream({
          pull(controller) {
            if (left.length > 0) controller.enqueue(left.shift());
            else if (end === "close") controller.close();
            else if (end === "error") controller.error(new RangeError("source"));
          },
          cancel: (reason) => void log.push(["cancel", reason?.name ?? reason]),
        }),
        log,
      ];
    };
    const sink = (failAt = -1): [WritableStream, unknown[]] => {
      const log: unknown[] = [];
      let count = 0;
      return [
        new WritableStream({
          write(chunk) {
            if (count++ === failAt) throw new SyntaxError("sink");
            log.push(chunk);
          },
          close: () => void log.push("close"),
          abort: (reason) => void log.push(["abort", reason?.name ?? reason]),
        }),
        log,
      ];
    };
    for (const options of [undefined, { preventClose: true }]) {
      const [readable] = source([1, 2, 3]);
      const [writable, log] = sink();
      out.push(await t.rejection(readable.pipeTo(writable, options)), log, readable.locked, writable.locked);
    }
    for (const options of [undefined, { preventAbort: true }]) {
      const [readable] = source([1], "error");
      const [writable, log] = sink();
      out.push(await t.rejection(readable.pipeTo(writable, options)), log);
    }
    for (const options of [undefined, { preventCancel: true }]) {
      const [readable, sourceLog] = source([1, 2, 3, 4]);
      const [writable, log] = sink(1);
      out.push(await t.rejection(readable.pipeTo(writable, options)), log, sourceLog, readable.locked);
    }
    for (const options of [{}, { preventAbort: true, preventCancel: true }]) {
      const controller = new AbortController();
      const [readable, sourceLog] = source([1, 2], "stay");
      const [writable, log] = sink();
      const done = t.rejection(readable.pipeTo(writable, { ...options, signal: controller.signal }));
      await new Promise((resolve) => setTimeout(resolve, 2));
      controller.abort(new RangeError("aborted"));
      out.push(await done, log, sourceLog, readable.locked, writable.locked);
    }
    const [early] = source([1]);
    out.push(await t.rejection(early.pipeTo(sink()[0], { signal: AbortSignal.abort(new RangeError("x")) })));
    const [locked] = source([1]);
    locked.getReader();
    out.push(
      await t.rejection(locked.pipeTo(sink()[0])),
      await t.rejection(source([1])[0].pipeTo({} as never)),
    );
    out.push(t.error(() => source([1])[0].pipeThrough({} as never)));
    return out;
  }));

test("a pipe into a closed stream cancels its source", async () => {
  const result = await guest.run(async (t) => {
    const log: unknown[] = [];
    const source = new ReadableStream({ cancel: (reason) => void log.push(reason.name) });
    const closed = new WritableStream();
    await closed.close();
    return [await t.rejection(source.pipeTo(closed)), log];
  });
  assert.deepEqual(result, ["TypeError", ["TypeError"]]);
});

test("writers feel backpressure, close, abort and fail as in Node", () =>
  same(guest, async (t) => {
    const out: unknown[] = [];
    const log: unknown[] = [];
    let release: (() => void) | undefined;
    const stream = new WritableStream(
      {
        start: () => void log.push("start"),
        write: (chunk) =>
          new Promise<void>((resolve) => {
            log.push(chunk);
            release = resolve;
          }),
        close: () => void log.push("close"),
      },
      { highWaterMark: 2 },
    );
    const writer = stream.getWriter();
    out.push(
      stream.locked,
      writer.desiredSize,
      t.error(() => stream.getWriter()),
    );
    await writer.ready;
    const first = writer.write("a");
    const second = writer.write("b");
    out.push(writer.desiredSize);
    let ready = false;
    void writer.ready.then(() => {
      ready = true;
    });
    await new Promise((resolve) => setTimeout(resolve, 1));
    out.push(ready, [...log]);
    release?.();
    await first;
    await writer.ready;
    out.push(writer.desiredSize);
    release?.();
    await second;
    out.push(
      await t.rejection(writer.close()),
      await writer.closed,
      log,
      await t.rejection(writer.write("late")),
      writer.desiredSize,
    );
    writer.releaseLock();
    out.push(
      t.error(() => writer.desiredSize),
      await t.rejection(writer.write("x")),
      await t.rejection(writer.ready),
    );
    const aborted: unknown[] = [];
    let signal: AbortSignal | undefined;
    const other = new WritableStream({
      start: (controller) => {
        signal = controller.signal;
      },
      abort: (reason) => void aborted.push(reason),
    });
    const otherWriter = other.getWriter();
    const closed = t.rejection(otherWriter.closed);
    await otherWriter.abort(new RangeError("why"));
    out.push(
      aborted.length,
      signal?.aborted,
      await closed,
      await t.rejection(otherWriter.write("x")),
      otherWriter.desiredSize,
    );
    const failing = new WritableStream({ write: () => Promise.reject(new SyntaxError("disk")) });
    const failingWriter = failing.getWriter();
    out.push(
      await t.rejection(failingWriter.write("x")),
      await t.rejection(failingWriter.closed),
      await t.rejection(failingWriter.write("y")),
    );
    let controller: WritableStreamDefaultController | undefined;
    const told = new WritableStream({
      start: (c) => {
        controller = c;
      },
    });
    controller?.error(new EvalError("told"));
    out.push(await t.rejection(told.getWriter().closed), await t.rejection(told.abort()));
    return out;
  }));

test("transforms change, drop, multiply, flush, terminate and fail as in Node", () =>
  same(guest, async (t) => {
    const out: unknown[] = [];
    const numbers = (): ReadableStream =>
      new ReadableStream({
        start(controller) {
          for (let i = 1; i <= 4; i++) controller.enqueue(i);
          controller.close();
        },
      });
    out.push(await t.chunks(numbers().pipeThrough(new TransformStream()) as never));
    out.push(
      await t.chunks(
        numbers().pipeThrough(
          new TransformStream({
            start: (controller) => controller.enqueue("first"),
            transform(chunk, controller) {
              if (chunk % 2 === 0) {
                controller.enqueue(chunk * 10);
                controller.enqueue(chunk * 100);
              }
            },
            flush: (controller) => controller.enqueue("last"),
          }),
        ) as never,
      ),
    );
    out.push(
      await t.rejection(
        t.chunks(
          numbers().pipeThrough(
            new TransformStream({
              transform: () => {
                throw new RangeError("x");
              },
            }),
          ) as never,
        ),
      ),
    );
    out.push(
      await t.chunks(
        numbers().pipeThrough(
          new TransformStream({
            transform(chunk, controller) {
              controller.enqueue(chunk);
              if (chunk === 2) controller.terminate();
            },
          }),
        ) as never,
      ),
    );
    const log: unknown[] = [];
    const cancelled = new TransformStream({ cancel: (reason: unknown) => void log.push(reason) } as never);
    await cancelled.readable.cancel("no more");
    out.push(log, await t.rejection(cancelled.writable.getWriter().write(1)));
    const aborted = new TransformStream();
    await aborted.writable.abort(new RangeError("stop"));
    out.push(await t.rejection(aborted.readable.getReader().read()));
    const slow = new TransformStream({
      transform: (chunk, controller) =>
        new Promise<void>((resolve) =>
          setTimeout(() => {
            controller.enqueue(chunk);
            resolve();
          }, 1),
        ),
    });
    out.push(await t.chunks(numbers().pipeThrough(slow) as never));
    return out;
  }));

test("byte streams serve BYOB and default readers, and BYOB requests, as in Node", () =>
  same(guest, async (t) => {
    const out: unknown[] = [];
    const stream = new ReadableStream({
      type: "bytes",
      start(controller: ReadableByteStreamController) {
        controller.enqueue(new Uint8Array([1, 2, 3, 4, 5]));
      },
    } as never);
    const reader = stream.getReader({ mode: "byob" }) as ReadableStreamBYOBReader;
    const buffer = new Uint8Array(3);
    const first = await reader.read(buffer);
    out.push(first.done, t.bytes(first.value as Uint8Array), buffer.byteLength);
    const second = await reader.read(new Uint8Array(8));
    out.push(t.bytes(second.value as Uint8Array), second.value?.byteOffset, second.value?.buffer.byteLength);
    out.push(await t.rejection(reader.read(new Uint8Array(0))), await t.rejection(reader.read({} as never)));
    reader.releaseLock();

    const requests: unknown[] = [];
    let count = 0;
    const pulled = new ReadableStream({
      type: "bytes",
      autoAllocateChunkSize: 4,
      pull(controller: ReadableByteStreamController) {
        const request = controller.byobRequest as ReadableStreamBYOBRequest;
        const view = request.view as Uint8Array;
        requests.push([view.byteLength, view.byteOffset]);
        if (++count > 2) {
          controller.close();
          request.respond(0);
          return;
        }
        view[0] = count;
        request.respond(1);
        out.push(
          t.error(() => request.respond(1)),
          request.view,
        );
      },
    } as never);
    out.push(await t.chunks(pulled as never), requests);

    const wide = new ReadableStream({
      type: "bytes",
      start(controller: ReadableByteStreamController) {
        controller.enqueue(new Uint8Array([1, 0, 2]));
        controller.enqueue(new Uint8Array([0, 3]));
        controller.enqueue(new Uint8Array([0]));
        controller.close();
      },
    } as never);
    const wideReader = wide.getReader({ mode: "byob" }) as ReadableStreamBYOBReader;
    const words = await wideReader.read(new Uint16Array(2));
    out.push([...(words.value as Uint16Array)]);
    const rest = await wideReader.read(new Uint16Array(2));
    out.push([...(rest.value as Uint16Array)]);
    const end = await wideReader.read(new Uint16Array(2));
    out.push(end.done, end.value?.length);

    const view = new ReadableStream({
      type: "bytes",
      pull(controller: ReadableByteStreamController) {
        const { byobRequest } = controller;
        const target = byobRequest?.view as Uint8Array;
        out.push(t.error(() => byobRequest?.respondWithNewView(new Uint8Array(1))));
        const part = new Uint8Array(target.buffer, target.byteOffset, 2);
        part.set([7, 8]);
        byobRequest?.respondWithNewView(part as never);
      },
    } as never);
    const viewReader = view.getReader({ mode: "byob" }) as ReadableStreamBYOBReader;
    out.push(t.bytes((await viewReader.read(new Uint8Array(4))).value as Uint8Array));
    out.push(t.bytes((await viewReader.read(new DataView(new ArrayBuffer(4)) as never)).value as never));

    let saved: ReadableByteStreamController | undefined;
    const wrong = new ReadableStream({
      type: "bytes",
      start: (c: ReadableByteStreamController) => {
        saved = c;
      },
    } as never);
    void wrong;
    out.push(
      t.error(() => saved?.enqueue(new Uint8Array(0))),
      t.error(() => saved?.enqueue("x" as never)),
      saved?.byobRequest,
      saved?.desiredSize,
    );
    return out;
  }));

test("a read with min waits for that much", () =>
  same(guest, async (t) => {
    let controller: ReadableByteStreamController | undefined;
    const stream = new ReadableStream({
      type: "bytes",
      start: (c: ReadableByteStreamController) => {
        controller = c;
      },
    } as never);
    const reader = stream.getReader({ mode: "byob" }) as unknown as {
      read(view: Uint8Array, options: { min: number }): Promise<{ value: Uint8Array }>;
    };
    const read = reader.read(new Uint8Array(6), { min: 4 });
    controller?.enqueue(new Uint8Array([1, 2, 3]));
    controller?.enqueue(new Uint8Array([4, 5]));
    return [
      t.bytes((await read).value),
      await t.rejection(reader.read(new Uint8Array(2), { min: 3 })),
      await t.rejection(reader.read(new Uint8Array(2), { min: 0 })),
    ];
  }));

test("a released BYOB reader leaves its bytes to the next reader", () =>
  same(guest, async (t) => {
    let controller: ReadableByteStreamController | undefined;
    const stream = new ReadableStream({
      type: "bytes",
      start: (c: ReadableByteStreamController) => {
        controller = c;
      },
    } as never);
    const reader = stream.getReader({ mode: "byob" }) as ReadableStreamBYOBReader;
    const read = t.rejection(reader.read(new Uint16Array(2)));
    reader.releaseLock();
    const next = stream.getReader();
    const second = next.read();
    controller?.enqueue(new Uint8Array([1, 2, 3]));
    return [await read, t.bytes((await second).value as Uint8Array)];
  }));

test("asynchronous iteration reads, returns, throws and keeps on request", () =>
  same(guest, async (t) => {
    const out: unknown[] = [];
    const make = (log: unknown[]): ReadableStream =>
      new ReadableStream({
        start(controller) {
          for (let i = 0; i < 4; i++) controller.enqueue(i);
          controller.close();
        },
        cancel: (reason) => void log.push(["cancel", reason]),
      });
    for (const preventCancel of [false, true]) {
      const log: unknown[] = [];
      const stream = make(log);
      for await (const chunk of stream.values({ preventCancel })) {
        log.push(chunk);
        if (chunk === 1) break;
      }
      out.push(log, stream.locked);
    }
    const iterator = make([]).values();
    out.push(
      await Promise.all([
        iterator.next(),
        iterator.next(),
        iterator.return?.("done" as never),
        iterator.next(),
      ]),
    );
    const failing = new ReadableStream({ pull: (controller) => controller.error(new RangeError("x")) });
    out.push(await t.rejection(failing.values().next()), failing.locked);
    out.push(ReadableStream.prototype[Symbol.asyncIterator] === ReadableStream.prototype.values);
    return out;
  }));

test("ReadableStream.from takes any iterable", () =>
  same(guest, async (t) => {
    const from = (ReadableStream as unknown as { from(iterable: unknown): ReadableStream }).from;
    let returned = false;
    const iterable = {
      [Symbol.asyncIterator]: () => ({
        next: async () => ({ done: false, value: 1 }),
        return: async () => {
          returned = true;
          return {};
        },
      }),
    };
    const stream = from(iterable);
    const reader = stream.getReader();
    await reader.read();
    await reader.cancel();
    return [
      await t.chunks(from([1, Promise.resolve(2), 3]) as never),
      await t.chunks(from("ab") as never),
      await t.chunks(
        from(
          (async function* () {
            yield 1;
            yield 2;
          })(),
        ) as never,
      ),
      await t.chunks(
        from(
          new ReadableStream({
            start: (c) => {
              c.enqueue("x");
              c.close();
            },
          }),
        ) as never,
      ),
      returned,
      t.error(() => from(5)),
      t.error(() => from(null)),
      await t.rejection(
        from(
          (function* () {
            yield* [];
            throw new RangeError("x");
          })(),
        )
          .getReader()
          .read(),
      ),
    ];
  }));

test("identity and fixed-length streams pass bytes, with backpressure and a count", async () => {
  const result = await guest.run(async (t) => {
    const scope = globalThis as unknown as Record<string, new (length?: number | bigint) => TransformStream>;
    const Identity = scope.IdentityTransformStream as new () => TransformStream;
    const Fixed = scope.FixedLengthStream as new (length: number | bigint) => TransformStream;
    const out: unknown[] = [];
    const { readable, writable } = new Identity();
    const writer = writable.getWriter();
    let written = false;
    const write = writer.write(new Uint8Array([1, 2])).then(() => {
      written = true;
    });
    await new Promise((resolve) => setTimeout(resolve, 1));
    out.push(written);
    const byob = readable.getReader({ mode: "byob" });
    out.push(t.bytes((await byob.read(new Uint8Array(4))).value as Uint8Array));
    await write;
    out.push(written);
    const end = byob.read(new Uint8Array(1));
    await writer.close();
    out.push((await end).done);
    const exact = new Fixed(3n);
    const exactWriter = exact.writable.getWriter();
    const read = t.chunks(exact.readable);
    await exactWriter.write(new Uint8Array([1, 2, 3]));
    await exactWriter.close();
    out.push(await read);
    const more = new Fixed(1);
    const moreRead = t.rejection(more.readable.getReader().read());
    out.push(await t.rejection(more.writable.getWriter().write(new Uint8Array(2))), await moreRead);
    const less = new Fixed(5);
    const lessRead = t.rejection(less.readable.getReader().read());
    out.push(await t.rejection(less.writable.getWriter().close()), await lessRead);
    const bad = new Identity();
    const badRead = t.rejection(bad.readable.getReader().read());
    out.push(await t.rejection(bad.writable.getWriter().write(5)), await badRead);
    const cancelled = new Identity();
    const blocked = cancelled.writable.getWriter();
    const pending = blocked.write(new Uint8Array(1));
    await cancelled.readable.cancel("enough");
    await pending;
    out.push(await t.rejection(blocked.write(new Uint8Array(1))));
    out.push(t.error(() => new Fixed(-1)));
    return out;
  });
  assert.deepEqual(result, [
    false,
    [1, 2],
    true,
    true,
    [[1, 2, 3]],
    "TypeError",
    "TypeError",
    "TypeError",
    "TypeError",
    "TypeError",
    "TypeError",
    "thrown enough",
    "TypeError",
  ]);
});

test("ten thousand chunks pass through a pipe without deep recursion", async () => {
  const result = await guest.run(async () => {
    let count = 0;
    const source = new ReadableStream({
      start(controller) {
        for (let i = 0; i < 10_000; i++) controller.enqueue(new Uint8Array([i & 255]));
        controller.close();
      },
    });
    const response = new Response(
      source.pipeThrough(
        new TransformStream({
          transform(chunk, controller) {
            count++;
            controller.enqueue(chunk);
          },
        }),
      ),
    );
    return [(await response.bytes()).length, count];
  });
  assert.deepEqual(result, [10_000, 10_000]);
});
