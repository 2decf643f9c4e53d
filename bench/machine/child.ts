import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/** Everything that still runs; nothing of it outlives the benchmark. */
const running: Set<Child> = new Set();
process.on("exit", () => {
  for (const child of running) child.kill();
});

/** Kept of a child's output, for the message when it fails. */
const outputLimit = 4000;

/** A program that runs until it is stopped. */
export class Child {
  readonly pid: number;
  readonly #process: ChildProcess;
  readonly #ended: Promise<unknown>;
  readonly #name: string;
  #output = "";
  #isOver = false;

  /** @param line the command and its arguments */
  constructor(line: readonly string[], options: { cwd: string; env?: Record<string, string> }) {
    const [command = "", ...args] = line;
    this.#name = line.find((word) => !/^(taskset|-c|\d+)$/.test(word)) ?? command;
    this.#process = spawn(command, args, {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.pid = this.#process.pid ?? -1;
    for (const stream of [this.#process.stdout, this.#process.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => {
        this.#output = (this.#output + text).slice(-outputLimit);
      });
    }
    running.add(this);
    this.#ended = once(this.#process, "exit").catch((error: Error) => {
      this.#output += error.message;
    });
    void this.#ended.then(() => {
      this.#isOver = true;
      running.delete(this);
    });
  }

  /**
   * Resolves once something takes connections on the port.
   *
   * @throws Error with the program's output when it ends before, or does not listen in time
   */
  async listens(port: number, seconds = 30): Promise<void> {
    const end = performance.now() + seconds * 1000;
    while (!(await takesConnections(port))) {
      if (this.#isOver || performance.now() > end) {
        const what = this.#isOver ? "it ended" : `it does not listen after ${seconds} s`;
        await this.stop();
        throw new Error(`cannot start ${this.#name}: ${what}\n${this.#output}`);
      }
      await sleep(5);
    }
  }

  /** The end of what it printed. */
  get output(): string {
    return this.#output;
  }

  /** Ends it in an orderly way, or by force when that takes more than 5 s. */
  async stop(): Promise<void> {
    if (this.#isOver) return;
    this.#process.kill("SIGTERM");
    const timer = setTimeout(() => this.kill(), 5000);
    await this.#ended;
    clearTimeout(timer);
  }

  kill(): void {
    this.#process.kill("SIGKILL");
  }
}

/** Runs a program to its end. @returns its standard output. @throws Error with its standard error when it fails */
export async function output(line: readonly string[]): Promise<string> {
  const [command = "", ...args] = line;
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
  let out = "";
  let err = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    out += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    err += text;
  });
  const [code] = (await once(child, "close")) as [number | null];
  if (code !== 0) throw new Error(`cannot run ${line.join(" ")}: it ended with ${code}\n${err}${out}`);
  return out;
}

function takesConnections(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
