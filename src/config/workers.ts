import { checkFlags } from "./compatibility.ts";
import type { Report } from "./diagnostic.ts";
import type { NamedService } from "./kinds.ts";
import { asText, child, items, shown, type TextNode, textAt } from "./tree.ts";

/** While it is a day anywhere on Earth, it is a day that a Worker may be written for. */
const furthestAhead = 14 * 3_600_000;

/** Checks the compatibility date and flags of a Worker. */
export function checkCompatibility(service: NamedService, now: Date, report: Report): void {
  const date = textAt(service.body.node, "compatibilityDate");
  if (date !== null && date.value !== "") checkDate(date, now, report);
  const flags = items(child(service.body.node, "compatibilityFlags"))
    .map(asText)
    .filter((flag) => flag !== null);
  checkFlags(flags, report);
}

function checkDate(node: TextNode, now: Date, report: Report): void {
  const match = /^(\d{4})-(\d{2})-(\d{2})$/.test(node.value);
  const parsed = match ? new Date(`${node.value}T00:00:00Z`) : null;
  // Date reads 2026-02-30 as the 2nd of March.
  const real = parsed !== null && !Number.isNaN(parsed.getTime()) && isoDay(parsed) === node.value;
  if (!real) {
    report.error(
      node.span,
      `cannot read compatibilityDate ${shown(node)}: expected a date such as 2026-11-01`,
    );
    node.broken = true;
    return;
  }
  if (node.value > isoDay(new Date(now.getTime() + furthestAhead))) {
    report.error(
      node.span,
      `cannot use compatibilityDate ${shown(node)}: it lies in the future, today is ${isoDay(now)}`,
    );
  }
}

function isoDay(date: Date): string {
  return date.toISOString().slice(0, 10);
}
