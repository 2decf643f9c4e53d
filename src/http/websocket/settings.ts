import type { ProxyError } from "../../errors/proxy-error.ts";

/** Hears that its alarm has gone off. */
export interface AlarmOwner {
  /** @param now milliseconds of the clock. */
  onTimer(now: number): void;
}

/** One timer of one owner, armed again and again. */
export interface Alarm {
  /** @param deadline milliseconds of the clock; Infinity is never. */
  at(deadline: number): void;
  off(): void;
}

/** The clock and the timers of WebSockets: one of each for thousands of sockets. */
export interface Alarms {
  now(): number;
  make(owner: AlarmOwner): Alarm;
}

/** Memory that many sockets share. */
export interface Budget {
  /** False when there is no room; nothing is taken then. */
  take(bytes: number): boolean;
  give(bytes: number): void;
}

/** What one socket may take, and how long it waits. Times are milliseconds, and 0 is never. */
export interface SocketSettings {
  /** The longest message that is taken, after it was inflated. */
  readonly maxMessageBytes: number;
  /** Bytes that wait for a peer that does not read. */
  readonly maxBacklogBytes: number;
  /** The pause between two pings; a peer from which nothing comes for two of them is gone. */
  readonly pingInterval: number;
  /** How long a socket may carry no message before it is closed. */
  readonly idleTimeout: number;
  readonly alarms: Alarms;
  /** Counts what lies on the host for messages that are not whole yet. */
  readonly budget: Budget;
  /** Hears once of a peer that broke the protocol. */
  report(error: ProxyError): void;
}
