import { JsonLogger } from "./json-log.ts";
import { LineWriter } from "./line-writer.ts";
import type { Logger, LogLevel } from "./log.ts";
import { TextLogger } from "./text-log.ts";

/** How a process logs; plain data, since the supervisor decides it for its shards too. */
export interface LogSettings {
  readonly format: "json" | "text";
  readonly colour: boolean;
  readonly access: boolean;
  readonly level: LogLevel;
}

/** The logger of this process, over its standard output (access lines) and standard error (everything else). */
export class ProcessLog {
  readonly logger: Logger;
  readonly #output: LineWriter = new LineWriter(1);
  readonly #errors: LineWriter = new LineWriter(2);

  constructor(settings: LogSettings) {
    this.logger =
      settings.format === "json"
        ? new JsonLogger(this.#output, this.#errors, settings)
        : new TextLogger(this.#output, this.#errors, settings);
  }

  /** A line on standard error that is no log event, such as `listening on …`; in order with the events. */
  say(line: string): void {
    this.#errors.write(line);
  }

  flushSync(): void {
    this.#output.flushSync();
    this.#errors.flushSync();
  }
}

/** `text` for people at a terminal, `json` for whatever collects logs, unless config says so. */
export function chooseLogSettings(
  config: { readonly access: boolean; readonly format?: "json" | "text" | undefined },
  level: LogLevel,
  isTerminal: boolean,
  noColour: boolean,
): LogSettings {
  return {
    format: config.format ?? (isTerminal ? "text" : "json"),
    colour: isTerminal && !noColour,
    access: config.access,
    level,
  };
}
