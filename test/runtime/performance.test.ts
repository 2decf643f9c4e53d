import { after, before, test } from "node:test";
import { Guest, same } from "./harness.ts";

let guest: Guest;
before(async () => {
  guest = await Guest.create();
});
after(() => guest.dispose());

test("marks and measures are kept, found, cleared and refused as in Node", () =>
  same(guest, (t) => {
    const out: unknown[] = [];
    const detail = { list: [1] };
    const first = performance.mark("a", { startTime: 5, detail });
    detail.list.push(2);
    performance.mark("b", { startTime: 9 });
    const measured = performance.measure("ab", "a", "b");
    performance.measure("options", { start: 1, duration: 2, detail: "d" });
    out.push(
      [first.name, first.entryType, first.startTime, first.duration, first.detail],
      [measured.name, measured.entryType, measured.startTime, measured.duration, measured.detail],
      performance.getEntriesByType("measure").map((one) => [one.name, one.startTime, one.duration]),
      performance.getEntriesByName("a").length,
      performance.getEntriesByName("a", "measure").length,
      first instanceof PerformanceMark && first instanceof PerformanceEntry,
      JSON.stringify(measured),
      t.error(() => performance.measure("x", "missing")),
      t.error(() => performance.mark("x", { startTime: -1 })),
      t.error(() => performance.measure("x", { start: 1, end: 2, duration: 3 })),
      t.error(() => new (PerformanceEntry as unknown as new () => unknown)()),
    );
    performance.clearMarks("a");
    out.push(performance.getEntriesByType("mark").map((one) => one.name));
    performance.clearMarks();
    performance.clearMeasures();
    out.push(performance.getEntriesByType("mark").length + performance.getEntriesByType("measure").length);
    return out;
  }));

test("an observer is told of entries once a turn, and of those before on request", () =>
  same(guest, async (t) => {
    const out: unknown[] = [];
    performance.mark("before");
    await new Promise<void>((resolve) => {
      const observer = new PerformanceObserver((list, self) => {
        out.push(
          list.getEntries().map((one) => one.name),
          self === observer,
        );
        resolve();
      });
      observer.observe({ type: "mark", buffered: true });
      performance.mark("after");
      out.push(t.error(() => observer.observe({ entryTypes: ["mark"] })));
    });
    const silent = new PerformanceObserver(() => out.push("never"));
    silent.observe({ entryTypes: ["measure"] });
    performance.measure("taken");
    out.push(silent.takeRecords().map((one) => one.name));
    silent.disconnect();
    performance.measure("unseen");
    out.push(t.error(() => new (PerformanceObserver as unknown as new () => unknown)()));
    return out;
  }));
