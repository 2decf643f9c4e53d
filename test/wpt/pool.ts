import { type ChildProcess, fork } from "node:child_process";
import { type Order, unable } from "./order.ts";
import type { Suite } from "./suite.ts";
import { type FileResult, type TestFile, wholeFile } from "./test-file.ts";

const processes = 2;
/** Files that one process has in hand at a time: many wait for timers. */
const atOnce = 3;

/** Runs all files in a few processes. A process that dies is replaced, and what it had in hand has failed. */
export async function runAll(
  suite: Suite,
  tests: readonly TestFile[],
  where: Order["where"],
  progress: (done: number) => void = () => {},
): Promise<FileResult[]> {
  const queue = [...tests];
  const results = new Map<string, FileResult>();
  const lane = async (): Promise<void> => {
    while (queue.length > 0) await runProcess();
  };
  const runProcess = (): Promise<void> => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const inHand = new Map<string, TestFile>();
    const child: ChildProcess = fork(new URL("./process.ts", import.meta.url), {
      execArgv: ["--no-node-snapshot", "--no-turboshaft-loop-unrolling", "--no-warnings"],
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    });
    const feed = (): void => {
      while (inHand.size < atOnce) {
        const test = queue.shift();
        if (test === undefined) break;
        inHand.set(test.name, test);
        child.send({ suite, test, where } satisfies Order);
      }
      if (inHand.size === 0) child.disconnect();
    };
    child.on("message", (result: FileResult) => {
      results.set(result.name, result);
      inHand.delete(result.name);
      progress(results.size);
      feed();
    });
    child.on("exit", (code, signal) => {
      if (code === unable) queue.length = 0;
      for (const name of inHand.keys()) {
        const message = `the process ended (${signal ?? code})`;
        results.set(name, { name, subtests: [{ name: wholeFile, status: "fail", message }] });
      }
      resolve();
    });
    feed();
    return promise;
  };
  await Promise.all(Array.from({ length: processes }, lane));
  return tests.flatMap((test) => results.get(test.name) ?? []);
}
