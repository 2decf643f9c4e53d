import { dirname, relative } from "node:path";
import type { WrittenBinding, WrittenWorker } from "../config/worker-bindings.ts";
import type { JsonValue } from "../services/service.ts";

/** Levels of a json binding that are typed; what lies deeper is unknown. */
const MAX_DEPTH = 8;

/**
 * The types of what each Worker finds in `env`, as declarations.
 *
 * @param file that they are for: imports are relative to it
 */
export function envTypes(workers: readonly WrittenWorker[], file: string): string {
  const mains = new Map(workers.map(({ name, main }) => [name, main]));
  const names = envNames(workers);
  const interfaces = workers.map((worker) => {
    const members = worker.bindings.map((binding) => `  ${member(binding, mains, dirname(file))};\n`);
    const body = members.length === 0 ? "{}" : `{\n${members.join("")}}`;
    return `/** \`env\` of the Worker ${JSON.stringify(worker.name)}. */\ninterface ${names.get(worker.name)} ${body}\n`;
  });
  const [only] = workers;
  // Where there is one Worker, its code may say Env, as in the templates of workerd.
  if (workers.length === 1 && only !== undefined && names.get(only.name) !== "Env") {
    interfaces.push(`interface Env extends ${names.get(only.name)} {}\n`);
  }
  const all = [...names.values()];
  const shared = all.length === 0 ? "{}" : all.join(" & ");
  interfaces.push(
    `declare namespace Cloudflare {\n  /** Of \`env\` from "cloudflare:workers", which is that of whichever Worker runs. */\n  interface Env extends SluiceEnv {}\n}\ntype SluiceEnv = ${shared};\n`,
  );
  return interfaces.join("\n");
}

/** `GatewayEnv` for `gateway`, each once. */
function envNames(workers: readonly WrittenWorker[]): Map<string, string> {
  const names = new Map<string, string>();
  const taken = new Set<string>();
  for (const { name } of workers) {
    const words = name.split(/[^A-Za-z0-9]+/).filter((word) => word !== "");
    const joined = words.map((word) => word[0]?.toUpperCase() + word.slice(1)).join("");
    const base = /^[A-Za-z]/.test(joined) ? joined : `Worker${joined}`;
    let chosen = `${base}Env`;
    for (let i = 2; taken.has(chosen); i++) chosen = `${base}${i}Env`;
    taken.add(chosen);
    names.set(name, chosen);
  }
  return names;
}

function member(
  binding: WrittenBinding,
  mains: ReadonlyMap<string, string | null>,
  directory: string,
): string {
  const key = /^[A-Za-z_$][\w$]*$/.test(binding.name) ? binding.name : JSON.stringify(binding.name);
  switch (binding.kind) {
    case "text":
      return `readonly ${key}: string`;
    case "env":
      return `readonly ${key}${binding.optional ? "?" : ""}: string`;
    case "next":
      return `/** What follows in the list of middlewares. */ readonly ${key}${binding.optional ? "?" : ""}: Fetcher`;
    case "data":
      return `readonly ${key}: ArrayBuffer`;
    case "json":
      return `readonly ${key}: ${jsonType(binding.value, 0)}`;
    case "service":
      return `readonly ${key}: ${serviceType(binding, mains, directory)}`;
  }
}

function serviceType(
  { service, entrypoint }: { readonly service: string; readonly entrypoint: string | null },
  mains: ReadonlyMap<string, string | null>,
  directory: string,
): string {
  const main = mains.get(service) ?? null;
  if (main === null || !/\.[cm]?tsx?$/.test(main)) return "Fetcher";
  const path = relative(directory, main)
    .replaceAll("\\", "/")
    .replace(/\.([cm]?)tsx?$/, (_all, kind: string) => (kind === "" ? "" : `.${kind}js`));
  const from = path.startsWith(".") ? path : `./${path}`;
  return `Service<(typeof import(${JSON.stringify(from)}))[${JSON.stringify(entrypoint ?? "default")}]>`;
}

function jsonType(value: JsonValue, depth: number): string {
  if (value === null) return "null";
  if (typeof value !== "object") return typeof value;
  if (depth >= MAX_DEPTH) return "unknown";
  if (Array.isArray(value)) {
    const kinds = [...new Set(value.map((item) => jsonType(item, depth + 1)))];
    return kinds.length === 0 ? "unknown[]" : `Array<${kinds.join(" | ")}>`;
  }
  const members = Object.entries(value).map(
    ([key, item]) => `readonly ${JSON.stringify(key)}: ${jsonType(item, depth + 1)}`,
  );
  return members.length === 0 ? "Record<string, never>" : `{ ${members.join("; ")} }`;
}
