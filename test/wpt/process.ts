// One of the processes of the runner: takes test files over IPC and answers with their results.
import { runInNode } from "./in-node.ts";
import { WorkerRunner } from "./in-worker.ts";
import type { Suite } from "./suite.ts";
import type { FileResult, TestFile } from "./test-file.ts";

export interface Order {
  readonly suite: Suite;
  readonly test: TestFile;
  readonly where: "worker" | "node";
}

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
      process.exit(1);
    },
  );
});
process.on("disconnect", () => process.exit(0));
