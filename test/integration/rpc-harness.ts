import assert from "node:assert/strict";
import type { BodySource } from "../../src/http/body.ts";
import type { Service } from "../../src/services/service.ts";
import { Collector } from "../support/collector.ts";
import { type Answer, CollectedExchange } from "./network-harness.ts";
import { to, WorkerBench, type WorkerSource } from "./worker-harness.ts";

/** What stands before the caller's code: a helper for errors, and what tests look at. */
const prelude = `
  import { RpcTarget, RpcStub, RpcPromise, RpcProperty, WorkerEntrypoint } from "cloudflare:workers";
  const failure = async (promise) => { try { return ["no error", await promise]; } catch (e) { return [e.name, e.message]; } };
  const turns = async (count = 5) => { for (let i = 0; i < count; i++) await new Promise((done) => setTimeout(done, 1)); };
`;

/** A caller and a callee in isolates of their own; the caller's code is the body of its fetch handler. */
export class RpcBench {
  readonly bench: WorkerBench;

  private constructor(bench: WorkerBench) {
    this.bench = bench;
  }

  static async start(
    caller: string,
    callee: string,
    more: Readonly<Record<string, WorkerSource>> = {},
    fakes: readonly Service[] = [],
    limits: WorkerSource["limits"] = {},
    callerLimits: WorkerSource["limits"] = {},
  ): Promise<RpcBench> {
    const bindings = Object.fromEntries([
      ["X", { service: to("callee") }],
      ["NAMED", { service: to("callee", "Named", { role: "edge" }) }],
      ["SELF", { service: to("main", "Self") }],
      ...[...Object.keys(more), ...fakes.map(({ name }) => name)].map((name) => [
        name,
        { service: to(name) },
      ]),
    ]);
    const bench = await WorkerBench.start(
      {
        main: {
          code: caller.includes("export default")
            ? `${prelude}${caller}`
            : `${prelude}export default { async fetch(request, env, ctx) { ${caller} } };`,
          bindings,
          limits: callerLimits,
        },
        callee: { code: `${prelude}${callee}`, bindings: { BACK: { service: to("main", "Back") } }, limits },
        ...more,
      },
      fakes,
    );
    return new RpcBench(bench);
  }

  /** The answer of the caller's fetch handler. */
  async fetch(target = "/"): Promise<Answer> {
    const exchange = new CollectedExchange({ target });
    this.bench.worker().handle(exchange);
    return await exchange.done;
  }

  /** What the caller's handler gives as JSON. */
  async json(target = "/"): Promise<unknown> {
    const answer = await this.fetch(target);
    const logged = this.bench.logs
      .map(({ message, fields }) => `${message} ${fields.stack ?? ""}`)
      .join("\n");
    assert.equal(answer.status, 200, `${answer.error?.message}\n${logged}`);
    return JSON.parse(answer.text);
  }

  /** Waits until no Worker has anything in hand. Gives up after some 5 s. */
  async idle(): Promise<void> {
    const inHand = (): number => {
      let sum = 0;
      for (const worker of this.bench.workers.values()) sum += worker.inHand;
      return sum;
    };
    for (let turn = 0; inHand() > 0; turn++) {
      assert.ok(turn < 1000, `${inHand()} things are left in hand`);
      await new Promise((done) => setTimeout(done, 5));
    }
  }
}

export function text(source: BodySource): Promise<string> {
  return new Promise((resolve, reject) => {
    new Collector(source, 1 << 24, (error, bytes) =>
      error === null ? resolve(bytes.toString()) : reject(error),
    );
  });
}
