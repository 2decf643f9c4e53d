import { ProxyError } from "../../errors/proxy-error.ts";
import type { Service } from "../../services/service.ts";
import * as rpc from "../../wire/rpc-ops.ts";
import { noClient } from "./guest-fetch.ts";
import { deliver } from "./guest-rpc-delivery.ts";
import { MessageGatherer } from "./guest-rpc-gather.ts";
import {
  RpcCall,
  RpcExport,
  RpcImport,
  type RpcMessage,
  type RpcRequest,
  type RpcService,
  type Tenure,
} from "./guest-rpc-objects.ts";
import type { IncomingCall } from "./incoming-call.ts";
import { demandNew, type OutboxReader } from "./outbox.ts";
import type { Session } from "./session.ts";

/** Of each kind, a guest may have so many at a time: objects of its own, holds on others', calls that it waits for. */
const MAX_EXPORTS = 20_000;
const MAX_IMPORTS = 50_000;
const MAX_CALLS = 10_000;
/** So many objects of others a guest holds before its garbage is collected for their sake. */
const FIRST_COLLECTION = 1000;
/** Characters of the path of a call. */
const MAX_PATH = 65_536;

/**
 * The host's end of a guest's calls to other Workers, and of theirs to it. It hands messages over without reading them,
 * and keeps who may call what: a guest names only what it made itself or was given.
 */
export class GuestRpc {
  readonly session: Session;
  readonly #exports: Map<number, RpcExport> = new Map();
  readonly #imports: Map<number, RpcImport> = new Map();
  /** Calls of this guest, by its numbers. */
  readonly #calls: Map<number, RpcCall> = new Map();
  /** Calls that this guest serves, by the host's numbers. */
  readonly #served: Map<number, RpcCall> = new Map();
  readonly #gatherer: MessageGatherer;
  #lastImport = 0;
  #lastAnswer = 0;
  #waiting = 0;
  #collectAt = FIRST_COLLECTION;

  constructor(session: Session) {
    this.session = session;
    this.#gatherer = new MessageGatherer(session, (id) => this.#imports.get(id)?.target);
  }

  get size(): number {
    return this.#exports.size + this.#imports.size + this.#calls.size + this.#served.size;
  }

  /** The guest waits for another. */
  get isWaiting(): boolean {
    return this.#waiting > 0;
  }

  /** Somebody waits for this guest, in that exchange. */
  isAwaited(exchange: number): boolean {
    for (const call of this.#served.values()) if (call.exchange === exchange && !call.isReturned) return true;
    return false;
  }

  // Records from the guest.

  /** @throws Error when the record is not well formed. */
  record(op: number, reader: OutboxReader): void {
    switch (op) {
      case rpc.RPC_DATA: {
        const text = reader.text();
        this.#gatherer.add(text, reader.bytes(reader.int(), reader.int()));
        return;
      }
      case rpc.RPC_CAP:
        this.#gatherer.cap(reader.int(), reader.int(), reader.int());
        return;
      case rpc.OUT_RPC_CALL:
        this.#call(reader);
        return;
      case rpc.OUT_RPC_RETURN: {
        const call = this.#served.get(reader.int());
        const outcome = reader.int();
        this.#gatherer.add(reader.text(), nothing);
        this.#returned(call, outcome, this.#take(tenureOf(call)));
        return;
      }
      case rpc.OUT_RPC_FINISH:
        this.#finish(reader.int());
        return;
      case rpc.OUT_RPC_DROP: {
        const held = this.#imports.get(reader.int());
        if (held !== undefined) this.#dropImport(held);
        return;
      }
      default:
        throw new Error(`cannot read a record from the guest: op ${op}`);
    }
  }

  /** The message that has gathered, whose objects of this guest belong to `tenure`. */
  #take(tenure: Tenure): RpcMessage {
    const message = this.#gatherer.take((id) => {
      demandNew(this.#exports.has(id), "an export");
      const made = new RpcExport(this, id, tenure);
      this.#exports.set(id, made);
      return made;
    });
    if (this.#exports.size > MAX_EXPORTS)
      message.problem ||= `more than ${MAX_EXPORTS} objects are given away`;
    return message;
  }

