const MAX = 8192;

/**
 * Message and stack of whatever was thrown, as bounded strings. Runs under the entry's time limit, so that a getter that
 * loops ends the entry and nothing else; a thrown value never crosses the bridge itself.
 */
export function describeError(error: unknown): { message: string; stack: string } {
  try {
    if (typeof error === "object" && error !== null) {
      const { name, message, stack } = error as { name?: unknown; message?: unknown; stack?: unknown };
      let text = `${String(name ?? "Error")}: ${String(message ?? "")}`;
      const { cause } = error as { cause?: unknown };
      if (cause instanceof Error) text += ` (cause: ${String(cause.message)})`;
      return { message: text.slice(0, MAX), stack: typeof stack === "string" ? stack.slice(0, MAX) : "" };
    }
    return { message: `thrown: ${String(error)}`.slice(0, MAX), stack: "" };
  } catch {
    return { message: "thrown: a value that cannot be shown", stack: "" };
  }
}
