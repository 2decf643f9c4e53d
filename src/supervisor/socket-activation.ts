import { BindError } from "./bind-error.ts";

/** systemd hands over descriptors from 3 on (SD_LISTEN_FDS_START in sd_listen_fds(3)). */
const firstDescriptor = 3;

/**
 * The descriptor that systemd passed under a name (`FileDescriptorName=` of the .socket unit, by default the unit's
 * own name).
 *
 * @throws BindError when nothing was passed to this very process, or the name is unknown or means several
 */
export function inheritedDescriptor(name: string, env: NodeJS.ProcessEnv, pid: number): number {
  const count = Number(env.LISTEN_FDS ?? "");
  if (!Number.isInteger(count) || count <= 0) {
    throw new BindError("ENOENT", "systemd passed no sockets (LISTEN_FDS is not set)");
  }
  // Variables meant for a parent must not be acted on: the descriptors would be something else here.
  if (env.LISTEN_PID !== undefined && env.LISTEN_PID !== String(pid)) {
    throw new BindError(
      "ENOENT",
      `systemd passed its sockets to process ${env.LISTEN_PID}, and this is ${pid}`,
    );
  }
  const names = (env.LISTEN_FDNAMES ?? "").split(":");
  const found: number[] = [];
  for (let i = 0; i < count; i++) {
    if ((names[i] || "unknown") === name) found.push(firstDescriptor + i);
  }
  const [fd, another] = found;
  if (fd === undefined) {
    const known = names.filter((each) => each !== "").join(", ");
    throw new BindError(
      "ENOENT",
      `systemd passed no socket of this name${known === "" ? "" : ` (only ${known})`}`,
    );
  }
  if (another !== undefined) {
    throw new BindError("EINVAL", "systemd passed several sockets of this name, each needs its own");
  }
  return fd;
}
