import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Guest, same } from "./harness.ts";

let guest: Guest;
before(async () => {
  guest = await Guest.create();
});
after(() => guest.dispose());

test("Event's attributes and flags are as in Node", () =>
  same(guest, (t) => {
    const event = new Event("x", { bubbles: true, cancelable: true, composed: true });
    const out: unknown[] = [
      event.type,
      event.bubbles,
      event.cancelable,
      event.composed,
      event.defaultPrevented,
    ];
    out.push(event.target, event.currentTarget, event.eventPhase, event.composedPath(), event.returnValue);
    event.preventDefault();
    out.push(event.defaultPrevented, event.returnValue, event.isTrusted);
    const plain = new Event("y");
    plain.preventDefault();
    out.push(plain.defaultPrevented, plain.cancelBubble);
    plain.stopPropagation();
    out.push(plain.cancelBubble);
    out.push(
      ...["NONE", "AT_TARGET", "BUBBLING_PHASE"].map((name) => (Event as never)[name]),
      `${event}`,
      typeof event.timeStamp,
    );
    out.push(t.error(() => new (Event as unknown as new () => Event)()));
    return out;
  }));

test("listeners are called in order, once, with objects and capture as in Node", () =>
  same(guest, (t) => {
    const target = new EventTarget();
    const out: unknown[] = [];
    const first = (event: Event): void => void out.push(["first", event.type, event.target === target]);
    const object = {
      name: "object",
      handleEvent(this: { name: string }) {
        out.push(this.name);
      },
    };
    target.addEventListener("a", first);
    target.addEventListener("a", first);
    target.addEventListener("a", object);
    target.addEventListener("a", () => void out.push("once"), { once: true });
    out.push(target.dispatchEvent(new Event("a")));
    target.removeEventListener("a", first);
    out.push(target.dispatchEvent(new Event("a")));
    target.removeEventListener("a", object);
    out.push(target.dispatchEvent(new Event("a")));
    target.addEventListener("stop", (event) => event.stopImmediatePropagation());
    target.addEventListener("stop", () => void out.push("never"));
    target.dispatchEvent(new Event("stop"));
    target.addEventListener("cancel", (event) => event.preventDefault());
    out.push(
      target.dispatchEvent(new Event("cancel", { cancelable: true })),
      target.dispatchEvent(new Event("cancel")),
    );
    target.addEventListener("passive", (event) => event.preventDefault(), { passive: true });
    out.push(target.dispatchEvent(new Event("passive", { cancelable: true })));
    target.addEventListener("add", () => target.addEventListener("add", () => void out.push("late")));
    target.dispatchEvent(new Event("add"));
    const removed = (): void => void out.push("removed");
    target.addEventListener("remove", () => target.removeEventListener("remove", removed));
    target.addEventListener("remove", removed);
    target.dispatchEvent(new Event("remove"));
    out.push(
      t.error(() => target.dispatchEvent({} as Event)),
      t.error(() => target.addEventListener("x", 5 as never)),
    );
    return out;
  }));

test("capturing listeners come first, an event is dispatched once at a time, and constants are everywhere", async () => {
  assert.deepEqual(
    await guest.run((t) => {
      const target = new EventTarget();
      const out: unknown[] = [];
      const both = (event: Event): void => void out.push(event.eventPhase);
      target.addEventListener("a", () => void out.push("bubbling"));
      target.addEventListener("a", both);
      target.addEventListener("a", both, true);
      target.addEventListener("a", null as never);
      target.dispatchEvent(new Event("a"));
      const again = new Event("again");
      target.addEventListener("again", () => void out.push(t.error(() => target.dispatchEvent(again))));
      target.dispatchEvent(again);
      target.dispatchEvent(again);
      out.push(
        again.target === target,
        again.currentTarget,
        (again as unknown as { BUBBLING_PHASE: number }).BUBBLING_PHASE,
      );
      out.push(
        t.error(() => AbortSignal.timeout(-1)),
        t.error(() => AbortSignal.timeout(Number.NaN)),
      );
      return out;
    }),
    [2, "bubbling", 2, "InvalidStateError", "InvalidStateError", true, null, 3, "TypeError", "TypeError"],
  );
});