  #call(reader: OutboxReader): void {
    const { session } = this;
    const id = reader.int();
    const owner = reader.int() || session.soleOwner;
    const on = reader.int();
    const ref = reader.int();
    const isGet = reader.int() !== 0;
    const path = reader.text();
    this.#gatherer.add(reader.text(), nothing);
    const incoming = session.incoming.get(owner);
    const tenure = { owner: incoming === undefined ? 0 : owner, epoch: session.lastIncoming };
    const message = this.#take(tenure);
    if (session.isOver) return;
    demandNew(this.#calls.has(id), "a call");
    const depth = (incoming?.depth ?? this.#deepest()) + 1;
    const call = new RpcCall(this, id, tenure, depth, incoming?.client ?? noClient);
    this.#calls.set(id, call);
    this.#waiting++;
    if (!session.buffer.take(message.size)) {
      message.discard(gone());
      session.exceeded("memory", "worker_memory_exceeded", "its calls hold more than fits");
      return;
    }
    call.charge = message.size;
    const problem = path.length > MAX_PATH ? "the path is too long" : message.problem;
    if (problem !== "" || this.#calls.size > MAX_CALLS) {
      this.#refuse(call, message, `cannot call over RPC: ${problem || "too many calls are under way"}`);
      return;
    }
    const request = { path, isGet };
    switch (on) {
      case rpc.ON_ENTRYPOINT:
        this.#callBinding(call, message, request, session.owner.services[ref]);
        return;
      case rpc.ON_OBJECT: {
        const target = this.#imports.get(ref)?.target;
        if (target === undefined) this.#refuse(call, message, lostText);
        else target.home.serve(call, message, request, rpc.ON_OBJECT, target.id, target.owner);
        return;
      }
      case rpc.ON_RESULT: {
        const before = this.#calls.get(ref);
        const { callee, answer, exchange } = before ?? call;
        if (callee === null) this.#refuse(call, message, lostText);
        else callee.serve(call, message, request, rpc.ON_RESULT, answer, exchange);
        return;
      }
      default:
        throw new Error(`cannot read a call from the guest: on ${on}`);
    }
  }

  #callBinding(call: RpcCall, message: RpcMessage, request: RpcRequest, service: Service | undefined): void {
    const { session } = this;
    const incoming = session.incoming.get(call.owner);
    if (incoming !== undefined && ++incoming.subrequests > session.owner.limits.subrequests) {
      session.owner.countLimit("subrequests");
      this.#refuse(call, message, "cannot call over RPC: worker_subrequests_exceeded");
    } else if (service === undefined || !("call" in service)) {
      this.#refuse(
        call,
        message,
        `cannot call over RPC: the binding leads to "${service?.name}", which is no Worker; it has fetch and connect`,
      );
    } else (service as Service & RpcService).call(call, message, request);
  }

  #refuse(call: RpcCall, message: RpcMessage, text: string): void {
    message.discard(gone());
    this.callLost(call, text);
  }

  #finish(id: number): void {
    const call = this.#calls.get(id);
    if (call !== undefined) this.#forgetCall(call);
  }

  #deepest(): number {
    return this.session.incoming.values().reduce((depth, incoming) => Math.max(depth, incoming.depth), 0);
  }

  /** The caller wants nothing more of it. */
  #forgetCall(call: RpcCall): void {
    if (!this.#calls.delete(call.id)) return;
    if (!call.isReturned) this.#waiting--;
    this.#unload(call);
    call.callee?.dropServed(call);
  }

  #unload(call: RpcCall): void {
    call.charged.session.buffer.give(call.charge);
    call.charge = 0;
  }

  #returned(call: RpcCall | undefined, outcome: number, message: RpcMessage): void {
    if (call === undefined || call.isReturned || this.session.isOver) {
      message.discard(gone());
      return;
    }
    call.incoming?.returned(outcome === rpc.OUTCOME_VALUE);
    this.#unload(call);
    if (message.problem !== "") {
      message.discard(gone());
      call.caller.callLost(call, `cannot call over RPC: ${message.problem}`);
      return;
    }
    if (!this.session.buffer.take(message.size)) {
      message.discard(gone());
      this.session.exceeded("memory", "worker_memory_exceeded", "what it returned is more than fits");
      return;
    }
    call.charge = message.size;
    call.charged = this;
    call.caller.callReturned(call, outcome, message);
  }

  // From the other side.

  /** Hands a call to this guest. @param exchange in which it runs */
  serve(
    call: RpcCall,
    message: RpcMessage,
    request: RpcRequest,
    on: number,
    ref: number,
    exchange: number,
  ): void {
    const { session } = this;
    // An object whose exchange is not known is called on nobody's behalf.
    if (session.isOver || (exchange !== 0 && !session.incoming.has(exchange))) {
      call.caller.#refuse(call, message, lostText);
      return;
    }
    if (this.#isFull(message)) {
      call.caller.#refuse(call, message, "cannot call over RPC: the callee holds too many stubs");
      return;
    }
    call.callee = this;
    call.answer = ++this.#lastAnswer;
    call.exchange = exchange;
    this.#served.set(call.answer, call);
    const text = this.#deliver(message, { owner: exchange, epoch: session.lastIncoming });
    const { inbox } = session;
    const at = inbox.begin(rpc.IN_RPC_CALL, 7, exchange);
    inbox.ints[at] = call.answer;
    inbox.ints[at + 1] = exchange;
    inbox.ints[at + 2] = on;
    inbox.ints[at + 3] = ref;
    inbox.ints[at + 4] = request.isGet ? 1 : 0;
    inbox.ints[at + 5] = inbox.text(request.path);
    inbox.ints[at + 6] = inbox.text(text);
    if (on === rpc.ON_ENTRYPOINT) inbox.beginsExchange(exchange);
    session.touch();
  }

  /** Begins an event with a call. */
  begin(
    call: RpcCall,
    message: RpcMessage,
    request: RpcRequest,
    incoming: IncomingCall,
    handler: number,
  ): void {
    call.incoming = incoming;
    this.serve(call, message, request, rpc.ON_ENTRYPOINT, handler, incoming.id);
  }

  /** The outcome of a call of this guest has come. */
  callReturned(call: RpcCall, outcome: number, message: RpcMessage): void {
    if (this.#calls.get(call.id) !== call || call.isReturned) {
      message.discard(gone());
      return;
    }
    if (this.#isFull(message)) {
      message.discard(gone());
      this.callLost(call, "cannot call over RPC: too many stubs are held");
      return;
    }
    call.isReturned = true;
    this.#waiting--;
    const text = this.#deliver(message, call);
    this.#tell(call, outcome, text);
  }

  /** There will be no outcome of a call of this guest. */
  callLost(call: RpcCall, text: string): void {
    if (this.#calls.get(call.id) !== call || call.isReturned) return;
    call.isReturned = true;
    this.#waiting--;
    this.#tell(call, rpc.OUTCOME_LOST, text);
  }

  #tell(call: RpcCall, outcome: number, text: string): void {
    const { inbox } = this.session;
    const at = inbox.begin(rpc.IN_RPC_RETURN, 3, call.owner);
    inbox.ints[at] = call.id;
    inbox.ints[at + 1] = outcome;
    inbox.ints[at + 2] = inbox.text(text);
    this.session.touch();
  }

  /** This guest will not answer a call that it serves. */
  answerLost(call: RpcCall, error: ProxyError): void {
    call.caller.callLost(call, `cannot call over RPC: ${error.code}`);
  }

  /** Nobody asks anything of what a call gave, or will give. */
  dropServed(call: RpcCall): void {
    if (!this.#served.delete(call.answer) || this.session.isOver) return;
    if (!call.isReturned) call.incoming?.abandon(gone());
    this.#drop(rpc.DROP_ANSWER, call.answer);
  }

  #drop(what: number, ref: number): void {
    const { inbox } = this.session;
    const at = inbox.begin(rpc.IN_RPC_DROP, 2, 0);
    inbox.ints[at] = what;
    inbox.ints[at + 1] = ref;
    this.session.touch();
  }

  /** Nobody can call an object of this guest any more. */
  forgetExport(target: RpcExport): void {
    if (!this.#exports.delete(target.id) || this.session.isOver) return;
    this.#drop(rpc.DROP_EXPORT, target.id);
  }

  #dropImport(held: RpcImport): void {
    if (!this.#imports.delete(held.id)) return;
    const { target } = held;
    target.imports.delete(held);
    if (target.imports.size === 0) target.home.forgetExport(target);
  }

  /** What this guest holds is gone. */
  importLost(held: RpcImport): void {
    if (this.#imports.delete(held.id) && !this.session.isOver) this.#tellLost(held);
  }

  #isFull(message: RpcMessage): boolean {
    return this.#imports.size + message.caps.length > MAX_IMPORTS;
  }

  /** Writes a message for this guest; see `deliver`. */
  #deliver(message: RpcMessage, tenure: Tenure): string {
    if (this.#imports.size >= this.#collectAt) {
      // A Worker that does not dispose of its stubs: the guest finds those that it has dropped, once they are collected.
      this.#collectAt = this.#imports.size * 2;
      this.session.collect();
    }
    return deliver(this.session, message, tenure.owner, (target) => {
      const held = new RpcImport(this, ++this.#lastImport, tenure, target);
      this.#imports.set(held.id, held);
      return held.id;
    });
  }

  // Ends.

  /**
   * An exchange of this guest is done: what it has called, holds and has given away goes with it, and so does what
   * belongs to nobody that is left.
   */
  done(exchange: number): void {
    if (this.size === 0) return;
    const oldest = this.session.incoming.values()[0]?.id ?? Number.POSITIVE_INFINITY;
    const isOver = (thing: Tenure): boolean =>
      thing.owner === exchange || (thing.owner === 0 && thing.epoch < oldest);
    for (const call of this.#served.values()) {
      if (call.exchange !== exchange) continue;
      this.#served.delete(call.answer);
      call.caller.callLost(call, lostText);
    }
    this.#abandon(isOver);
    for (const held of this.#imports.values()) {
      if (!isOver(held)) continue;
      this.#dropImport(held);
      this.#tellLost(held);
    }
    for (const target of this.#exports.values()) if (isOver(target)) this.#break(target);
  }

  /** The client of an exchange has left: what it has called is given up. */
  aborted(exchange: number): void {
    if (this.#calls.size > 0) this.#abandon(({ owner }) => owner === exchange);
  }

  #abandon(isOver: (call: Tenure) => boolean): void {
    for (const call of this.#calls.values()) {
      if (!isOver(call)) continue;
      const wasOpen = !call.isReturned;
      this.#forgetCall(call);
      if (wasOpen)
        this.#tell(call, rpc.OUTCOME_LOST, "cannot call over RPC: the request that called is over");
    }
  }

  #tellLost(held: RpcImport): void {
    const { inbox } = this.session;
    const at = inbox.begin(rpc.IN_RPC_LOST, 1, 0);
    inbox.ints[at] = held.id;
    this.session.touch();
  }

  /** Whoever can call it is told that it is gone. */
  #break(target: RpcExport): void {
    const { imports } = target;
    for (const held of [...imports]) {
      imports.delete(held);
      held.holder.importLost(held);
    }
    this.forgetExport(target);
  }

  /** The isolate is gone. */
  end(error: ProxyError): void {
    this.#gatherer.discard(error);
    for (const call of [...this.#served.values()])
      call.caller.callLost(call, `cannot call over RPC: ${error.code}`);
    this.#served.clear();
    for (const call of [...this.#calls.values()]) this.#forgetCall(call);
    for (const held of [...this.#imports.values()]) this.#dropImport(held);
    for (const target of [...this.#exports.values()]) this.#break(target);
    this.#exports.clear();
  }
}

/** The tenure of what a result gives away is the exchange that the call ran in. */
function tenureOf(call: RpcCall | undefined): Tenure {
  return { owner: call?.exchange ?? 0, epoch: 0 };
}

function gone(): ProxyError {
  return new ProxyError("client_disconnected", "cannot go on with a call over RPC: nobody waits for it");
}

const lostText = "cannot call over RPC: what the stub stands for is gone";
const nothing = new Uint8Array(0);
