import { escapeControls } from "./escape.ts";
import type { LineWriter } from "./line-writer.ts";
import type { LogFields, Logger, LogLevel } from "./log.ts";
import { atLeast } from "./log-level.ts";
import { timestamp } from "./timestamp.ts";

const colours: Readonly<Record<LogLevel, string>> = {
  debug: "\u001b[2m",
  info: "\u001b[36m",
  warn: "\u001b[33m",
  error: "\u001b[31m",
};

/**
 * Lines for people: `time level message key=value …`. A message of several lines, such as a stack, keeps its line
 * breaks, indented so that what a client or a Worker wrote can never look like a line of ours.
 */
export class TextLogger implements Logger {
  readonly accessEnabled: boolean;
  readonly #output: LineWriter;
  readonly #errors: LineWriter;
  readonly #level: LogLevel;
  readonly #colour: boolean;

  constructor(
    output: LineWriter,
    errors: LineWriter,
    options: { access: boolean; level: LogLevel; colour: boolean },
  ) {
    this.#output = output;
    this.#errors = errors;
    this.accessEnabled = options.access;
    this.#level = options.level;
    this.#colour = options.colour;
  }

  log(level: LogLevel, _event: string, message: string, fields?: LogFields): void {
    if (!atLeast(level, this.#level)) return;
    const label = level.padEnd(5);
    const shown = this.#colour ? `${colours[level]}${label}\u001b[0m` : label;
    this.#errors.write(`${timestamp()} ${shown} ${indent(message)}${pairs(fields)}`);
  }

  access(fields: LogFields): void {
    this.#output.write(`${timestamp()} access${pairs(fields)}`);
  }
}

function pairs(fields: LogFields | undefined): string {
  if (fields === undefined) return "";
  let text = "";
  let stack = "";
  for (const key in fields) {
    const value = fields[key];
    if (value === undefined || value === null || value === "") continue;
    if (key === "stack") stack = `\n${indent(`  ${value}`)}`;
    else text += ` ${key}=${typeof value === "string" ? quoted(value) : value}`;
  }
  return text + stack;
}

/** Bare when nothing in it could be taken for the next pair. */
function quoted(value: string): string {
  for (let i = 0; i < value.length; i++) {
    const code = value.charCodeAt(i);
    if (code <= 32 || code === 34 || code === 61 || code === 92 || code > 126) {
      return escapeControls(JSON.stringify(value));
    }
  }
  return value;
}

function indent(message: string): string {
  if (!message.includes("\n")) return escapeControls(message);
  return message.trimEnd().split("\n").map(escapeControls).join("\n    ");
}
