export type LogLevel = "debug" | "info" | "warn" | "error";
export type LogFields = Readonly<Record<string, string | number | boolean | null | undefined>>;

/** Where events go. `event` is a stable name such as `worker.exception`; `message` is for people. */
export interface Logger {
  log(level: LogLevel, event: string, message: string, fields?: LogFields): void;
  /** One line for each finished exchange; not called when the access log is off. */
  access(fields: LogFields): void;
  readonly accessEnabled: boolean;
}
