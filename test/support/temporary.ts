import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { TestContext } from "node:test";

/** A directory of the test's own, removed when the test ends. */
export class TemporaryDirectory {
  readonly path: string;

  constructor(test: TestContext) {
    this.path = realpathSync(mkdtempSync(join(tmpdir(), "sluice-test-")));
    test.after(() => rmSync(this.path, { recursive: true, force: true }));
  }

  /** Writes a file, making its directories. @returns its absolute path */
  write(name: string, contents: string | Uint8Array): string {
    const path = join(this.path, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, contents);
    return path;
  }

  at(name: string): string {
    return join(this.path, name);
  }
}
