import * as wire from "../../wire/ops.ts";
import type { EntryResult } from "../guest-isolate.ts";
import type { Session } from "./session.ts";

/** Promises of a guest that are rejected and that nobody handles: V8 tells the host of the first in an entry. */
export class Rejections {
  readonly #session: Session;
  /** The Worker has a listener for them. */
  heard = false;
  /** The guest was told of one and has not run since. */
  #told = false;

  constructor(session: Session) {
    this.#session = session;
  }

  /** Called after each entry. A listener whose own promise is rejected is not told of that, or it might go on for ever. */
  after(result: EntryResult, exception: { readonly message: string; readonly stack: string }): void {
    const told = this.#told;
    this.#told = false;
    if (result !== "exception") return;
    const { message, stack } = exception;
    if (!this.heard || told) {
      this.log(message, stack);
      return;
    }
    this.#told = true;
    const { inbox } = this.#session;
    const at = inbox.begin(wire.IN_REJECTION, 2, -1);
    inbox.ints[at] = inbox.text(message);
    inbox.ints[at + 1] = inbox.text(stack);
    this.#session.touch();
  }

  /** @param stack the guest's, unmapped */
  log(message: string, stack: string): void {
    const { owner } = this.#session;
    owner.context.log.log("error", "worker.rejection", `unhandled rejection: ${message}`, {
      worker: owner.name,
      stack: owner.mapStack(stack),
    });
  }
}
