import inspector from "node-inspect-extracted";
import { process } from "../parts/node-process.ts";
import { TextDecoder, TextEncoder } from "../web/encoding.ts";
import { parseMime, serializeMime } from "../web/mime.ts";
import { isDeepEqual } from "./deep-equal.ts";
import {
  AbortError,
  invalidType,
  invalidValue,
  nodeError,
  validateAbortSignal,
  validateBoolean,
  validateFunction,
  validateObject,
  validateString,
} from "./errors.ts";
import { parseArgs } from "./parse-args.ts";
import { errorNames } from "./system-errors.ts";
import { types } from "./util-types.ts";

type AnyFunction = (this: unknown, ...parameters: unknown[]) => unknown;

const { inspect, format, formatWithOptions, stripVTControlCharacters } = inspector;
const customPromisify = Symbol.for("nodejs.util.promisify.custom");

function promisify(original: AnyFunction): AnyFunction {
  validateFunction(original, "original");
  const custom = (original as unknown as Record<symbol, unknown>)[customPromisify];
  if (custom !== undefined && custom !== null) {
    validateFunction(custom, "util.promisify.custom");
    return Object.defineProperty(custom, customPromisify, {
      value: custom,
      configurable: true,
    }) as AnyFunction;
  }
  const promised: AnyFunction = function (...parameters) {
    return new Promise((resolve, reject) => {
      Reflect.apply(original, this, [
        ...parameters,
        (error: unknown, value: unknown) => (error ? reject(error) : resolve(value)),
      ]);
    });
  };
  Object.setPrototypeOf(promised, Object.getPrototypeOf(original) as object);
  Object.defineProperty(promised, customPromisify, { value: promised, configurable: true });
  return Object.defineProperties(promised, Object.getOwnPropertyDescriptors(original)) as AnyFunction;
}
promisify.custom = customPromisify;

function callbackify(original: AnyFunction): AnyFunction {
  validateFunction(original, "original");
  const made: AnyFunction = function (...parameters) {
    const callback = parameters.pop() as AnyFunction;
    if (typeof callback !== "function") throw invalidType("last argument", "of type function", callback);
    const bound = callback.bind(this);
    (Reflect.apply(original, this, parameters) as Promise<unknown>).then(
      (value) => process.nextTick(bound, null, value),
      (reason: unknown) => {
        let error = reason;
        if (!reason) {
          error = nodeError(Error, "ERR_FALSY_VALUE_REJECTION", "Promise was rejected with falsy value");
          (error as { reason?: unknown }).reason = reason;
        }
        process.nextTick(bound, error);
      },
    );
  };
  const descriptors = Object.getOwnPropertyDescriptors(original) as Record<string, PropertyDescriptor>;
  if (typeof descriptors["length"]?.value === "number") descriptors["length"].value++;
  if (typeof descriptors["name"]?.value === "string") descriptors["name"].value += "Callbackified";
  return Object.defineProperties(made, descriptors) as AnyFunction;
}

function inherits(derived: AnyFunction, base: AnyFunction): void {
  if (derived === undefined || derived === null) throw invalidType("ctor", "of type function", derived);
  if (base === undefined || base === null) throw invalidType("superCtor", "of type function", base);
  if (base.prototype === undefined)
    throw invalidType("superCtor.prototype", "of type object", base.prototype);
  Object.defineProperty(derived, "super_", { value: base, writable: true, configurable: true });
  Object.setPrototypeOf(derived.prototype as object, base.prototype as object);
}

const deprecations = new Set<string>();

function deprecate(original: AnyFunction, message: string, code?: string): AnyFunction {
  if (code !== undefined) validateString(code, "code");
  let warned = false;
  const told: AnyFunction = function (...parameters) {
    if (!warned) {
      warned = true;
      if (code === undefined || !deprecations.has(code)) {
        if (code !== undefined) deprecations.add(code);
        process.emitWarning(message, "DeprecationWarning", code);
      }
    }
    return new.target === undefined
      ? Reflect.apply(original, this, parameters)
      : Reflect.construct(original, parameters, new.target);
  };
  Object.setPrototypeOf(told, original);
  if (original.prototype) told.prototype = original.prototype as object;
  return told;
}

interface DebugLog {
  (...parameters: unknown[]): void;
  enabled: boolean;
}

function debuglog(section: string): DebugLog {
  const wanted = (process.env["NODE_DEBUG"] ?? "").toUpperCase().split(",");
  const enabled = wanted.includes(section.toUpperCase());
  const log = ((...parameters: unknown[]): void => {
    if (enabled) process.stderr.write(`${section.toUpperCase()} ${process.pid}: ${format(...parameters)}\n`);
  }) as DebugLog;
  log.enabled = enabled;
  return log;
}

