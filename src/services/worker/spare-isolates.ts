import type { Turn } from "../../isolate/bridge/turn.ts";
import { GuestIsolate } from "../../isolate/guest-isolate.ts";
import type { ServiceContext } from "../context.ts";
import { type LiveIsolates, liveIsolatesOf } from "./live-isolates.ts";
import { turnOf } from "./turns.ts";

/** Isolates made ahead at most: each holds some 2.5 MiB. */
const MAX = 2;
/** Milliseconds without an entry after which the shard counts as idle: making one takes 3 to 6 ms of its only thread. */
const QUIET = 5;
/** Milliseconds between two attempts to find an idle moment. */
const INTERVAL = 20;
/** Attempts after which a shard is too busy to make any until one is taken or a Worker ends. */
const ATTEMPTS = 500;

/**
 * Isolates made ahead in idle moments, with the runtime in them and no Worker yet, so that a cold start costs only the
 * Worker's own script. There are never more than Workers without an isolate, and none while memory is short.
 */
export class SpareIsolates {
  readonly #context: ServiceContext;
  readonly #turn: Turn;
  readonly #live: LiveIsolates;
  readonly #spares: GuestIsolate[] = [];
  #workers = 0;
  #timer: NodeJS.Timeout | null = null;
  #attempts = 0;
  #isOpen = false;

  constructor(context: ServiceContext) {
    this.#context = context;
    this.#turn = turnOf(context);
    this.#live = liveIsolatesOf(context);
    this.#turn.pressure.onNear(() => this.#drop());
    context.metrics.gauges.gauge('sluice_isolates{state="spare"}', () => this.#spares.length);
  }

  get size(): number {
    return this.#spares.length;
  }

  /** There is one more Worker that may need an isolate. */
  addWorker(): void {
    this.#workers++;
  }

  /** The shard serves: from now on spares are made. */
  open(): void {
    this.#isOpen = true;
    this.consider();
  }

  /** A spare, or one that has yet to load the runtime. */
  take(): GuestIsolate {
    return this.#spares.pop() ?? new GuestIsolate(this.#context.isolates);
  }

  /** Makes spares at the next idle moments, if some are missing: a Worker has started or ended. */
  consider(): void {
    this.#attempts = 0;
    this.#schedule();
  }

  /** Ends all and makes no more. */
  close(): void {
    this.#isOpen = false;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#drop();
  }

  get #isMissing(): boolean {
    return this.#spares.length < Math.min(MAX, this.#workers - this.#live.size);
  }

  #schedule(): void {
    if (!this.#isOpen || this.#timer !== null || !this.#isMissing) return;
    this.#timer = setTimeout(this.#attempt, INTERVAL);
    this.#timer.unref();
  }

  readonly #attempt = (): void => {
    this.#timer = null;
    const isQuiet = this.#context.now() - this.#turn.ranAt >= QUIET;
    if (isQuiet && !this.#turn.pressure.isNear && this.#isMissing) this.#make();
    else if (++this.#attempts >= ATTEMPTS) return;
    this.#schedule();
  };

  #make(): void {
    const isolate = new GuestIsolate(this.#context.isolates);
    try {
      isolate.boot();
      this.#spares.push(isolate);
    } catch (error) {
      // The next Worker to start fails for the same reason, and says so.
      isolate.dispose();
      this.#isOpen = false;
      const reason = error instanceof Error ? error.message : String(error);
      this.#context.log.log("debug", "isolate.spare", `cannot make an isolate ahead: ${reason}`);
    }
  }

  #drop(): void {
    for (const isolate of this.#spares) isolate.dispose();
    this.#spares.length = 0;
  }
}

const shards: WeakMap<ServiceContext, SpareIsolates> = new WeakMap();

/** The ones that all Workers of a shard share. */
export function spareIsolatesOf(context: ServiceContext): SpareIsolates {
  let spares = shards.get(context);
  if (spares === undefined) {
    spares = new SpareIsolates(context);
    shards.set(context, spares);
  }
  return spares;
}
