import { part } from "../part.ts";
import type { ExecutionContext } from "./context.ts";

/** Base of entrypoints that are classes: a fresh instance serves each event (`cloudflare:workers`). */
export class WorkerEntrypoint<Env = unknown> {
  protected readonly ctx: ExecutionContext;
  protected readonly env: Env;

  constructor(ctx: ExecutionContext, env: Env) {
    this.ctx = ctx;
    this.env = env;
  }
}

export let isRpcTarget: (value: unknown) => value is RpcTarget;

/** Base of classes whose instances go over RPC by reference: what other Workers get is a stub. */
export class RpcTarget {
  readonly #isTarget = true;

  static {
    isRpcTarget = (value): value is RpcTarget =>
      typeof value === "object" && value !== null && #isTarget in value;
  }
}

/** Code that names it is welcome; an object of it has nowhere to keep its state. */
export class DurableObject {
  constructor() {
    throw new Error("cannot make a DurableObject: Sluice has no Durable Objects");
  }
}

/** Code that names it is welcome; nothing would run its steps. */
export class WorkflowEntrypoint {
  constructor() {
    throw new Error("cannot make a WorkflowEntrypoint: Sluice has no Workflows");
  }
}

// What stubs are is in the part `rpc`; the classes are here so that code may name them without loading it.

/** Stands for a function or an RpcTarget that may be elsewhere. */
export class RpcStub {
  /** @param target a function, an RpcTarget, or a plain object. */
  constructor(target: unknown) {
    // biome-ignore lint/correctness/noConstructorReturn: a stub can be called, which only a function can
    return part<typeof import("../parts/rpc.ts")>("rpc").localStub(target) as RpcStub;
  }
}

/** What a call gives: a promise, and a stub of what it will be. */
export class RpcPromise {
  constructor() {
    throw new TypeError("Illegal constructor");
  }
}

/** A member of something that is elsewhere: it can be called, and awaited. */
export class RpcProperty {
  constructor() {
    throw new TypeError("Illegal constructor");
  }
}
