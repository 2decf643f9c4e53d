import type { Report } from "./diagnostic.ts";
import { type NamedService, rulesOf } from "./kinds.ts";
import { middlewareReferences } from "./middleware.ts";
import { suggest } from "./suggestion.ts";
import {
  asText,
  type ConfigNode,
  child,
  type Entry,
  entries,
  items,
  type MapNode,
  shown,
  textAt,
} from "./tree.ts";

/** The service that exists without being defined. */
export const internet = "internet";

/** Checks that every name of a service leads to one, and that only Workers are asked for entrypoints and props. */
export function checkReferences(
  root: MapNode,
  services: readonly NamedService[],
  incomplete: boolean,
  report: Report,
): void {
  const names = Array.from(entries(child(root, "services")), (entry) => entry.key);
  const kinds = new Map<string, string>(services.map((service) => [service.name, service.kind]));
  if (!names.includes(internet)) {
    names.push(internet);
    kinds.set(internet, "network");
  }

  const check = (node: ConfigNode | null) => {
    const name = asText(node) ?? textAt(node, "name");
    if (name === null || name.value === "") return;
    if (!names.includes(name.value)) {
      if (incomplete) return;
      // A name from the environment is a secret like any other, and a near name would tell most of it.
      const hint = name.secret ? "" : suggest(name.value, names, `: there is ${names.join(", ")}`);
      report.error(name.span, `cannot find service ${shown(name)}${hint}`);
      return;
    }
    const kind = kinds.get(name.value);
    if (kind === undefined || kind === "worker" || node?.kind !== "map") return;
    for (const key of ["entrypoint", "props"]) {
      const entry = node.entries.get(key);
      if (entry !== undefined) {
        report.error(
          entry.keySpan,
          `cannot give service ${shown(name)} ${key === "props" ? key : `an ${key}`}: it is of kind ${kind}, only Workers take that`,
        );
      }
    }
  };

  for (const node of serviceReferences(root, services)) check(node);
  for (const step of middlewareReferences(services, entries(child(root, "services")))) check(step);
}

/** Where sockets, Workers and routers name services; middlewares name some as well. */
export function* serviceReferences(
  root: MapNode,
  services: readonly NamedService[],
): Iterable<ConfigNode | null> {
  for (const socket of entries(child(root, "sockets"))) yield child(socket.node, "service");
  for (const { kind, body } of services) {
    if (kind === "worker") yield* workerReferences(body);
    if (kind === "router") for (const rule of rulesOf(body.node)) yield* routeReferences(rule);
  }
}

function* routeReferences(rule: ConfigNode): Iterable<ConfigNode | null> {
  yield child(rule, "service");
  for (const branch of items(child(rule, "split"))) yield child(branch, "service");
  yield child(child(rule, "mirror"), "service");
}

function* workerReferences(body: Entry): Iterable<ConfigNode | null> {
  yield child(body.node, "globalOutbound");
  for (const binding of entries(child(body.node, "bindings"))) yield child(binding.node, "service");
}
