import { lookup } from "node:dns/promises";
import { lstatSync, unlinkSync } from "node:fs";
import * as net from "node:net";
import { getSystemErrorMap, getSystemErrorName } from "node:util";
import type { Address } from "../net/address.ts";
import { BindError } from "./bind-error.ts";
import { inheritedDescriptor } from "./socket-activation.ts";

/** Node's handle of a socket that is bound but on which nobody accepts in this process. */
export interface BoundHandle {
  readonly fd: number;
  /** Closes the descriptor; a unix socket's file goes with it. */
  close(): void;
  /** Zero and the address, or a negative error number. Pipes do not have it. */
  getsockname?(out: { address?: string; family?: string; port?: number }): number;
}

type CreateHandle = (
  address: string | null,
  port: number,
  addressType: 4 | 6 | -1,
  fd: number | null,
  flags: number,
) => BoundHandle | number;

/**
 * What node:cluster binds with. It is the one way in Node.js to bind without accepting: `listen()` of any server
 * starts to accept at once, and the supervisor must leave every connection in the queue to its shards.
 */
const createHandle = (net as unknown as { readonly _createServerHandle: CreateHandle })._createServerHandle;

/**
 * Binds an address, or takes over an inherited descriptor. A file that a dead process left in the place of a unix
 * socket is removed; one that answers is not.
 *
 * @throws Error whose message is only the reason, such as `permission denied`
 */
export async function bind(address: Address, env: NodeJS.ProcessEnv): Promise<BoundHandle> {
  switch (address.kind) {
    case "tcp":
      return bindTcp(address.host, address.port);
    case "unix":
      await removeStale(address.path);
      return checked(createHandle(address.path, -1, -1, null, 0));
    case "unix-abstract":
      return checked(createHandle(`\0${address.name}`, -1, -1, null, 0));
    case "fd":
      return adopt(address.fd);
    case "systemd":
      return adopt(inheritedDescriptor(address.name, env, process.pid));
  }
}

async function bindTcp(host: string, port: number): Promise<BoundHandle> {
  if (host === "") {
    // "::" without IPV6_V6ONLY takes IPv4 too; a machine without IPv6 has only 0.0.0.0.
    try {
      return checked(createHandle("::", port, 6, null, 0));
    } catch (error) {
      if (!(error instanceof BindError) || (error.code !== "EAFNOSUPPORT" && error.code !== "EADDRNOTAVAIL"))
        throw error;
      return checked(createHandle("0.0.0.0", port, 4, null, 0));
    }
  }
  const version = net.isIP(host);
  if (version !== 0) return checked(createHandle(host, port, version === 6 ? 6 : 4, null, 0));
  let found: { address: string; family: number };
  try {
    found = await lookup(host);
  } catch {
    throw new BindError("ENOTFOUND", `the name "${host}" has no address`);
  }
  return checked(createHandle(found.address, port, found.family === 6 ? 6 : 4, null, 0));
}

function adopt(fd: number): BoundHandle {
  let handle: BoundHandle | number;
  try {
    handle = createHandle(null, 0, -1, fd, 0);
  } catch {
    throw new BindError("EBADF", `descriptor ${fd} is no open socket`);
  }
  return checked(handle, `descriptor ${fd} is no open socket`);
}

function checked(handle: BoundHandle | number, reason?: string): BoundHandle {
  if (typeof handle === "number") {
    const code = getSystemErrorName(handle);
    throw new BindError(code, reason ?? errorText(handle));
  }
  // libuv keeps EADDRINUSE to itself until the socket is used (uv_tcp_bind); asking for its name brings it out.
  const result = handle.getsockname?.({}) ?? 0;
  if (result < 0) {
    handle.close();
    throw new BindError(getSystemErrorName(result), errorText(result));
  }
  return handle;
}

/** The system's words for an error number: `permission denied`, `address already in use`. */
export function errorText(errno: number): string {
  return getSystemErrorMap().get(errno)?.[1] ?? `error ${errno}`;
}

async function removeStale(path: string): Promise<void> {
  let isSocket: boolean;
  try {
    isSocket = lstatSync(path).isSocket();
  } catch {
    return;
  }
  if (!isSocket) throw new BindError("EEXIST", "a file that is no socket stands in its place");
  if (await answers(path)) throw new BindError("EADDRINUSE", "address already in use");
  try {
    unlinkSync(path);
  } catch {
    throw new BindError("EACCES", "the socket that a dead process left behind cannot be removed");
  }
}

/** Only a refused connection proves that nobody listens; whatever else happens, the file is left alone. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = net.connect({ path });
    probe.once("connect", () => {
      probe.destroy();
      resolve(true);
    });
    probe.once("error", (error: NodeJS.ErrnoException) => resolve(error.code !== "ECONNREFUSED"));
  });
}
