import { DOMException } from "./dom-exception.ts";

const { Error: ErrorNative, TypeError: TypeErrorNative, RangeError: RangeErrorNative } = globalThis;

/** The error that the host names: one of the language's, or a DOMException. */
export function errorOf(name: string, message: string): Error {
  switch (name) {
    case "Error":
      return new ErrorNative(message);
    case "TypeError":
      return new TypeErrorNative(message);
    case "RangeError":
      return new RangeErrorNative(message);
    default:
      return new DOMException(message, name) as unknown as Error;
  }
}
