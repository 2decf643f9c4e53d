import type { ProxyError } from "../../errors/proxy-error.ts";

/** Text, or bytes that belong to whoever takes them. */
export type Message = string | Uint8Array;

/** RFC 6455 §7.4.1: the close frame had no code. */
export const NO_CODE = 1005;
/** There was no close frame. */
export const ABNORMAL = 1006;

/**
 * One end of a WebSocket, as the host holds it: towards a wire, where messages are frames, or towards a Worker. Two ends
 * are joined, and each hands to the other what it receives, by calling the methods below. Once closed by both sides, or
 * aborted, an end calls its peer no more, and takes no notice of calls.
 */
export abstract class MessageEnd {
  /** The end that this one hands to what it receives; null before `joinEnds`. */
  peer: MessageEnd | null = null;

  /** Bytes that were taken by `send` and wait on this end's side. */
  abstract readonly buffered: number;
  /** The other end is there: what has been received goes to it. */
  abstract joined(): void;
  /** Takes a message towards this end's side. False asks the other to hold still until its `release` is called. */
  abstract send(message: Message): boolean;
  /** The other takes more. */
  abstract release(): void;
  /** The other's side began or answered the closing handshake. @param code 1005 when it gave none. */
  abstract close(code: number, reason: string): void;
  /**
   * The other side is gone without a closing handshake, or has to go.
   * @param code what this side is told, where it can be told.
   */
  abstract abort(error: ProxyError, code: number): void;
}

export function joinEnds(a: MessageEnd, b: MessageEnd): void {
  a.peer = b;
  b.peer = a;
  a.joined();
  b.joined();
}
