import { once } from "node:events";
import { createServer } from "node:http";
import type { TestContext } from "node:test";
import { type AcmeHost, AcmeKeeper } from "../../src/acme/acme-keeper.ts";
import type { AcmeSystem } from "../../src/acme/managed-certificate.ts";
import type { AcmeSettings, AcmeSocket } from "../../src/acme/settings.ts";
import type { LogFields, LogLevel } from "../../src/observability/log.ts";
import { type AcmeChallenges, noChallenges } from "../../src/tls/acme-challenges.ts";
import { AcmeServer } from "./acme-server.ts";
import { eventually } from "./shard.ts";
import { TemporaryDirectory } from "./temporary.ts";

interface Told {
  readonly level: LogLevel;
  readonly event: string;
  readonly message: string;
  readonly fields: LogFields;
}

/** A clock that only the test moves; chance is always in the middle. */
class TestSystem implements AcmeSystem {
  offset = 0;
  readonly waiting: Set<{ readonly at: number; readonly wake: () => void }> = new Set();

  now(): number {
    return Date.now() + this.offset;
  }

  random(): number {
    return 0.5;
  }

  schedule(ms: number, wake: () => void): () => void {
    const entry = { at: this.now() + ms, wake };
    this.waiting.add(entry);
    return () => this.waiting.delete(entry);
  }

  /** Milliseconds until the next timer; -1 when there is none. */
  get next(): number {
    const at = Math.min(...Array.from(this.waiting, (each) => each.at));
    return at === Number.POSITIVE_INFINITY ? -1 : Math.max(0, at - this.now());
  }

  advance(ms: number): void {
    this.offset += ms;
    for (const entry of [...this.waiting]) {
      if (entry.at > this.now()) continue;
      this.waiting.delete(entry);
      entry.wake();
    }
  }
}

/** The certificates of a proxy without the proxy: an authority, a web server that answers it, and a clock. */
export class AcmeHarness implements AcmeHost {
  readonly server: AcmeServer;
  readonly system: TestSystem = new TestSystem();
  readonly home: TemporaryDirectory;
  readonly told: Told[] = [];
  shown: AcmeChallenges = noChallenges;
  /** What the web server says in place of the key authorization. */
  wrongAnswer: string | null = null;
  issued = 0;

  private constructor(test: TestContext, server: AcmeServer) {
    this.server = server;
    this.home = new TemporaryDirectory(test);
  }

  static async start(test: TestContext): Promise<AcmeHarness> {
    const server = await AcmeServer.start(test);
    const harness = new AcmeHarness(test, server);
    const web = createServer((incoming, response) => {
      const answer = harness.shown.tokens[(incoming.url ?? "").split("/").at(-1) ?? ""];
      if (answer === undefined) response.writeHead(404).end();
      else response.end(harness.wrongAnswer ?? answer);
    });
    web.listen(0, "127.0.0.1");
    await once(web, "listening");
    test.after(() => {
      web.close();
      web.closeAllConnections();
    });
    server.httpPort = (web.address() as { port: number }).port;
    return harness;
  }

  settings(changes: Partial<AcmeSettings> = {}): AcmeSettings {
    return {
      domains: ["shop.test", "www.shop.test"],
      directory: this.server.directory,
      challenges: ["http-01"],
      keyType: "ecdsa",
      trust: [this.trust],
      storage: this.home.at("acme"),
      servesHttp: true,
      ...changes,
    };
  }

  socket(changes: Partial<AcmeSettings> = {}): AcmeSocket {
    return { socket: "public", settings: this.settings(changes) };
  }

  /** A keeper that orders what the sockets want. */
  async keeper(test: TestContext, ...sockets: readonly AcmeSocket[]): Promise<AcmeKeeper> {
    const keeper = new AcmeKeeper(this, this.system);
    test.after(() => keeper.close());
    await keeper.open(sockets);
    keeper.adopt(sockets);
    return keeper;
  }

  /** Lets the next timer come, and waits for the order that it begins to come to its end. */
  async order(): Promise<Told> {
    const before = this.told.length;
    this.system.advance(Math.max(0, this.system.next));
    const over = (): Told | undefined =>
      this.told.slice(before).find(({ event }) => /issued|failed/.test(event));
    await this.until("an order is over", () => over() !== undefined && this.system.next >= 0);
    return over() as Told;
  }

  /** Waits until so many orders have come to their end, and the next timer runs. */
  ended(orders: number): Promise<void> {
    const over = () => this.told.filter(({ event }) => /issued|failed/.test(event)).length;
    return this.until(`${orders} orders are over`, () => over() >= orders && this.system.next >= 0);
  }

  until(what: string, holds: () => boolean): Promise<void> {
    return eventually(what, holds, 30_000);
  }

  get last(): Told {
    const last = this.told.at(-1);
    if (last === undefined) throw new Error("nothing was told");
    return last;
  }

  async showChallenges(challenges: AcmeChallenges): Promise<void> {
    this.shown = challenges;
  }

  async onIssued(): Promise<void> {
    this.issued++;
  }

  event(level: LogLevel, event: string, message: string, fields: LogFields): void {
    this.told.push({ level, event, message, fields });
  }

  get trust(): string {
    return this.server.trustPem;
  }
}
