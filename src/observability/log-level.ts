import type { LogLevel } from "./log.ts";

const ranks: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3 };

/** True when an event of this level belongs into a log that begins at `least`. */
export function atLeast(level: LogLevel, least: LogLevel): boolean {
  return ranks[level] >= ranks[least];
}

/** Reads `SLUICE_LOG_LEVEL`; anything that is not a level is `info`. */
export function readLogLevel(text: string | undefined): LogLevel {
  return text !== undefined && Object.hasOwn(ranks, text) ? (text as LogLevel) : "info";
}
