import { ArrayPush, Deferred, markHandled, ReflectApply } from "../web/primordials.ts";
import { quote } from "../web/webidl.ts";
import { follow } from "./path.ts";
import { type Callee, disposeStub, type RemoteObject, type StubData } from "./targets.ts";

/** Sends what is asked of a result that is not there yet. */
export interface Pipeline {
  pipeline(call: number, owner: number, path: readonly string[], args: readonly unknown[] | null): Answer;
}

/** What came of a call that this isolate has made, or will come. */
export class Answer implements Callee {
  readonly owner: number;
  readonly #deferred = new Deferred<unknown>();
  readonly #call: number;
  readonly #pipeline: Pipeline | null;
  #error: { readonly thrown: unknown } | null = null;
  #value: unknown;
  /** What the value holds. */
  #stubs: readonly StubData[] = [];
  #objects: readonly RemoteObject[] = [];
  /** The Worker has the value, or waits for it: it is the Worker's to dispose of. */
  #isTaken = false;
  #isDisposed = false;

  /** @param call its number. @param pipeline null when the outcome is known at once. */
  constructor(owner: number, call: number, pipeline: Pipeline | null) {
    this.owner = owner;
    this.#call = call;
    this.#pipeline = pipeline;
    // A call that nobody waits for may fail without a word.
    markHandled(this.#deferred.promise);
  }

  static of(owner: number, value: unknown): Answer {
    const answer = new Answer(owner, 0, null);
    answer.resolve(value, [], []);
    return answer;
  }

  static failed(owner: number, error: unknown): Answer {
    const answer = new Answer(owner, 0, null);
    answer.reject(error);
    return answer;
  }

  /** The value for the Worker, as a promise of the language's own. */
  take(): Promise<unknown> {
    this.#isTaken = true;
    return this.#deferred.promise;
  }

  /** @param stubs in the value. @param objects that are released with it and that no stub is for. */
  resolve(value: unknown, stubs: readonly StubData[], objects: readonly RemoteObject[]): void {
    this.#value = value;
    this.#stubs = stubs;
    this.#objects = objects;
    this.#deferred.resolve(value);
    if (this.#isDisposed && !this.#isTaken) this.disposeValue();
  }

  reject(error: unknown): void {
    this.#error = { thrown: error };
    this.#deferred.reject(error);
  }

  /** The promise is given up: the value goes, unless the Worker has taken it. */
  dispose(): void {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    if (this.#deferred.settled && !this.#isTaken) this.disposeValue();
  }

  /** Disposes of all stubs in the value. */
  disposeValue(): void {
    const stubs = this.#stubs;
    const objects = this.#objects;
    this.#stubs = [];
    this.#objects = [];
    for (let i = 0; i < stubs.length; i++) disposeStub(stubs[i] as StubData);
    for (let i = 0; i < objects.length; i++) (objects[i] as RemoteObject).release();
  }

  invoke(path: readonly string[], args: readonly unknown[] | null): Answer {
    if (this.#isDisposed) return Answer.failed(this.owner, disposed());
    if (this.#error !== null) return Answer.failed(this.owner, this.#error.thrown);
    if (this.#pipeline !== null && !this.#deferred.settled) {
      return this.#pipeline.pipeline(this.#call, this.owner, path, args);
    }
    try {
      return this.#invokeValue(path, args);
    } catch (error) {
      return Answer.failed(this.owner, error);
    }
  }

  #invokeValue(path: readonly string[], args: readonly unknown[] | null): Answer {
    const found = follow(this.#value, path, "value");
    if (found.stub !== null) return invokeStub(found.stub, found.rest, args);
    const { value } = found;
    if (args === null) return Answer.of(this.owner, value);
    if (typeof value !== "function") {
      throw new TypeError(
        `cannot call ${quote(path[path.length - 1] ?? "the result")}: it is not a function`,
      );
    }
    return Answer.of(this.owner, ReflectApply(value as never, found.self, args as never));
  }
}

/** Calls, or asks for, what lies below a stub, promise or property. */
export function invokeStub(data: StubData, path: readonly string[], args: readonly unknown[] | null): Answer {
  if (data.kind === "stub" && data.disposed) return Answer.failed(data.callee.owner, disposed());
  return data.callee.invoke(join(data.path, path), args);
}

function join(first: readonly string[], second: readonly string[]): readonly string[] {
  if (first.length === 0) return second;
  if (second.length === 0) return first;
  const joined: string[] = [];
  for (let i = 0; i < first.length; i++) ArrayPush(joined, first[i] as string);
  for (let i = 0; i < second.length; i++) ArrayPush(joined, second[i] as string);
  return joined;
}

function disposed(): Error {
  return new Error("cannot use the RPC stub: it was disposed of");
}
