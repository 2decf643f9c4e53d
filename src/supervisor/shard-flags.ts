/**
 * Node.js flags of a shard. Without the first, Node's own snapshot keeps isolates from being made; the second closes a
 * hole in V8's loop unroller, which drops the interrupt check of some loops, so that a Worker could not be stopped.
 */
export const shardFlags: readonly string[] = ["--no-node-snapshot", "--no-turboshaft-loop-unrolling"];
