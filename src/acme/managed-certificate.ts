import type { LogFields, LogLevel } from "../observability/log.ts";
import type { ServedKeypair } from "../tls/acceptor.ts";
import { AcmeError } from "./acme-error.ts";
import type { ChallengeBoard } from "./challenge-board.ts";
import { type IssuedCertificate, renewalTime } from "./issued-certificate.ts";
import { type ChallengeType, Order } from "./order.ts";
import { OrderBackoff } from "./order-backoff.ts";
import { makePlaceholder } from "./placeholder.ts";
import { type AcmeSettings, nameSet } from "./settings.ts";
import { AcmeStorage } from "./storage.ts";

/** The clock and chance, which tests drive. */
export interface AcmeSystem {
  /** Milliseconds since 1970. */
  now(): number;
  /** From 0 to 1. */
  random(): number;
  /** Calls `wake` once after so many milliseconds, without keeping the process alive. @returns what takes that back */
  schedule(ms: number, wake: () => void): () => void;
}

/** What certificates tell and ask. */
export interface CertificateHost {
  readonly board: ChallengeBoard;
  readonly system: AcmeSystem;
  /** Another certificate is to be shown from now on. Resolves when it is. */
  onIssued(): Promise<void>;
  onOrder(certificate: ManagedCertificate, result: "ok" | "failed"): void;
  event(level: LogLevel, event: string, message: string, fields: LogFields): void;
}

/** Timers stop while a machine sleeps: the clock is looked at this often. */
const longestTimerMs = 3_600_000;
/** Another proxy that shares the storage orders the certificate: what it gets is looked for so often. */
const lockedMs = 10_000;

/** One certificate that an authority issues, from the first order on through all renewals. */
export class ManagedCertificate {
  settings: AcmeSettings;
  readonly #host: CertificateHost;
  readonly #storage: AcmeStorage;
  readonly #backoff: OrderBackoff;
  readonly #abort: AbortController = new AbortController();
  #issued: IssuedCertificate | null = null;
  /** What is shown until the first is issued: certificates for some of the names, then the placeholder. */
  #interim: readonly ServedKeypair[] = [];
  #renewAt = 0;
  #retryAt = 0;
  #cancel: (() => void) | null = null;
  #running = false;

  constructor(settings: AcmeSettings, host: CertificateHost) {
    this.settings = settings;
    this.#host = host;
    this.#storage = new AcmeStorage(settings);
    this.#backoff = new OrderBackoff(() => host.system.random());
  }

