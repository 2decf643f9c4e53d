import type { Report } from "./diagnostic.ts";
import { type NamedService, rulesOf } from "./kinds.ts";
import { checkTrait } from "./middleware.ts";
import { routeActions } from "./schema/router.ts";
import { placeOf } from "./source.ts";
import {
  asText,
  type ConfigNode,
  child,
  entries,
  items,
  type MapNode,
  shown,
  type TextNode,
  textAt,
} from "./tree.ts";

const methods = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];

/** Checks the rules of a router against mistakes that have the right shape. */
export function checkRouter(service: NamedService, report: Report): void {
  let catchAll: ConfigNode | null = null;
  for (const rule of rulesOf(service.body.node)) {
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
    checkAction(rule, report);
    checkRewrite(rule, report);
    checkTrait(child(rule, "splitBy"), report);
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

/** Exactly one thing is done with a request. */
function checkAction(rule: MapNode, report: Report): void {
  const [first, second] = Array.from(rule.entries.values()).filter(({ key }) =>
    (routeActions as readonly string[]).includes(key),
  );
  if (first === undefined) {
    const known = Array.from(rule.entries.keys()).every((key) => ruleKeys.includes(key));
    if (known) {
      report.error(rule.span, `cannot tell what the rule does: expected one of ${routeActions.join(", ")}`);
    }
  } else if (second !== undefined) {
    report.error(second.keySpan, `cannot use "${second.key}" here: the rule has "${first.key}" already`, [
      { message: "what it does stands here first", place: placeOf(first.keySpan) },
    ]);
  }
}

function checkRewrite(rule: MapNode, report: Report): void {
  const rewrite = rule.entries.get("rewrite");
  const path = textAt(rule, "path");
  const strip = rule.entries.get("stripPrefix");
  if (rewrite !== undefined && strip !== undefined) {
    report.error(
      strip.keySpan,
      "cannot strip a prefix of a path that is rewritten: rewrite alone says what it becomes",
    );
  }
  const takesRest = path?.value.endsWith("/*") === true;
  const fixed = takesRest && path !== null ? path.value.slice(0, -2) : "";
  const to = asText(rewrite?.node);
  if (to?.value.endsWith("/*") === true && (!takesRest || fixed.includes("*"))) {
    report.error(to.span, `cannot rewrite to ${shown(to)}: the rule's path has no star at its end alone`);
  }
  if (to !== null && /[?#\\]/.test(to.value)) {
    report.error(to.span, `cannot rewrite to ${shown(to)}: expected a path alone`);
  }
  const place = textAt(child(rule, "redirect"), "to");
  for (const [name] of place?.value.matchAll(/\{[^}]*\}/g) ?? []) {
    if (!placeholders.includes(name)) {
      report.error(place?.span ?? null, `cannot fill in "${name}": expected ${placeholders.join(", ")}`);
    } else if (name === "{rest}" && (!takesRest || fixed.includes("*"))) {
      report.error(
        place?.span ?? null,
        'cannot fill in "{rest}": the rule\'s path has no star at its end alone',
      );
    }
  }
  let sum = 0;
  const split = rule.entries.get("split");
  const by = rule.entries.get("splitBy");
  if (by !== undefined && split === undefined) {
    report.error(by.keySpan, 'cannot use "splitBy" here: the rule has no "split"');
  }
  for (const branch of items(split?.node)) {
    const weight = child(branch, "weight");
    sum += weight?.kind === "scalar" && typeof weight.value === "number" ? weight.value : 1;
  }
  if (split?.node.kind === "list" && split.node.items.length > 0 && sum === 0) {
    report.error(split.keySpan, "cannot split: no branch has a weight above 0");
  }
}

const placeholders = ["{scheme}", "{host}", "{authority}", "{path}", "{query}", "{rest}"];

/** Keys of a rule beside what it does; an unknown one was most likely meant to say that. */
const ruleKeys = [
  "host",
  "path",
  "methods",
  "headers",
  "query",
  "stripPrefix",
  "rewrite",
  "middleware",
  "bodyLimit",
  "timeout",
  "mirror",
  "splitBy",
];

/** A path of `/*` is not enough: tunnels and `OPTIONS *` have no path. */
function takesAll(rule: ConfigNode): boolean {
  for (const { key, node } of entries(rule)) {
    if (conditions.includes(key) && !(key === "host" && asText(node)?.value === "*")) return false;
  }
  return true;
}

const conditions = ["host", "path", "methods", "headers", "query"];

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
        : /:\d*$/.test(host.value) && Number(host.value.slice(host.value.lastIndexOf(":") + 1)) > 65_535
          ? "the port is no number from 0 to 65535"
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
