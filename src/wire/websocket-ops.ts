/**
 * Records of WebSockets; see ops.ts for how records are laid out. A `socket` is the number of one: that of the fetch that
 * opened it, or a negative one that the guest made up for its end of a pair when it gave the other end away.
 */

/** The first of both sides; what is above is a WebSocket's. */
export const WS_FIRST = 60;

// Guest to host.

/** exchange, socket, kind, lenReason, lenHeaders: answers with 101 and a WebSocket; see the kinds. */
export const OUT_WS_UPGRADE = 60;
/** socket: the guest takes its messages from now on. */
export const OUT_WS_ACCEPT = 61;
/** socket, lenText: a message. */
export const OUT_WS_TEXT = 62;
/** socket, form, offset, length: a message of bytes, or a piece of one; see the forms. */
export const OUT_WS_BYTES = 63;
/** socket, code, lenReason: begins or answers the closing handshake. */
export const OUT_WS_CLOSE = 64;

export const webSocketOutSizes = { 60: 5, 61: 1, 62: 2, 63: 4, 64: 3 } as const;

// Host to guest.

/** socket, lenText: a message. */
export const IN_WS_TEXT = 60;
/** socket, offset, length: a piece of the next message, which is of bytes. */
export const IN_WS_PIECE = 61;
/** socket, offset, length: a message of bytes, or the last piece of it. */
export const IN_WS_BYTES = 62;
/** socket, code, lenReason: the other side began or answered the closing handshake. */
export const IN_WS_CLOSE = 63;
/** socket, code, lenMessage: it broke off. */
export const IN_WS_FAILED = 64;
/** socket, bytes: so many that the guest sent wait for the other side; told when it stops to read, and when all has left. */
export const IN_WS_BUFFERED = 65;

// Kinds of upgrade.

/** The socket is the guest's end of a pair, whose other end is the answer. */
export const UPGRADE_PAIR = 0;
/** The socket came from a fetch, and goes on untouched: its frames never enter the isolate. */
export const UPGRADE_FETCHED = 1;

// Forms of bytes, added up.

/** They are text in UTF-8. */
export const WS_UTF8 = 1;
/** More pieces of the message follow. */
export const WS_MORE = 2;

/** Characters of a message that cross as text; longer ones cross as bytes, in pieces. */
export const WS_MAX_TEXT = 1 << 20;
