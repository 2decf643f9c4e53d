// One of the processes of the runner: takes test files over IPC and answers with their results.
import { runInNode } from "./in-node.ts";
import { WorkerRunner } from "./in-worker.ts";
import { type Order, unable } from "./order.ts";
import type { FileResult } from "./test-file.ts";

let runner: Promise<WorkerRunner> | null = null;

process.on("message", ({ suite, test, where }: Order) => {
  const run = async (): Promise<FileResult> => {
    if (where === "node") return runInNode(suite, test);
    runner ??= WorkerRunner.create(suite);
    return (await runner).run(test);
  };
  run().then(
    (result) => process.send?.(result),
    (error) => {
      process.stderr.write(`cannot run ${test.name}: ${(error as Error).stack}\n`);
      process.exit(unable);
    },
  );
});
process.on("disconnect", () => process.exit(0));
