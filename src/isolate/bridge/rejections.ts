import * as wire from "../../wire/ops.ts";
import type { EntryResult } from "../guest-isolate.ts";
import type { Session } from "./session.ts";

/** A listener whose own promise is rejected each time is not told for ever. */
const MAX_IN_A_ROW = 8;

/** Promises of a guest that are rejected and that nobody handles: V8 tells the host of the first in an entry. */
export class Rejections {
  readonly #session: Session;
  /** The Worker has a listener for them. */
  heard = false;
  /** How many entries in a row ended with one of which the guest was told. */
  #told = 0;

  constructor(session: Session) {
    this.#session = session;
  }

  /** Called after each entry. */
  after(result: EntryResult, exception: { readonly message: string; readonly stack: string }): void {
    if (result !== "exception") {
      this.#told = 0;
      return;
    }
    const { message, stack } = exception;
    if (!this.heard || this.#told === MAX_IN_A_ROW) {
      this.#told = 0;
      this.log(message, stack);
      return;
    }
    this.#told++;
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
