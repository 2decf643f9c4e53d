import type { Suite } from "./suite.ts";
import type { TestFile } from "./test-file.ts";

/** What a process of the runner is told to do. */
export interface Order {
  readonly suite: Suite;
  readonly test: TestFile;
  readonly where: "worker" | "node";
}

/** Exit code of a process that can run no test at all, so that no other one need try. */
export const unable = 70;
