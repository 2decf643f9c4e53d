import { part } from "../part.ts";
import { EventEmitter } from "../parts/node-events.ts";
import { bindFrame } from "../web/async-context.ts";
import { clockNow } from "../web/clock.ts";
import { host } from "../web/host.ts";
import { invalidType, nodeError, notImplemented, validateFunction, validateInteger } from "./errors.ts";
import { workerEnv } from "./provisions.ts";

/** What packages look at to find out what they may use; the Node.js whose behaviour this is. */
const version = "v24.11.0";
const versions = {
  node: version.slice(1),
  v8: "13.6.233.10-node.28",
  modules: "137",
  uv: "1.51.0",
  zlib: "1.3.1",
};

type Task = () => void;
let tasks: Task[] = [];
let queued = false;
const settled = Promise.resolve();

function runTasks(): void {
  queued = false;
  // Tasks may add others, which still come before anything else that waits.
  for (let i = 0; i < tasks.length; i++) {
    try {
      (tasks[i] as Task)();
    } catch (error) {
      if (!process.emit("uncaughtException", error, "uncaughtException")) host.reportException(error);
    }
  }
  tasks = [];
}

function nextTick(callback: (...parameters: unknown[]) => unknown, ...parameters: unknown[]): void {
  validateFunction(callback, "callback");
  const run = bindFrame(callback);
  tasks.push(parameters.length === 0 ? () => void run() : () => void run(...parameters));
  if (queued) return;
  queued = true;
  void flush();
}

async function flush(): Promise<void> {
  await settled;
  runTasks();
}

/** The environment: the Worker's text bindings, as strings; assignments stay in the Worker. */
function makeEnv(): Record<string, string> {
  const values: Record<string, string> = {};
  const bindings = workerEnv();
  for (const key of Object.keys(bindings)) {
    const value = bindings[key];
    if (typeof value === "string") values[key] = value;
    else if (value === null || typeof value !== "object" || Object.getPrototypeOf(value) === Object.prototype)
      values[key] = JSON.stringify(value);
  }
  return new Proxy(values, {
    set(target, key, value) {
      if (typeof key === "symbol" || typeof value === "symbol")
        throw new TypeError("Cannot convert a Symbol value to a string");
      target[key] = String(value);
      return true;
    },
    defineProperty(target, key, descriptor) {
      if ("get" in descriptor || "set" in descriptor)
        throw nodeError(
          TypeError,
          "ERR_INVALID_OBJECT_DEFINE_PROPERTY",
          "'process.env' does not accept an accessor(getter/setter) descriptor",
        );
      return Reflect.defineProperty(target, key, {
        value: String(descriptor.value),
        writable: true,
        enumerable: true,
        configurable: true,
      });
    },
  });
}

function hrtime(before?: unknown): [number, number] {
  const now = clockNow();
  let [seconds, nanoseconds] = [Math.floor(now / 1000), Math.round((now % 1000) * 1e6)];
  if (before === undefined) return [seconds, nanoseconds];
  if (!Array.isArray(before)) throw invalidType("time", "an instance of Array", before);
  if (before.length !== 2)
    throw nodeError(
      RangeError,
      "ERR_OUT_OF_RANGE",
      `The value of "time" is out of range. It must be 2. Received ${before.length}`,
    );
  seconds -= before[0] as number;
  nanoseconds -= before[1] as number;
  if (nanoseconds < 0) {
    seconds--;
    nanoseconds += 1e9;
  }
  return [seconds, nanoseconds];
}
hrtime.bigint = (): bigint => BigInt(Math.round(clockNow() * 1e6));

interface Sink {
  write(chunk: unknown, encoding?: unknown, done?: () => void): boolean;
}

const outputs = new Map<string, Sink>();

