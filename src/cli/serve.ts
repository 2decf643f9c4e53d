import type { Diagnostic } from "../config/diagnostic.ts";
import { formatDiagnostics } from "../config/format.ts";
import type { Overrides } from "../config/overrides.ts";
import { readLogLevel } from "../observability/log-level.ts";
import { shardEntry } from "../paths.ts";
import { shardFlags } from "../supervisor/shard-flags.ts";
import { ShardProcess } from "../supervisor/shard-process.ts";
import type { Supervisor } from "../supervisor/supervisor.ts";
import { exitCodes } from "./usage.ts";

export interface ServeOptions {
  readonly path: string;
  readonly overrides: Overrides;
  readonly watch: boolean;
}

/** Runs the proxy until a signal ends it. @returns the exit code */
export async function serve(options: ServeOptions): Promise<number> {
  const { env, stderr } = process;
  const isTerminal = stderr.isTTY === true;
  const noColour = env.NO_COLOR !== undefined && env.NO_COLOR !== "";
  const now = (): number => performance.now();
  const program = { entry: shardEntry, flags: shardFlags, env };
  // A shard takes longer to load its code than the supervisor its own; both do so at once.
  const spare = new ShardProcess(0, program, now);
  const { StartError, Supervisor } = await import("../supervisor/supervisor.ts");
  const supervisor = new Supervisor({
    source: { path: options.path, env, overrides: options.overrides },
    watch: options.watch,
    program,
    spare,
    logLevel: readLogLevel(env.SLUICE_LOG_LEVEL),
    isTerminal,
    noColour,
    showDiagnostics: (diagnostics: readonly Diagnostic[]) => {
      if (diagnostics.length > 0)
        stderr.write(formatDiagnostics(diagnostics, { colour: isTerminal && !noColour }));
    },
    now,
  });
  const signals = new Signals(supervisor);
  try {
    await supervisor.start();
  } catch (error) {
    if (signals.stopping !== null) {
      await signals.stopping;
      return exitCodes.done;
    }
    if (!(error instanceof StartError)) throw error;
    if (error.message !== "") stderr.write(`sluice: ${error.message}\n`);
    return error.reason === "listen" ? exitCodes.cannotListen : exitCodes.failed;
  }
  await signals.ended;
  return exitCodes.done;
}

/** A SIGINT so soon after another is the same one: a terminal's Ctrl-C comes once by itself and once through npm. */
const echoMs = 50;

/** How often a process that npm started looks whether the shell between them still lives. */
const parentMs = 100;

/** SIGTERM and SIGINT drain, the second of them ends at once; SIGHUP reloads. */
class Signals {
  /** The drain that a signal began. */
  stopping: Promise<void> | null = null;
  readonly ended: Promise<void>;
  readonly #supervisor: Supervisor;
  #stoppedAt = 0;
  #end: () => void = () => {};

  constructor(supervisor: Supervisor) {
    this.#supervisor = supervisor;
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
    process.on("SIGTERM", this.#stop);
    process.on("SIGINT", this.#stop);
    process.on("SIGHUP", () => void supervisor.reload("SIGHUP"));
    if (process.env.npm_command !== undefined) this.#followParent();
  }

  /** npm and npx pass SIGTERM to the shell that they started, which dies of it without a word to its own child. */
  #followParent(): void {
    const parent = process.ppid;
    const timer = setInterval(() => {
      if (process.ppid === parent) return;
      clearInterval(timer);
      if (this.stopping === null) this.#stop("SIGTERM");
    }, parentMs);
    timer.unref();
  }

  #stop = (signal: NodeJS.Signals): void => {
    const now = performance.now();
    if (this.stopping !== null) {
      if (signal === "SIGINT" && now - this.#stoppedAt < echoMs) return;
      this.#supervisor.kill();
      process.exit(exitCodes.failed);
    }
    this.#stoppedAt = now;
    this.stopping = this.#supervisor.stop(signal).then(this.#end);
  };
}
