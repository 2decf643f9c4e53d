import type { Report } from "./diagnostic.ts";
import { suggest } from "./suggestion.ts";
import { shown, type TextNode } from "./tree.ts";

/** The flags that change something here. */
const effective = ["nodejs_compat", "no_nodejs_compat"] as const;

const opposites: ReadonlyArray<readonly [string, string]> = [["nodejs_compat", "no_nodejs_compat"]];

/** A flag that is not known is a warning: Workers come from elsewhere, with flags of newer or other runtimes. */
export function checkFlags(flags: readonly TextNode[], report: Report): void {
  const seen = new Set<string>();
  for (const flag of flags) {
    for (const pair of opposites) {
      const other = pair[0] === flag.value ? pair[1] : pair[1] === flag.value ? pair[0] : null;
      if (other !== null && seen.has(other)) {
        report.error(flag.span, `cannot use compatibility flag ${shown(flag)}: "${other}" says the opposite`);
      }
    }
    seen.add(flag.value);
    if ((effective as readonly string[]).includes(flag.value)) continue;
    const hint = flag.secret ? "" : suggest(flag.value, effective);
    report.warning(flag.span, `compatibility flag ${shown(flag)} is not known and changes nothing${hint}`);
  }
}
