/**
 * What the Web platform needs of the world outside the isolate. The runtime's entry fills it in before a Worker runs;
 * none of these functions may ever get into a Worker's hands.
 */
export interface Host {
  /** WHATWG URL parsing of `input` against `base`: the record that `src/wire/url.ts` describes, "" when invalid. */
  parseUrl(input: string, base: string | null): string;
  /** Sets one component of a valid URL; the record of the result, which is that of `href` when the value is ignored. */
  setUrlPart(href: string, part: string, value: string): string;
  /** One console line. @param level `debug`, `log`, `info`, `warn` or `error`. */
  log(level: string, text: string): void;
  /** Asks for one `fireTimer(id)` after `ms` milliseconds. An interval asks again each time. */
  setTimer(id: number, ms: number): void;
  clearTimer(id: number): void;
  /** `length` (1 to 65,536) bytes from a cryptographic source, in a buffer of their own. */
  random(length: number): ArrayBuffer;
  /**
   * Work that native code on the host does off the main thread.
   * @param operation see wire/ops.ts. @param bytes are copied before this returns.
   */
  call(operation: number, text: string, bytes: Uint8Array, handler: HostCallHandler): void;
  /** An exception that no caller can catch: from a timer, a listener, a microtask or `reportError`. */
  reportException(error: unknown): void;
}

/** Takes the outcome of a call. Not a promise, whose resolution would show the result to a patched `then`. */
export interface HostCallHandler {
  /** @param bytes are the handler's own, in a buffer of exactly their size. */
  done(text: string, bytes: Uint8Array<ArrayBuffer>): void;
  failed(error: Error): void;
}

export let host: Host;

/** Called once, by the runtime's entry. */
export function setHost(implementation: Host): void {
  host = implementation;
}