test("a listener with a signal goes when the signal aborts", () =>
  same(guest, (t) => {
    const target = new EventTarget();
    const controller = new AbortController();
    let calls = 0;
    target.addEventListener("a", () => void calls++, { signal: controller.signal });
    target.dispatchEvent(new Event("a"));
    controller.abort();
    target.dispatchEvent(new Event("a"));
    target.addEventListener("a", () => void calls++, { signal: controller.signal });
    target.dispatchEvent(new Event("a"));
    return [calls, t.error(() => target.addEventListener("a", () => {}, { signal: {} as AbortSignal }))];
  }));

test("an exception in a listener goes to the host, and the others are still called", async () => {
  const called = await guest.run(() => {
    const target = new EventTarget();
    let count = 0;
    target.addEventListener("a", () => {
      throw new Error("from a listener");
    });
    target.addEventListener("a", () => void count++);
    target.dispatchEvent(new Event("a"));
    return count;
  });
  assert.equal(called, 1);
  assert.deepEqual(guest.exceptions.splice(0), ["from a listener"]);
});

test("the other kinds of event carry what they were given", async () => {
  assert.deepEqual(
    await guest.run(() => {
      const scope = globalThis as unknown as Record<
        string,
        new (
          type: string,
          init?: object,
        ) => Record<string, unknown>
      >;
      const show = (name: string, init: object | undefined, keys: string[]): unknown => {
        const event = new (scope[name] as new (type: string, init?: object) => Record<string, unknown>)(
          "t",
          init,
        );
        return [event instanceof Event, ...keys.map((key) => event[key])];
      };
      return [
        show("CustomEvent", { detail: 1 }, ["detail"]),
        show("CustomEvent", undefined, ["detail"]),
        show("MessageEvent", { data: { a: 1 }, origin: "o" }, [
          "data",
          "origin",
          "lastEventId",
          "source",
          "ports",
        ]),
        show("CloseEvent", { code: 1001, reason: "r", wasClean: true }, ["code", "reason", "wasClean"]),
        show("CloseEvent", undefined, ["code", "reason", "wasClean"]),
        show("ErrorEvent", { message: "m", lineno: 3, error: 7 }, [
          "message",
          "filename",
          "lineno",
          "colno",
          "error",
        ]),
        show("PromiseRejectionEvent", { promise: Promise.resolve(), reason: "why" }, ["reason"]),
      ];
    }),
    [
      [true, 1],
      [true, null],
      [true, { a: 1 }, "o", "", null, []],
      [true, 1001, "r", true],
      [true, 0, "", false],
      [true, "m", "", 3, 0, 7],
      [true, "why"],
    ],
  );
});

test("AbortController and AbortSignal behave as in Node", () =>
  same(guest, async (t) => {
    const controller = new AbortController();
    const { signal } = controller;
    const out: unknown[] = [
      signal === controller.signal,
      signal.aborted,
      signal.reason === undefined,
      signal.onabort,
    ];
    const seen: unknown[] = [];
    signal.onabort = (event) => void seen.push(["on", event.type, event.target === signal, event.isTrusted]);
    signal.addEventListener("abort", () => void seen.push("listener"));
    controller.abort();
    controller.abort("again");
    out.push(
      seen,
      signal.aborted,
      signal.reason.name,
      signal.reason.code,
      signal.reason instanceof DOMException,
    );
    out.push(
      t.error(() => signal.throwIfAborted()),
      t.error(() => new AbortController().signal.throwIfAborted()),
    );
    const reasoned = AbortSignal.abort("why");
    out.push(reasoned.aborted, reasoned.reason, AbortSignal.abort().reason.name);
    out.push(t.error(() => new (AbortSignal as unknown as new () => AbortSignal)()));
    const late = AbortSignal.timeout(5);
    await new Promise((resolve) => late.addEventListener("abort", resolve));
    out.push(late.reason.name);
    return out;
  }));

