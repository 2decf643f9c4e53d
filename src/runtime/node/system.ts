import { console } from "../web/console.ts";
import { Performance, performance } from "../web/performance.ts";
import { nodeError, notImplemented, validateString } from "./errors.ts";
import { punycode } from "./punycode.ts";
import { errorNames } from "./system-errors.ts";

const signals: Readonly<Record<string, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGILL: 4,
  SIGTRAP: 5,
  SIGABRT: 6,
  SIGBUS: 7,
  SIGFPE: 8,
  SIGKILL: 9,
  SIGUSR1: 10,
  SIGSEGV: 11,
  SIGUSR2: 12,
  SIGPIPE: 13,
  SIGALRM: 14,
  SIGTERM: 15,
  SIGCHLD: 17,
  SIGCONT: 18,
  SIGSTOP: 19,
  SIGTSTP: 20,
};
const errno = Object.fromEntries(
  [...errorNames].filter(([number]) => number > -3000).map(([number, [name]]) => [name, -number]),
);

const osConstants = {
  signals,
  errno,
  priority: {
    PRIORITY_LOW: 19,
    PRIORITY_BELOW_NORMAL: 10,
    PRIORITY_NORMAL: 0,
    PRIORITY_ABOVE_NORMAL: -7,
    PRIORITY_HIGH: -14,
    PRIORITY_HIGHEST: -20,
  },
  dlopen: {},
  UV_UDP_REUSEADDR: 4,
};

const fsConstants = {
  F_OK: 0,
  R_OK: 4,
  W_OK: 2,
  X_OK: 1,
  O_RDONLY: 0,
  O_WRONLY: 1,
  O_RDWR: 2,
  O_CREAT: 64,
  O_EXCL: 128,
  O_TRUNC: 512,
  O_APPEND: 1024,
  O_SYNC: 1052672,
  S_IFMT: 61440,
  S_IFREG: 32768,
  S_IFDIR: 16384,
  S_IFLNK: 40960,
  COPYFILE_EXCL: 1,
};

/** node:os. A Worker is told nothing of the machine. */
export const os = {
  EOL: "\n",
  arch: (): string => "x64",
  availableParallelism: (): number => 1,
  constants: osConstants,
  cpus: (): object[] => [],
  devNull: "/dev/null",
  endianness: (): string => "LE",
  freemem: (): number => 0,
  getPriority: (): number => 0,
  homedir: (): string => "/",
  hostname: (): string => "localhost",
  loadavg: (): number[] => [0, 0, 0],
  machine: (): string => "x86_64",
  networkInterfaces: (): object => ({}),
  platform: (): string => "linux",
  release: (): string => "",
  tmpdir: (): string => "/tmp",
  totalmem: (): number => 0,
  type: (): string => "Linux",
  uptime: (): number => 0,
  userInfo: (): object => ({ uid: -1, gid: -1, username: "", homedir: "/", shell: null }),
  version: (): string => "",
};

/** An error as the file system gives it: there is no file at all. */
function noFile(call: string, path: unknown): Error {
  const error = new Error(
    `ENOENT: no such file or directory, ${call} '${String(path)}': a Worker has no file system`,
  ) as Error & Record<string, unknown>;
  Object.assign(error, { errno: -2, code: "ENOENT", syscall: call, path: String(path) });
  return error;
}

type Done = (error: Error) => void;
const fileCalls: Readonly<Record<string, string>> = {
  access: "access",
  lstat: "lstat",
  open: "open",
  opendir: "opendir",
  readFile: "open",
  readdir: "scandir",
  readlink: "readlink",
  realpath: "lstat",
  stat: "stat",
  unlink: "unlink",
  rmdir: "rmdir",
};

/** node:fs. What only looks finds nothing; all else says that there is no file system. */
export const fs: Record<string, unknown> = {
  constants: fsConstants,
  ...fsConstants,
  existsSync: (): boolean => false,
  exists: (_path: unknown, done: (found: boolean) => void): void => queueMicrotask(() => done(false)),
  statSync(path: unknown, options?: { throwIfNoEntry?: boolean }): undefined {
    if (options?.throwIfNoEntry === false) return undefined;
    throw noFile("stat", path);
  },
};
export const fsPromises: Record<string, unknown> = { constants: fsConstants };
for (const [name, call] of Object.entries(fileCalls)) {
  fs[name] = (path: unknown, ...rest: unknown[]): void => {
    const done = rest.at(-1) as Done;
    if (typeof done === "function") queueMicrotask(() => done(noFile(call, path)));
  };
  fs[`${name}Sync`] ??= (path: unknown): never => {
    throw noFile(call, path);
  };
  fsPromises[name] = (path: unknown): Promise<never> => Promise.reject(noFile(call, path));
}
fs["promises"] = fsPromises;
declare function queueMicrotask(run: () => void): void;

/** node:perf_hooks. */
export const perfHooks = {
  Performance,
  performance: performance as unknown,
  PerformanceEntry: class PerformanceEntry {},
  PerformanceObserver: class PerformanceObserver {
    static readonly supportedEntryTypes: readonly string[] = [];
    observe(): void {}
    disconnect(): void {}
    takeRecords(): object[] {
      return [];
    }
  },
  constants: {},
};

/** node:console. */
export const nodeConsole = Object.assign(Object.create(console) as typeof console & Record<string, unknown>, {
  Console: class Console {
    constructor() {
      Object.assign(this, console);
    }
  },
  ...console,
});

/** node:constants. */
export const constants = {
  ...errno,
  ...signals,
  ...fsConstants,
  ...osConstants.priority,
  RSA_PKCS1_PADDING: 1,
  RSA_NO_PADDING: 3,
  RSA_PKCS1_OAEP_PADDING: 4,
  RSA_PKCS1_PSS_PADDING: 6,
  defaultCoreCipherList: "",
};

/** node:module. Modules are bundled before the Worker starts: there is nothing left to load. */
export const module = Object.assign(
  function Module(): never {
    throw notImplemented("module.Module");
  },
  {
    builtinModules: [] as string[],
    createRequire(from: unknown): (specifier: string) => never {
      validateString(from, "filename");
      return Object.assign(
        (specifier: string): never => {
          throw nodeError(
            Error,
            "MODULE_NOT_FOUND",
            `cannot require ${JSON.stringify(specifier)}: modules are bundled before a Worker starts; import it`,
          );
        },
        { resolve: (specifier: string): string => specifier, cache: {} },
      );
    },
    isBuiltin: (name: unknown): boolean => typeof name === "string" && name.startsWith("node:"),
    findSourceMap: (): undefined => undefined,
    syncBuiltinESMExports(): void {},
    enableCompileCache: (): object => ({ status: 3 }),
  },
);

/** node:tty. */
export const tty = { isatty: (): boolean => false };
export { punycode };
