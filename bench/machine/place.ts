import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const places: Set<string> = new Set();
process.on("exit", () => {
  for (const path of places) rmSync(path, { recursive: true, force: true });
});

/** A temporary directory with what a program needs; it is gone when the benchmark ends. */
export class Place {
  readonly path: string;

  constructor(name: string) {
    this.path = mkdtempSync(join(tmpdir(), `sluice-bench-${name}-`));
    places.add(this.path);
  }

  /** @returns the file's path */
  write(name: string, contents: string): string {
    const path = join(this.path, name);
    writeFileSync(path, contents);
    return path;
  }

  /** @returns the path of a directory inside, made now */
  directory(name: string): string {
    const path = join(this.path, name);
    mkdirSync(path, { recursive: true });
    return path;
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
    places.delete(this.path);
  }
}
