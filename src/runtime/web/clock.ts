import {
  DateNow,
  ObjectDefineProperty,
  ReflectApply,
  ReflectConstruct,
  ReflectGetOwnPropertyDescriptor,
} from "./primordials.ts";

/**
 * The Worker's clock stands still while its code runs and moves on when something from outside reaches it: a request, a
 * response, a chunk, a timer. Code that cannot time itself cannot read other Workers' secrets from how fast the
 * processor's caches answer, nor count its own work. `preciseTimers` lifts it.
 */

type Scope = Record<string, unknown>;
type AnyFunction = (...parameters: unknown[]) => unknown;

let current: number = DateNow();
let precise = false;

/** Milliseconds since 1970 as the Worker sees them. */
export function clockNow(): number {
  return precise ? DateNow() : current;
}

/** Something from outside has arrived. @param ms since 1970. */
export function advanceClock(ms: number): void {
  current = ms;
}

/** The clock runs on. Called before any code of the Worker runs, if at all. */
export function runClock(): void {
  precise = true;
}

/** Puts the standing clock in the place of V8's own wherever the language has one. */
export function freezeClocks(scope: Scope): void {
  freezeDate(scope);
  freezeFormats(scope);
  freezeTemporal(scope);
}

function define(holder: object, key: PropertyKey, value: unknown): void {
  ObjectDefineProperty(holder, key, {
    __proto__: null,
    value,
    writable: true,
    enumerable: false,
    configurable: true,
  } as PropertyDescriptor);
}

function freezeDate(scope: Scope): void {
  const Native = scope["Date"] as DateConstructor;
  const write = Native.prototype.toString;
  // An ordinary function: `Date()` without `new` gives a text (ECMA-262 §21.4.2.1).
  function FrozenDate(...values: unknown[]): unknown {
    if (new.target === undefined) return ReflectApply(write, new Native(clockNow()), []);
    const parameters = values.length === 0 ? [clockNow()] : values;
    return ReflectConstruct(Native, parameters, new.target as unknown as typeof Object);
  }
  ObjectDefineProperty(FrozenDate, "name", { value: "Date", configurable: true });
  ObjectDefineProperty(FrozenDate, "length", { value: 7, configurable: true });
  ObjectDefineProperty(FrozenDate, "prototype", { value: Native.prototype, writable: false });
  define(FrozenDate, "parse", Native.parse);
  define(FrozenDate, "UTC", Native.UTC);
  define(FrozenDate, "now", { now: () => clockNow() }.now);
  define(Native.prototype, "constructor", FrozenDate);
  define(scope, "Date", FrozenDate);
}

/** A date that is left out means now (ECMA-402 §11.3.3, §11.3.4). */
function freezeFormats(scope: Scope): void {
  const { DateTimeFormat } = scope["Intl"] as { DateTimeFormat: { prototype: object } };
  const { prototype } = DateTimeFormat;
  const format = ReflectGetOwnPropertyDescriptor(prototype, "format")?.get as AnyFunction;
  const parts = ReflectGetOwnPropertyDescriptor(prototype, "formatToParts")?.value as AnyFunction;
  const bound = new WeakMap<object, AnyFunction>();
  const { get: lookUp, set: keep } = WeakMap.prototype;
  const wrapped = {
    get format(): AnyFunction {
      const native = ReflectApply(format, this, []) as AnyFunction;
      const known = ReflectApply(lookUp, bound, [this]) as AnyFunction | undefined;
      if (known !== undefined) return known;
      const made = (date?: unknown): unknown =>
        ReflectApply(native, undefined, [date === undefined ? clockNow() : date]);
      ObjectDefineProperty(made, "name", { value: "", configurable: true });
      ObjectDefineProperty(made, "length", { value: 1, configurable: true });
      ReflectApply(keep, bound, [this, made]);
      return made;
    },
    formatToParts(date: unknown): unknown {
      return ReflectApply(parts, this, [date === undefined ? clockNow() : date]);
    },
  };
  const { get } = ReflectGetOwnPropertyDescriptor(wrapped, "format") as { get: AnyFunction };
  ObjectDefineProperty(prototype, "format", {
    __proto__: null,
    get,
    enumerable: false,
    configurable: true,
  } as PropertyDescriptor);
  define(prototype, "formatToParts", wrapped.formatToParts);
}

/** V8 of Node.js 26 has Temporal, whose `Now` is a clock of nanoseconds. */
function freezeTemporal(scope: Scope): void {
  const temporal = scope["Temporal"] as
    | {
        readonly Now: Record<string, AnyFunction>;
        readonly Instant: { fromEpochMilliseconds: AnyFunction; prototype: Record<string, AnyFunction> };
        readonly ZonedDateTime: { prototype: Record<string, AnyFunction> };
      }
    | undefined;
  if (temporal === undefined) return;
  const { Now, Instant, ZonedDateTime } = temporal;
  const { fromEpochMilliseconds } = Instant;
  const { toZonedDateTimeISO } = Instant.prototype;
  const { toPlainDateTime, toPlainDate, toPlainTime } = ZonedDateTime.prototype;
  const { timeZoneId } = Now;
  const instant = (): unknown => ReflectApply(fromEpochMilliseconds, Instant, [clockNow()]);
  const zoned = (zone: unknown): unknown =>
    ReflectApply(toZonedDateTimeISO as AnyFunction, instant(), [
      zone === undefined ? ReflectApply(timeZoneId as AnyFunction, Now, []) : zone,
    ]);
  const methods = {
    instant: () => instant(),
    zonedDateTimeISO: (zone?: unknown) => zoned(zone),
    plainDateTimeISO: (zone?: unknown) => ReflectApply(toPlainDateTime as AnyFunction, zoned(zone), []),
    plainDateISO: (zone?: unknown) => ReflectApply(toPlainDate as AnyFunction, zoned(zone), []),
    plainTimeISO: (zone?: unknown) => ReflectApply(toPlainTime as AnyFunction, zoned(zone), []),
  };
  const keys = ["instant", "zonedDateTimeISO", "plainDateTimeISO", "plainDateISO", "plainTimeISO"] as const;
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i] as (typeof keys)[number];
    define(Now, key, methods[key]);
  }
}
