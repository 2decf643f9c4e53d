import { dirname, resolve } from "node:path";
import type { JsonValue } from "../services/service.ts";
import { type Diagnostic, Report } from "./diagnostic.ts";
import { type ConfigHost, machine } from "./host.ts";
import { findServices, type NamedService } from "./kinds.ts";
import { middlewareSteps } from "./middleware.ts";
import { readConfig } from "./reading.ts";
import { serviceReferences } from "./references.ts";
import { asText, type ConfigNode, child, entries, plain, textAt } from "./tree.ts";

/** A binding as it is written. */
export type WrittenBinding =
  | { readonly kind: "text" | "data"; readonly name: string }
  /** `next` is what follows a Worker in a list of middlewares: only there, so optional where it is called elsewhere too. */
  | { readonly kind: "env" | "next"; readonly name: string; readonly optional: boolean }
  | { readonly kind: "json"; readonly name: string; readonly value: JsonValue }
  /** @param entrypoint null is the default export. */
  | {
      readonly kind: "service";
      readonly name: string;
      readonly service: string;
      readonly entrypoint: string | null;
    };

/** A Worker as far as the types of its `env` need it. */
export interface WrittenWorker {
  readonly name: string;
  /** Absolute path of its main module; null for a script. */
  readonly main: string | null;
  readonly bindings: readonly WrittenBinding[];
}

/** Each variable has some value: what it is does not show in a type. */
const anyEnvironment = new Proxy<Record<string, string>>(
  {},
  {
    get: () => "1",
    getOwnPropertyDescriptor: () => ({ value: "1", configurable: true, enumerable: true, writable: true }),
  },
);

/**
 * The Workers of a config with their bindings, whatever the environment: types are made where secrets are not.
 *
 * @returns workers null when the config cannot be read
 */
export function readWorkerBindings(
  path: string,
  host: ConfigHost = machine,
): { readonly workers: readonly WrittenWorker[] | null; readonly diagnostics: readonly Diagnostic[] } {
  const report = new Report();
  const { root, files } = readConfig(resolve(path), anyEnvironment, host, report);
  const services = findServices(root, report);
  const diagnostics = report.sorted(files);
  if (report.hasErrors) return { workers: null, diagnostics };
  const middlewares = new Set<string>();
  for (const step of middlewareSteps(services, entries(child(root, "services")))) {
    middlewares.add(nameAt(step) ?? "");
  }
  const called = new Set<string>();
  for (const node of serviceReferences(root, services)) called.add(nameAt(node) ?? "");
  const workers = services
    .filter(({ kind }) => kind === "worker")
    .map((service) => withNext(readWorker(service), middlewares, called));
  return { workers, diagnostics };
}

/** The service that a reference names. */
function nameAt(node: ConfigNode | null): string | null {
  return (asText(node) ?? textAt(node, "name"))?.value ?? null;
}

function withNext(
  worker: WrittenWorker,
  middlewares: ReadonlySet<string>,
  called: ReadonlySet<string>,
): WrittenWorker {
  const { name, bindings } = worker;
  if (!middlewares.has(name)) return worker;
  // What stands in its place has the name in any case.
  const others = bindings.filter((binding) => binding.name !== "next");
  return { ...worker, bindings: [...others, { kind: "next", name: "next", optional: called.has(name) }] };
}

function readWorker({ name, body }: NamedService): WrittenWorker {
  const main = textAt(body.node, "main");
  const directory = main?.span == null ? process.cwd() : dirname(main.span.source.path);
  const bindings: WrittenBinding[] = [];
  for (const { key, node } of entries(child(body.node, "bindings"))) {
    const binding = readBinding(key, node);
    if (binding !== null) bindings.push(binding);
  }
  return { name, main: main === null ? null : resolve(directory, main.value), bindings };
}

function readBinding(name: string, node: ConfigNode): WrittenBinding | null {
  const service = child(node, "service");
  if (service !== null) {
    const target = asText(service) ?? textAt(service, "name");
    const entrypoint = textAt(service, "entrypoint")?.value ?? null;
    return target === null ? null : { kind: "service", name, service: target.value, entrypoint };
  }
  const json = child(node, "json");
  if (json !== null) return { kind: "json", name, value: plain(json) };
  if (child(node, "text") !== null) return { kind: "text", name };
  if (child(node, "data") !== null) return { kind: "data", name };
  const optional = child(node, "optional");
  if (child(node, "env") === null) return null;
  return { kind: "env", name, optional: optional?.kind === "scalar" && optional.value === true };
}
