import { invalidType, nodeError, validateObject, validateString } from "./errors.ts";

interface OptionConfig {
  type: "string" | "boolean";
  multiple?: boolean;
  short?: string;
  default?: unknown;
}

interface Config {
  args?: string[];
  options?: Record<string, OptionConfig>;
  strict?: boolean;
  allowPositionals?: boolean;
  allowNegative?: boolean;
  tokens?: boolean;
}

type Values = Record<string, unknown>;

/** node:util.parseArgs. A Worker has no command line: without `args` there are none. */
export function parseArgs(config: Config = {}): { values: Values; positionals: string[]; tokens?: object[] } {
  validateObject(config, "config");
  const args = config.args ?? [];
  if (!Array.isArray(args)) throw invalidType("args", "an instance of Array", args);
  const options = config.options ?? {};
  const strict = config.strict ?? true;
  const allowPositionals = config.allowPositionals ?? !strict;
  const values = { __proto__: null } as unknown as Values;
  const positionals: string[] = [];
  const tokens: object[] = [];
  for (const [name, option] of Object.entries(options)) {
    validateObject(option, `options.${name}`);
    if (option.type !== "string" && option.type !== "boolean")
      throw invalidType(`options.${name}.type`, "('string|boolean')", option.type);
    if (option.short !== undefined) validateString(option.short, `options.${name}.short`);
  }
  const store = (name: string, value: string | boolean | undefined, rawName: string): void => {
    const option = Object.hasOwn(options, name) ? options[name] : undefined;
    if (strict) {
      if (option === undefined)
        throw nodeError(TypeError, "ERR_PARSE_ARGS_UNKNOWN_OPTION", `Unknown option '${rawName}'`);
      if (option.type === "string" && typeof value !== "string")
        throw nodeError(
          TypeError,
          "ERR_PARSE_ARGS_INVALID_OPTION_VALUE",
          `Option '${rawName} <value>' argument missing`,
        );
      if (option.type === "boolean" && typeof value === "string")
        throw nodeError(
          TypeError,
          "ERR_PARSE_ARGS_INVALID_OPTION_VALUE",
          `Option '${rawName}' does not take an argument`,
        );
    }
    if (name === "__proto__") return;
    const kept = value ?? true;
    if (option?.multiple === true) values[name] = [...((values[name] as unknown[] | undefined) ?? []), kept];
    else values[name] = kept;
  };
  const byShort = (letter: string): string =>
    Object.entries(options).find(([, option]) => option.short === letter)?.[0] ?? letter;
  for (let index = 0; index < args.length; index++) {
    const argument = args[index] as string;
    const next = args[index + 1];
    const takesNext = (name: string): boolean =>
      options[name]?.type === "string" &&
      next !== undefined &&
      (!next.startsWith("-") || next === "-" || !strict);
    if (argument === "--") {
      tokens.push({ kind: "option-terminator", index });
      for (const [offset, value] of args.slice(index + 1).entries()) {
        positionals.push(value);
        tokens.push({ kind: "positional", index: index + 1 + offset, value });
      }
      break;
    }
    if (argument.startsWith("--")) {
      const equals = argument.indexOf("=", 3);
      let name = equals < 0 ? argument.slice(2) : argument.slice(2, equals);
      const rawName = `--${name}`;
      let value: string | boolean | undefined = equals < 0 ? undefined : argument.slice(equals + 1);
      const inline = equals >= 0;
      if (
        !inline &&
        config.allowNegative === true &&
        name.startsWith("no-") &&
        options[name.slice(3)]?.type === "boolean"
      ) {
        name = name.slice(3);
        value = false;
      }
      tokens.push({
        kind: "option",
        name,
        rawName,
        index,
        value: inline ? value : takesNext(name) ? next : undefined,
        inlineValue: inline || takesNext(name) ? inline : undefined,
      });
      if (!inline && takesNext(name)) {
        value = next;
        index++;
      }
      store(name, value, rawName);
      continue;
    }
    if (argument.startsWith("-") && argument.length > 1) {
      for (let at = 1; at < argument.length; at++) {
        const name = byShort(argument[at] as string);
        const rawName = `-${argument[at]}`;
        let value: string | undefined;
        const rest = argument.slice(at + 1);
        const inline = options[name]?.type === "string" && rest !== "";
        if (inline) value = rest.startsWith("=") ? rest.slice(1) : rest;
        else if (rest === "" && takesNext(name)) value = next;
        tokens.push({
          kind: "option",
          name,
          rawName,
          index,
          value,
          inlineValue: value === undefined ? undefined : inline,
        });
        if (!inline && value !== undefined) index++;
        store(name, value, rawName);
        if (inline) break;
      }
      continue;
    }
    if (!allowPositionals)
      throw nodeError(
        TypeError,
        "ERR_PARSE_ARGS_UNEXPECTED_POSITIONAL",
        `Unexpected argument '${argument}'. This command does not take positional arguments`,
      );
    positionals.push(argument);
    tokens.push({ kind: "positional", index, value: argument });
  }
  for (const [name, option] of Object.entries(options)) {
    if (option.default !== undefined && !(name in values)) values[name] = option.default;
  }
  return config.tokens === true ? { values, positionals, tokens } : { values, positionals };
}
