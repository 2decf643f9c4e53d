import { util } from "../parts/node-util.ts";
import { invalidType } from "./errors.ts";

export interface FailureOptions {
  message?: string | undefined;
  actual?: unknown;
  expected?: unknown;
  operator?: string;
  stackStartFn?: unknown;
}

const phrases: Readonly<Record<string, string>> = {
  strictEqual: "Expected values to be strictly equal:",
  deepStrictEqual: "Expected values to be strictly deep-equal:",
  deepEqual: "Expected values to be loosely deep-equal:",
  partialDeepStrictEqual: "Expected values to be partially and strictly deep-equal:",
  notStrictEqual: 'Expected "actual" to be strictly unequal to:',
  notDeepStrictEqual: 'Expected "actual" not to be strictly deep-equal to:',
  notDeepEqual: 'Expected "actual" not to be loosely deep-equal to:',
};

function shown(value: unknown): string {
  return util.inspect(value, {
    compact: false,
    customInspect: false,
    depth: 1000,
    maxArrayLength: Infinity,
    showHidden: false,
    showProxy: false,
    sorted: true,
    getters: true,
  });
}

/** Lines with `+` are of the actual value alone, those with `-` of the expected one. */
function difference(actual: string, expected: string): string {
  const [one, other] = [actual.split("\n"), expected.split("\n")];
  if (one.length * other.length > 1_000_000) return `+ ${actual}\n- ${expected}`;
  const lengths = Array.from({ length: one.length + 1 }, () => new Uint32Array(other.length + 1));
  for (let i = one.length - 1; i >= 0; i--) {
    for (let k = other.length - 1; k >= 0; k--) {
      const [row, below] = [lengths[i] as Uint32Array, lengths[i + 1] as Uint32Array];
      row[k] =
        one[i] === other[k]
          ? (below[k + 1] as number) + 1
          : Math.max(below[k] as number, row[k + 1] as number);
    }
  }
  const lines: string[] = [];
  let [i, k] = [0, 0];
  while (i < one.length || k < other.length) {
    if (i < one.length && k < other.length && one[i] === other[k]) {
      lines.push(`  ${one[i++]}`);
      k++;
    } else if (
      i < one.length &&
      (k === other.length ||
        ((lengths[i + 1] as Uint32Array)[k] as number) >= ((lengths[i] as Uint32Array)[k + 1] as number))
    )
      lines.push(`+ ${one[i++]}`);
    else lines.push(`- ${other[k++]}`);
  }
  return lines.join("\n");
}

function explain(actual: unknown, expected: unknown, operator: string): string {
  const phrase = phrases[operator];
  if (phrase === undefined) return `${util.inspect(actual)} ${operator} ${util.inspect(expected)}`;
  if (operator.startsWith("not")) {
    const text = shown(actual);
    return `${phrase}${text.includes("\n") || text.length > 5 ? "\n\n" : " "}${text}${text.includes("\n") ? "\n" : ""}`;
  }
  const [one, other] = [shown(actual), shown(expected)];
  const simple = (value: unknown): boolean =>
    (typeof value !== "object" || value === null) && typeof value !== "function";
  if (
    operator === "strictEqual" &&
    simple(actual) &&
    simple(expected) &&
    !one.includes("\n") &&
    !other.includes("\n") &&
    one.length + other.length < 80
  )
    return `${phrase}\n\n${one} !== ${other}\n`;
  if (one === other)
    return operator === "strictEqual"
      ? `Values have same structure but are not reference-equal:\n\n${one}\n`
      : `${phrase}\n\n${one}\n`;
  return `${phrase}\n+ actual - expected\n\n${difference(one, other)}\n`;
}

export class AssertionError extends Error {
  readonly code = "ERR_ASSERTION";
  readonly generatedMessage: boolean;
  readonly actual: unknown;
  readonly expected: unknown;
  readonly operator: string;

  constructor(options: FailureOptions) {
    if (options === null || typeof options !== "object")
      throw invalidType("options", "of type object", options);
    const operator = options.operator ?? "fail";
    super(
      options.message === undefined
        ? explain(options.actual, options.expected, operator)
        : String(options.message),
    );
    this.generatedMessage = options.message === undefined;
    Object.defineProperty(this, "name", { value: "AssertionError", writable: true, configurable: true });
    this.actual = options.actual;
    this.expected = options.expected;
    this.operator = operator;
    const traced = Error as { captureStackTrace?(target: object, from?: unknown): void };
    traced.captureStackTrace?.(this, options.stackStartFn);
  }

  override toString(): string {
    return `${this.name} [${this.code}]: ${this.message}`;
  }
}
