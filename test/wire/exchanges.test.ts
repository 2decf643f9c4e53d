import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { describe, type TestContext, test } from "node:test";
import { type RawClient, RawOrigin, TestProxy, until } from "../integration/http-harness.ts";
import { escaped } from "./escape.ts";
import { type ExchangeCase, readExchanges } from "./exchange-file.ts";

/** One end of the exchange, with what it has received and no line has named yet. */
class End {
  readonly #raw: RawClient;
  #seen = 0;

  constructor(raw: RawClient) {
    this.#raw = raw;
  }

  send(text: string): void {
    this.#raw.send(text);
  }

  get rest(): string {
    const text = this.#raw.received.replace(/Date: [^\r]+ GMT/g, "Date: *").replace(/\nid: \S+/g, "\nid: *");
    return text.slice(this.#seen);
  }

  get isClosed(): boolean {
    return this.#raw.ended || this.#raw.closed;
  }

  async receives(text: string): Promise<void> {
    await until(() => this.rest.length >= text.length || this.isClosed).catch(() => {});
    assert.equal(escaped(this.rest), escaped(text));
    this.#seen += text.length;
  }
}

async function run(t: TestContext, one: ExchangeCase): Promise<void> {
  const origin = await RawOrigin.start(t);
  const proxy = await TestProxy.start(t, {
    http: { style: one.style },
    external: { address: origin.address },
  });
  const client = new End(await proxy.dial(t));
  let upstream: End | null = null;
  for (const { end, kind, text } of one.steps) {
    if (end === "upstream" && kind === "none") {
      assert.equal(origin.connections.length, 0, "no connection to the upstream was made");
      continue;
    }
    if (end === "upstream") upstream ??= new End(await origin.connection(0));
    const speaker = end === "upstream" ? (upstream as End) : client;
    if (kind === ">") speaker.send(text);
    else if (kind === "<") await speaker.receives(text);
    else await until(() => speaker.isClosed);
  }
  assert.equal(escaped(client.rest), "", "the client receives nothing more");
  assert.equal(escaped(upstream?.rest ?? ""), "", "the upstream receives nothing more");
}

const directory = new URL("exchanges/", import.meta.url);
for (const file of readdirSync(directory).sort()) {
  describe(`exchanges: ${file.replace(".txt", "").replaceAll("-", " ")}`, () => {
    for (const one of readExchanges(new URL(file, directory))) test(one.title, (t) => run(t, one));
  });
}
