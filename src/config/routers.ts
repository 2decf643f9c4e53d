import type { Report } from "./diagnostic.ts";
import type { NamedService } from "./kinds.ts";
import { placeOf } from "./source.ts";
import { asText, type ConfigNode, child, entries, items, shown, textAt } from "./tree.ts";

const methods = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];

/** Checks the rules of a router against mistakes that have the right shape. */
export function checkRouter(service: NamedService, report: Report): void {
  let catchAll: ConfigNode | null = null;
  for (const rule of items(service.body.node)) {
    if (rule.kind !== "map") continue;
    if (catchAll !== null) {
      report.warning(
        rule.span,
        `router "${service.name}" never comes to this rule: one before it takes every request`,
        [{ message: "that rule", place: placeOf(catchAll.span) }],
      );
    } else if (takesAll(rule)) catchAll = rule;
    checkMethods(rule, report);
    const path = textAt(rule, "path");
    const prefix = textAt(rule, "stripPrefix");
    if (path !== null && prefix !== null && !startsWithin(path.value, prefix.value)) {
      report.error(
        prefix.span,
        `cannot strip ${shown(prefix)}: no path that ${shown(path)} takes begins with it`,
      );
    }
  }
}

function takesAll(rule: ConfigNode): boolean {
  for (const { key, node } of entries(rule)) {
    if (key === "service" || key === "stripPrefix") continue;
    if (key === "path" && (asText(node)?.value === "/*" || asText(node)?.value === "*")) continue;
    return false;
  }
  return true;
}

function checkMethods(rule: ConfigNode, report: Report): void {
  for (const item of items(child(rule, "methods"))) {
    const method = asText(item);
    if (method === null || method.value === "") continue;
    // Methods are case-sensitive (RFC 9110 §9.1): "get" would match nothing that a browser sends.
    const upper = method.value.toUpperCase();
    if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(method.value)) {
      report.error(method.span, `cannot match method ${shown(method)}: no method is written so`);
    } else if (upper !== method.value && methods.includes(upper)) {
      const hint = method.secret ? "" : `, did you mean "${upper}"?`;
      report.error(method.span, `cannot match method ${shown(method)}: methods are case-sensitive${hint}`);
    }
  }
}

/** Whether some path that the pattern takes begins with the prefix; a `*` may stand for anything. */
function startsWithin(pattern: string, prefix: string): boolean {
  const star = pattern.indexOf("*");
  const fixed = star === -1 ? pattern : pattern.slice(0, star);
  return fixed.startsWith(prefix) || (star !== -1 && prefix.startsWith(fixed)) || `${fixed}/` === prefix;
}
