import * as wire from "../../wire/ops.ts";
import * as rpc from "../../wire/rpc-ops.ts";
import type { Invocation } from "../bridge/context.ts";
import { HandleBody } from "../bridge/handle-body.ts";
import { link, type RecordReader } from "../bridge/rpc-link.ts";
import { Table } from "../bridge/table.ts";
import {
  ArrayIsArray,
  ArrayPush,
  JSONParse,
  JSONStringify,
  MathMin,
  StringSlice,
  TypedArrayLength,
  TypedArraySet,
  TypedArraySubarray,
  Uint8ArrayNative,
  WeakRefDeref,
  WeakRefNative,
} from "../web/primordials.ts";
import { Answer, type Pipeline } from "./answer.ts";
import { Deserializer } from "./deserialize.ts";
import type { LocalObject } from "./local.ts";
import { type Disposer, type InCap, InMessage, type OutCap, type OutMessage } from "./message.ts";
import { Serializer } from "./serialize.ts";
import { lost, Served, type ServedTarget } from "./served.ts";
import { addDisposer } from "./stubs.ts";
import { RemoteObject } from "./targets.ts";

/** An object of this isolate that others hold stubs of. */
interface Export {
  readonly value: unknown;
  readonly disposer: Disposer;
  /** The event that lasts as long as the stubs do, or null. */
  readonly holds: Invocation | null;
}

/** An object of another isolate. */
class Import extends RemoteObject {
  readonly id: number;
  isLost = false;
  readonly #peer: Peer;

  constructor(peer: Peer, id: number, owner: number) {
    super(owner);
    this.#peer = peer;
    this.id = id;
  }

  invoke(path: readonly string[], args: readonly unknown[] | null): Answer {
    if (this.isLost) return Answer.failed(this.owner, lost());
    return this.#peer.send(rpc.ON_OBJECT, this.id, this.owner, path, args);
  }

  protected gone(): void {
    this.#peer.dropImport(this);
  }
}

/** So many stubs there may be before it is looked for those that nobody has any more. */
const FIRST_SWEEP = 128;

/** This isolate's end of all calls between Workers: what it has sent and been sent, under its numbers. */
export class Peer implements Pipeline {
  readonly #exports: Table<Export> = new Table();
  /** Weak, so that a stub that the Worker has dropped without a word can be let go of. */
  readonly #imports: Table<WeakRef<Import>> = new Table();
  readonly #calls: Table<Answer> = new Table();
  readonly #served: Table<Served> = new Table();
  #lastExport = 0;
  #lastCall = 0;
  #importCount = 0;
  #sweepAt = FIRST_SWEEP;
  // The message that is arriving.
  #text = "";
  #chunks: Uint8Array[] = [];
  #size = 0;
  #caps: InCap[] = [];

  /** Makes a call. Never throws: what cannot be sent is a rejection. @param args null asks for a value. */
  send(
    on: number,
    ref: number,
    owner: number,
    path: readonly string[],
    args: readonly unknown[] | null,
  ): Answer {
    const exchange = link.outbound.currentExchange || owner;
    try {
      if (!link.outbound.open) throw new Error("cannot call over RPC in the global scope: only handlers may");
      const message = args === null ? null : new Serializer().run(args);
      const id = ++this.#lastCall;
      const answer = new Answer(exchange, id, this);
      const text = message === null ? "" : this.#commit(message, exchange, null);
      this.#calls.set(id, answer);
      const { channel } = link;
      const names = pathText(path);
      const at = channel.begin(rpc.OUT_RPC_CALL);
      const { ints } = channel;
      ints[at] = id;
      ints[at + 1] = exchange;
      ints[at + 2] = on;
      ints[at + 3] = ref;
      ints[at + 4] = args === null ? 1 : 0;
      ints[at + 5] = channel.text(names);
      ints[at + 6] = channel.text(text);
      return answer;
    } catch (error) {
      return Answer.failed(exchange, error);
    }
  }

  pipeline(call: number, owner: number, path: readonly string[], args: readonly unknown[] | null): Answer {
    return this.send(rpc.ON_RESULT, call, owner, path, args);
  }

  /** Sends what came of a call that was served. @param holds the event that lasts as long as what it gives away */
  answer(id: number, outcome: number, message: OutMessage, exchange: number, holds: Invocation): void {
    const text = this.#commit(message, exchange, holds);
    const { channel } = link;
    const at = channel.begin(rpc.OUT_RPC_RETURN);
    channel.ints[at] = id;
    channel.ints[at + 1] = outcome;
    channel.ints[at + 2] = channel.text(text);
  }

