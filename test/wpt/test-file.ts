import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join, posix } from "node:path";
import type { Suite } from "./suite.ts";

/** One `.any.js` file, or one of its variants. */
export interface TestFile {
  /** Path in the suite, with the variant's query: `url/toascii.window.js?1-1000`. */
  readonly name: string;
  readonly path: string;
  /** The variant's query with its question mark, or empty. */
  readonly variant: string;
  readonly title: string;
  /** Paths in the suite of the scripts that it names, in order. */
  readonly scripts: readonly string[];
  /** Milliseconds of wall time that it may take. */
  readonly timeout: number;
}

/** What a subtest ended as, in the words of testharness.js. */
export type Status = "pass" | "fail" | "timeout" | "notrun" | "precondition";

export interface Subtest {
  readonly name: string;
  readonly status: Status;
  readonly message: string;
}

/** What one file gave. The file as a whole counts as a subtest when it went wrong. */
export interface FileResult {
  readonly name: string;
  readonly subtests: readonly Subtest[];
}

/** The name of the subtest that stands for the file. */
export const wholeFile = "(file)";

const statuses: readonly Status[] = ["pass", "fail", "timeout", "notrun", "precondition"];

export function statusOf(code: number): Status {
  return statuses[code] ?? "fail";
}

/**
 * All files of the suite whose name contains one of the words, sorted; all when there is no word. Debian leaves out the
 * parser of Web IDL, so those that need it are not there.
 */
export function listTests(suite: Suite, words: readonly string[]): TestFile[] {
  const paths = globSync("**/*.any.js", { cwd: suite.directory }).sort();
  const found: TestFile[] = [];
  for (const path of paths) {
    for (const test of readTests(suite, path)) {
      if (!test.scripts.every((script) => existsSync(join(suite.directory, script)))) continue;
      if (words.length === 0 || words.some((word) => test.name.includes(word))) found.push(test);
    }
  }
  return found;
}

function readTests(suite: Suite, path: string): TestFile[] {
  const text = readFileSync(join(suite.directory, path), "utf8");
  const variants: string[] = [];
  const scripts: string[] = [];
  let title = path;
  let timeout = 15_000;
  for (const [, key, value = ""] of text.matchAll(/^\/\/\s*META:\s*(\w+)=(.*?)\s*$/gm)) {
    if (key === "variant") variants.push(value);
    else if (key === "title") title = value;
    else if (key === "timeout" && value === "long") timeout = 60_000;
    else if (key === "script") {
      scripts.push(value.startsWith("/") ? value.slice(1) : posix.join(dirname(path), value));
    }
  }
  return (variants.length === 0 ? [""] : variants).map((variant) => ({
    name: path + variant,
    path,
    variant,
    title,
    scripts,
    timeout,
  }));
}

/** The part of the suite that a file belongs to, as figures are given by it. */
export function partOf(name: string): string {
  const [first = "", second = "", third = ""] = name.split("/");
  if (first === "html") return `${first}/${second}/${third}`;
  if (first === "dom" || first === "wasm" || first === "webidl") return `${first}/${second}`;
  return first;
}