test("AbortSignal.any follows its sources, nested ones too", () =>
  same(guest, (t) => {
    const a = new AbortController();
    const b = new AbortController();
    const any = AbortSignal.any([a.signal, b.signal]);
    const nested = AbortSignal.any([any]);
    const order: string[] = [];
    b.signal.addEventListener("abort", () => void order.push(`b ${any.aborted} ${nested.aborted}`));
    any.addEventListener("abort", () => void order.push("any"));
    nested.addEventListener("abort", () => void order.push("nested"));
    b.abort("reason");
    a.abort("other");
    return [
      order,
      any.reason,
      nested.reason,
      AbortSignal.any([]).aborted,
      AbortSignal.any([AbortSignal.abort(1), AbortSignal.abort(2)]).reason,
      t.error(() => AbortSignal.any([{}] as never)),
      t.error(() => AbortSignal.any(5 as never)),
    ];
  }));

test("timers run in order, repeat, take arguments and can be cleared", async () => {
  assert.deepEqual(
    await guest.run(async (t) => {
      const out: unknown[] = [];
      const ids = [setTimeout(() => {}, 0), setInterval(() => {}, 1)];
      out.push(ids.every((id) => typeof id === "number"));
      for (const id of ids) clearTimeout(id);
      clearTimeout(undefined);
      clearTimeout(99999);
      await new Promise<void>((resolve) => {
        setTimeout((a: unknown, b: unknown) => out.push([a, b]), 0, 1, "two");
        setTimeout(resolve, 5);
      });
      let count = 0;
      await new Promise<void>((resolve) => {
        const id = setInterval(() => {
          if (++count < 3) return;
          clearInterval(id);
          resolve();
        }, 1);
      });
      out.push(
        count,
        t.error(() => setTimeout("code" as never)),
        t.error(() => (setTimeout as unknown as () => void)()),
      );
      return out;
    }),
    [true, [1, "two"], 3, "TypeError", "TypeError"],
  );
  assert.equal(guest.pendingTimers, 0);
});

test("exceptions in timers and microtasks, and reportError, go to the host", async () => {
  await guest.run(async () => {
    setTimeout(() => {
      throw new Error("timer");
    }, 0);
    queueMicrotask(() => {
      throw new Error("microtask");
    });
    reportError(new Error("reported"));
    await new Promise((resolve) => setTimeout(resolve, 5));
  });
  assert.deepEqual(guest.exceptions.splice(0), ["reported", "microtask", "timer"]);
});

declare function reportError(error: unknown): void;

test("a signal that others follow lets go of those that nobody waits for, and aborts the rest in order", async () => {
  const own = await Guest.create();
  const found = await own.run(`async () => {
    const controller = new AbortController();
    const log = [];
    const first = AbortSignal.any([controller.signal]);
    const second = AbortSignal.any([first, controller.signal]);
    for (const [name, signal] of [["source", controller.signal], ["second", second], ["first", first]]) {
      signal.addEventListener("abort", () => log.push(name));
    }
    // Far more than an array could keep in this isolate if each held what is bound to it.
    for (let i = 0; i < 300_000; i++) {
      AbortSignal.any([controller.signal]);
      if (i % 1000 === 0) await new Promise((resolve) => setTimeout(resolve, 0));
    }
    controller.abort("why");
    return [log, first.reason, second.aborted];
  }`);
  const heap = own.isolate.getHeapStatisticsSync().used_heap_size;
  own.dispose();
  assert.deepEqual(found, [["source", "first", "second"], "why", true]);
  assert.ok(heap < 64 * 1024 * 1024, `${heap} bytes`);
});
