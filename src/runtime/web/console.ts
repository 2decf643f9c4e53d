import { host } from "./host.ts";
import { format, inspect } from "./inspect.ts";
import {
  ArrayIsArray,
  ArrayPush,
  MapDelete,
  MapGet,
  MapNative,
  MapSet,
  ObjectDefineProperty,
  ObjectSetPrototypeOf,
  ReflectOwnKeys,
  StringIndexOf,
  StringPadEnd,
  StringRepeat,
  StringSlice,
  SymbolToStringTag,
} from "./primordials.ts";
import { now } from "./time-origin.ts";
import { isObject } from "./webidl.ts";

const counts = new MapNative<string, number>();
const timers = new MapNative<string, number>();
let indent = "";

const captureStackTrace = (Error as unknown as { captureStackTrace(target: object, above: unknown): void })
  .captureStackTrace;

function write(level: string, text: string): void {
  host.log(level, indent === "" ? text : indented(text));
}

function indented(text: string): string {
  let result = indent;
  let start = 0;
  for (let at = StringIndexOf(text, "\n"); at >= 0; at = StringIndexOf(text, "\n", start)) {
    result += StringSlice(text, start, at + 1) + indent;
    start = at + 1;
  }
  return result + StringSlice(text, start);
}

function toLabel(value: unknown): string {
  return value === undefined ? "default" : `${value as string}`;
}

function elapsed(label: string): string | null {
  const start = MapGet(timers, label);
  return start === undefined ? null : `${label}: ${now() - start}ms`;
}

/** A table of rows and columns, else what `log` makes of it (Console §1.1.8). */
function table(data: unknown): string {
  if (!isObject(data)) return format([data]);
  const columns: string[] = [""];
  const rows: string[][] = [];
  let hasValues = false;
  const values: string[] = [];
  const keys = ReflectOwnKeys(data);
  for (let i = 0; i < keys.length && rows.length < 100; i++) {
    const key = keys[i] as string;
    if (typeof key !== "string" || (key === "length" && ArrayIsArray(data))) continue;
    const value = (data as Record<string, unknown>)[key];
    const row: string[] = [key];
    ArrayPush(rows, row);
    if (isObject(value) && typeof value !== "function") fillRow(row, columns, value);
    else hasValues = true;
    ArrayPush(values, isObject(value) ? "" : inspect(value));
  }
  columns[0] = "(index)";
  if (hasValues) {
    for (let i = 0; i < rows.length; i++) (rows[i] as string[])[columns.length] = values[i] as string;
    ArrayPush(columns, "Values");
  }
  return drawTable(columns, rows);
}

function fillRow(row: string[], columns: string[], value: object): void {
  const keys = ReflectOwnKeys(value);
  for (let i = 0; i < keys.length && columns.length < 20; i++) {
    const key = keys[i] as string;
    if (typeof key !== "string" || (key === "length" && ArrayIsArray(value))) continue;
    let at = 1;
    while (at < columns.length && columns[at] !== key) at++;
    if (at === columns.length) ArrayPush(columns, key);
    row[at] = inspect((value as Record<string, unknown>)[key]);
  }
}

function drawTable(columns: string[], rows: string[][]): string {
  let text = "";
  const widths: number[] = [];
  for (let c = 0; c < columns.length; c++) {
    let width = (columns[c] as string).length;
    for (let r = 0; r < rows.length; r++) {
      const { length } = rows[r]?.[c] ?? "";
      if (length > width) width = length;
    }
    ArrayPush(widths, width);
  }
  const line = (cells: readonly (string | undefined)[]): void => {
    for (let c = 0; c < columns.length; c++) {
      text += `${c === 0 ? "│ " : " │ "}${StringPadEnd(cells[c] ?? "", widths[c] as number)}`;
    }
    text += " │\n";
  };
  line(columns);
  for (let c = 0; c < columns.length; c++) {
    text += `${c === 0 ? "├─" : "─┼─"}${StringRepeat("─", widths[c] as number)}`;
  }
  text += "─┤\n";
  for (let r = 0; r < rows.length; r++) line(rows[r] as string[]);
  return StringSlice(text, 0, text.length - 1);
}

/** Console §1. Each call becomes one line of the log, bounded in length. */
const members = {
  log(...args: unknown[]): void {
    write("log", format(args));
  },
  info(...args: unknown[]): void {
    write("info", format(args));
  },
  debug(...args: unknown[]): void {
    write("debug", format(args));
  },
  warn(...args: unknown[]): void {
    write("warn", format(args));
  },
  error(...args: unknown[]): void {
    write("error", format(args));
  },
  trace(...args: unknown[]): void {
    const here: { stack?: string } = {};
    captureStackTrace(here, members.trace);
    const stack = here.stack ?? "";
    const head = args.length === 0 ? "Trace" : `Trace: ${format(args)}`;
    const frames = StringIndexOf(stack, "\n");
    write("debug", frames < 0 ? head : head + StringSlice(stack, frames));
  },
  assert(condition?: unknown, ...args: unknown[]): void {
    if (condition) return;
    if (typeof args[0] === "string") args[0] = `Assertion failed: ${args[0]}`;
    write(
      "error",
      args.length === 0
        ? "Assertion failed"
        : typeof args[0] === "string"
          ? format(args)
          : `Assertion failed ${format(args)}`,
    );
  },
  clear(): void {},
  dir(value?: unknown): void {
    write("log", inspect(value));
  },
  dirxml(...args: unknown[]): void {
    write("log", format(args));
  },
  table(data?: unknown): void {
    write("log", table(data));
  },
  group(...args: unknown[]): void {
    if (args.length > 0) write("log", format(args));
    if (indent.length < 40) indent += "  ";
  },
  groupCollapsed(...args: unknown[]): void {
    members.group(...args);
  },
  groupEnd(): void {
    indent = StringSlice(indent, 2);
  },
  count(label?: string): void {
    const name = toLabel(label);
    const count = (MapGet(counts, name) ?? 0) + 1;
    MapSet(counts, name, count);
    write("info", `${name}: ${count}`);
  },
  countReset(label?: string): void {
    const name = toLabel(label);
    if (!MapDelete(counts, name)) write("warn", `Count for '${name}' does not exist`);
  },
  time(label?: string): void {
    const name = toLabel(label);
    if (MapGet(timers, name) === undefined) MapSet(timers, name, now());
    else write("warn", `Timer '${name}' already exists`);
  },
  timeLog(label?: string, ...args: unknown[]): void {
    const name = toLabel(label);
    const text = elapsed(name);
    if (text === null) write("warn", `Timer '${name}' does not exist`);
    else write("info", args.length === 0 ? text : `${text} ${format(args)}`);
  },
  timeEnd(label?: string): void {
    const name = toLabel(label);
    const text = elapsed(name);
    MapDelete(timers, name);
    if (text === null) write("warn", `Timer '${name}' does not exist`);
    else write("info", text);
  },
  timeStamp(): void {},
};

ObjectDefineProperty(members, SymbolToStringTag, { value: "console", configurable: true });

// Its prototype is an empty object of its own (Console §1).
ObjectSetPrototypeOf(members, {});

export const console: typeof members = members;
