import { type ParseArgsConfig, parseArgs } from "node:util";
import { nearest } from "../config/suggestion.ts";
import { UsageError } from "./usage.ts";

export type FlagTable = NonNullable<ParseArgsConfig["options"]>;

/** Flags by name as given, and the words between them. */
export interface ParsedArguments {
  readonly values: Readonly<Record<string, string | boolean | Array<string | boolean> | undefined>>;
  readonly words: readonly string[];
}

/**
 * Reads a command's arguments.
 *
 * @throws UsageError for a flag that the command does not have, with the nearest that it has, and for a missing value
 */
export function parseFlags(command: string, args: readonly string[], flags: FlagTable): ParsedArguments {
  const { tokens } = parseArgs({ args: [...args], options: flags, strict: false, tokens: true });
  for (const token of tokens) {
    if (token.kind !== "option") continue;
    const flag = Object.hasOwn(flags, token.name) ? flags[token.name] : undefined;
    if (flag === undefined) {
      const near = nearest(
        token.rawName,
        Object.keys(flags).map((name) => `--${name}`),
      );
      const hint = near === null ? "" : `: did you mean ${near}?`;
      throw new UsageError(`cannot run ${command}: it has no flag ${token.rawName}${hint}`);
    }
    if (flag.type === "boolean" && token.value !== undefined) {
      throw new UsageError(`cannot run ${command}: ${token.rawName} takes no value`);
    }
    if (flag.type === "string" && (token.value === undefined || token.value === "")) {
      throw new UsageError(`cannot run ${command}: ${token.rawName} needs a value`);
    }
  }
  const { values, positionals } = parseArgs({
    args: [...args],
    options: flags,
    strict: false,
    allowPositionals: true,
  });
  return { values, words: positionals };
}

/** Refuses more words than the command takes. @throws UsageError */
export function atMost(command: string, words: readonly string[], count: number): void {
  const extra = words[count];
  if (extra !== undefined)
    throw new UsageError(`cannot run ${command}: unexpected argument ${JSON.stringify(extra)}`);
}

/** The value of a flag that is given at most once. */
export function textFlag(parsed: ParsedArguments, name: string): string | undefined {
  const value = parsed.values[name];
  return typeof value === "string" ? value : undefined;
}

/** A repeatable flag `NAME=VALUE`, by name. @throws UsageError */
export function namedFlag(parsed: ParsedArguments, name: string): Record<string, string> {
  const found: Record<string, string> = {};
  const given = parsed.values[name];
  for (const text of Array.isArray(given) ? given : []) {
    const equals = String(text).indexOf("=");
    if (equals <= 0) throw new UsageError(`cannot read --${name} ${text}: expected NAME=VALUE`);
    found[String(text).slice(0, equals)] = String(text).slice(equals + 1);
  }
  return found;
}
