import { randomUUID } from "node:crypto";
import { openSync, unlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/**
 * A small file without a name, in memory where the system allows it: a shard notes in it which Worker runs, and the
 * supervisor reads it when the shard is dead. Null where no such file can be made (a read-only container).
 */
export function openBlackBox(): number | null {
  for (const directory of ["/dev/shm", tmpdir()]) {
    const path = join(directory, `sluice-${process.pid}-${randomUUID()}`);
    try {
      const fd = openSync(path, "wx+", 0o600);
      unlinkSync(path);
      return fd;
    } catch {}
  }
  return null;
}
