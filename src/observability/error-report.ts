import { newErrorId } from "../errors/error-id.ts";
import type { ProxyError } from "../errors/proxy-error.ts";
import type { Logger } from "./log.ts";
import type { Traffic } from "./traffic.ts";

/** Who has to do with an error: a socket of the config. */
export interface ErrorReporter {
  readonly name: string;
  readonly log: Logger;
  readonly traffic: Traffic;
}

/**
 * Counts an error, gives it its id and writes it to the log, unless whoever gave it an id has written more of it.
 *
 * @param event as in the log's lines
 * @param target what the client asked for
 */
export function reportError(
  { name, log, traffic }: ErrorReporter,
  event: "exchange.failed" | "tunnel.failed",
  error: ProxyError,
  target: string,
): void {
  traffic.error(error.code);
  if (error.id !== "") return;
  error.id = newErrorId();
  const level = error.source === "downstream" ? "debug" : error.status >= 500 ? "error" : "warn";
  log.log(level, event, error.message, {
    id: error.id,
    code: error.code,
    socket: name,
    target,
    ...error.details,
  });
}
