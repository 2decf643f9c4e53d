/** Why a socket cannot be had. The message is only the reason; whoever asked knows which socket it is about. */
export class BindError extends Error {
  /** As the system names it, for example `EADDRINUSE`. */
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.name = "BindError";
    this.code = code;
  }
}
