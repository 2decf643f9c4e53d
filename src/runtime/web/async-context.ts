import { PromiseThen, promiseResolve, ReflectApply } from "./primordials.ts";

const PromiseNative = Promise;
const settled = promiseResolve(undefined);

/**
 * The context that goes along with asynchronous work: which exchange it belongs to, and the values of the Worker's
 * AsyncLocalStorage objects. A frame never changes; entering another value makes another frame.
 */
export class Frame {
  /** The host's number of the exchange, or 0. */
  readonly exchange: number;
  /** Values by AsyncLocalStorage object. */
  readonly values: ReadonlyMap<object, unknown> | null;

  constructor(exchange: number, values: ReadonlyMap<object, unknown> | null) {
    this.exchange = exchange;
    this.values = values;
  }
}

type Callback = (this: unknown, ...parameters: unknown[]) => unknown;

let frame: Frame | undefined;
let tracked = false;

/** From now on frames matter: the Worker's code has been compiled to keep them (src/isolate/loader/async-context.ts). */
export function trackFrames(): void {
  tracked = true;
}

/** False when the Worker has nothing that could ask for a frame. */
export function framesAreTracked(): boolean {
  return tracked;
}

export function currentFrame(): Frame | undefined {
  return frame;
}

export function setFrame(next: Frame | undefined): void {
  frame = next;
}

/** What the runtime does next is for the exchange of that number, and for nobody else; 0 is for none. */
export function enterExchange(exchange: number): void {
  frame = tracked && exchange !== 0 ? new Frame(exchange, null) : undefined;
}

/** The exchange that runs, as far as frames know: 0 when nothing is tracked. */
export function frameExchange(): number {
  return frame === undefined ? 0 : frame.exchange;
}

/** Calls in a frame, and comes back to the present one. */
export function callInFrame(
  within: Frame | undefined,
  callback: Callback,
  self: unknown,
  parameters: readonly unknown[],
): unknown {
  const before = frame;
  frame = within;
  try {
    return ReflectApply(callback, self, parameters as unknown[]);
  } finally {
    frame = before;
  }
}

/** A function of the Worker that runs later, bound to the present frame; the function itself when nothing is tracked. */
export function bindFrame<F extends (...parameters: never[]) => unknown>(callback: F): F {
  if (!tracked) return callback;
  const within = frame;
  const bound = function (this: unknown, ...parameters: unknown[]): unknown {
    return callInFrame(within, callback as unknown as Callback, this, parameters);
  };
  return bound as unknown as F;
}

// What code calls that was compiled to keep its frame; the functions are small, so that V8 inlines them.

/** Goes on in the frame from before an `await`, with the value that has come. */
export function $asyncResume<T>(value: T, before: Frame | undefined, _none: 0): T {
  frame = before;
  return value;
}

/** The value to wait for; what is no promise but has a `then` is called in the frame. @param within evaluated after it. */
export function $asyncKeep<T>(value: T, within: Frame | undefined): T | Promise<unknown> {
  return typeof value === "object" && value !== null && !(value instanceof PromiseNative)
    ? keepThenable(value, within)
    : value;
}

function keepThenable<T extends object>(value: T, within: Frame | undefined): T | Promise<unknown> {
  const { then } = value as { then?: unknown };
  if (typeof then !== "function") return value;
  return new PromiseNative((resolve, reject) => {
    PromiseThen(settled, () => {
      try {
        callInFrame(within, then as Callback, value, [resolve, reject]);
      } catch (error) {
        reject(error);
      }
    });
  });
}

export function $asyncFrame(): Frame | undefined {
  return frame;
}

/** In a `catch` or `finally`: 0 means that no `await` has failed. */
export function $asyncCaught(before: Frame | undefined | 0): 0 {
  if (before !== 0) frame = before;
  return 0;
}
