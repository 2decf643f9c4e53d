import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Overrides } from "../config/overrides.ts";
import { nearest } from "../config/suggestion.ts";
import { packageRoot } from "../paths.ts";
import { atMost, type FlagTable, namedFlag, type ParsedArguments, parseFlags, textFlag } from "./flags.ts";
import { commandHelp, overview } from "./help.ts";
import { exitCodes, UsageError } from "./usage.ts";

const overrideFlags = {
  "socket-addr": { type: "string", multiple: true },
  "socket-fd": { type: "string", multiple: true },
  "external-addr": { type: "string", multiple: true },
  "directory-path": { type: "string", multiple: true },
  shards: { type: "string" },
  admin: { type: "string" },
} as const satisfies FlagTable;

const help = { help: { type: "boolean", short: "h" } } as const satisfies FlagTable;

interface Command {
  readonly flags: FlagTable;
  /** How many words it takes at most. */
  readonly words: number;
  run(parsed: ParsedArguments): Promise<number>;
}

/** Each loads its own module, so that `--help` and `--version` load none. */
const commands = {
  serve: {
    flags: { ...help, ...overrideFlags, watch: { type: "boolean" } },
    words: 1,
    async run(parsed) {
      const { serve } = await import("./serve.ts");
      const watch = parsed.values.watch === true;
      const code = await serve({ path: configPath(parsed), overrides: readOverrides(parsed), watch });
      // All is drained and closed. Whatever else might keep the process alive must not hold up a service manager.
      process.exit(code);
    },
  },
  check: {
    flags: { ...help, ...overrideFlags },
    words: 1,
    async run(parsed) {
      const { check } = await import("./check.ts");
      return check({ path: configPath(parsed), overrides: readOverrides(parsed) });
    },
  },
  test: {
    flags: { ...help, ...overrideFlags },
    words: 2,
    async run(parsed) {
      const { test } = await import("./test.ts");
      return test({
        path: configPath(parsed),
        overrides: readOverrides(parsed),
        filter: parsed.words[1] ?? null,
      });
    },
  },
  types: {
    flags: { ...help, out: { type: "string" }, check: { type: "boolean" } },
    words: 1,
    async run(parsed) {
      const { types } = await import("./types.ts");
      return types({
        path: configPath(parsed),
        out: textFlag(parsed, "out"),
        check: parsed.values.check === true,
      });
    },
  },
  cert: {
    flags: { ...help, store: { type: "string" }, ca: { type: "string" } },
    words: 2,
    async run(parsed) {
      const { cert } = await import("./cert.ts");
      const [action = "print", file] = parsed.words;
      const ca = textFlag(parsed, "ca") ?? "development";
      return cert({ action, file, store: textFlag(parsed, "store"), ca });
    },
  },
  init: {
    flags: help,
    words: 1,
    async run(parsed) {
      const { init } = await import("./init.ts");
      return init({ directory: parsed.words[0] ?? "." });
    },
  },
} as const satisfies Record<string, Command>;

/**
 * Runs the command line. It sets the process's exit code and leaves the process to end by itself, but after `serve`.
 *
 * @param args without the program's name
 */
export async function run(args: readonly string[]): Promise<void> {
  try {
    process.exitCode = await dispatch(args);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    process.stderr.write(`sluice: ${error.message}\nTry: sluice --help\n`);
    process.exitCode = exitCodes.usage;
  }
}

async function dispatch(args: readonly string[]): Promise<number> {
  const [name, ...rest] = args;
  if (name === undefined) {
    process.stderr.write(overview);
    return exitCodes.usage;
  }
  if (name === "--help" || name === "-h" || name === "help") {
    process.stdout.write(helpFor(rest[0]));
    return exitCodes.done;
  }
  if (name === "--version" || name === "-v") {
    process.stdout.write(`${version()}\n`);
    return exitCodes.done;
  }
  if (!Object.hasOwn(commands, name)) {
    const near = nearest(name, Object.keys(commands));
    const hint =
      near === null ? `: there is ${Object.keys(commands).join(", ")}` : `: did you mean "${near}"?`;
    throw new UsageError(`cannot run ${JSON.stringify(name)}: no such command${hint}`);
  }
  const command: Command = commands[name as keyof typeof commands];
  const parsed = parseFlags(name, rest, command.flags);
  if (parsed.values.help === true) {
    process.stdout.write(commandHelp[name as keyof typeof commandHelp]);
    return exitCodes.done;
  }
  atMost(name, parsed.words, command.words);
  return command.run(parsed);
}

function helpFor(command: string | undefined): string {
  return command !== undefined && Object.hasOwn(commandHelp, command)
    ? commandHelp[command as keyof typeof commandHelp]
    : overview;
}

function configPath(parsed: ParsedArguments): string {
  return parsed.words[0] ?? "proxy.yaml";
}

function readOverrides(parsed: ParsedArguments): Overrides {
  const shards = textFlag(parsed, "shards");
  const admin = textFlag(parsed, "admin");
  return {
    socketAddr: namedFlag(parsed, "socket-addr"),
    socketFd: namedFlag(parsed, "socket-fd"),
    externalAddr: namedFlag(parsed, "external-addr"),
    directoryPath: namedFlag(parsed, "directory-path"),
    ...(shards === undefined ? {} : { shards }),
    ...(admin === undefined ? {} : { admin }),
  };
}

function version(): string {
  const { version } = JSON.parse(readFileSync(join(packageRoot, "package.json"), "utf8")) as {
    version: string;
  };
  return version;
}