  dropImport(dropped: Import): void {
    if (this.#imports.take(dropped.id) === undefined) return;
    this.#importCount--;
    if (!dropped.isLost) link.channel.one(rpc.OUT_RPC_DROP, dropped.id);
  }

  /** Acts on a record from the host. @param at the place of its op. @returns the place of the next */
  receive(ints: Int32Array, at: number, reader: RecordReader): number {
    const first = ints[at + 1] as number;
    const second = ints[at + 2] as number;
    const third = ints[at + 3] as number;
    switch (ints[at]) {
      case rpc.RPC_DATA: {
        if (third > 0) {
          ArrayPush(this.#chunks, reader.bytes(second, third));
          this.#size += third;
        }
        this.#text += reader.text(first);
        break;
      }
      case rpc.RPC_CAP:
        ArrayPush(this.#caps, this.#cap(first, second, third));
        break;
      case rpc.IN_RPC_CALL: {
        const path = reader.text(ints[at + 6] as number);
        const message = this.#message(reader.text(ints[at + 7] as number));
        this.#call(first, second, third, ints[at + 4] as number, ints[at + 5] === 1, path, message);
        break;
      }
      case rpc.IN_RPC_RETURN:
        this.#returned(first, second, reader.text(third));
        break;
      case rpc.IN_RPC_DROP:
        if (first === rpc.DROP_EXPORT) this.#dropExport(second);
        else this.#served.take(second)?.drop();
        break;
      case rpc.IN_RPC_LOST: {
        const weak = this.#imports.get(first);
        const object = weak === undefined ? undefined : WeakRefDeref(weak);
        if (object !== undefined) object.isLost = true;
        if (this.#imports.take(first) !== undefined) this.#importCount--;
        break;
      }
    }
    return at + 1 + (rpc.rpcInSizes[ints[at] as keyof typeof rpc.rpcInSizes] as number);
  }

  /** What a served call is made on. @throws Error when it is gone. */
  target(on: number, ref: number): ServedTarget {
    if (on === rpc.ON_RESULT) {
      const served = this.#served.get(ref);
      if (served === undefined) throw lost();
      return { result: served.result };
    }
    const exported = this.#exports.get(ref);
    if (exported === undefined) throw lost();
    return { value: exported.value };
  }

  #call(
    answer: number,
    exchange: number,
    on: number,
    ref: number,
    isGet: boolean,
    path: string,
    message: InMessage,
  ): void {
    const served = new Served(this, answer, exchange, new Deserializer(message));
    this.#served.set(answer, served);
    void served.run(on, ref, namesOf(path), isGet);
  }

  #returned(call: number, outcome: number, text: string): void {
    const answer = this.#calls.take(call);
    const message = this.#message(outcome === rpc.OUTCOME_LOST ? "" : text);
    link.channel.one(rpc.OUT_RPC_FINISH, call);
    if (answer === undefined) return;
    if (outcome === rpc.OUTCOME_LOST) {
      answer.reject(new Error(text));
      return;
    }
    const reader = new Deserializer(message);
    try {
      const value = reader.run();
      if (outcome === rpc.OUTCOME_VALUE) {
        addDisposer(value, () => answer.disposeValue());
        answer.resolve(value, reader.stubs, reader.objects);
      } else answer.reject(value);
    } catch (error) {
      answer.reject(error);
    }
  }

  /** The message whose last piece of text this is. */
  #message(text: string): InMessage {
    let bytes = nothing;
    if (this.#size > 0) {
      bytes = new Uint8ArrayNative(this.#size);
      let at = 0;
      for (let i = 0; i < this.#chunks.length; i++) {
        const chunk = this.#chunks[i] as Uint8Array;
        TypedArraySet(bytes, chunk, at);
        at += TypedArrayLength(chunk);
      }
    }
    const message = new InMessage(this.#text + text, bytes, this.#caps);
    this.#text = "";
    this.#chunks = [];
    this.#size = 0;
    this.#caps = [];
    return message;
  }

  #cap(kind: number, ref: number, length: number): InCap {
    if (kind === rpc.CAP_BODY) return { kind, body: new HandleBody(link.readers, ref, length) };
    // In place of a length there is the exchange that it belongs to.
    const made = new Import(this, ref, length);
    this.#imports.set(ref, new WeakRefNative(made));
    this.#importCount++;
    if (this.#importCount >= this.#sweepAt) this.#sweep();
    return { kind: rpc.CAP_IMPORT, target: made };
  }

  /** Lets go of what no stub of the Worker leads to. */
  #sweep(): void {
    const ids = this.#imports.ids();
    for (let i = 0; i < ids.length; i++) {
      const id = ids[i] as number;
      if (WeakRefDeref(this.#imports.get(id) as WeakRef<Import>) !== undefined) continue;
      this.#imports.take(id);
      this.#importCount--;
      link.channel.one(rpc.OUT_RPC_DROP, id);
    }
    this.#sweepAt = this.#importCount * 2 > FIRST_SWEEP ? this.#importCount * 2 : FIRST_SWEEP;
  }

  #dropExport(id: number): void {
    const exported = this.#exports.take(id);
    if (exported === undefined) return;
    try {
      exported.disposer?.();
    } catch (error) {
      link.exception(0, error);
    }
    exported.holds?.release();
  }

  /** Sends all of a message but the last piece of its text, which it gives. */
  #commit(message: OutMessage, exchange: number, holds: Invocation | null): string {
    const { channel } = link;
    const { chunks, caps } = message;
    for (let i = 0; i < caps.length; i++) this.#sendCap(caps[i] as OutCap, exchange, holds);
    for (let i = 0; i < chunks.length; i++) this.#sendBytes(chunks[i] as Uint8Array);
    const { text } = message;
    let from = 0;
    for (; text.length - from > rpc.MAX_PIECE; from += rpc.MAX_PIECE) {
      const at = channel.begin(rpc.RPC_DATA);
      channel.ints[at] = channel.text(StringSlice(text, from, from + rpc.MAX_PIECE));
      channel.ints[at + 1] = 0;
      channel.ints[at + 2] = 0;
    }
    return from === 0 ? text : StringSlice(text, from);
  }

  #sendBytes(bytes: Uint8Array): void {
    const { channel } = link;
    const size = TypedArrayLength(bytes);
    for (let from = 0; from < size; ) {
      const length = MathMin(size - from, wire.WINDOW);
      const offset = channel.bytes(TypedArraySubarray(bytes, from, from + length), length);
      const at = channel.begin(rpc.RPC_DATA);
      channel.ints[at] = 0;
      channel.ints[at + 1] = offset;
      channel.ints[at + 2] = length;
      from += length;
    }
  }

  #sendCap(cap: OutCap, exchange: number, given: Invocation | null): void {
    let ref = 0;
    let length = -1;
    let { kind }: { kind: number } = cap;
    const holds = given ?? this.#heldBy(exchange);
    if (cap.kind === rpc.CAP_EXPORT) {
      ref = ++this.#lastExport;
      holds?.hold();
      this.#exports.set(ref, { value: cap.value, disposer: cap.disposer, holds });
    } else if (cap.kind === rpc.CAP_IMPORT) {
      const { target } = cap;
      if (target instanceof Import) ref = target.isLost ? 0 : target.id;
      else {
        // A stub of something here: what is sent keeps it alive as a stub does.
        kind = rpc.CAP_EXPORT;
        ref = ++this.#lastExport;
        target.hold();
        const { value } = target as LocalObject;
        this.#exports.set(ref, { value, disposer: () => target.release(), holds });
        holds?.hold();
      }
    } else if (cap.body.kind === "handle") {
      ref = (cap.body.body as HandleBody).id;
      length = cap.body.body.length;
    } else if (cap.body.kind === "stream") {
      kind = rpc.CAP_OUT;
      length = cap.body.length;
      holds?.hold();
      ref = link.outs.send(cap.body.stream, () => holds?.release());
    }
    const { channel } = link;
    const at = channel.begin(rpc.RPC_CAP);
    channel.ints[at] = kind;
    channel.ints[at + 1] = ref;
    channel.ints[at + 2] = length > 0x7fffffff ? -1 : length;
  }

  /** An event that began with a call lasts as long as the stubs of what it has given away. */
  #heldBy(exchange: number): Invocation | null {
    const invocation = exchange === 0 ? undefined : link.invocation(exchange);
    return invocation?.isCall === true ? invocation : null;
  }
}

/** As JSON; put together here, since arrays may have got a `toJSON` from the Worker. */
function pathText(path: readonly string[]): string {
  let text = "";
  for (let i = 0; i < path.length; i++) text += `${i > 0 ? "," : ""}${JSONStringify(path[i])}`;
  return `[${text}]`;
}

/** Null when it is no path: it comes from another isolate. */
function namesOf(path: string): readonly string[] | null {
  try {
    const names = JSONParse(path) as unknown;
    if (!ArrayIsArray(names)) return null;
    for (let i = 0; i < names.length; i++) if (typeof names[i] !== "string") return null;
    return names as string[];
  } catch {
    return null;
  }
}

const nothing: Uint8Array = new Uint8ArrayNative(0);
