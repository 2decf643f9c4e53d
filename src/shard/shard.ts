import { flushCompileCache } from "node:module";
import { ProcessLog } from "../observability/process-log.ts";
import { DataPlane } from "./data-plane.ts";
import type { FromShard, ShardFailure, ShardInit, ToShard } from "./protocol.ts";

/** The process's side of the talk with the supervisor: builds the data plane, and does with it as it is told. */
export class Shard {
  #log: ProcessLog | null = null;
  #plane: DataPlane | null = null;
  #draining = false;
  /**
   * The handles stay as they came, neither used nor closed: servers open the same descriptors anew, and close them.
   */
  readonly #sockets: Map<string, { readonly fd: number }> = new Map();

  start(): void {
    process.on("message", this.#onMessage);
    // The supervisor died. Nobody would replace or reload this shard any more, so it does not go on alone.
    process.on("disconnect", () => {
      if (!this.#draining) this.#exit(1);
    });
    process.on("uncaughtException", (error) => this.#onUncaught(error));
  }

  #onMessage = (message: unknown, handle: unknown): void => {
    const order = message as ToShard;
    switch (order.type) {
      case "socket":
        // A handle that was closed while it was sent does not arrive; its generation is not wanted any more.
        if (handle !== undefined) this.#sockets.set(order.name, handle as { readonly fd: number });
        return;
      case "init":
        void this.#init(order);
        return;
      case "listen":
        void this.#listen();
        return;
      case "ping":
        this.#send({ type: "pong", id: order.id });
        return;
      case "metrics":
        if (this.#plane !== null) {
          this.#send({ type: "metrics", id: order.id, snapshot: this.#plane.snapshot() });
        }
        return;
      case "test":
        void this.#test(order.filter);
        return;
      case "quarantine":
        this.#plane?.setQuarantined(order.workers);
        return;
      case "tls":
        this.#plane?.changeTls(order);
        if (order.id !== undefined) this.#send({ type: "tls", id: order.id });
        return;
      case "users":
        this.#plane?.changeUsers(order);
        return;
      case "drain":
        void this.#drain(order.graceMs, order.isLast);
        return;
    }
  };

  async #init(init: ShardInit): Promise<void> {
    this.#log = new ProcessLog(init.log);
    try {
      const descriptors = new Map(Array.from(this.#sockets, ([name, { fd }]) => [name, fd]));
      this.#plane = new DataPlane(init, descriptors, this.#log.logger, (socket, name) =>
        this.#send({ type: "leaf", socket, name }),
      );
      await this.#plane.ready();
      this.#send({ type: "ready" });
    } catch (error) {
      this.#fail("worker", error);
    }
  }

  async #listen(): Promise<void> {
    try {
      await this.#plane?.listen();
      this.#send({ type: "listening" });
      // Node.js keeps what it compiled at an orderly exit only. It is written now, so that the shard which takes the place
      // of one that was killed starts as fast as any.
      setImmediate(flushCompileCache);
    } catch (error) {
      this.#fail("listen", error);
    }
  }

  async #test(filter: string | null): Promise<void> {
    try {
      this.#send({ type: "tested", results: (await this.#plane?.test(filter)) ?? [] });
    } catch (error) {
      this.#fail("worker", error);
    }
  }

  async #drain(graceMs: number, isLast: boolean): Promise<void> {
    if (this.#draining) return;
    this.#draining = true;
    const plane = this.#plane;
    if (plane !== null) {
      await plane.drain(graceMs, isLast);
      const snapshot = plane.snapshot();
      await plane.close();
      this.#send({ type: "drained", snapshot });
    }
    this.#log?.flushSync();
    process.removeAllListeners("message");
    process.disconnect?.();
  }

  #fail(reason: ShardFailure, error: unknown): void {
    this.#send({ type: "failed", reason, text: error instanceof Error ? error.message : String(error) });
  }

  /** A mistake of ours. What else is open may be in any state, so the process ends and the supervisor replaces it. */
  #onUncaught(error: unknown): void {
    const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.#log?.logger.log("error", "shard.exception", "the shard ends after an unexpected exception", {
      stack,
    });
    if (this.#log === null) process.stderr.write(`sluice: ${stack}\n`);
    this.#exit(70);
  }

  #send(message: FromShard): void {
    if (process.connected) process.send?.(message, undefined, undefined, () => {});
  }

  #exit(code: number): void {
    this.#log?.flushSync();
    process.exit(code);
  }
}
