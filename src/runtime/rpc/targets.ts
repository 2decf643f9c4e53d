import { PrivateMap } from "../web/primordials.ts";
import type { Answer } from "./answer.ts";

/** What a call can be made on. */
export interface Callee {
  /** The exchange that it belongs to, or 0. */
  readonly owner: number;
  /**
   * Calls what lies at `path` below it, or, without arguments, asks for its value. Never throws.
   * @param path names of members, from the outermost.
   */
  invoke(path: readonly string[], args: readonly unknown[] | null): Answer;
}

/** An object that stubs stand for. It counts them, and is let go of with the last. */
export abstract class RemoteObject implements Callee {
  readonly owner: number;
  #stubs = 0;

  constructor(owner: number) {
    this.owner = owner;
  }

  abstract invoke(path: readonly string[], args: readonly unknown[] | null): Answer;
  /** No stub is left. */
  protected abstract gone(): void;

  hold(): this {
    this.#stubs++;
    return this;
  }

  release(): void {
    this.#stubs--;
    if (this.#stubs === 0) this.gone();
  }
}

/** What an RpcStub, RpcPromise or RpcProperty is inside. */
export type StubData =
  | {
      readonly kind: "stub";
      readonly callee: RemoteObject;
      readonly path: readonly string[];
      disposed: boolean;
    }
  | { readonly kind: "promise"; readonly callee: Answer; readonly path: readonly string[] }
  | { readonly kind: "property"; readonly callee: Callee; readonly path: readonly string[] };

/** By the function that the Worker has. */
export const stubData: PrivateMap<StubData> = new PrivateMap();

/** Gives up a stub; it is of no more use. */
export function disposeStub(data: StubData): void {
  if (data.kind !== "stub" || data.disposed) return;
  data.disposed = true;
  data.callee.release();
}
