/** What a call gives back: a text, mostly JSON, and bytes; either may be empty. */
export class CallResult {
  readonly text: string;
  readonly bytes: Uint8Array;

  constructor(text: string, bytes: Uint8Array = nothing) {
    this.text = text;
    this.bytes = bytes;
  }
}

const nothing = new Uint8Array(0);

/** A call that has to wait for a thread of Node's pool, which the calls of all guests share. */
export class ThreadJob {
  /** Begins the work on the pool. */
  readonly start: () => Promise<CallResult>;

  constructor(start: () => Promise<CallResult>) {
    this.start = start;
  }
}

/**
 * Asynchronous work that native code on the host does for the guest (`wire.OUT_CALL`). What it is given was chosen by
 * a guest, so it checks everything and bounds what the work may cost: nothing can stop a thread of the pool.
 *
 * @param text as the operation defines it. @param bytes the guest's, copied.
 * @returns the result when the work is so small that a thread would cost more, else a job; a promise when Node does the
 * work at once and only answers later.
 * @throws GuestFailure for what the Worker should learn.
 */
export type CallOperation = (text: string, bytes: Uint8Array) => CallResult | ThreadJob | Promise<CallResult>;
