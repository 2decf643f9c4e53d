import { readFileSync } from "node:fs";
import { unescaped } from "./escape.ts";

/** Who speaks or hears: `>` is what an end sends, `<` all that it has received since its last line. */
export interface Step {
  readonly end: "client" | "upstream";
  readonly kind: ">" | "<" | "closed" | "none";
  readonly text: string;
}

export interface ExchangeCase {
  readonly title: string;
  /** `proxy` for a proxy-style socket. */
  readonly style: "host" | "proxy";
  readonly steps: readonly Step[];
}

/**
 * Reads a file of exchanges between a client, the proxy and an upstream. A case has the lines `case: <sentence>`, perhaps
 * `style: proxy`, and steps in their order: `client> bytes`, `upstream< bytes`, `client closed`, `upstream none` (no
 * connection was made). Bytes stand as in fixture-file.ts; `Date: *` and `id: *` stand for any. `#` begins a comment.
 */
export function readExchanges(path: URL): ExchangeCase[] {
  const cases: Array<{ title: string; style: "host" | "proxy"; steps: Step[] }> = [];
  for (const line of readFileSync(path, "utf8").split("\n")) {
    const current = cases.at(-1);
    const step = /^ {2}(client|upstream)(?:(>|<) (.*)| (closed|none))$/.exec(line);
    if (line.startsWith("case: ")) cases.push({ title: line.slice(6), style: "host", steps: [] });
    else if (line === "style: proxy" && current !== undefined) current.style = "proxy";
    else if (step !== null && current !== undefined) {
      const [, end, arrow, text = "", state] = step;
      current.steps.push({
        end: end as Step["end"],
        kind: (arrow ?? state) as Step["kind"],
        text: unescaped(text),
      });
    } else if (line !== "" && !line.startsWith("#")) {
      throw new Error(`cannot read ${path.pathname}: "${line}" is not part of a case`);
    }
  }
  return cases;
}
