import * as rpc from "../../wire/rpc-ops.ts";
import type { Invocation } from "../bridge/context.ts";
import { link } from "../bridge/rpc-link.ts";
import {
  ArrayIsArray,
  markHandled,
  ObjectGetPrototypeOf,
  ObjectPrototype,
  promiseResolve,
} from "../web/primordials.ts";
import type { Deserializer } from "./deserialize.ts";
import { evaluate } from "./evaluate.ts";
import type { OutMessage } from "./message.ts";
import { disposerOf, Serializer, serializeThrown } from "./serialize.ts";
import { disposeStub, type StubData } from "./targets.ts";

/** What a call is made on: a value, or what another call will give. */
export type ServedTarget = { readonly value: unknown } | { readonly result: Promise<unknown> };

/** Where a served call looks for its target, and leaves its outcome. */
export interface Server {
  target(on: number, ref: number): ServedTarget;
  answer(id: number, outcome: number, message: OutMessage, exchange: number, holds: Invocation | null): void;
}

/**
 * A call that this isolate serves. It stays until its caller has the outcome, so that what is asked of the result
 * meanwhile finds it; only then the stubs among its arguments, and those that it gave away, are disposed of.
 */
export class Served {
  /** What the method gives. */
  result: Promise<unknown> = promiseResolve(undefined);
  readonly #server: Server;
  readonly #id: number;
  readonly #exchange: number;
  readonly #reader: Deserializer;
  /** The event that lasts as long as this call. */
  #holds: Invocation | null = null;
  #given: readonly StubData[] = [];
  #isDone = false;
  /** It failed because what it was made on had failed, which was told. */
  #isEcho = false;
  #isDropped = false;

  constructor(server: Server, id: number, exchange: number, reader: Deserializer) {
    this.#server = server;
    this.#id = id;
    this.#exchange = exchange;
    this.#reader = reader;
  }

  async run(on: number, ref: number, path: readonly string[] | null, isGet: boolean): Promise<void> {
    this.result = this.#evaluate(on, ref, path, isGet);
    markHandled(this.result);
    let message: OutMessage;
    let outcome: number = rpc.OUTCOME_VALUE;
    try {
      const value = await this.result;
      const serializer = new Serializer();
      message = serializer.run(value);
      this.#given = serializer.stubs;
      if (isPlain(value)) {
        const disposer = disposerOf(value);
        // No value refers to it: it is dropped when the caller disposes of the whole result.
        if (disposer !== null) message.addCap({ kind: rpc.CAP_EXPORT, value: undefined, disposer });
      }
    } catch (error) {
      outcome = rpc.OUTCOME_THROWN;
      message = serializeThrown(error);
      if (!this.#isDropped && !this.#isEcho) link.exception(this.#exchange, error);
    }
    this.#isDone = true;
    if (this.#isDropped) this.#finish();
    else this.#server.answer(this.#id, outcome, message, this.#exchange, this.#holds);
  }

  /** The caller has the outcome, or does not want it any more. */
  drop(): void {
    this.#isDropped = true;
    if (this.#isDone) this.#finish();
  }

  async #evaluate(on: number, ref: number, path: readonly string[] | null, isGet: boolean): Promise<unknown> {
    const exchange = this.#exchange;
    let entrypoint = "";
    let invocation: Invocation | undefined;
    if (on === rpc.ON_ENTRYPOINT) {
      const begun = link.begin(exchange, ref);
      invocation = begun.invocation;
      entrypoint = begun.entrypoint;
      invocation.isCall = true;
      this.#holds = invocation;
    } else {
      invocation = link.invocation(exchange);
      if (invocation?.isCall === true) {
        invocation.hold();
        this.#holds = invocation;
      }
    }
    const args = isGet ? null : this.#reader.run();
    if (path === null || (args !== null && !ArrayIsArray(args))) {
      throw new Error("cannot read a call over RPC: it is not well formed");
    }
    if (on === rpc.ON_ENTRYPOINT) {
      return await evaluate(
        () => link.handlers.callee(invocation as Invocation, entrypoint),
        path,
        args as readonly unknown[] | null,
        exchange,
        (invocation as Invocation).context,
      );
    }
    const target = this.#server.target(on, ref);
    const value = "result" in target ? await this.#awaited(target.result) : target.value;
    return await evaluate(
      () => ({ value, isClass: null }),
      path,
      args as readonly unknown[] | null,
      exchange,
      null,
    );
  }

  async #awaited(result: Promise<unknown>): Promise<unknown> {
    try {
      return await result;
    } catch (error) {
      this.#isEcho = true;
      throw error;
    }
  }

  #finish(): void {
    const { stubs, objects } = this.#reader;
    for (let i = 0; i < stubs.length; i++) disposeStub(stubs[i] as StubData);
    for (let i = 0; i < objects.length; i++) objects[i]?.release();
    const given = this.#given;
    for (let i = 0; i < given.length; i++) disposeStub(given[i] as StubData);
    this.#holds?.release();
    this.#holds = null;
  }
}

function isPlain(value: unknown): value is object {
  return typeof value === "object" && value !== null && ObjectGetPrototypeOf(value) === ObjectPrototype;
}

export function lost(): Error {
  return new Error("cannot call over RPC: what the stub stands for is gone");
}