function aborted(signal: EventTargetLike, resource: object): Promise<void> {
  if (signal === undefined) throw invalidType("signal", "an instance of AbortSignal", signal);
  validateAbortSignal(signal, "signal");
  validateObject(resource, "resource");
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

interface EventTargetLike {
  readonly aborted: boolean;
  addEventListener(name: string, listener: () => void, options: object): void;
}

function styleText(
  formats: unknown,
  text: unknown,
  options?: { validateStream?: boolean; stream?: unknown },
): string {
  validateString(text, "text");
  if (options?.validateStream !== undefined)
    validateBoolean(options.validateStream, "options.validateStream");
  const list = Array.isArray(formats) ? (formats as unknown[]) : [formats];
  let [before, after] = ["", ""];
  for (const name of list) {
    if (name === "none") continue;
    const codes = typeof name === "string" ? inspect.colors[name] : undefined;
    if (codes === undefined)
      throw invalidValue(
        "format",
        name,
        `must be one of: ${Object.keys(inspect.colors)
          .map((key) => `'${key}'`)
          .join(", ")}`,
      );
    before += `\u001b[${codes[0]}m`;
    after = `\u001b[${codes[1]}m${after}`;
  }
  return `${before}${text}${after}`;
}

class MIMEParams {
  readonly #values: Map<string, string>;

  constructor(values: Map<string, string> = new Map()) {
    this.#values = values;
  }

  get(name: string): string | null {
    return this.#values.get(name.toLowerCase()) ?? null;
  }

  has(name: string): boolean {
    return this.#values.has(name.toLowerCase());
  }

  set(name: string, value: string): void {
    this.#values.set(name.toLowerCase(), value);
  }

  delete(name: string): void {
    this.#values.delete(name.toLowerCase());
  }

  entries(): Iterator<[string, string]> {
    return this.#values.entries();
  }

  keys(): Iterator<string> {
    return this.#values.keys();
  }

  values(): Iterator<string> {
    return this.#values.values();
  }

  [Symbol.iterator](): Iterator<[string, string]> {
    return this.#values.entries();
  }

  toString(): string {
    return [...this.#values]
      .map(
        ([name, value]) =>
          `${name}=${/^[\w!#$%&'*+.^`|~-]+$/.test(value) ? value : `"${value.replace(/["\\]/g, "\\$&")}"`}`,
      )
      .join(";");
  }
}

class MIMEType {
  type: string;
  subtype: string;
  readonly params: MIMEParams;

  constructor(input: string) {
    const parsed = parseMime(`${input}`);
    if (parsed === null)
      throw nodeError(
        TypeError,
        "ERR_INVALID_MIME_SYNTAX",
        `The MIME syntax for a type in "${input}" is invalid`,
      );
    const [essence = "", ...rest] = serializeMime(parsed).split(";");
    const slash = essence.indexOf("/");
    this.type = essence.slice(0, slash);
    this.subtype = essence.slice(slash + 1);
    const values = new Map<string, string>();
    for (const piece of rest) {
      const equals = piece.indexOf("=");
      values.set(
        piece.slice(0, equals),
        piece
          .slice(equals + 1)
          .replace(/^"|"$/g, "")
          .replace(/\\(.)/g, "$1"),
      );
    }
    this.params = new MIMEParams(values);
  }

  get essence(): string {
    return `${this.type}/${this.subtype}`;
  }

  toString(): string {
    const parameters = this.params.toString();
    return parameters === "" ? this.essence : `${this.essence};${parameters}`;
  }

  toJSON(): string {
    return this.toString();
  }
}

function getSystemErrorName(number: unknown): string {
  if (typeof number !== "number") throw invalidType("err", "of type number", number);
  return errorNames.get(number)?.[0] ?? `Unknown system error ${number}`;
}

export const util = {
  MIMEParams,
  MIMEType,
  TextDecoder,
  TextEncoder,
  _extend: (target: object, source: unknown): object =>
    source !== null && typeof source === "object" ? Object.assign(target, source) : target,
  aborted,
  callbackify,
  debug: debuglog,
  debuglog,
  deprecate,
  format,
  formatWithOptions,
  getCallSites: (): unknown[] => [],
  getSystemErrorMap: (): ReadonlyMap<number, readonly [string, string]> => errorNames,
  getSystemErrorMessage: (number: number): string | undefined => errorNames.get(number)?.[1],
  getSystemErrorName,
  inherits,
  inspect,
  isArray: Array.isArray,
  isDeepStrictEqual: (one: unknown, other: unknown): boolean => isDeepEqual(one, other, "strict"),
  parseArgs,
  parseEnv(text: string): Record<string, string> {
    const values: Record<string, string> = {};
    for (const line of text.split("\n")) {
      const found = /^\s*(?:export\s+)?([\w.-]+)\s*=\s*(?:"([^"]*)"|'([^']*)'|`([^`]*)`|([^#]*))/.exec(line);
      if (found !== null)
        values[found[1] as string] =
          found[2]?.replaceAll("\\n", "\n") ?? found[3] ?? found[4] ?? (found[5] ?? "").trim();
    }
    return values;
  },
  promisify,
  stripVTControlCharacters,
  styleText,
  toUSVString: (text: unknown): string => `${text}`.toWellFormed(),
  transferableAbortController: (): never => {
    throw new AbortError("cannot transfer an AbortController: there are no threads");
  },
  types,
};

export { types };
