import type { Socket } from "node:net";
import type { Logger } from "../observability/log.ts";
import { metricKey } from "../observability/metric-key.ts";
import type { Gauges } from "../observability/traffic.ts";
import { Opening, type OpeningFailure, type OpeningOwner, type OpeningReader } from "./opening.ts";
import type { Peer } from "./peer.ts";
import type { TimerWheel } from "./timer-wheel.ts";

/** Something that accepted connections pass before they are served. */
export interface Stage {
  /** Connections that are in it. */
  readonly pending: number;
  /** Resolves when none is left; each has `graceMs` to get through. */
  drain(graceMs: number): Promise<void>;
}

/** What a stage needs of its shard. */
export interface StageContext {
  readonly log: Logger;
  readonly gauges: Gauges;
  readonly wheel: TimerWheel;
}

/** How a stage is called in log lines and metrics, and what bounds it. */
export interface StageSettings {
  readonly what: "preamble" | "client_hello";
  /** For what is read; 0 is none. */
  readonly timeoutMs: number;
  /** Bytes that are read at most. */
  readonly limit: number;
  /** How a failure is told; what every scanner on the internet brings about is `debug`. */
  readonly level: "debug" | "warn";
}

/** All connections of a socket whose first bytes are being read. */
export abstract class OpeningStage<R extends OpeningReader> implements Stage, OpeningOwner<R> {
  readonly #name: string;
  readonly #settings: StageSettings;
  readonly #context: StageContext;
  #first: Opening<R> | null = null;
  #pending = 0;
  #idle: (() => void) | null = null;

  /** @param name of the socket in the config */
  constructor(name: string, settings: StageSettings, context: StageContext) {
    this.#name = name;
    this.#settings = settings;
    this.#context = context;
    const labels = { socket: name, what: settings.what };
    context.gauges.gauge(metricKey("sluice_socket_openings_pending", labels), () => this.#pending);
  }

  get pending(): number {
    return this.#pending;
  }

  /** Reads what the reader wants from an accepted, paused connection. */
  protected open(socket: Socket, peer: Peer | null, reader: R): void {
    const { timeoutMs, limit } = this.#settings;
    const opening = new Opening(this, socket, peer, reader, this.#context.wheel, timeoutMs, limit);
    opening.next = this.#first;
    if (this.#first !== null) this.#first.previous = opening;
    this.#first = opening;
    this.#pending++;
    opening.start();
  }

  /** The reader has read what it wants. */
  protected abstract opened(socket: Socket, peer: Peer | null, reader: R): void;

  /** What came is not in order; whoever overrides this does something with the socket. */
  protected malformed(socket: Socket, _peer: Peer | null, _reader: R): void {
    this.#failed(socket, "malformed");
    socket.resetAndDestroy();
  }

  /** There are too many connections. */
  protected busy(socket: Socket): void {
    this.#failed(socket, "busy");
    socket.destroy();
  }

  /** Nobody believes whoever is at the other end. */
  protected untrusted(socket: Socket): void {
    this.#failed(socket, "untrusted");
    socket.resetAndDestroy();
  }

  onOpened(opening: Opening<R>): void {
    // Before the connection counts with what follows, so that no limit counts it twice.
    this.#remove(opening);
    this.opened(opening.socket, opening.peer, opening.reader);
    this.#tellIdle();
  }

  onOpeningFailed(opening: Opening<R>, reason: OpeningFailure): void {
    this.#remove(opening);
    if (reason === "malformed") this.malformed(opening.socket, opening.peer, opening.reader);
    else this.#failed(opening.socket, reason);
    this.#tellIdle();
  }

  async drain(graceMs: number): Promise<void> {
    if (this.#pending > 0 && graceMs > 0) {
      const timer = setTimeout(() => this.close(), graceMs);
      await new Promise<void>((resolve) => {
        this.#idle = resolve;
      });
      clearTimeout(timer);
    }
    this.close();
  }

  /** Closes the connections that are in it. Idempotent. */
  close(): void {
    for (let opening = this.#first; opening !== null; opening = this.#first) {
      opening.abort();
      this.#remove(opening);
    }
    this.#tellIdle();
  }

  #failed(socket: Socket, reason: OpeningFailure): void {
    const { what, level } = this.#settings;
    const labels = { socket: this.#name, what, reason };
    this.#context.gauges.add(metricKey("sluice_socket_opening_failures_total", labels));
    // Whoever connects and leaves, as health checks do, is nobody's fault.
    const told = reason === "malformed" || reason === "timeout" ? level : "debug";
    const words = what === "preamble" ? "a PROXY preamble" : "a ClientHello";
    this.#context.log.log(told, "connection.refused", `cannot read ${words}: ${reasons[reason]}`, {
      socket: this.#name,
      client: socket.remoteAddress,
      reason,
    });
  }

  #remove(opening: Opening<R>): void {
    const { next, previous } = opening;
    if (next !== null) next.previous = previous;
    if (previous !== null) previous.next = next;
    else this.#first = next;
    opening.next = null;
    opening.previous = null;
    this.#pending--;
  }

  #tellIdle(): void {
    if (this.#pending > 0) return;
    const idle = this.#idle;
    this.#idle = null;
    idle?.();
  }
}

const reasons: Readonly<Record<OpeningFailure, string>> = {
  timeout: "it took too long",
  closed: "the connection was closed",
  malformed: "it is not in order",
  busy: "there are too many connections",
  untrusted: "its sender is not trusted",
};
