import { readFileSync } from "node:fs";
import { unescaped } from "./escape.ts";

export interface Case {
  readonly title: string;
  readonly options: ReadonlyMap<string, string>;
  readonly input: Buffer;
  readonly expected: readonly string[];
}

/**
 * Reads a file of cases. A case has the lines `case: <sentence>`, perhaps `options: <key>=<value> …`, `input:` and
 * `expect:`, the last two followed by indented lines. The lines of the input are joined without a line end, so that each
 * octet of it can be seen. `#` begins a comment.
 */
export function readCases(path: URL): Case[] {
  const cases: Case[] = [];
  let title = "";
  let options = new Map<string, string>();
  let input = "";
  let expected: string[] = [];
  let section = "";
  const finish = () => {
    if (title === "") return;
    cases.push({ title, options, input: Buffer.from(unescaped(input), "latin1"), expected });
    title = "";
    options = new Map();
    input = "";
    expected = [];
  };
  for (const line of readFileSync(path, "utf8").split("\n")) {
    if (line.startsWith("case: ")) {
      finish();
      title = line.slice(6);
    } else if (line.startsWith("options: ")) {
      options = new Map(
        line
          .slice(9)
          .split(" ")
          .map((pair) => {
            const [key = "", value = ""] = pair.split("=");
            return [key, value];
          }),
      );
    } else if (line === "input:" || line === "expect:") {
      section = line;
    } else if (line.startsWith("  ")) {
      if (section === "input:") input += line.slice(2);
      else expected.push(line.slice(2));
    } else if (line !== "" && !line.startsWith("#")) {
      throw new Error(`cannot read ${path.pathname}: "${line}" is not part of a case`);
    }
  }
  finish();
  return cases;
}
