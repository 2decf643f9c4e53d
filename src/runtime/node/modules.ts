import { part } from "../part.ts";
import { nodeError } from "./errors.ts";

type Members = Record<string, unknown>;

/** Where each of Node's modules is: the part, and the part's export that is the module. */
const places: Readonly<Record<string, readonly [part: string, member: string]>> = {
  assert: ["node-assert", "assert"],
  "assert/strict": ["node-assert", "strict"],
  async_hooks: ["node-async_hooks", "asyncHooks"],
  buffer: ["node-buffer", "buffer"],
  console: ["node-system", "nodeConsole"],
  constants: ["node-system", "constants"],
  crypto: ["node-crypto", "crypto"],
  diagnostics_channel: ["node-diagnostics_channel", "diagnosticsChannel"],
  dns: ["node-dns", "dns"],
  "dns/promises": ["node-dns", "promises"],
  events: ["node-events", "EventEmitter"],
  fs: ["node-system", "fs"],
  "fs/promises": ["node-system", "fsPromises"],
  http: ["node-http", "http"],
  https: ["node-http", "https"],
  module: ["node-system", "module"],
  net: ["node-net", "net"],
  os: ["node-system", "os"],
  path: ["node-path", "posix"],
  "path/posix": ["node-path", "posix"],
  "path/win32": ["node-path", "win32"],
  perf_hooks: ["node-system", "perfHooks"],
  process: ["node-process", "process"],
  punycode: ["node-system", "punycode"],
  querystring: ["node-querystring", "querystring"],
  stream: ["node-stream", "stream"],
  "stream/consumers": ["node-stream", "consumers"],
  "stream/promises": ["node-stream", "promises"],
  "stream/web": ["node-stream", "web"],
  string_decoder: ["node-string_decoder", "stringDecoder"],
  sys: ["node-util", "util"],
  timers: ["node-timers", "timers"],
  "timers/promises": ["node-timers", "promises"],
  tls: ["node-net", "tls"],
  tty: ["node-system", "tty"],
  url: ["node-url", "url"],
  util: ["node-util", "util"],
  "util/types": ["node-util", "types"],
  zlib: ["node-zlib", "zlib"],
};

const known = new Map<string, object>();

/**
 * What `require` gives for a module of Node's.
 *
 * @param functions names of the functions that Node has there, joined by commas: those that are lacking here are there
 * to say so when they are called, as is all of a module that is not there at all.
 */
export function moduleFor(name: string, functions: string): unknown {
  let module = known.get(name);
  if (module === undefined) {
    const place = Object.hasOwn(places, name) ? places[name] : undefined;
    module = place === undefined ? {} : (part<Members>(place[0])[place[1]] as object);
    known.set(name, module);
  }
  for (const key of functions.split(",")) {
    if (key === "" || key in module) continue;
    Object.defineProperty(module, key, {
      value: absent(`${name}.${key}`),
      enumerable: true,
      writable: true,
      configurable: true,
    });
  }
  return module;
}

/** A function, or a class that may be derived from, which throws when it is used. */
function absent(name: string): unknown {
  function lacking(): never {
    throw nodeError(
      Error,
      "ERR_METHOD_NOT_IMPLEMENTED",
      `cannot use node:${name}: a Worker has no such thing`,
    );
  }
  Object.defineProperty(lacking, "name", { value: name.slice(name.lastIndexOf(".") + 1) });
  return lacking;
}
