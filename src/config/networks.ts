import { parseRule } from "../net/cidr.ts";
import type { Report } from "./diagnostic.ts";
import type { NamedService } from "./kinds.ts";
import { suggest } from "./suggestion.ts";
import { asText, child, items, shown } from "./tree.ts";

const groups = ["public", "private", "local", "network", "unix", "unix-abstract"];

/** Checks the address rules of a `network` service. */
export function checkNetwork(service: NamedService, report: Report): void {
  for (const key of ["allow", "deny"]) {
    for (const item of items(child(service.body.node, key))) {
      const node = asText(item);
      if (node === null || node.value === "") continue;
      try {
        parseRule(node.value);
      } catch (error) {
        const near = node.secret ? "" : suggest(node.value, groups);
        // The reason of a secret's error may quote it.
        const message =
          node.secret || near !== "" || !(error instanceof Error)
            ? `cannot use address rule ${shown(node)}${near || `: expected a CIDR or one of ${groups.join(", ")}`}`
            : error.message;
        report.error(node.span, message);
      }
    }
  }
}
