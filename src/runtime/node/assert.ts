import { util } from "../parts/node-util.ts";
import { AssertionError, type FailureOptions } from "./assertion-error.ts";
import { isDeepEqual } from "./deep-equal.ts";
import { invalidType, nodeError } from "./errors.ts";

type AnyFunction = (...parameters: unknown[]) => unknown;

function fail(options: FailureOptions & { message?: unknown }): never {
  const message: unknown = options.message;
  if (message instanceof Error) throw message;
  throw new AssertionError(options as FailureOptions);
}

function demandTwo(count: number): void {
  if (count < 2)
    throw nodeError(TypeError, "ERR_MISSING_ARGS", 'The "actual" and "expected" arguments must be specified');
}

function ok(value?: unknown, message?: unknown): void {
  if (value) return;
  const generated =
    arguments.length === 0
      ? "No value argument passed to `assert.ok()`"
      : "The expression evaluated to a falsy value";
  if (message instanceof Error) throw message;
  const failure = new AssertionError({
    message: message === undefined ? generated : String(message),
    actual: value,
    expected: true,
    operator: "==",
    stackStartFn: ok,
  });
  Object.defineProperty(failure, "generatedMessage", { value: message === undefined });
  throw failure;
}

type Compare = (actual: unknown, expected: unknown) => boolean;

function comparing(
  operator: string,
  holds: Compare,
): (actual: unknown, expected: unknown, message?: unknown) => void {
  const check = {
    [operator](actual: unknown, expected: unknown, message?: unknown): void {
      demandTwo(arguments.length);
      if (!holds(actual, expected))
        fail({
          actual,
          expected,
          message: message as string,
          operator: names[operator] ?? operator,
          stackStartFn: check,
        });
    },
  }[operator] as (actual: unknown, expected: unknown, message?: unknown) => void;
  return check;
}

const names: Readonly<Record<string, string>> = { equal: "==", notEqual: "!=" };
// biome-ignore lint/suspicious/noDoubleEquals: that is what loose equality is.
const loose: Compare = (a, b) => a == b || (Number.isNaN(a) && Number.isNaN(b));

function describes(error: unknown, expected: unknown, message: unknown, from: unknown): void {
  if (expected === undefined) return;
  if (typeof expected === "function") {
    if (expected.prototype !== undefined && error instanceof expected) return;
    if (Object.prototype.isPrototypeOf.call(Error, expected)) {
      fail({
        actual: error,
        expected,
        message: (message ??
          `The error is expected to be an instance of "${expected.name}". Received ${util.inspect(error)}`) as string,
        operator: "throws",
        stackStartFn: from,
      });
    }
    if (Reflect.apply(expected, {}, [error]) !== true) {
      fail({
        actual: error,
        expected,
        message: (message ??
          `The ${expected.name ? `"${expected.name}" ` : ""}validation function is expected to return "true". Received ${util.inspect(false)}`) as string,
        operator: "throws",
        stackStartFn: from,
      });
    }
    return;
  }
  if (expected instanceof RegExp) {
    if (expected.test(String(error))) return;
    fail({
      actual: error,
      expected,
      message: (message ??
        `The input did not match the regular expression ${util.inspect(expected)}. Input:\n\n${util.inspect(String(error))}\n`) as string,
      operator: "throws",
      stackStartFn: from,
    });
  }
  if (typeof error !== "object" || error === null)
    fail({ actual: error, expected, message: message as string, operator: "throws", stackStartFn: from });
  const keys = Object.keys(expected as object);
  if (expected instanceof Error) keys.push("name", "message");
  else if (keys.length === 0)
    throw nodeError(
      TypeError,
      "ERR_INVALID_ARG_VALUE",
      "The argument 'error' may not be an empty object. Received {}",
    );
  for (const key of keys) {
    const wanted = (expected as Record<string, unknown>)[key];
    const found = (error as Record<string, unknown>)[key];
    if (typeof found === "string" && wanted instanceof RegExp && wanted.test(found)) continue;
    if (key in (error as object) && isDeepEqual(found, wanted, "strict")) continue;
    const pick = (source: object): object =>
      Object.fromEntries(
        keys
          .filter((name) => name in source)
          .map((name) => [name, (source as Record<string, unknown>)[name]]),
      );
    if (message instanceof Error) throw message;
    const failure = new AssertionError({
      actual: pick(error as object),
      expected: pick(expected as object),
      message: message as string | undefined,
      operator: "deepStrictEqual",
      stackStartFn: from,
    });
    Object.defineProperties(failure, {
      actual: { value: error },
      expected: { value: expected },
      operator: { value: "throws" },
    });
    throw failure;
  }
}

