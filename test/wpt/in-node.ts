import { Worker } from "node:worker_threads";
import type { Suite } from "./suite.ts";
import { type FileResult, type Subtest, statusOf, type TestFile, wholeFile } from "./test-file.ts";

/** Runs a test file in a thread of plain Node.js, whose figures ours are compared to. */
export function runInNode(suite: Suite, test: TestFile): Promise<FileResult> {
  const { promise, resolve } = Promise.withResolvers<FileResult>();
  const subtests: Subtest[] = [];
  const thread = new Worker(new URL("./node-thread.ts", import.meta.url), {
    workerData: { suite, test },
    stdout: true,
    stderr: true,
  });
  let problem = "it ended early";
  const timer = setTimeout(() => end("it took too long"), test.timeout);
  const end = (reason: string): void => {
    problem = reason;
    clearTimeout(timer);
    void thread.terminate();
  };
  thread.on("message", ([name, code, message]: [string | null, number, string]) => {
    if (name !== null) subtests.push({ name, status: statusOf(code), message });
    else end(code === 0 ? "" : message || "harness error");
  });
  thread.on("error", (error) => {
    problem = String(error);
  });
  thread.on("exit", () => {
    clearTimeout(timer);
    if (problem !== "") subtests.push({ name: wholeFile, status: "fail", message: problem });
    resolve({ name: test.name, subtests });
  });
  return promise;
}
