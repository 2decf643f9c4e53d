import { ProxyError } from "../../errors/proxy-error.ts";
import type { BodySource } from "../../http/body.ts";
import type { Exchange } from "../../http/exchange.ts";
import { HeldBody, type Tie } from "./held-body.ts";
import { IdTable } from "./id-table.ts";
import type { Session } from "./session.ts";

/** How often bodies that nobody touches are looked for. */
const SWEEP_MS = 15_000;
/** A body whose exchange is done goes when two sweeps find it untouched, one whose exchange is not known after four. */
const ORPHAN_SWEEPS = 2;
const UNKNOWN_SWEEPS = 4;

/**
 * The bodies whose handles a guest holds. A connection hangs on each, and a guest need not say that it does not want one;
 * so bodies go with the exchange that they were fetched for, and those of which that is not known when nobody has touched
 * them for a while.
 */
export class HeldBodies {
  readonly #session: Session;
  readonly #bodies: IdTable<HeldBody> = new IdTable();
  #last = 0;
  #sweeps = 0;
  #timer: NodeJS.Timeout | null = null;

  constructor(session: Session) {
    this.#session = session;
  }

  get size(): number {
    return this.#bodies.size;
  }

  /** The guest waits for a piece of one. */
  get awaited(): boolean {
    for (const body of this.#bodies.values()) if (body.waiting) return true;
    return false;
  }

  get(id: number): HeldBody | undefined {
    return this.#bodies.get(id);
  }

  /** Keeps a body under a number of the host's. @param owner the exchange it is for, or 0 */
  hold(from: BodySource | Exchange, owner: number, tie: Tie): HeldBody {
    return this.keep(++this.#last, from, owner, tie);
  }

  /** Keeps a body under this number. */
  keep(id: number, from: BodySource | Exchange, owner: number, tie: Tie): HeldBody {
    const held = new HeldBody(this.#session, id, owner, tie, from);
    held.touchedAt = this.#sweeps;
    this.#bodies.set(id, held);
    if (tie !== "socket") {
      const incoming = this.#session.incoming.get(owner);
      if (incoming !== undefined) {
        if (incoming.bodies === null) incoming.bodies = [held];
        else incoming.bodies.push(held);
      }
      this.#timer ??= this.#wait();
    }
    return held;
  }

  /** The guest has asked for a piece, or has got one. */
  touched(body: HeldBody): void {
    body.touchedAt = this.#sweeps;
  }

  /** Gives a body to a consumer on the host; null when the guest has begun to read it, or never had it. */
  release(id: number): BodySource | null {
    const held = this.#bodies.get(id);
    this.forget(id);
    return held?.take() ?? null;
  }

  forget(id: number): void {
    const held = this.#bodies.get(id);
    if (held === undefined) return;
    this.#bodies.delete(id);
    const bodies = this.#session.incoming.get(held.owner)?.bodies;
    const index = bodies?.indexOf(held) ?? -1;
    if (index >= 0) bodies?.splice(index, 1);
    held.onGone?.();
  }

  /**
   * An exchange is done. Of its bodies stays what somebody is reading: work that nothing waits for, or an exchange that
   * shares a promise with this one. A stream that was begun and left goes too, unless the owner was only inferred.
   */
  ownerDone(bodies: readonly HeldBody[]): void {
    for (const body of bodies) {
      if (body.waiting) continue;
      if (!body.isBegun || body.tie === "named") this.#drop(body);
    }
  }

  /** Nobody is left who could read: all go. */
  clear(error: ProxyError): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    const bodies = this.#bodies.values();
    this.#bodies.clear();
    for (const body of bodies) body.cancel(error);
  }

  #wait(): NodeJS.Timeout {
    return setTimeout(() => this.#sweep(), SWEEP_MS).unref();
  }

  #sweep(): void {
    this.#sweeps++;
    const { incoming } = this.#session;
    let left = 0;
    for (const body of this.#bodies.values()) {
      if (body.tie === "socket") continue;
      left++;
      // An exchange that goes on may take its time.
      if (body.waiting || incoming.has(body.owner)) continue;
      const sweeps = body.owner === 0 ? UNKNOWN_SWEEPS : ORPHAN_SWEEPS;
      if (this.#sweeps - body.touchedAt >= sweeps) this.#drop(body);
    }
    this.#timer = left > 0 ? this.#wait() : null;
  }

  #drop(body: HeldBody): void {
    this.#bodies.delete(body.id);
    body.cancel(new ProxyError("client_disconnected", "cannot keep the body: the Worker did not read it"));
  }
}
