import type { Report } from "./diagnostic.ts";
import { namePattern } from "./schema/common.ts";
import { serviceKinds } from "./schema/services.ts";
import { bindingKinds } from "./schema/worker.ts";
import { placeOf } from "./source.ts";
import { type ConfigNode, child, type Entry, entries, items, type MapNode } from "./tree.ts";

/** A service with the one kind that it has. */
export interface NamedService {
  readonly name: string;
  readonly kind: (typeof serviceKinds)[number] | "middleware";
  readonly body: Entry;
}

/** The rules of a router, which is a list of them or a map that has one. */
export function rulesOf(router: ConfigNode): readonly ConfigNode[] {
  return items(router.kind === "map" ? child(router, "rules") : router);
}

/** The services that have exactly one kind; the others are reported, and names that cannot be used as well. */
export function findServices(root: MapNode, report: Report): NamedService[] {
  const found: NamedService[] = [];
  for (const section of ["sockets", "services"]) {
    for (const { key, keySpan } of entries(child(root, section))) {
      if (namePattern.test(key)) continue;
      const expected = 'expected letters, digits, "_", "-" and ".", at most 63 of them';
      report.error(keySpan, `cannot use the name ${JSON.stringify(key)}: ${expected}`);
    }
  }
  for (const entry of entries(child(root, "services"))) {
    const named = namedList(entry);
    if (named !== null) {
      found.push({ name: entry.key, kind: "middleware", body: named });
      continue;
    }
    const body = oneKind(entry, serviceKinds, ["middleware"], `service "${entry.key}"`, report);
    if (body !== null) found.push({ name: entry.key, kind: body.key as NamedService["kind"], body });
    if (body?.key === "worker") {
      for (const binding of entries(child(body.node, "bindings"))) {
        const what = `binding ${binding.key} of Worker "${entry.key}"`;
        const kind = oneKind(binding, bindingKinds, ["optional"], what, report);
        const optional = binding.node.kind === "map" ? binding.node.entries.get("optional") : undefined;
        if (kind !== null && kind.key !== "env" && optional !== undefined) {
          report.error(optional.keySpan, `cannot make ${what} optional: only an env binding can be`);
        }
      }
    }
  }
  return found;
}

/** A service without a kind of its own is a list of middlewares, if it has one. */
function namedList({ node }: Entry): Entry | null {
  if (node.kind !== "map" || node.entries.size > 1) return null;
  return node.entries.get("middleware") ?? null;
}

function oneKind(
  entry: Entry,
  kinds: readonly string[],
  others: readonly string[],
  what: string,
  report: Report,
): Entry | null {
  if (entry.node.kind !== "map") return null;
  const present = Array.from(entry.node.entries.values()).filter((field) => kinds.includes(field.key));
  const [first, ...rest] = present;
  if (first === undefined) {
    // A key that is unknown was most likely meant to be the kind; the schema reports it with the nearest.
    const known = Array.from(entry.node.entries.keys()).every((key) => others.includes(key));
    if (known)
      report.error(entry.keySpan, `cannot tell what ${what} is: expected one of ${kinds.join(", ")}`);
    return null;
  }
  for (const field of rest) {
    report.error(field.keySpan, `cannot use "${field.key}" for ${what}: it is of kind ${first.key} already`, [
      { message: "its kind stands here first", place: placeOf(first.keySpan) },
    ]);
  }
  return rest.length === 0 ? first : null;
}