  /** Reads what is on disk, or makes a placeholder. @throws Error `cannot use ACME storage …: reason` */
  async open(): Promise<void> {
    let similar: readonly IssuedCertificate[] = [];
    try {
      this.#storage.open();
      const issued = this.#storage.certificate(this.settings);
      if (issued !== null) this.#use(issued);
      else similar = this.#storage.similar(this.settings, this.#host.system.now());
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new Error(`cannot use ACME storage ${JSON.stringify(this.settings.storage)}: ${reason}`);
    }
    if (this.#issued !== null) return;
    const placeholder = await makePlaceholder(nameSet(this.settings));
    this.#interim = [...similar.map(keypairOf), placeholder];
  }

  /** What clients are shown. */
  get keypairs(): readonly ServedKeypair[] {
    return this.#issued === null ? this.#interim : [keypairOf(this.#issued)];
  }

  /** When it ends, in milliseconds since 1970; 0 as long as none was issued. */
  get notAfter(): number {
    return this.#issued?.notAfter ?? 0;
  }

  /** The first of its names, by which logs and metrics call it. */
  get name(): string {
    return this.settings.domains[0] ?? "";
  }

  /** Orders when that is due, from now until `close`. Idempotent. */
  start(): void {
    if (this.#cancel === null && !this.#running) this.#schedule();
  }

  /** Ends an order that is going on, and orders no more. */
  close(): void {
    this.#cancel?.();
    this.#abort.abort();
  }

  #schedule(): void {
    if (this.#abort.signal.aborted) return;
    const { system } = this.#host;
    const ms = Math.max(this.#renewAt, this.#retryAt) - system.now();
    this.#cancel = system.schedule(Math.min(Math.max(ms, 0), longestTimerMs), () => void this.#wake());
  }

  async #wake(): Promise<void> {
    if (this.#host.system.now() >= Math.max(this.#renewAt, this.#retryAt)) {
      this.#running = true;
      await this.#renew();
      this.#running = false;
    }
    this.#schedule();
  }

  async #renew(): Promise<void> {
    const { system } = this.#host;
    try {
      const lock = this.#storage.lock(this.settings);
      if (lock === null) {
        this.#retryAt = system.now() + lockedMs;
        return;
      }
      try {
        // Another proxy, or this one before a reload, may have been here.
        await this.#adoptNewer(this.#storage.certificate(this.settings));
        if (system.now() < this.#renewAt) return;
        await this.#order();
      } finally {
        lock.release();
      }
    } catch (error) {
      if (!this.#abort.signal.aborted) this.#failed(error);
    }
  }

  async #order(): Promise<void> {
    const names = nameSet(this.settings);
    const challenges = this.#challenges();
    const fields = { certificate: this.name, directory: this.settings.directory };
    this.#host.event("info", "acme.order_started", `ordering a certificate for ${names.join(", ")}`, {
      ...fields,
      challenge: challenges[0],
    });
    const order = new Order(this.settings, challenges, {
      storage: this.#storage,
      board: this.#host.board,
      signal: this.#abort.signal,
      now: () => this.#host.system.now(),
      onAccount: (url) =>
        this.#host.event("info", "acme.account", "the authority knows our account", {
          ...fields,
          account: url,
        }),
    });
    const issued = await order.run();
    this.#backoff.succeeded();
    this.#use(issued);
    // Should the clocks differ by more than the certificate lasts, it is due at once, and again, and again.
    this.#retryAt = this.#host.system.now() + (issued.notAfter - issued.notBefore) / 3;
    await this.#host.onIssued();
    this.#host.onOrder(this, "ok");
    this.#host.event("info", "acme.certificate_issued", `got a certificate for ${names.join(", ")}`, {
      ...fields,
      notAfter: new Date(issued.notAfter).toISOString(),
      renewal: new Date(this.#renewAt).toISOString(),
    });
    // It is in use by now; a disk that is full costs no more than an order after the next start.
    this.#storage.keepCertificate(this.settings, issued);
  }

  /** The kinds that may be tried; after a failure another one comes first. */
  #challenges(): ChallengeType[] {
    const { challenges, servesHttp } = this.settings;
    const possible = [...new Set(challenges)].filter((type) => servesHttp || type !== "http-01");
    const turn = this.#backoff.failures % Math.max(1, possible.length);
    return [...possible.slice(turn), ...possible.slice(0, turn)];
  }

  /** Shows what is on disk from now on, if it is not the one that is shown, or an older one from a backup. */
  async #adoptNewer(issued: IssuedCertificate | null): Promise<void> {
    if (issued === null || issued.notBefore <= (this.#issued?.notBefore ?? 0)) return;
    this.#use(issued);
    await this.#host.onIssued();
  }

  #use(issued: IssuedCertificate): void {
    this.#issued = issued;
    this.#interim = [];
    this.#renewAt = renewalTime(issued, this.#host.system.random());
  }

  #failed(error: unknown): void {
    const { system } = this.#host;
    const failure = error instanceof AcmeError ? error : new AcmeError(String(error));
    const ms = this.#backoff.next(failure.reached, failure.retryAfterMs);
    this.#retryAt = system.now() + ms;
    const issued = this.#issued;
    // Half of the time for the renewal is gone.
    const urgent =
      issued === null || issued.notAfter - system.now() < (issued.notAfter - issued.notBefore) / 6;
    this.#host.onOrder(this, "failed");
    this.#host.event(urgent ? "error" : "warn", "acme.order_failed", failure.message, {
      certificate: this.name,
      directory: this.settings.directory,
      type: failure.type === "" ? undefined : failure.type,
      failures: this.#backoff.failures,
      retry: new Date(this.#retryAt).toISOString(),
    });
  }
}

function keypairOf({ certificate, key }: IssuedCertificate): ServedKeypair {
  return { certificate, key };
}
