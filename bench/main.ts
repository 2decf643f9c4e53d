import { installPeers } from "./install.ts";
import { chooseCores } from "./machine/cores.ts";
import { readOptions, UsageError } from "./options.ts";
import type { Bench } from "./session.ts";

const usage = `npm run bench [-- COMMAND] [-- FLAGS]

  table        CPU, throughput and latency of all candidates side by side (what runs without a command)
  cold-start   first requests to Workers whose isolates are not made yet
  density      resident memory with 1, 100 and 1,000 Workers in one process
  startup      from the start of the process to its first response
  stream       1 GiB down and up with a slow end, and what that does to resident memory
  websockets   10,000 idle WebSockets on one Worker: memory and CPU time
  relay        streams of bytes and short connections through a tcp socket, and through HAProxy
  profile WORK where Sluice's CPU time goes; WORK is plain, string, pass, edit, chain or json

  --only a,b   these candidates, these workloads      --rounds N    how often each is measured
  --seconds N  length of one measurement              --rate N      requests a second of the paced workloads
  --quick      main workloads, one short round        --dist        Sluice as it is published, from dist/
  --size MIB   what \`stream\` and \`relay\` send
`;

type Command = (bench: Bench) => Promise<void>;

/** Each loads its own module. */
const commands: Readonly<Record<string, () => Promise<Command>>> = {
  table: async () => (await import("./commands/table.ts")).table,
  "cold-start": async () => (await import("./commands/cold-start.ts")).coldStart,
  density: async () => (await import("./commands/density.ts")).density,
  startup: async () => (await import("./commands/startup.ts")).startup,
  stream: async () => (await import("./commands/stream.ts")).stream,
  websockets: async () => (await import("./commands/websockets.ts")).websockets,
  relay: async () => (await import("./commands/relay.ts")).relay,
  profile: async () => (await import("./commands/profile.ts")).profile,
};

for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(130));

try {
  const options = readOptions(process.argv.slice(2));
  const load = Object.hasOwn(commands, options.command) ? commands[options.command] : undefined;
  if (load === undefined)
    throw new UsageError(`cannot run ${JSON.stringify(options.command)}: no such command`);
  if (process.platform !== "linux") throw new Error("cannot run: CPU time is read from Linux's /proc");
  installPeers();
  const run = await load();
  await run({ options, cores: chooseCores() });
  process.exit(0);
} catch (error) {
  process.stderr.write(`bench: ${(error as Error).message}\n`);
  if (error instanceof UsageError) process.stderr.write(`\n${usage}`);
  process.exit(error instanceof UsageError ? 2 : 1);
}
