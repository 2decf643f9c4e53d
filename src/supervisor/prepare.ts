import { availableParallelism } from "node:os";
import { join } from "node:path";
import type { AcmeSocket } from "../acme/settings.ts";
import { type Diagnostic, sortDiagnostics, workerDiagnostic } from "../config/diagnostic.ts";
import { loadConfig } from "../config/load.ts";
import type { Overrides } from "../config/overrides.ts";
import type { ProxyConfig } from "../config/schema/proxy.ts";
import type { SocketConfig } from "../config/schema/socket.ts";
import { bundleWorker } from "../isolate/loader/bundle.ts";
import { loadRuntime } from "../isolate/loader/runtime.ts";
import { dataDirectory } from "../tls/data-directory.ts";
import type { Revision } from "./revision.ts";

/** What the command line gave: where the config is, and what to change in it. */
export interface ConfigSource {
  readonly path: string;
  readonly env: NodeJS.ProcessEnv;
  readonly overrides: Overrides;
}

/** A revision, or why there is none. */
export interface Prepared {
  readonly revision: Revision | null;
  readonly diagnostics: readonly Diagnostic[];
  /** All files that were looked at, also when they did not yield a revision. */
  readonly files: readonly string[];
}

/**
 * Reads the config and bundles its Workers; opens nothing else. Every diagnostic of config and Workers comes in one run.
 *
 * @throws Error when Sluice's own runtime cannot be had
 */
export async function prepareRevision(source: ConfigSource): Promise<Prepared> {
  const loaded = loadConfig(source.path, source.env, source.overrides);
  // A proxy without Workers needs no runtime.
  const runtime = loaded.config === null || loaded.workers.length === 0 ? noRuntime : loadRuntime();
  const bundles = await Promise.all(
    loaded.workers.map(async ([name, config]) => ({ name, bundle: await bundleWorker(name, config) })),
  );
  const files = [...new Set([...loaded.files, ...bundles.flatMap(({ bundle }) => bundle.inputs)])];
  const problems = bundles.flatMap(({ name, bundle }) =>
    bundle.problems.map((problem) => workerDiagnostic(name, problem)),
  );
  const diagnostics = sortDiagnostics([...loaded.diagnostics, ...problems], loaded.files);
  const workers = bundles.flatMap(({ bundle }) => bundle.worker ?? []);
  const { config } = loaded;
  const script = await runtime;
  if (config === null || workers.length < bundles.length) return { revision: null, diagnostics, files };
  const shards = config.shards === "auto" ? availableParallelism() : config.shards;
  await addDevelopmentCertificates(config, source.env);
  await addInterceptionAuthority(config, source.env);
  const acme = takeAcme(config, source.env);
  const { certificates, userFiles } = loaded;
  return {
    revision: { config, workers, runtime: script, files, certificates, acme, userFiles, shards },
    diagnostics,
    files,
  };
}

/** Takes out of the config what is the supervisor's business alone: shards need no key of an external account. */
function takeAcme(config: ProxyConfig, env: NodeJS.ProcessEnv): AcmeSocket[] {
  const sockets = Object.entries(config.sockets);
  const servesHttp = sockets.some(([, socket]) => answersHttp01(socket));
  return sockets.flatMap(([socket, { tls }]) => {
    if (tls?.acme === undefined) return [];
    const storage = tls.acme.storage ?? join(dataDirectory(env), "acme");
    const settings = { ...tls.acme, storage, servesHttp };
    delete tls.acme;
    return [{ socket, settings }];
  });
}

/** True for a socket that an authority can ask by plain HTTP, if it stands at port 80. */
function answersHttp01({ tls, http, ...other }: SocketConfig): boolean {
  return tls === undefined && http.style === "host" && !("tcp" in other) && !("socks" in other);
}

/** @throws Error when the authority can be neither read nor made */
async function addDevelopmentCertificates(config: ProxyConfig, env: NodeJS.ProcessEnv): Promise<void> {
  for (const { tls } of Object.values(config.sockets)) {
    if (tls === undefined || tls.development === false) continue;
    // What makes certificates takes a while to load.
    const { caDirectory, LocalCa } = await import("../tls/local-ca.ts");
    try {
      const ca = LocalCa.open("development", caDirectory("development", env));
      tls.certificates.push(ca.leaf(tls.development === true ? [] : tls.development));
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new Error(`cannot make a development certificate: ${reason}`, { cause: error });
    }
  }
}

/** @throws Error when the authority can be neither read nor made */
async function addInterceptionAuthority(config: ProxyConfig, env: NodeJS.ProcessEnv): Promise<void> {
  for (const { intercept } of Object.values(config.sockets)) {
    if (intercept === undefined || intercept.authority !== undefined) continue;
    const { caDirectory, LocalCa } = await import("../tls/local-ca.ts");
    try {
      intercept.authority = LocalCa.open("interception", caDirectory("interception", env)).keypair;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new Error(`cannot make an interception authority: ${reason}`, { cause: error });
    }
  }
}

const noRuntime = Promise.resolve({ code: "", parts: {} });
