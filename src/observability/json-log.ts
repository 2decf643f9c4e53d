import { escapeControls } from "./escape.ts";
import type { LineWriter } from "./line-writer.ts";
import type { LogFields, Logger, LogLevel } from "./log.ts";
import { atLeast } from "./log-level.ts";
import { timestamp } from "./timestamp.ts";

/** One JSON object a line, for machines: access lines to `output`, everything else to `errors`. */
export class JsonLogger implements Logger {
  readonly accessEnabled: boolean;
  readonly #output: LineWriter;
  readonly #errors: LineWriter;
  readonly #level: LogLevel;

  constructor(output: LineWriter, errors: LineWriter, options: { access: boolean; level: LogLevel }) {
    this.#output = output;
    this.#errors = errors;
    this.accessEnabled = options.access;
    this.#level = options.level;
  }

  log(level: LogLevel, event: string, message: string, fields?: LogFields): void {
    if (!atLeast(level, this.#level)) return;
    const head = `{"time":"${timestamp()}","level":"${level}","event":${JSON.stringify(event)}`;
    this.#errors.write(escapeControls(`${head},"message":${JSON.stringify(message)}${members(fields)}}`));
  }

  access(fields: LogFields): void {
    this.#output.write(escapeControls(`{"time":"${timestamp()}","event":"access"${members(fields)}}`));
  }
}

/** The fields as members of an object that has some already. JSON.stringify does the quoting, in native code. */
function members(fields: LogFields | undefined): string {
  if (fields === undefined) return "";
  const text = JSON.stringify(fields);
  return text.length > 2 ? `,${text.slice(1, -1)}` : "";
}
