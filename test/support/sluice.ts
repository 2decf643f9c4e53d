import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import type { TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { TemporaryDirectory } from "./temporary.ts";

/** The command line, as a script for Node.js. */
export const command: string = fileURLToPath(new URL("../../bin/sluice.mjs", import.meta.url));

export interface SluiceOptions {
  /** Flags after `serve <config>`. */
  readonly args?: readonly string[];
  /** Added to the environment, which is otherwise nearly empty. */
  readonly env?: Readonly<Record<string, string>>;
  /** Files beside proxy.yaml, by name. */
  readonly files?: Readonly<Record<string, string>>;
  /** For inherited descriptors: what stands at 3, 4, … */
  readonly descriptors?: readonly number[];
}

/** How a command ended. */
export interface Outcome {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The real command line as a child process. */
export class SluiceProcess {
  readonly child: ChildProcess;
  stdout = "";
  stderr = "";
  #outcome: Outcome | null = null;
  readonly #ended: Promise<Outcome>;
  #waiting: Array<() => void> = [];

  constructor(
    test: TestContext,
    args: readonly string[],
    options: SluiceOptions & { readonly cwd?: string } = {},
  ) {
    const { PATH, HOME, SLUICE_CACHE_DIR, NODE_COMPILE_CACHE } = process.env;
    const kept = Object.entries({ PATH, HOME, SLUICE_CACHE_DIR, NODE_COMPILE_CACHE }).filter(
      (entry) => entry[1] !== undefined,
    );
    this.child = spawn(process.execPath, [command, ...args], {
      stdio: ["ignore", "pipe", "pipe", ...(options.descriptors ?? [])],
      env: { ...Object.fromEntries(kept), ...options.env },
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    });
    this.child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      this.stdout += text;
      this.#changed();
    });
    this.child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.stderr += text;
      this.#changed();
    });
    this.#ended = once(this.child, "close").then(([code, signal]) => {
      this.#outcome = { code, signal, stdout: this.stdout, stderr: this.stderr };
      this.#changed();
      return this.#outcome;
    });
    test.after(() => this.stop("SIGKILL"));
  }

  /** Ends the process and waits for it. SIGTERM is the orderly way. */
  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<Outcome> {
    if (this.#outcome === null) this.child.kill(signal);
    return this.#ended;
  }

  ended(): Promise<Outcome> {
    return this.#ended;
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /**
   * Waits until standard error matches, from the offset on.
   *
   * @throws Error with all of the output when the process ends before
   */
  async sees(pattern: RegExp, from = 0): Promise<RegExpExecArray> {
    for (;;) {
      const match = pattern.exec(this.stderr.slice(from));
      if (match !== null) return match;
      if (this.#outcome !== null)
        throw new Error(`cannot find ${pattern} in the output:\n${this.stdout}${this.stderr}`);
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  /** The URL or address where a socket listens, from the line that says so. */
  async listening(socket: string): Promise<string> {
    const escaped = socket.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
    const match = await this.sees(new RegExp(`^listening on (\\S+) \\(${escaped} → `, "m"));
    return match[1] ?? "";
  }

  #changed(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const each of waiting) each();
  }
}

/** A proxy that serves. */
export class RunningSluice extends SluiceProcess {
  readonly directory: TemporaryDirectory;
  /** Where the first socket of the config listens: `http://127.0.0.1:port`. */
  url = "";

  constructor(
    test: TestContext,
    directory: TemporaryDirectory,
    args: readonly string[],
    options: SluiceOptions,
  ) {
    super(test, args, { ...options, cwd: directory.path });
    this.directory = directory;
  }
}

/**
 * Runs `sluice serve` on the config, and waits until every socket listens. Give sockets the address `127.0.0.1:0`, and
 * ask where they are by `url` or `listening(name)`. It is killed when the test ends, if it still runs.
 *
 * @param config the text of a proxy.yaml, which is written to a directory of its own
 */
export async function startSluice(
  test: TestContext,
  config: string,
  options: SluiceOptions = {},
): Promise<RunningSluice> {
  const directory = new TemporaryDirectory(test);
  for (const [name, contents] of Object.entries(options.files ?? {})) directory.write(name, contents);
  directory.write("proxy.yaml", config);
  const args = ["serve", "proxy.yaml", ...(options.args ?? [])];
  const sluice = new RunningSluice(test, directory, args, options);
  sluice.url = (await sluice.sees(/^listening on (\S+)/m))[1] ?? "";
  return sluice;
}

/** Runs a command to its end. */
export function runSluice(
  test: TestContext,
  args: readonly string[],
  options: SluiceOptions & { readonly cwd?: string } = {},
): Promise<Outcome> {
  return new SluiceProcess(test, args, options).ended();
}
