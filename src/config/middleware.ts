import { parseRule } from "../net/cidr.ts";
import type { Report } from "./diagnostic.ts";
import { checkJwt } from "./jwt.ts";
import { type NamedService, rulesOf } from "./kinds.ts";
import { builtInKinds } from "./schema/middleware.ts";
import { placeOf } from "./source.ts";
import { asText, type ConfigNode, child, type Entry, items, shown, textAt } from "./tree.ts";
import { checkUsers } from "./users.ts";

/** A list of middlewares with what it stands before. */
interface Placement {
  readonly list: ConfigNode;
  /** The service that has it, or has the route that has it. */
  readonly service: string;
  /** Null for the list of a route. */
  readonly owner: string | null;
}

/** Checks middlewares against mistakes that have the right shape. */
export function checkMiddlewares(
  services: readonly NamedService[],
  serviceEntries: Iterable<Entry>,
  report: Report,
): void {
  const kinds = new Map<string, string>(services.map(({ name, kind }) => [name, kind]));
  const placements = findPlacements(services, serviceEntries);
  for (const { list } of placements) {
    for (const step of items(list)) checkStep(step, kinds, report);
  }
  checkCircles(placements, report);
}

/** The names of services that middlewares lead to, for the check of references. */
export function* middlewareReferences(
  services: readonly NamedService[],
  serviceEntries: Iterable<Entry>,
): Iterable<ConfigNode> {
  for (const step of middlewareSteps(services, serviceEntries)) {
    if (asText(step) !== null || child(step, "name") !== null) yield step;
    const asked = child(child(step, "forwardAuth"), "service");
    if (asked !== null) yield asked;
    const keeper = child(child(child(step, "jwt"), "jwks"), "service");
    if (keeper !== null) yield keeper;
  }
}

/** Every step of every list. */
export function* middlewareSteps(
  services: readonly NamedService[],
  serviceEntries: Iterable<Entry>,
): Iterable<ConfigNode> {
  for (const { list } of findPlacements(services, serviceEntries)) yield* items(list);
}

function findPlacements(services: readonly NamedService[], serviceEntries: Iterable<Entry>): Placement[] {
  const found: Placement[] = [];
  for (const { key, node } of serviceEntries) {
    const list = child(node, "middleware");
    if (list !== null) found.push({ list, service: key, owner: key });
  }
  for (const { name, kind, body } of services) {
    if (kind !== "router") continue;
    for (const rule of rulesOf(body.node)) {
      const list = child(rule, "middleware");
      if (list !== null) found.push({ list, service: name, owner: null });
    }
  }
  return found;
}

function checkStep(step: ConfigNode, kinds: ReadonlyMap<string, string>, report: Report): void {
  const name = asText(step) ?? textAt(step, "name");
  const kind = name === null ? undefined : kinds.get(name.value);
  if (name !== null && kind !== undefined && kind !== "worker" && kind !== "middleware") {
    report.error(
      name.span,
      `cannot use ${shown(name)} as a middleware: it is of kind ${kind}, only Workers and lists of middlewares can be`,
    );
  }
  if (step.kind !== "map") return;
  const choices: readonly string[] = ["name", ...builtInKinds];
  const present = Array.from(step.entries.values()).filter(({ key }) => choices.includes(key));
  const [first, second] = present;
  if (first === undefined) {
    const known = Array.from(step.entries.keys()).every((key) => key === "entrypoint" || key === "props");
    if (known)
      report.error(step.span, `cannot tell what middleware is meant: expected one of ${choices.join(", ")}`);
    return;
  }
  if (second !== undefined) {
    report.error(
      second.keySpan,
      `cannot use "${second.key}" here: the middleware is ${first.key} already, a list has one entry for each`,
      [{ message: "the first", place: placeOf(first.keySpan) }],
    );
  }
  if (first.key !== "name") {
    for (const key of ["entrypoint", "props"]) {
      const entry = step.entries.get(key);
      if (entry !== undefined)
        report.error(entry.keySpan, `cannot give ${first.key} ${key}: only a Worker takes that`);
    }
  }
  checkBuiltIn(first, report);
}

function checkBuiltIn({ key, node, keySpan }: Entry, report: Report): void {
  if (key === "ip") for (const list of ["allow", "deny"]) checkRules(child(node, list), report);
  if (key === "maintenance") checkRules(child(node, "pass"), report);
  if (key === "rateLimit") checkTrait(child(node, "by"), report);
  if (key === "jwt") checkJwt(node, keySpan, report);
  if (key === "basicAuth") checkUsers(node, keySpan, "basicAuth", report);
}

function checkRules(list: ConfigNode | null, report: Report): void {
  for (const item of items(list)) {
    const rule = asText(item);
    if (rule === null || rule.value === "") continue;
    try {
      parseRule(rule.value);
    } catch {
      report.error(
        rule.span,
        `cannot use address rule ${shown(rule)}: expected a CIDR, an address, or public, private, local, network or unix`,
      );
    }
  }
}

/** Of a trait that is no text, exactly one of its keys. */
export function checkTrait(node: ConfigNode | null, report: Report): void {
  if (node?.kind !== "map") return;
  const known = Array.from(node.entries.keys()).filter((key) => key === "header" || key === "cookie");
  if (known.length !== 1 && known.length === node.entries.size) {
    report.error(
      node.span,
      "cannot tell clients apart: expected client, or exactly one of header and cookie",
    );
  }
}

/** A Worker or list that comes before itself would never come to an end. */
function checkCircles(placements: readonly Placement[], report: Report): void {
  const before = new Map<string, ConfigNode>();
  for (const { list, owner } of placements) if (owner !== null) before.set(owner, list);
  for (const [start, list] of before) {
    const seen = new Set<string>();
    const visit = (name: string): boolean => {
      if (name === start) return true;
      if (seen.has(name)) return false;
      seen.add(name);
      return items(before.get(name)).some((step) => visit(nameOf(step)));
    };
    for (const step of items(list)) {
      if (!visit(nameOf(step))) continue;
      const name = asText(step) ?? textAt(step, "name");
      report.error(name?.span ?? null, `cannot put this before "${start}": it has "${start}" before itself`);
    }
  }
}

function nameOf(step: ConfigNode): string {
  return (asText(step) ?? textAt(step, "name"))?.value ?? "";
}
