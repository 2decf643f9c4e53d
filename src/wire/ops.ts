import { rpcOutSizes } from "./rpc-ops.ts";
import { socketOutSizes } from "./socket-ops.ts";
import { webSocketOutSizes } from "./websocket-ops.ts";

/**
 * The bridge's records. A batch is a run of 32-bit integers in shared memory, one string, and a window of bytes in shared
 * memory. Each record is its op code and then its fields, as listed beside it; a field `len…` is the length of a piece
 * of the batch's string, and pieces stand in the string in the order of their fields. `offset, length` name a place in
 * the window of bytes, which the receiver copies before it returns. A `body` is a handle of a body on the host: positive
 * when the host made it, negative when the guest did (by splitting). An `out` is a stream that the guest produces.
 * Handles of fetches, calls, outs and timers are the guest's; those of exchanges and handlers the host's.
 */

// Host to guest.

/** handler, next (a binding; 0: none), lenEntrypoint, lenProps: makes an entrypoint with props and `env.next` known, before its first use. */
export const IN_HANDLER = 1;
/** exchange, handler, event (0: fetch, 1: test), httpVersion (10, 11, 20), body (0: none), bodyLength (-1: unknown), clientPort, secure, lenMethod, lenUrl, lenHeaders, lenClientAddress, lenTls (JSON of what request.cf has from TLS) */
export const IN_REQUEST = 2;
/** exchange, handler, body, clientPort, lenTarget, lenClientAddress: a tunnel is asked for. */
export const IN_CONNECT = 3;
/** exchange: its client is gone. */
export const IN_ABORT = 4;
/** fetch, status, body (0: none), bodyLength, lenReason, lenHeaders */
export const IN_RESPONSE = 5;
/** fetch, lenCode */
export const IN_FETCH_FAILED = 6;
/** fetch, body: a socket that the guest asked for stands. */
export const IN_CONNECTED = 7;
/** body, offset, length: answers a pull, or is one of the pieces of a read of all bytes. */
export const IN_CHUNK = 8;
/** body, lenText: answers a read of the whole text. */
export const IN_TEXT = 9;
/** body: it is at its end. */
export const IN_END = 10;
/** body, lenCode (0: it is the way of reading that is wrong), lenMessage */
export const IN_BODY_FAILED = 11;
/** out, bytes: that many more may be written. */
export const IN_CREDIT = 12;
/** out: nobody reads it any more. */
export const IN_OUT_CANCELLED = 13;
/** timer */
export const IN_TIMER = 14;
/** call, lenText: it is done; its result is this text and the bytes that came before. */
export const IN_RESULT = 15;
/** call, lenName, lenMessage: what the guest throws */
export const IN_CALL_FAILED = 16;
/** call, offset, length: a piece of the bytes of its result. */
export const IN_RESULT_BYTES = 17;
/** lenMessage, lenStack: a promise was rejected and nobody handled it; only for a guest that hears of it. */
export const IN_REJECTION = 18;

// Guest to host.

/** exchange, status, kind, ref, lengthHigh, lengthLow, lenReason, lenHeaders, lenText; see the kinds of body. */
export const OUT_RESPOND = 1;
/** exchange, failure, lenMessage, lenStack; see the failures. */
export const OUT_FAILED = 2;
/** exchange: handler, response stream and everything given to waitUntil are finished. */
export const OUT_DONE = 3;
/** fetch, exchange (0: not known), binding, kind, ref, lengthHigh, lengthLow, lenMethod, lenUrl, lenHeaders, lenText */
export const OUT_FETCH = 4;
/** fetch, exchange (0: not known), binding, out (its writable side), secure (see socket-ops.ts), lenAddress */
export const OUT_CONNECT = 5;
/** fetch */
export const OUT_ABORT_FETCH = 6;
/** body: send the next chunk, or the end. */
export const OUT_PULL = 7;
/** body: send it all as text. */
export const OUT_READ_TEXT = 8;
/** body: send it all as chunks and the end. */
export const OUT_READ_BYTES = 9;
/** body: nobody wants it. */
export const OUT_CANCEL = 10;
/** body, first, second: split it in two. */
export const OUT_TEE = 11;
/** out, offset, length */
export const OUT_WRITE = 12;
/** out */
export const OUT_END = 13;
/** out, lenMessage */
export const OUT_STREAM_FAILED = 14;
/** timer, milliseconds */
export const OUT_TIMER = 15;
/** timer */
export const OUT_CLEAR_TIMER = 16;
/** level (0 debug … 3 error), lenText */
export const OUT_LOG = 17;
/** exchange (0: not known), lenMessage, lenStack: an exception that no handler's promise carries. */
export const OUT_EXCEPTION = 18;
/** call, operation, offset, length, lenText */
export const OUT_CALL = 19;
/** exchange, out: the Worker takes the tunnel itself. */
export const OUT_ACCEPT = 20;
/** exchange, fetch: the tunnel is joined with the socket that `fetch` opened; its bytes stay on the host. */
export const OUT_JOIN = 21;
/** exchange: waitUntil was called, so what it has fetched is not stopped when its client leaves. */
export const OUT_WAIT_UNTIL = 22;
/** 1: the Worker listens for rejections that nobody handles. */
export const OUT_HEARS = 23;
/** lenMessage, lenStack: an `IN_REJECTION` that no listener took charge of. */
export const OUT_REJECTION = 24;

