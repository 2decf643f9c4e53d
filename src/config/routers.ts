import type { Report } from "./diagnostic.ts";
import type { NamedService } from "./kinds.ts";
import { placeOf } from "./source.ts";
import { asText, type ConfigNode, child, entries, items, shown, type TextNode, textAt } from "./tree.ts";

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
    checkHost(textAt(rule, "host"), report);
    checkPath(textAt(rule, "path"), report);
    checkPath(textAt(rule, "stripPrefix"), report);
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

/** A path of `/*` is not enough: tunnels and `OPTIONS *` have no path. */
function takesAll(rule: ConfigNode): boolean {
  for (const { key, node } of entries(rule)) {
    if (key !== "service" && !(key === "host" && asText(node)?.value === "*")) return false;
  }
  return true;
}

/** `example.com`, `*.example.com` or `*`, each with or without `:port`. */
function checkHost(host: TextNode | null, report: Report): void {
  if (host === null || host.value === "") return;
  const reason = host.value.includes("/")
    ? "expected a host alone"
    : host.value.slice(host.value.startsWith("*.") || host.value === "*" ? 1 : 0).includes("*") &&
        !/^\*:\d+$/.test(host.value)
      ? '"*" stands for whole labels at the front, as in "*.example.com"'
      : /[\s@?#\\]/.test(host.value)
        ? "no host is written so"
        : null;
  if (reason !== null) report.error(host.span, `cannot match host ${shown(host)}: ${reason}`);
}

/** Requests are compared in one canonical form, which has none of these: the rule would match nothing. */
function checkPath(path: TextNode | null, report: Report): void {
  if (path === null || !path.value.startsWith("/")) return;
  const reason = /[?#\\]/.test(path.value)
    ? "expected a path alone"
    : path.value.includes("//")
      ? "canonical paths have no empty segments"
      : /\/\.{1,2}(\/|$)/.test(path.value)
        ? "canonical paths have no dot segments"
        : null;
  if (reason !== null) report.error(path.span, `cannot match path ${shown(path)}: ${reason}`);
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
