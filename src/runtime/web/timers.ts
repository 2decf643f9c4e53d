import { currentFrame, type Frame, setFrame } from "./async-context.ts";
import { host } from "./host.ts";
import { MapDelete, MapGet, MapNative, MapSet, ReflectApply } from "./primordials.ts";
import { requireArguments } from "./webidl.ts";

/** The longest delay, in milliseconds, that is one: what fits into a signed 32-bit integer (HTML §8.6). */
const longest = 0x7fffffff;

class Timer {
  readonly callback: (...args: unknown[]) => unknown;
  readonly args: unknown[];
  /** Milliseconds between two calls, or -1 for a single one. */
  readonly interval: number;
  /** The frame in which it was set, and in which it fires. */
  readonly frame: Frame | undefined = currentFrame();

  constructor(callback: (...args: unknown[]) => unknown, args: unknown[], interval: number) {
    this.callback = callback;
    this.args = args;
    this.interval = interval;
  }
}

const timers = new MapNative<number, Timer>();
let lastId = 0;

function toDelay(value: unknown): number {
  const delay = +(value as number);
  // What does not fit wraps around, as in every conversion to `long` (Web IDL §3.2.4.5).
  if (delay > longest) return toLong(delay);
  return delay > 0 ? delay : 0;
}

function toLong(delay: number): number {
  const long = delay | 0;
  return long > 0 ? long : 0;
}

function start(callback: unknown, delay: unknown, repeat: boolean, args: unknown[]): number {
  if (typeof callback !== "function") throw new TypeError("cannot set a timer: callback is not a function");
  const ms = toDelay(delay);
  const id = ++lastId;
  const interval = repeat ? (ms < 1 ? 1 : ms) : -1;
  // The host refuses, by throwing, where nothing may wait.
  host.setTimer(id, repeat ? interval : ms);
  MapSet(timers, id, new Timer(callback as (...args: unknown[]) => unknown, args, interval));
  return id;
}

/** HTML §8.6. Strings are not compiled: there is no eval. */
export function setTimeout(callback: unknown, delay?: number, ...args: unknown[]): number {
  requireArguments(arguments.length, 1, "setTimeout");
  return start(callback, delay, false, args);
}

export function setInterval(callback: unknown, delay?: number, ...args: unknown[]): number {
  requireArguments(arguments.length, 1, "setInterval");
  return start(callback, delay, true, args);
}

function clear(id: unknown): void {
  const number = typeof id === "number" ? id : +(id as string);
  if (MapDelete(timers, number)) host.clearTimer(number);
}

export function clearTimeout(id?: number): void {
  clear(id ?? 0);
}

export function clearInterval(id?: number): void {
  clear(id ?? 0);
}

/** Runs the callback of a timer that is due; nothing happens when it was cleared meanwhile. */
export function fireTimer(id: number): void {
  const timer = MapGet(timers, id);
  if (timer === undefined) return;
  if (timer.interval < 0) MapDelete(timers, id);
  setFrame(timer.frame);
  try {
    ReflectApply(timer.callback, undefined, timer.args);
  } catch (error) {
    host.reportException(error);
  }
  // The callback may have cleared its own interval.
  if (timer.interval >= 0 && MapGet(timers, id) === timer) host.setTimer(id, timer.interval);
}