/** Number of integer fields of each record from the guest, by op code. */
export const outSizes: readonly number[] = Object.assign(
  [0, 9, 4, 1, 11, 6, 1, 1, 1, 1, 1, 3, 3, 1, 2, 2, 1, 2, 3, 5, 2, 2, 1, 1, 2],
  rpcOutSizes,
  socketOutSizes,
  webSocketOutSizes,
);

// Kinds of body; `ref` and the length mean what stands beside each.

/** No body. */
export const BODY_NONE = 0;
/** `lenText` characters, sent as UTF-8. */
export const BODY_TEXT = 1;
/** `ref` is an offset in the window of bytes. */
export const BODY_BYTES = 2;
/** `ref` is a body on the host, which travels on without entering the isolate. */
export const BODY_HANDLE = 3;
/** `ref` is an out; the length is -1 when it is not known. */
export const BODY_OUT = 4;

// Added to the kind.

/** The body is already in the codings that Content-Encoding names: it is not to be encoded. */
export const BODY_CODED = 16;
/** Of a fetch: the body of the answer is not to be decoded when it is read. */
export const ANSWER_CODED = 32;

/** The number of a fetch's binding that stands for the Worker's caches; see src/services/worker/cache-service.ts. */
export const CACHE_BINDING = -1;

// Failures of an exchange.

/** The handler threw or rejected. */
export const FAILED_EXCEPTION = 0;
/** The handler gave something else than a Response. */
export const FAILED_RESPONSE = 1;
/** The entrypoint has no such handler, or does not exist. */
export const FAILED_HANDLER = 2;
/** The handler threw after passThroughOnException(). */
export const FAILED_OPEN = 3;
/** The handler let the error of a fetch, or of a body that it read, through: lenMessage is that error's code. */
export const FAILED_FETCH = 4;

// Operations of OUT_CALL.

/** Digest: lenText names the algorithm, the bytes are hashed. */
export const CALL_DIGEST = 1;
/** Web Cryptography: lenText is a request in JSON, see src/isolate/calls/crypto-request.ts. */
export const CALL_CRYPTO = 2;
/** A native of src/isolate/calls/native-threads.ts, on a thread: lenText is its name, a line feed and its text. */
export const CALL_NATIVE = 3;
/** Compression in pieces; see src/isolate/calls/zlib.ts. */
export const CALL_ZLIB = 4;
/** Addresses behind a name; see src/isolate/calls/dns.ts. */
export const CALL_DNS = 5;

/**
 * Shared memory: the guest's inbox of integers, its outbox, both windows of bytes, a scratch area for synchronous calls, and a few
 * integers that tell how far an entry came.
 */
export const INTS = 16_384;
export const WINDOW = 262_144;
export const inboxOffset = 0;
export const outboxOffset: number = INTS * 4;
export const windowInOffset: number = INTS * 8;
export const windowOutOffset: number = INTS * 8 + WINDOW;
/** Bytes of synchronous calls: random ones, and those of natives. */
export const scratchOffset: number = INTS * 8 + WINDOW * 2;
/** As many as one call of getRandomValues may ask for (Web Cryptography §10.1). */
export const SCRATCH = 65_536;
export const controlOffset: number = scratchOffset + SCRATCH;

// What stands in the control integers.

/** From the guest: records of the batch at places below this one have begun. */
export const BEGUN = 0;
/** From the guest: how many records this entry began. */
export const RECORDS = 1;
/** From the guest: not 0 when the runtime itself failed. */
export const BROKEN = 2;
/** From the host: milliseconds after which an entry leaves the rest of its batch to the next. */
export const SLICE = 3;
export const CONTROL = 4;

export const sharedBytes: number = controlOffset + CONTROL * 4;

// Steps of a synchronous call (src/isolate/natives/natives.ts) that are not natives themselves.

/** The bytes in the scratch area are a piece of the next native's input. */
export const NATIVE_FEED = "<";
/** The next piece of the last native's result goes into the scratch area. */
export const NATIVE_READ = ">";

/** Bytes that the guest may write to an out before it waits for credit. */
export const CREDIT = 262_144;
