import type { ExecutionContext } from "./context.ts";

/** Base of entrypoints that are classes: a fresh instance serves each exchange (`cloudflare:workers`). */
export class WorkerEntrypoint<Env = unknown> {
  protected readonly ctx: ExecutionContext;
  protected readonly env: Env;

  constructor(ctx: ExecutionContext, env: Env) {
    this.ctx = ctx;
    this.env = env;
  }
}
