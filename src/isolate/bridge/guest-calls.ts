import * as wire from "../../wire/ops.ts";
import { type CallOperation, CallResult } from "../calls/call.ts";
import { callOperations } from "../calls/operations.ts";
import { threads } from "../calls/threads.ts";
import { GuestFailure } from "../guest-failure.ts";
import type { OutboxReader } from "./outbox.ts";
import type { Session } from "./session.ts";

/** Calls that a guest may have open at a time. */
const MAX_CALLS = 10_000;

/** Work that a guest has native code do for it. */
export class GuestCalls {
  readonly #session: Session;
  #operations: ReadonlyMap<number, CallOperation> | null = null;
  /** Inputs that come in several pieces. */
  readonly #inputs: Map<number, Uint8Array[]> = new Map();

  constructor(session: Session) {
    this.#session = session;
  }

  /** Carries out one record, or keeps its piece of the input for the last one. */
  call(reader: OutboxReader): void {
    const session = this.#session;
    const id = reader.int();
    const operation = reader.int();
    const piece = reader.bytes(reader.int(), reader.int());
    const text = reader.text();
    const { buffer } = session;
    if (!buffer.take(piece.length + text.length) || session.calls + this.#inputs.size >= MAX_CALLS) {
      session.exceeded("memory", "worker_memory_exceeded", "it gave native code more than fits");
      return;
    }
    const before = this.#inputs.get(id);
    if (operation === 0) {
      // Small pieces would hold more of the host's memory than their bytes, which are what is counted.
      if (piece.length !== wire.WINDOW) throw new Error("a piece of a call's input is too short");
      if (before === undefined) this.#inputs.set(id, [piece]);
      else before.push(piece);
      return;
    }
    this.#inputs.delete(id);
    const input = before === undefined ? piece : Buffer.concat([...before, piece]);
    this.#begin(id, operation, text, input);
  }

  #begin(id: number, operation: number, text: string, input: Uint8Array): void {
    const session = this.#session;
    const size = input.length + text.length;
    let result: ReturnType<CallOperation>;
    try {
      this.#operations ??= callOperations({
        buffer: session.buffer,
        collect: () => session.collect(),
        outbound: () => session.owner.services[0],
      });
      const run = this.#operations.get(operation);
      if (run === undefined)
        throw new GuestFailure("NotSupportedError", "cannot call the host: it is unknown");
      result = run(text, input);
    } catch (error) {
      session.buffer.give(size);
      this.#failed(id, error);
      return;
    }
    if (result instanceof CallResult) {
      session.buffer.give(size);
      this.#answered(id, result);
      return;
    }
    session.calls++;
    if (result instanceof Promise) {
      void this.#finish(id, size, result);
      return;
    }
    const { start } = result;
    threads.add(this, () => {
      if (!session.isOver) return this.#finish(id, size, start());
      this.#done(size);
      return null;
    });
  }

  #finish(id: number, size: number, work: Promise<CallResult>): Promise<void> {
    return work.then(
      (result) => {
        this.#done(size);
        this.#answered(id, result);
      },
      (error: unknown) => {
        this.#done(size);
        this.#failed(id, error);
      },
    );
  }

  #done(size: number): void {
    this.#session.calls--;
    this.#session.buffer.give(size);
  }

  #answered(id: number, result: CallResult): void {
    const session = this.#session;
    if (session.isOver) return;
    const { inbox } = session;
    const { bytes } = result;
    for (let from = 0; from < bytes.length; from += wire.WINDOW) {
      inbox.chunk(wire.IN_RESULT_BYTES, id, bytes.subarray(from, from + wire.WINDOW), -1);
    }
    const at = inbox.begin(wire.IN_RESULT, 2, 0);
    inbox.ints[at] = id;
    inbox.ints[at + 1] = inbox.text(result.text);
    session.touch();
  }

  #failed(id: number, error: unknown): void {
    const session = this.#session;
    if (session.isOver) return;
    const known = error instanceof GuestFailure;
    const { inbox } = session;
    const at = inbox.begin(wire.IN_CALL_FAILED, 3, 0);
    inbox.ints[at] = id;
    inbox.ints[at + 1] = inbox.text(known ? error.name : "OperationError");
    inbox.ints[at + 2] = inbox.text(known ? error.message : "the work failed on the host");
    session.touch();
  }
}
