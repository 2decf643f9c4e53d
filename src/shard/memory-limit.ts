import { availableParallelism, totalmem } from "node:os";
import type { ProxyConfig } from "../config/schema/proxy.ts";

const mebibyte = 1024 * 1024;
/** What connections, pools and caches of a busy shard may take. */
const ownBytes = 2048 * mebibyte;

/**
 * Bytes of resident memory at which a shard is past saving, and its watchdog ends it. V8's own limit for an isolate
 * does not count all that a Worker can take (resizable buffers, WebAssembly memory), and the kernel's killer would choose
 * its victim by itself. Each Worker's limit counts twice, since one entry can grow past it before it is noticed; all
 * shards together stay below the machine, or the container.
 */
export function shardMemoryLimit(config: ProxyConfig, machineBytes = memoryOfMachine()): number {
  let bytes = ownBytes;
  for (const service of Object.values(config.services)) {
    if ("worker" in service) bytes += 2 * service.worker.limits.memoryMb * mebibyte;
  }
  const shards = config.shards === "auto" ? availableParallelism() : config.shards;
  return Math.min(bytes, (machineBytes * 0.8) / shards);
}

function memoryOfMachine(): number {
  // 0 or beyond the machine when no control group limits the process.
  const constrained = process.constrainedMemory();
  return constrained > 0 ? Math.min(constrained, totalmem()) : totalmem();
}
