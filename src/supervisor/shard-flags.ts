/**
 * Node.js flags of a shard. Without the first, Node's own snapshot keeps isolates from being made; the second closes a
 * hole in V8's loop unroller, which drops the interrupt check of some loops, so that a Worker could not be stopped. The
 * third keeps Node from writing a warning of its own to the log whenever a Worker first uses a new algorithm.
 */
export const shardFlags: readonly string[] = [
  "--no-node-snapshot",
  "--no-turboshaft-loop-unrolling",
  "--disable-warning=ExperimentalWarning",
];