const nothing = Symbol("nothing was thrown");

function thrownBy(run: unknown): unknown {
  if (typeof run !== "function") throw invalidType("fn", "of type function", run);
  try {
    run();
  } catch (error) {
    return error;
  }
  return nothing;
}

function kindOf(value: unknown): string {
  const name = (value as { constructor?: { name?: unknown } } | null | undefined)?.constructor?.name;
  if (typeof value === "object" && typeof name === "string") return `an instance of ${name}`;
  return value === null || value === undefined ? String(value) : `type ${typeof value}`;
}

async function rejectionOf(run: unknown): Promise<unknown> {
  let promise = run;
  if (typeof run === "function") {
    promise = run();
    if (typeof (promise as Promise<unknown>)?.then !== "function")
      throw nodeError(
        TypeError,
        "ERR_INVALID_RETURN_VALUE",
        `Expected instance of Promise to be returned from the "promiseFn" function but got ${kindOf(promise)}.`,
      );
  } else if (typeof (run as Promise<unknown>)?.then !== "function") {
    throw invalidType("promiseFn", "of type function or an instance of Promise", run);
  }
  try {
    await promise;
  } catch (error) {
    return error;
  }
  return nothing;
}

function expectError(
  thrown: unknown,
  expected: unknown,
  message: unknown,
  operator: string,
  from: unknown,
): void {
  const [wanted, text] = typeof expected === "string" ? [undefined, expected] : [expected, message];
  if (thrown === nothing) {
    const name = typeof wanted === "function" && wanted.name ? ` (${wanted.name})` : "";
    const detail = text === undefined ? "." : `: ${String(text)}`;
    fail({
      actual: undefined,
      expected: wanted,
      operator,
      message: `Missing expected ${operator === "rejects" ? "rejection" : "exception"}${name}${detail}`,
      stackStartFn: from,
    });
  }
  describes(thrown, wanted, text, from);
}

function expectNone(
  thrown: unknown,
  expected: unknown,
  message: unknown,
  operator: string,
  from: unknown,
): void {
  if (thrown === nothing) return;
  const [wanted, text] = typeof expected === "string" ? [undefined, expected] : [expected, message];
  if (
    wanted === undefined ||
    (typeof wanted === "function" && thrown instanceof wanted) ||
    (wanted instanceof RegExp && wanted.test(String(thrown)))
  ) {
    fail({
      actual: thrown,
      expected: wanted,
      operator,
      message: `Got unwanted ${operator === "doesNotReject" ? "rejection" : "exception"}${text === undefined ? "." : `: ${String(text)}`}\nActual message: "${(thrown as Error)?.message}"`,
      stackStartFn: from,
    });
  }
  throw thrown;
}

