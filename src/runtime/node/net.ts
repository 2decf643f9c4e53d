import { callable } from "./callable.ts";
import { notImplemented } from "./errors.ts";
import { BlockList, isIP, isIPv4, isIPv6 } from "./ip.ts";
import { connectParameters, Socket } from "./net-socket.ts";

function connect(...parameters: unknown[]): Socket {
  const { options } = connectParameters(parameters);
  return new Socket(options).connect(...parameters);
}

/** In place of what makes servers. */
export function absentServer(): never {
  throw notImplemented("net.createServer(): connections come to the Worker's connect handler");
}

/** node:net. */
export const net = {
  BlockList,
  Server: absentServer,
  Socket: callable(Socket),
  Stream: callable(Socket),
  connect,
  createConnection: connect,
  createServer: absentServer,
  getDefaultAutoSelectFamily: (): boolean => false,
  getDefaultAutoSelectFamilyAttemptTimeout: (): number => 250,
  isIP,
  isIPv4,
  isIPv6,
  setDefaultAutoSelectFamily(): void {},
  setDefaultAutoSelectFamilyAttemptTimeout(): void {},
};
