import { type ErrorCode, ProxyError } from "../../errors/proxy-error.ts";
import type { BodySource } from "../../http/body.ts";
import type { Exchange } from "../../http/exchange.ts";
import type { ResponseHead } from "../../http/message.ts";
import type { Tunnel } from "../../services/service.ts";
import * as wire from "../../wire/ops.ts";
import type { CompiledWorker } from "../environment.ts";
import type { GuestIsolate, GuestStart } from "../guest-isolate.ts";
import type { GuestFetch } from "./guest-fetch.ts";
import { GuestOut } from "./guest-out.ts";
import { GuestRpc } from "./guest-rpc.ts";
import type { RpcCall, RpcMessage, RpcRequest } from "./guest-rpc-objects.ts";
import { endSockets, type GuestSocket } from "./guest-socket.ts";
import { GuestWebSockets } from "./guest-websockets.ts";
import { HeldBodies } from "./held-bodies.ts";
import type { HeldBody } from "./held-body.ts";
import { HostBuffer } from "./host-buffer.ts";
import { IdTable } from "./id-table.ts";
import { writeConnect, writeRequest, writeResponse } from "./in-records.ts";
import { type Batch, Inbox } from "./inbox.ts";
import { type Entrypoint, IncomingRequest, IncomingTunnel } from "./incoming.ts";
import { IncomingCall } from "./incoming-call.ts";
import { Limits, threadCpu } from "./limits.ts";
import { demandNew, Outbox } from "./outbox.ts";
import type { Holder } from "./pressure.ts";
import { Records } from "./records.ts";
import { Rejections } from "./rejections.ts";
import { Relay } from "./relay.ts";
import type { SessionOwner } from "./session-owner.ts";
import type { Enterable } from "./turn.ts";

type Incoming = IncomingRequest | IncomingTunnel | IncomingCall;

/**
 * One isolate of a Worker in service, from its start to its end: keeps everything that crosses the bridge under its
 * number, enters the isolate once a turn with what has gathered, and ends it when it breaks a limit.
 */
export class Session implements Enterable, Holder {
  readonly owner: SessionOwner;
  readonly inbox: Inbox = new Inbox();
  readonly incoming: IdTable<Incoming> = new IdTable();
  readonly fetches: IdTable<GuestFetch> = new IdTable();
  readonly sockets: IdTable<GuestSocket> = new IdTable();
  readonly bodies: HeldBodies = new HeldBodies(this);
  readonly outs: IdTable<GuestOut> = new IdTable();
  readonly timers: IdTable<NodeJS.Timeout> = new IdTable();
  readonly rpc: GuestRpc = new GuestRpc(this);
  readonly webSockets: GuestWebSockets;
  /** Calls for native work whose result is on its way. */
  calls = 0;
  /** Fetches that no exchange is known for, since the isolate was last idle. */
  unowned = 0;
  /** The exchange that the entry just made was all about; 0 when it was about several. */
  soleOwner = 0;
  isOver = false;
  /** See `Pressure`. */
  grown = 0;
  /** Bytes of bodies that lie on the host until the guest, or whoever it gave them to, takes them. */
  readonly buffer: HostBuffer;
  readonly rejections: Rejections = new Rejections(this);
  readonly #guest: GuestIsolate;
  readonly #limits: Limits;
  readonly #records: Records;
  readonly #entrypoints: Map<Entrypoint, number> = new Map();
  readonly #outbox: Outbox = new Outbox();
  /** The guest has begun with it, and left a part for the next entry. */
  #batch: Batch | null = null;
  /** The number of the youngest exchange. */
  lastIncoming = 0;
  #scheduled = false;

