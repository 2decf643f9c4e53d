import { resolve } from "node:path";
import { checkAcme } from "./acme.ts";
import { checkAddresses } from "./addresses.ts";
import type { CertificateFiles } from "./certificates.ts";
import { Contents } from "./contents.ts";
import { type Diagnostic, Report } from "./diagnostic.ts";
import { checkForwardProxy } from "./forward-proxies.ts";
import { type ConfigHost, machine } from "./host.ts";
import { findServices, type NamedService } from "./kinds.ts";
import { checkMiddlewares, middlewareSteps } from "./middleware.ts";
import { checkNetwork } from "./networks.ts";
import { applyOverrides, type Overrides } from "./overrides.ts";
import { checkPreambles } from "./proxy-protocol.ts";
import { readConfig } from "./reading.ts";
import { checkReferences, internet } from "./references.ts";
import { checkRouter } from "./routers.ts";
import type { ProxyConfig } from "./schema/proxy.ts";
import { type WorkerConfig, worker } from "./schema/worker.ts";
import { check, validate } from "./shape.ts";
import { checkSocket } from "./sockets.ts";
import type { Environment } from "./substitution.ts";
import { child, entries } from "./tree.ts";
import { checkUpstream } from "./upstreams.ts";
import { checkCompatibility } from "./workers.ts";

export interface LoadedConfig {
  /** Null when there is an error. */
  readonly config: ProxyConfig | null;
  /** Everything found in one run, sorted by file and position. */
  readonly diagnostics: readonly Diagnostic[];
  /** Absolute paths of all files that were read, those that could not be as well: `--watch` looks at them. */
  readonly files: readonly string[];
  /** The Workers that are right in themselves, also when the config is not: so that they can be compiled in the same run. */
  readonly workers: ReadonlyArray<readonly [name: string, config: WorkerConfig]>;
  /** Where the certificates of sockets come from, in the order of each socket's config. */
  readonly certificates: readonly CertificateFiles[];
  /** The contents of files of users, by absolute path: they are read again when one changes. */
  readonly userFiles: Readonly<Record<string, string>>;
}

/**
 * Reads `path` and everything that it includes, puts the overrides over it, and checks it. Reads files, opens and changes
 * nothing. Never throws for anything that stands in the config.
 */
export function loadConfig(
  path: string,
  environment: Environment,
  overrides: Overrides = {},
  host: ConfigHost = machine,
): LoadedConfig {
  const report = new Report();
  const { root, files, incomplete } = readConfig(resolve(path), environment, host, report);
  applyOverrides(root, overrides, incomplete, report);
  const services = findServices(root, report);
  checkReferences(root, services, incomplete, report);
  checkAddresses(root, services, report);
  const contents = new Contents(environment, host, report);
  for (const service of services) {
    contents.fill(service);
    checkPreambles(service, report);
    if (service.kind === "worker") checkCompatibility(service, host.now(), report);
    if (service.kind === "network") checkNetwork(service, report);
    if (service.kind === "router") checkRouter(service, report);
    if (service.kind === "external") checkUpstream(service, report);
  }
  for (const socket of entries(child(root, "sockets"))) {
    contents.fillSocket(socket);
    checkForwardProxy(socket, report);
    checkSocket(socket, services, report);
  }
  for (const step of middlewareSteps(services, entries(child(root, "services")))) {
    contents.fillUsers(child(step, "basicAuth"));
  }
  checkAcme(root, incomplete, report);
  checkMiddlewares(services, entries(child(root, "services")), report);
  const config = validate(root, incomplete, report);
  const valid = config !== null && !report.hasErrors;
  const workers = valid ? workersOf(config) : soundWorkers(services);
  if (valid) config.services[internet] ??= { network: { allow: ["public"], deny: [] } };
  return {
    config: valid ? config : null,
    diagnostics: report.sorted(files),
    files: [...files, ...contents.files],
    workers,
    certificates: contents.certificates,
    userFiles: contents.userFiles,
  };
}

function workersOf(config: ProxyConfig): Array<[string, WorkerConfig]> {
  return Object.entries(config.services).flatMap(
    ([name, service]): Array<[string, WorkerConfig]> => ("worker" in service ? [[name, service.worker]] : []),
  );
}

/** Any date will do to compile a Worker that is not going to run. */
const earliestDate = "2021-01-01";

/** Workers whose code can be compiled, although something else in the config, or even in their own part, is not right. */
function soundWorkers(services: readonly NamedService[]): Array<[string, WorkerConfig]> {
  const sound: Array<[string, WorkerConfig]> = [];
  for (const { name, kind, body } of services) {
    if (kind !== "worker" || body.node.kind !== "map") continue;
    const main = body.node.entries.get("main") ?? body.node.entries.get("script");
    if (main?.node.kind !== "scalar" || main.node.broken) continue;
    if (body.node.entries.has("main") && body.node.entries.has("script")) continue;
    const result = check(worker, body.node);
    if (result.success) {
      sound.push([name, result.data]);
      continue;
    }
    const key = body.node.entries.has("main") ? "main" : "script";
    const code = worker.safeParse({ [key]: main.node.value, compatibilityDate: earliestDate });
    if (code.success) sound.push([name, code.data]);
  }
  return sound;
}
