import type { WebSocketConfig } from "../../config/schema/websockets.ts";
import type { Exchange } from "../../http/exchange.ts";
import type { ServiceContext } from "../../services/context.ts";
import type { Service } from "../../services/service.ts";
import type { GuestIsolate } from "../guest-isolate.ts";
import type { Entrypoint } from "./incoming.ts";
import type { Durations, LimitValues } from "./limits.ts";
import type { Enterable, Turn } from "./turn.ts";

/** What a session needs of the Worker service that it belongs to. */
export interface SessionOwner {
  readonly name: string;
  readonly context: ServiceContext;
  readonly turn: Turn;
  readonly limits: LimitValues;
  readonly webSockets: WebSocketConfig;
  /** Takes the time of each entry. */
  readonly entries: Durations;
  /** By the number that the guest knows them by; the first is the global outbound. */
  readonly services: readonly Service[];
  /** Keeps what the Cache API stores. */
  readonly cache: Service;
  /** Takes exchanges that passThroughOnException() lets go on. */
  readonly fallback: Service;
  /** An isolate of no Worker, for the session to start its Worker in. */
  isolate(): GuestIsolate;
  /** The session is over; the next exchange needs another. @param session itself, with the CPU time that it used */
  ended(session: Enterable & { readonly cpuTime: number }): void;
  /** Handles an exchange anew that the ended session had not begun with. */
  again(exchange: Exchange, entrypoint: Entrypoint): void;
  /** An exchange has its answer. @param status 0 when there is none. @param startedAt when it came, by the shard's clock. */
  answered(status: number, startedAt: number): void;
  countBytes(direction: "in" | "out", bytes: number): void;
  countLimit(limit: string): void;
  /** An entry took long. @param ms of wall time @param records how much was done in it */
  tookLong(ms: number, records: number): void;
  mapStack(stack: string): string;
}
