/**
 * Synchronous work that native code on the host does for the runtime in an isolate. It runs inside the Worker's entry, on
 * the shard's only thread and not charged to the Worker's time limit, so each native bounds what a call may cost by the
 * size of what it is given, and refuses the rest. Its arguments are the guest runtime's, but not to be trusted: a Worker
 * that broke out of its realm would choose them. A native keeps nothing between calls.
 *
 * @param text as the native defines it, mostly JSON or a name.
 * @param bytes the guest's, copied; valid during the call only.
 * @returns text, or bytes.
 * @throws GuestFailure for what the Worker should learn.
 */
export type Native = (text: string, bytes: Buffer) => string | Uint8Array;
