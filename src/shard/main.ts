import { Shard } from "./shard.ts";

// A terminal and a service manager signal every process of the group; when a shard ends is the supervisor's decision.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => {});

new Shard().start();
