import { hostErrorCode } from "../bridge/host-error.ts";

/** Codes of a socket's errors by ours. */
const codes: Readonly<Record<string, string>> = {
  address_denied: "EACCES",
  upstream_connect_timeout: "ETIMEDOUT",
  upstream_head_timeout: "ETIMEDOUT",
  upstream_name_unresolved: "ENOTFOUND",
  upstream_tls_failed: "EPROTO",
  upstream_unreachable: "ECONNREFUSED",
};

/** An error of `fetch` or of a connection, as a socket of Node's has it. */
export function socketError(error: unknown, host: string, port?: number): Error {
  const message = (error as Error | null)?.message ?? String(error);
  const code = codes[hostErrorCode(error)] ?? "ECONNRESET";
  return Object.assign(new Error(message, { cause: error } as never), {
    code,
    syscall: "connect",
    address: host,
    ...(port === undefined ? {} : { port }),
  });
}
