/** What a connection of HTTP/1.1 does with its input. */
export const READING_HEAD = 0;
/** A request has begun, its body has not ended. */
export const READING_BODY = 1;
/** The request is whole, its response is not. The next request waits, unread. */
export const ANSWERING = 2;
/** Nobody wants the rest of the body; a little of it is read so that the connection can be kept. */
export const DRAINING_BODY = 3;
/** Our side has ended; what still comes is thrown away, so that no reset overtakes the response (RFC 9112 §9.6). */
export const LINGERING = 4;
export const TUNNEL = 5;
export const CLOSED = 6;
export type State = 0 | 1 | 2 | 3 | 4 | 5 | 6;
