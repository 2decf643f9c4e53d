/** Where caches and certificates are, how many threads there are, and how to tell the time; nothing else of the environment concerns a shard. */
const passed = [
  "HOME",
  "XDG_CACHE_HOME",
  "SLUICE_CACHE_DIR",
  "TMPDIR",
  "TZ",
  "UV_THREADPOOL_SIZE",
  "NODE_COMPILE_CACHE",
  "NODE_DISABLE_COMPILE_CACHE",
  "NODE_EXTRA_CA_CERTS",
  "SSL_CERT_FILE",
  "SSL_CERT_DIR",
] as const;

/**
 * The environment of a shard. Secrets come to it by the config alone, each where it is used, so that a Worker which
 * breaks out of its isolate finds none in the process's environment.
 */
export function shardEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const chosen: NodeJS.ProcessEnv = {};
  for (const name of passed) {
    if (env[name] !== undefined) chosen[name] = env[name];
  }
  return chosen;
}
