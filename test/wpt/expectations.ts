import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { FileResult } from "./test-file.ts";

/** Why some subtests of a file do not pass. */
export interface Expectation {
  readonly why: string;
  /** Names of subtests; `*` stands for any text, `(file)` for the file as a whole. */
  readonly subtests: readonly string[];
  /** They may pass all the same, depending on timing. */
  readonly flaky?: boolean;
}

export interface Expectations {
  /** The version of the suite that they were written for. */
  readonly suite: string;
  /** Files that are not run at all, and why. */
  readonly skip: Readonly<Record<string, string>>;
  readonly files: Readonly<Record<string, readonly Expectation[]>>;
}

export const expectationsPath: string = fileURLToPath(new URL("./expectations.json", import.meta.url));

export function readExpectations(): Expectations {
  return JSON.parse(readFileSync(expectationsPath, "utf8")) as Expectations;
}

/** True when a text is what a pattern with `*` describes. */
export function matches(pattern: string, text: string): boolean {
  const parts = pattern.split("*").map((part) => part.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&"));
  return new RegExp(`^${parts.join("[^]*")}$`).test(text);
}

/** A result that is not what the expectations say. */
export interface Surprise {
  readonly file: string;
  readonly subtest: string;
  readonly kind: "fails" | "passes";
  readonly message: string;
}

/** What the result of one file has that its expectations do not say, either way. */
export function surprises(result: FileResult, expected: readonly Expectation[]): Surprise[] {
  const found: Surprise[] = [];
  const file = result.name;
  for (const { name, status, message } of result.subtests) {
    if (status === "pass" || status === "precondition") continue;
    if (expected.some(({ subtests }) => subtests.some((pattern) => matches(pattern, name)))) continue;
    found.push({ file, subtest: name, kind: "fails", message: `${status}: ${message}` });
  }
  for (const { subtests, flaky } of expected) {
    if (flaky) continue;
    for (const pattern of subtests) {
      const meant = result.subtests.filter(({ name }) => matches(pattern, name));
      if (meant.some(({ status }) => status !== "pass")) continue;
      found.push({ file, subtest: pattern, kind: "passes", message: "it is expected to fail" });
    }
  }
  return found;
}