/** Lines that are written go to the log, as those of `console` do. */
function output(name: "stdout" | "stderr", descriptor: number): Sink {
  const known = outputs.get(name);
  if (known !== undefined) return known;
  const { stream } = part<{ stream: { Writable: new (options: object) => Sink } }>("node-stream");
  let line = "";
  const level = name === "stdout" ? "log" : "error";
  const made = new stream.Writable({
    decodeStrings: false,
    write(chunk: unknown, _encoding: unknown, done: () => void) {
      const lines = (line + String(chunk)).split("\n");
      line = lines.pop() ?? "";
      for (const whole of lines) host.log(level, whole);
      done();
    },
  });
  Object.assign(made, { fd: descriptor, isTTY: false });
  outputs.set(name, made);
  return made;
}

class Process extends EventEmitter {
  readonly title = "sluice";
  readonly version = version;
  readonly versions = versions;
  readonly arch = "x64";
  readonly platform = "linux";
  readonly release = { name: "node", lts: "Krypton" };
  readonly argv = ["sluice", "worker"];
  readonly argv0 = "sluice";
  readonly execArgv: string[] = [];
  readonly execPath = "";
  readonly pid = 1;
  readonly ppid = 0;
  readonly features = Object.freeze({ inspector: false, ipv6: true, tls: true, require_module: true });
  readonly config = { target_defaults: {}, variables: {} };
  exitCode: number | undefined = undefined;
  env: Record<string, string> = makeEnv();
  nextTick: typeof nextTick = nextTick;
  hrtime: typeof hrtime = hrtime;

  get stdout(): Sink {
    return output("stdout", 1);
  }

  get stderr(): Sink {
    return output("stderr", 2);
  }

  get stdin(): unknown {
    const { stream } = part<{ stream: { Readable: { from(source: unknown[]): unknown } } }>("node-stream");
    return stream.Readable.from([]);
  }

  get [Symbol.toStringTag](): string {
    return "process";
  }

  cwd(): string {
    return "/";
  }

  chdir(): never {
    throw notImplemented("process.chdir");
  }

  umask(): number {
    return 0o22;
  }

  uptime(): number {
    return clockNow() / 1000;
  }

  memoryUsage(): Record<string, number> {
    return { rss: 0, heapTotal: 0, heapUsed: 0, external: 0, arrayBuffers: 0 };
  }

  cpuUsage(): Record<string, number> {
    return { user: 0, system: 0 };
  }

  getuid(): number {
    return 0;
  }

  getBuiltinModule(name: unknown): unknown {
    const { moduleFor } = part<{ moduleFor(name: string, functions: string): unknown }>("node");
    return typeof name === "string" ? moduleFor(name.replace(/^node:/, ""), "") : undefined;
  }

  emitWarning(warning: unknown, options?: unknown, code?: string): void {
    let error = warning as Error;
    if (!(error instanceof Error)) {
      error = new Error(String(warning));
      const given = options as { type?: string; code?: string; detail?: string } | string | undefined;
      error.name = typeof given === "string" ? given : (given?.type ?? "Warning");
      const named = typeof given === "object" ? given?.code : code;
      if (named !== undefined) (error as Error & { code?: string }).code = named;
    }
    nextTick(() => {
      this.emit("warning", error);
      host.log("warn", `(sluice) ${error.name}: ${error.message}`);
    });
  }

  abort(): never {
    throw notImplemented("process.abort");
  }

  exit(code?: unknown): never {
    if (code !== undefined && code !== null) validateInteger(Number(code), "code");
    throw notImplemented("process.exit");
  }

  reallyExit(): never {
    throw notImplemented("process.exit");
  }

  kill(): never {
    throw notImplemented("process.kill");
  }

  binding(name: string): never {
    throw notImplemented(`process.binding("${name}")`);
  }

  setUncaughtExceptionCaptureCallback(): void {}

  hasUncaughtExceptionCaptureCallback(): boolean {
    return false;
  }
}

/** node:process, and the global of that name. */
export const process: Process = new Process();
Object.assign(process.memoryUsage, { rss: () => 0 });