const checks = {
  AssertionError,
  deepEqual: comparing("deepEqual", (a, b) => isDeepEqual(a, b, "loose")),
  deepStrictEqual: comparing("deepStrictEqual", (a, b) => isDeepEqual(a, b, "strict")),
  async doesNotReject(run: unknown, expected?: unknown, message?: unknown): Promise<void> {
    expectNone(await rejectionOf(run), expected, message, "doesNotReject", checks.doesNotReject);
  },
  doesNotThrow(run: unknown, expected?: unknown, message?: unknown): void {
    expectNone(thrownBy(run), expected, message, "doesNotThrow", checks.doesNotThrow);
  },
  doesNotMatch(text: unknown, pattern: RegExp, message?: unknown): void {
    match(text, pattern, message, false);
  },
  equal: comparing("equal", loose),
  fail(message?: unknown): never {
    if (message instanceof Error) throw message;
    const failure = new AssertionError({
      message: message === undefined ? "Failed" : String(message),
      operator: "fail",
      stackStartFn: checks.fail,
    });
    Object.defineProperty(failure, "generatedMessage", { value: message === undefined });
    throw failure;
  },
  ifError(value: unknown): void {
    if (value === null || value === undefined) return;
    const text = value instanceof Error ? value.message || value.name : util.inspect(value);
    fail({
      actual: value,
      expected: null,
      operator: "ifError",
      message: `ifError got unwanted exception: ${text}`,
      stackStartFn: checks.ifError,
    });
  },
  match(text: unknown, pattern: RegExp, message?: unknown): void {
    match(text, pattern, message, true);
  },
  notDeepEqual: comparing("notDeepEqual", (a, b) => !isDeepEqual(a, b, "loose")),
  notDeepStrictEqual: comparing("notDeepStrictEqual", (a, b) => !isDeepEqual(a, b, "strict")),
  notEqual: comparing("notEqual", (a, b) => !loose(a, b)),
  notStrictEqual: comparing("notStrictEqual", (a, b) => !Object.is(a, b)),
  ok,
  partialDeepStrictEqual: comparing("partialDeepStrictEqual", (a, b) => isDeepEqual(a, b, "partial")),
  async rejects(run: unknown, expected?: unknown, message?: unknown): Promise<void> {
    expectError(await rejectionOf(run), expected, message, "rejects", checks.rejects);
  },
  strictEqual: comparing("strictEqual", Object.is),
  throws(run: unknown, expected?: unknown, message?: unknown): void {
    expectError(thrownBy(run), expected, message, "throws", checks.throws);
  },
};

function match(text: unknown, pattern: RegExp, message: unknown, wanted: boolean): void {
  if (!(pattern instanceof RegExp)) throw invalidType("regexp", "an instance of RegExp", pattern);
  if (typeof text === "string" && pattern.test(text) === wanted) return;
  if (message instanceof Error) throw message;
  const reason =
    typeof text !== "string"
      ? `The "string" argument must be of type string. Received type ${typeof text} (${util.inspect(text)})`
      : `The input ${wanted ? "did not match" : "was expected to not match"} the regular expression ${util.inspect(pattern)}. Input:\n\n${util.inspect(text)}\n`;
  const failure = new AssertionError({
    message: message === undefined ? reason : String(message),
    actual: text,
    expected: pattern,
    operator: wanted ? "match" : "doesNotMatch",
    stackStartFn: wanted ? checks.match : checks.doesNotMatch,
  });
  Object.defineProperty(failure, "generatedMessage", { value: message === undefined });
  throw failure;
}

/** node:assert. A function that is its own `ok`. */
export const assert: AnyFunction & Record<string, unknown> = Object.assign(function assert(
  ...parameters: unknown[]
): void {
  Reflect.apply(ok, undefined, parameters);
}, checks) as never;
export const strict: AnyFunction & Record<string, unknown> = Object.assign(
  function strict(...parameters: unknown[]): void {
    Reflect.apply(ok, undefined, parameters);
  },
  checks,
  {
    deepEqual: checks.deepStrictEqual,
    equal: checks.strictEqual,
    notDeepEqual: checks.notDeepStrictEqual,
    notEqual: checks.notStrictEqual,
  },
) as never;
assert["strict"] = strict;
strict["strict"] = strict;