  /** @throws StartFailure when the Worker cannot be started. */
  constructor(owner: SessionOwner, worker: CompiledWorker, start: GuestStart) {
    this.owner = owner;
    const clocks = { now: () => owner.context.now(), cpu: threadCpu };
    this.#limits = new Limits(owner.limits, clocks, owner.entries);
    this.#records = new Records(this);
    this.buffer = new HostBuffer(owner.limits.memoryMb * 1024 * 1024);
    this.webSockets = new GuestWebSockets(this);
    this.#guest = owner.isolate();
    try {
      this.#guest.start(worker, start, owner.limits.startupMs, (ints, text, bytes) =>
        this.#outbox.take(this.#guest.outbox, this.#guest.windowOut, ints, text, bytes),
      );
    } catch (error) {
      this.#guest.dispose();
      throw error;
    }
    this.#guest.slice = this.#limits.slice;
    this.#handleDrained();
  }

  /** Hands an exchange to the guest at the end of this turn. @param event which handler is called for it. */
  request(exchange: Exchange, entrypoint: Entrypoint, event: "fetch" | "test"): void {
    const id = ++this.lastIncoming;
    const handler = this.#entrypoint(entrypoint);
    const incoming = new IncomingRequest(this, id, entrypoint, exchange, this.owner.context.now());
    this.#add(incoming);
    exchange.handler = incoming;

    const body = exchange.hasBody ? this.bodies.hold(exchange, id, "named").id : 0;
    writeRequest(this.inbox, id, handler, event, exchange, body);
    this.inbox.beginsExchange(id);
    this.touch();
  }

  /** Hands a tunnel to the guest's `connect` handler. */
  connect(tunnel: Tunnel, entrypoint: Entrypoint): void {
    const id = ++this.lastIncoming;
    const handler = this.#entrypoint(entrypoint);
    const relay = new Relay();
    const body = this.bodies.hold(relay, id, "socket").id;
    this.#add(new IncomingTunnel(this, id, entrypoint, tunnel, relay, body));
    writeConnect(this.inbox, id, handler, tunnel, body);
    this.inbox.beginsExchange(id);
    this.touch();
  }

  /** Begins an event with a call over RPC. */
  call(call: RpcCall, message: RpcMessage, request: RpcRequest, entrypoint: Entrypoint): void {
    const incoming = new IncomingCall(this, ++this.lastIncoming, entrypoint, call);
    this.#add(incoming);
    this.rpc.begin(call, message, request, incoming, this.#entrypoint(entrypoint));
  }

  /** There is something in the inbox. */
  touch(): void {
    if (this.#scheduled || this.isOver) return;
    this.#scheduled = true;
    this.owner.turn.add(this);
  }

  run(): void {
    this.#scheduled = false;
    if (this.isOver) return;
    try {
      this.#enter();
    } catch (error) {
      // A mistake of ours, which what this guest sent may have led to: the others go on.
      const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
      this.owner.context.log.log("error", "worker.bridge", `cannot go on with Worker "${this.owner.name}"`, {
        worker: this.owner.name,
        stack,
      });
      this.end("internal", "the bridge failed");
    }
  }

  #enter(): void {
    const guest = this.#guest;
    const isNew = this.#batch === null;
    const batch = this.#batch ?? this.inbox.take();
    if (batch !== null) {
      this.soleOwner = batch.owner > 0 ? batch.owner : 0;
      const timeout = this.#limits.begin(batch.records);
      if (isNew) batch.writeTo(guest.inbox, guest.windowIn);
      const result = isNew ? guest.enter(batch.used, batch.text, timeout) : guest.enter(0, "", timeout);
      this.inbox.maxRecords = this.#limits.end(guest.records, guest.loadMs);
      guest.tidy();
      if (this.#limits.wasLong) this.owner.tookLong(this.#limits.elapsed, guest.records);
      this.#noteBegun(batch, guest.begun);
      if (guest.begun >= batch.used) {
        this.#batch = null;
        this.inbox.recycle(batch);
      } else this.#batch = batch;
      this.rejections.after(result, guest.lastException);
      if (result === "timeout" || this.#limits.cpuExceeded) {
        this.exceeded(
          "cpu",
          "worker_cpu_exceeded",
          `it used more than ${this.owner.limits.cpuMs} ms of CPU`,
          result === "timeout" ? guest.lastException.stack : "",
        );
        return;
      }
      if (result === "memory") {
        this.exceeded("memory", "worker_memory_exceeded", "its isolate ran out of memory");
        return;
      }
      this.#handleDrained();
      if (result === "broken") {
        this.end("internal", "its runtime broke");
        return;
      }
    }
    this.soleOwner = 0;
    if (this.isOver) return;
    if (this.#limits.memoryExceeded(guest)) {
      const { memoryMb } = this.owner.limits;
      this.exceeded("memory", "worker_memory_exceeded", `it held more than ${memoryMb} MB of memory`);
      return;
    }
    this.owner.turn.pressure.look(this, this.#limits.wasLong);
    if (this.isOver) return;
    if (this.#batch === null && this.inbox.isEmpty) this.webSockets.delivered();
    if (this.#batch !== null || !this.inbox.isEmpty) this.touch();
    else if (this.incoming.size > 0 || this.outs.size > 0) this.#endStuck();
  }

  fetchAnswered(fetch: GuestFetch, head: ResponseHead, body: BodySource | null): void {
    if (!this.fetches.delete(fetch.id) || this.isOver) {
      body?.cancel(
        new ProxyError("client_disconnected", "cannot use the answer: the Worker's isolate is gone"),
      );
      return;
    }
    const held = body === null ? null : fetch.hold(head, body);
    writeResponse(this.inbox, fetch.id, fetch.owner, head, held);
    this.touch();
  }

  fetchFailed(fetch: GuestFetch, error: ProxyError): void {
    if (!this.fetches.delete(fetch.id)) return;
    this.incoming.get(fetch.owner)?.noteFailure(error);
    this.tellFetchFailed(fetch.id, fetch.owner, error.code);
  }

  /** @param code all that a Worker learns of an error on the host. */
  tellFetchFailed(fetch: number, owner: number, code: ErrorCode): void {
    if (this.isOver) return;
    const { inbox } = this;
    const at = inbox.begin(wire.IN_FETCH_FAILED, 2, owner);
    inbox.ints[at] = fetch;
    inbox.ints[at + 1] = inbox.text(code);
    this.touch();
  }

  /** @param code empty when it is not the body itself that failed */
  bodyFailed(body: number, owner: number, code: string, message: string): void {
    const { inbox } = this;
    const at = inbox.begin(wire.IN_BODY_FAILED, 3, owner);
    inbox.ints[at] = body;
    inbox.ints[at + 1] = inbox.text(code);
    inbox.ints[at + 2] = inbox.text(message);
    this.touch();
  }

  socketRefused(socket: GuestSocket, error: ProxyError): void {
    this.tellFetchFailed(socket.id, socket.owner, error.code);
  }

  socketClosed(socket: GuestSocket): void {
    this.sockets.delete(socket.id);
  }

  /** A held body has given its last. */
  finished(body: HeldBody): void {
    this.bodies.forget(body.id);
    this.touch();
  }

  outEnded(id: number): void {
    this.outs.delete(id);
  }

  newOut(id: number, length: number): GuestOut {
    demandNew(this.outs.has(id), "an out");
    const out = new GuestOut(this, id, length);
    this.outs.set(id, out);
    return out;
  }

  countIn(bytes: number): void {
    this.owner.countBytes("in", bytes);
  }

  /** The client left before the answer: the guest hears of it, and what is known to be for it alone is stopped. */
  incomingAborted(incoming: Incoming, error: ProxyError): void {
    // Before the fetches fail: the handler may end with the first of them, and its signal is to fire all the same.
    const { inbox } = this;
    const at = inbox.begin(wire.IN_ABORT, 1, incoming.id);
    inbox.ints[at] = incoming.id;
    this.touch();
    if (incoming.waits) return;
    this.rpc.aborted(incoming.id);
    for (const fetch of this.fetches.values()) {
      if (fetch.owner === incoming.id) fetch.abort(error);
    }
    for (const [id, fetch] of this.fetches.entries()) {
      if (fetch.aborted === null) continue;
      this.fetches.delete(id);
      this.tellFetchFailed(id, incoming.id, "client_disconnected");
    }
  }

  /** The guest says that everything of an exchange is done. */
  done(id: number): void {
    const incoming = this.incoming.get(id);
    this.incoming.delete(id);
    if (incoming?.settled === false) {
      incoming.fail(
        new ProxyError("worker_bad_response", "cannot answer: the Worker ended without a response"),
      );
    }
    if (this.sockets.size > 0) endSockets(this, id);
    if (incoming?.bodies) this.bodies.ownerDone(incoming.bodies);
    this.rpc.done(id);
    this.webSockets.ownerDone(id);
    if (this.incoming.size + this.outs.size + this.sockets.size + this.webSockets.size > 0) return;
    // Nobody is left who could read what was fetched and not read: give those connections back.
    if (this.bodies.size === 0) return;
    this.bodies.clear(
      new ProxyError("client_disconnected", "cannot keep the body: the Worker did not read it"),
    );
  }

  /** Ends the isolate. What it had in hand fails with `code`; what it had not begun is begun again elsewhere. */
  end(code: ErrorCode, reason: string): void {
    if (this.isOver) return;
    this.isOver = true;
    this.owner.turn.pressure.forget(this);
    this.owner.ended(this);
    this.#guest.dispose();
    const text = `cannot go on with Worker "${this.owner.name}": ${reason}`;
    const error = (): ProxyError => new ProxyError(code, text, { details: { worker: this.owner.name } });
    const again: IncomingRequest[] = [];
    for (const incoming of this.incoming.values()) {
      if (incoming.settled) continue;
      if (!incoming.entered && incoming.kind === "request") again.push(incoming);
      else incoming.fail(error());
    }
    this.incoming.clear();
    const ended = error();
    for (const timer of this.timers.values()) clearTimeout(timer);
    this.timers.clear();
    for (const fetch of this.fetches.values()) fetch.abort(ended);
    this.fetches.clear();
    for (const socket of this.sockets.values()) socket.end(ended);
    this.sockets.clear();
    for (const out of this.outs.values()) out.finish(ended);
    this.outs.clear();
    this.bodies.clear(ended);
    this.rpc.end(ended);
    this.webSockets.end(ended, code === "draining" ? 1001 : 1011);
    for (const incoming of again) {
      incoming.exchange.handler = null;
      this.owner.again(incoming.exchange, incoming.entrypoint);
    }
  }

  /** The handlers of each entrypoint. */
  get entrypoints(): ReadonlyMap<string, readonly string[]> {
    return this.#guest.entrypoints;
  }

  /** Everything that the isolate was given and is not done with. */
  get inHand(): number {
    const { incoming, fetches, sockets, outs, bodies, timers, calls } = this;
    const streams = sockets.size + outs.size + bodies.size + this.webSockets.size;
    return incoming.size + fetches.size + streams + timers.size + calls + this.rpc.size;
  }

  /** Nothing is in hand or on its way to the guest: ending the isolate disturbs nobody. */
  get isIdle(): boolean {
    return this.inHand === 0 && !this.#scheduled && this.#batch === null && this.inbox.isEmpty;
  }

  /** When it was entered last, by the shard's clock; 0 before the first time. */
  get enteredAt(): number {
    return this.#limits.enteredAt;
  }

  get cpuTime(): number {
    return this.#guest.cpuTime;
  }

  /** Collects the guest's garbage; not within an entry. */
  collect(): void {
    this.#guest.collect();
  }

  get heapBytes(): number {
    return this.#guest.heapBytes;
  }

  #add(incoming: Incoming): void {
    this.incoming.set(incoming.id, incoming);
    const { wallMs } = this.owner.limits;
    if (wallMs === 0) return;
    incoming.wallTimer = setTimeout(() => {
      this.owner.countLimit("wall");
      incoming.fail(
        new ProxyError("worker_wall_exceeded", `cannot wait for the Worker: more than ${wallMs} ms`),
      );
    }, wallMs);
  }

  #entrypoint(entrypoint: Entrypoint): number {
    const known = this.#entrypoints.get(entrypoint);
    if (known !== undefined) return known;
    const id = this.#entrypoints.size + 1;
    this.#entrypoints.set(entrypoint, id);
    const { inbox } = this;
    const at = inbox.begin(wire.IN_HANDLER, 4, -1);
    inbox.ints[at] = id;
    inbox.ints[at + 1] = entrypoint.next;
    inbox.ints[at + 2] = inbox.text(entrypoint.name);
    inbox.ints[at + 3] = inbox.text(entrypoint.props);
    return id;
  }

  /** What has not begun when the isolate ends is begun anew in the next. */
  #noteBegun(batch: Batch, begun: number): void {
    const { begins, beginsAt } = batch;
    for (let i = 0; i < begins.length; i++) {
      if ((beginsAt[i] as number) >= begun) return;
      const incoming = this.incoming.get(begins[i] as number);
      if (incoming !== undefined) incoming.entered = true;
    }
  }

  #handleDrained(): void {
    const outbox = this.#outbox;
    if (outbox.overflowed) {
      this.exceeded("memory", "worker_memory_exceeded", "it handed over more than fits at once");
    }
    this.#limits.beginHostWork();
    for (let i = 0; i < outbox.count && !this.isOver; i++) {
      if (i > 0 && this.#limits.hostWorkExceeded) {
        this.exceeded("cpu", "worker_cpu_exceeded", "it asked for more at once than can be done in time");
        break;
      }
      try {
        this.#records.handle(outbox.at(i));
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        this.end("internal", `its records cannot be read: ${reason}`);
      }
    }
    outbox.clear();
  }

  tooLarge(residentBytes: number): void {
    const size = Math.round(residentBytes / 1_048_576);
    this.exceeded("memory", "worker_memory_exceeded", `it made the shard grow to ${size} MB`);
  }

  /** Ends a guest that takes more than it may. @param stack the guest's, unmapped */
  exceeded(limit: string, code: ErrorCode, reason: string, stack = ""): void {
    this.owner.countLimit(limit);
    this.owner.context.log.log(
      "error",
      `worker.${limit}`,
      `Worker "${this.owner.name}" was stopped: ${reason}`,
      {
        worker: this.owner.name,
        stack: this.owner.mapStack(stack),
      },
    );
    this.end(code, reason);
  }

  /**
   * Nothing is under way that could wake the guest: whoever waits for an answer would wait for ever. A Worker must
   * answer by itself, or because of something that it started.
   */
  #endStuck(): void {
    if (this.fetches.size > 0 || this.timers.size > 0 || this.calls > 0 || this.rpc.isWaiting) return;
    if (this.webSockets.size > 0) return;
    for (const socket of this.sockets.values()) {
      if (!socket.isRefused) return;
    }
    if (this.bodies.awaited) return;
    for (const out of this.outs.values()) {
      if (out.isHeld) return;
    }
    for (const incoming of this.incoming.values()) {
      if (!incoming.entered || incoming.kind === "tunnel") continue;
      // Stubs that others have keep it, and nobody waits.
      if (incoming.kind === "call" && incoming.settled && !this.rpc.isAwaited(incoming.id)) continue;
      if (!incoming.settled) {
        const text = "cannot answer: the Worker waits for something that never comes";
        incoming.fail(new ProxyError("worker_hung", text, { details: { worker: this.owner.name } }));
      }
      // Answered, and only a promise given to waitUntil is open, which nothing will settle.
      this.done(incoming.id);
    }
    for (const out of this.outs.values()) {
      out.finish(new ProxyError("worker_hung", "cannot go on with the body: the Worker's stream never ends"));
    }
  }
}
