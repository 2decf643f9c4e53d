import { StringSlice } from "../web/primordials.ts";

const MAX = 8192;
const LONGEST = 1 << 20;

/**
 * Message and stack of whatever was thrown, as bounded strings. Runs under the entry's time limit, so that a getter that
 * loops ends the entry and nothing else; a thrown value never crosses the bridge itself.
 */
export function describeError(error: unknown): { message: string; stack: string } {
  try {
    if (typeof error === "object" && error !== null) {
      const { name, message, stack } = error as { name?: unknown; message?: unknown; stack?: unknown };
      let text = `${shown(name ?? "Error")}: ${shown(message ?? "")}`;
      const { cause } = error as { cause?: unknown };
      if (typeof cause === "object" && cause !== null) {
        const { message: reason } = cause as { message?: unknown };
        if (reason !== undefined) text += ` (cause: ${shown(reason)})`;
      }
      return { message: StringSlice(text, 0, MAX), stack: typeof stack === "string" ? shown(stack) : "" };
    }
    return { message: `thrown: ${shown(error)}`, stack: "" };
  } catch {
    return { message: "thrown: a value that cannot be shown", stack: "" };
  }
}

/**
 * As text, cut before anything is added to it: a string of the greatest length must not overflow. One that was put
 * together of many is not even cut, since V8 would copy it whole first, and not be stopped while it does.
 */
function shown(value: unknown): string {
  const text = typeof value === "symbol" ? "a symbol" : `${value as string}`;
  return text.length > LONGEST ? `a text of ${text.length} characters` : StringSlice(text, 0, MAX);
}
