import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { eventually } from "../support/shard.ts";
import { collect } from "./network-harness.ts";
import { WorkerBench } from "./worker-harness.ts";

let bench: WorkerBench | null = null;
afterEach(() => {
  bench?.stop();
  bench = null;
});

async function start(code: string): Promise<WorkerBench> {
  bench = await WorkerBench.start({ main: { code } });
  return bench;
}

test("a Worker hears of a rejection that nobody handles, and may take charge of it", async () => {
  const running = await start(`
    const heard = [];
    addEventListener("unhandledrejection", (event) => {
      const { reason, promise, type, target, isTrusted } = event;
      heard.push([type, reason?.name ?? typeof reason, reason?.message ?? reason, String(reason?.stack).includes("at "),
        promise instanceof Promise, target === globalThis, isTrusted]);
      if (reason?.message !== "left") event.preventDefault();
    });
    export default { async fetch(request) {
      const path = new URL(request.url).pathname;
      if (path === "/error") Promise.reject(new RangeError("bad"));
      if (path === "/text") Promise.reject("word");
      if (path === "/left") Promise.reject(new Error("left"));
      return Response.json(heard);
    } };`);
  await collect(running.worker(), { target: "/error" });
  await collect(running.worker(), { target: "/text" });
  await collect(running.worker(), { target: "/left" });
  await eventually("the log line", () => running.logged("worker.rejection").length > 0);
  const answer = await collect(running.worker(), { target: "/" });
  assert.deepEqual(JSON.parse(answer.text), [
    ["unhandledrejection", "RangeError", "bad", true, true, true, true],
    ["unhandledrejection", "string", "word", false, true, true, true],
    ["unhandledrejection", "Error", "left", true, true, true, true],
  ]);
  assert.deepEqual(
    running.logged("worker.rejection").map((line) => line.message),
    ["unhandled rejection: Error: left"],
  );
});

test("a listener for rejections whose own promise is rejected does not go on for ever", async () => {
  const running = await start(`
    let calls = 0;
    addEventListener("unhandledrejection", async (event) => {
      calls++;
      event.preventDefault();
      throw new Error("again");
    });
    export default { async fetch(request) {
      if (request.url.endsWith("/throw")) Promise.reject(new Error("first"));
      return new Response(String(calls));
    } };`);
  await collect(running.worker(), { target: "/throw" });
  await eventually("the log line", () => running.logged("worker.rejection").length > 0);
  assert.equal((await collect(running.worker(), {})).text, "8");
  assert.deepEqual(
    running.logged("worker.rejection").map((line) => line.message),
    ["unhandled rejection: Error: again"],
  );
});

test("a rejection is logged when the Worker does not listen", async () => {
  const running = await start(`export default { async fetch() {
    Promise.reject(new TypeError("nobody"));
    return new Response("ok");
  } };`);
  await collect(running.worker(), {});
  await eventually("the log line", () => running.logged("worker.rejection").length > 0);
  assert.equal(running.logged("worker.rejection")[0]?.message, "unhandled rejection: TypeError: nobody");
});

test("exceptions of timers, listeners and microtasks, and reportError, fire the error event", async () => {
  const running = await start(`
    const heard = [];
    addEventListener("error", (event) => {
      heard.push([event.error?.message ?? event.error, event.message, event.target === self, event instanceof ErrorEvent]);
      if (event.error?.message !== "left") event.preventDefault();
      if (event.error === "loop") throw new Error("inside");
    });
    export default { async fetch() {
      reportError(new Error("reported"));
      queueMicrotask(() => { throw new Error("microtask"); });
      const target = new EventTarget();
      target.addEventListener("x", () => { throw new Error("listener"); });
      target.dispatchEvent(new Event("x"));
      await new Promise((resolve) => setTimeout(() => { resolve(); throw new Error("timer"); }, 1));
      reportError("loop");
      reportError(new Error("left"));
      return Response.json(heard);
    } };`);
  const { text } = await collect(running.worker(), {});
  assert.deepEqual(
    JSON.parse(text).map((one: unknown[]) => one[0]),
    ["reported", "listener", "microtask", "timer", "loop", "left"],
  );
  assert.deepEqual(JSON.parse(text)[0], ["reported", "Error: reported", true, true]);
  assert.deepEqual(
    running.logged("worker.exception").map((line) => line.message),
    ["Error: inside", "Error: left"],
  );
});
