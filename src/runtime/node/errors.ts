/** Node's errors: ordinary ones with a `code`, whose stack begins with both. */
export type ErrorClass = new (message: string) => Error;

export interface NodeError extends Error {
  code: string;
}

/** @param code such as `ERR_INVALID_ARG_TYPE`. */
export function nodeError(Base: ErrorClass, code: string, message: string): NodeError {
  const error = new Base(message) as NodeError;
  const { name } = error;
  // The stack is made from the name at the time, which is then the class's own again.
  Object.defineProperty(error, "name", { value: `${name} [${code}]`, configurable: true, writable: true });
  const limited = Error as { captureStackTrace?(target: object, from?: unknown): void };
  limited.captureStackTrace?.(error, nodeError);
  void error.stack;
  Reflect.deleteProperty(error, "name");
  Object.defineProperty(error, "code", { value: code, configurable: true, writable: true, enumerable: true });
  Object.defineProperty(error, "toString", {
    value() {
      return `${this.name} [${code}]: ${this.message}`;
    },
    configurable: true,
    writable: true,
  });
  return error;
}

/** What Node says that it received in place of what it wanted. */
export function received(value: unknown): string {
  if (value === null || value === undefined) return ` Received ${value}`;
  if (typeof value === "function") return ` Received function ${value.name}`;
  if (typeof value === "object") {
    const name = (value as { constructor?: { name?: unknown } }).constructor?.name;
    if (typeof name === "string" && name !== "") return ` Received an instance of ${name}`;
    return " Received [Object: null prototype] {}";
  }
  let shown = typeof value === "string" ? `'${value}'` : String(value);
  if (shown.length > 28) shown = `${shown.slice(0, 25)}...${typeof value === "string" ? "'" : ""}`;
  if (typeof value === "string") shown = `'${value.length > 28 ? `${value.slice(0, 25)}...` : value}'`;
  if (typeof value === "bigint") shown = `${value}n`;
  return ` Received type ${typeof value} (${shown})`;
}

/** @param expected such as `of type string`, `an instance of Buffer`. */
export function invalidType(name: string, expected: string, value: unknown): NodeError {
  const what = name.endsWith(" argument")
    ? `The ${name}`
    : `The "${name}" ${name.includes(".") ? "property" : "argument"}`;
  return nodeError(TypeError, "ERR_INVALID_ARG_TYPE", `${what} must be ${expected}.${received(value)}`);
}

export function invalidValue(name: string, value: unknown, reason = "is invalid"): NodeError {
  const what = name.includes(".") ? "property" : "argument";
  const shown = typeof value === "string" ? `'${value}'` : describe(value);
  return nodeError(TypeError, "ERR_INVALID_ARG_VALUE", `The ${what} '${name}' ${reason}. Received ${shown}`);
}

function describe(value: unknown): string {
  try {
    return typeof value === "object" && value !== null ? (JSON.stringify(value) ?? "{}") : String(value);
  } catch {
    return "an object";
  }
}

/** @param range such as `>= 0 && <= 4`. */
export function outOfRange(name: string, range: string, value: unknown): NodeError {
  let shown = String(value);
  if (typeof value === "bigint") shown = `${grouped(shown)}n`;
  else if (Number.isInteger(value) && Math.abs(value as number) > 2 ** 32) shown = grouped(shown);
  return nodeError(
    RangeError,
    "ERR_OUT_OF_RANGE",
    `The value of "${name}" is out of range. It must be ${range}. Received ${shown}`,
  );
}

/** Digits in groups of three. */
function grouped(digits: string): string {
  const negative = digits.startsWith("-");
  let rest = negative ? digits.slice(1) : digits;
  let text = "";
  while (rest.length > 3) {
    text = `_${rest.slice(-3)}${text}`;
    rest = rest.slice(0, -3);
  }
  return `${negative ? "-" : ""}${rest}${text}`;
}

export function notImplemented(name: string): NodeError {
  return nodeError(Error, "ERR_METHOD_NOT_IMPLEMENTED", `cannot use ${name}: a Worker has no such thing`);
}

export function validateFunction(value: unknown, name: string): void {
  if (typeof value !== "function") throw invalidType(name, "of type function", value);
}

export function validateString(value: unknown, name: string): asserts value is string {
  if (typeof value !== "string") throw invalidType(name, "of type string", value);
}

export function validateObject(value: unknown, name: string): asserts value is object {
  if (value === null || typeof value !== "object" || Array.isArray(value))
    throw invalidType(name, "of type object", value);
}

export function validateBoolean(value: unknown, name: string): asserts value is boolean {
  if (typeof value !== "boolean") throw invalidType(name, "of type boolean", value);
}

export function validateNumber(
  value: unknown,
  name: string,
  low?: number,
  high?: number,
): asserts value is number {
  if (typeof value !== "number") throw invalidType(name, "of type number", value);
  if ((low !== undefined && value < low) || (high !== undefined && value > high) || Number.isNaN(value)) {
    const range =
      low !== undefined && high !== undefined
        ? `>= ${low} && <= ${high}`
        : low !== undefined
          ? `>= ${low}`
          : `<= ${high}`;
    throw outOfRange(name, range, value);
  }
}

export function validateInteger(
  value: unknown,
  name: string,
  low: number = Number.MIN_SAFE_INTEGER,
  high: number = Number.MAX_SAFE_INTEGER,
): asserts value is number {
  if (typeof value !== "number") throw invalidType(name, "of type number", value);
  if (Math.floor(value) !== value) throw outOfRange(name, "an integer", value);
  if (value < low || value > high) throw outOfRange(name, `>= ${low} && <= ${high}`, value);
}

export function validateAbortSignal(value: unknown, name: string): void {
  if (value !== undefined && (value === null || typeof value !== "object" || !("aborted" in value)))
    throw invalidType(name, "an instance of AbortSignal", value);
}

export class AbortError extends Error {
  readonly code = "ABORT_ERR";

  constructor(message = "The operation was aborted", options?: { cause?: unknown }) {
    super(message, options as undefined);
    this.name = "AbortError";
  }
}
