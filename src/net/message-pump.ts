import { DATA, END, ERROR, type Event, HEAD, NEED_INPUT, PAUSED } from "../http/http1/events.ts";
import type { Transport } from "./transport.ts";

/** What the pump needs of a request or response parser. */
export interface PumpedParser {
  push(bytes: Uint8Array): void;
  next(): Event;
  takeRest(): Uint8Array;
  /** Nothing of what was pushed is held any more. */
  readonly empty: boolean;
  readonly chunk: Uint8Array;
}

/** Takes the events of a connection's parser. */
export interface PumpOwner {
  readonly transport: Transport;
  /** The next event may be taken. False stops the pump until `run`. */
  readonly reading: boolean;
  /** Somebody takes the body, and has enough for now. */
  readonly held: boolean;
  onHead(): void;
  onData(chunk: Uint8Array): void;
  onMessageEnd(): void;
  /** The peer broke the protocol; the parser has the error. */
  onViolation(): void;
  /** All input is read. @returns whether more is wanted */
  onStarved(): boolean;
}

/**
 * Moves input through a parser to the owner of a connection, as far as the owner wants. While it does not, at most one
 * read waits in memory, and the rest with the kernel.
 */
export class MessagePump {
  readonly #owner: PumpOwner;
  readonly #parser: PumpedParser;
  #running = false;

  constructor(owner: PumpOwner, parser: PumpedParser) {
    this.#owner = owner;
    this.#parser = parser;
  }

  /** New input, valid during the call only. */
  feed(bytes: Uint8Array): void {
    const owner = this.#owner;
    const parser = this.#parser;
    if (!owner.reading) {
      parser.push(owner.transport.keep(bytes));
      owner.transport.pause();
      return;
    }
    parser.push(bytes);
    this.run();
    // With the owner still reading, the parser has asked for more, and holds nothing of this.
    if (owner.reading) return;
    // What is left would be overwritten by the next read, of this connection or another.
    const rest = parser.takeRest();
    if (rest.length > 0) parser.push(owner.transport.keep(rest));
    // A body that is held back has more to come, which had best stay with the kernel.
    if (owner.held) owner.transport.pause();
  }

  /** Goes on, unless it is at work already. */
  run(): void {
    if (this.#running) return;
    this.#running = true;
    while (this.#owner.reading && this.#step()) {}
    this.#running = false;
    const { transport } = this.#owner;
    if (transport.keeps && this.#parser.empty) transport.letGo();
  }

  /** The same, but not before the caller has returned. */
  runLater(): void {
    // A pump that is at work goes on by itself.
    if (!this.#running) queueMicrotask(() => this.run());
  }

  #step(): boolean {
    const owner = this.#owner;
    const parser = this.#parser;
    switch (parser.next()) {
      case HEAD:
        owner.onHead();
        return true;
      case DATA:
        owner.onData(parser.chunk);
        return true;
      case END:
        owner.onMessageEnd();
        return true;
      case NEED_INPUT:
        if (owner.onStarved()) owner.transport.resume();
        return false;
      case ERROR:
        owner.onViolation();
        return false;
      case PAUSED:
        return false;
    }
  }
}
