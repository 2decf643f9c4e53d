/**
 * Records of calls between Workers; see ops.ts for how records are laid out. A message (the arguments of a call, or what
 * came of one) is text and bytes that only guests read, and capabilities, which the host hands over. Its records come
 * before the one that uses it, and nothing else between them: DATA with its pieces, CAP with each capability in order.
 *
 * Numbers of exports and calls are made by the guest that has them; those of imports and answers by the host.
 */

// Both ways.

/** lenText, offset, length: a piece of the next message. */
export const RPC_DATA = 40;
/** kind, ref, length (of a stream; -1: unknown): the next capability of the next message. */
export const RPC_CAP = 41;

// Guest to host.

/** call, exchange (0: not known), on, ref, isGet, lenPath (JSON, an array of names), lenText (the last piece of the message) */
export const OUT_RPC_CALL = 42;
/** answer, outcome, lenText (the last piece of the message) */
export const OUT_RPC_RETURN = 43;
/** call: its outcome has come, so nothing more will be asked of what it gave but through stubs. */
export const OUT_RPC_FINISH = 44;
/** import: no stub for it is left. */
export const OUT_RPC_DROP = 45;

// Host to guest.

/** answer, exchange, on, ref, isGet, lenPath, lenText */
export const IN_RPC_CALL = 42;
/** call, outcome, lenText */
export const IN_RPC_RETURN = 43;
/** what (an export or an answer), ref: nobody can ask anything of it any more. */
export const IN_RPC_DROP = 44;
/** import: what it stood for is gone. */
export const IN_RPC_LOST = 45;

/** Number of integer fields of each of these, from the guest and to it. */
export const rpcOutSizes = { 40: 3, 41: 3, 42: 7, 43: 3, 44: 1, 45: 1 } as const;
export const rpcInSizes = { 40: 3, 41: 3, 42: 7, 43: 3, 44: 2, 45: 1 } as const;

// Kinds of capability; `ref` is what stands beside each.

/** An object of the sender (its export). Never to a guest. */
export const CAP_EXPORT = 1;
/** Something that the guest can call (its import). */
export const CAP_IMPORT = 2;
/** A body on the host. */
export const CAP_BODY = 3;
/** An out of the sender. Never to a guest. */
export const CAP_OUT = 4;

// What a call is made on; `ref` is what stands beside each.

/** From the guest: a binding. To the guest: an entrypoint with its props, as in IN_HANDLER; the exchange begins with it. */
export const ON_ENTRYPOINT = 0;
/** From the guest: an import. To the guest: an export. */
export const ON_OBJECT = 1;
/** From the guest: a call. To the guest: an answer. What it gave, or will give. */
export const ON_RESULT = 2;

// Outcomes.

/** The message is an exception. */
export const OUTCOME_THROWN = 0;
/** The message is a value. */
export const OUTCOME_VALUE = 1;
/** To a guest: the host says why there is none; the text is for people. */
export const OUTCOME_LOST = 2;

// What IN_RPC_DROP is about.

export const DROP_EXPORT = 0;
export const DROP_ANSWER = 1;

/** Characters and bytes of one message, together. */
export const MAX_MESSAGE = 32 * 1024 * 1024;
/** Characters of one piece of a message. */
export const MAX_PIECE = 262_144;
/** Capabilities of one message. */
export const MAX_CAPS = 4096;
