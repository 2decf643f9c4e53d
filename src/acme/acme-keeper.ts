import type { LogFields, LogLevel } from "../observability/log.ts";
import { metricKey } from "../observability/metric-key.ts";
import type { ServedKeypair } from "../tls/acceptor.ts";
import type { AcmeChallenges } from "../tls/acme-challenges.ts";
import { ChallengeBoard } from "./challenge-board.ts";
import { type AcmeSystem, type CertificateHost, ManagedCertificate } from "./managed-certificate.ts";
import { type AcmeSocket, certificateKey } from "./settings.ts";

/** What the keeper tells and asks. */
export interface AcmeHost {
  /** Resolves when every shard answers these challenges, and no others. */
  showChallenges(challenges: AcmeChallenges): Promise<void>;
  /** Other certificates are to be shown. Resolves when they are. */
  onIssued(): Promise<void>;
  event(level: LogLevel, event: string, message: string, fields: LogFields): void;
}

const machineSystem: AcmeSystem = {
  now: Date.now,
  random: Math.random,
  schedule(ms, wake) {
    const timer = setTimeout(wake, ms);
    timer.unref();
    return () => clearTimeout(timer);
  },
};

/** All certificates that authorities issue to this proxy. They outlive revisions of the config that go on wanting them. */
export class AcmeKeeper implements CertificateHost {
  readonly board: ChallengeBoard;
  readonly system: AcmeSystem;
  readonly #host: AcmeHost;
  readonly #certificates: Map<string, ManagedCertificate> = new Map();
  readonly #orders: Map<string, number> = new Map();

  constructor(host: AcmeHost, system: AcmeSystem = machineSystem) {
    this.#host = host;
    this.system = system;
    this.board = new ChallengeBoard((challenges) => host.showChallenges(challenges));
  }

  /** Has a certificate ready for each, from disk or a placeholder. @throws Error `cannot use ACME storage …: reason` */
  async open(sockets: readonly AcmeSocket[]): Promise<void> {
    for (const { settings } of sockets) {
      const key = certificateKey(settings);
      if (this.#certificates.has(key)) continue;
      const certificate = new ManagedCertificate(settings, this);
      await certificate.open();
      this.#certificates.set(key, certificate);
    }
  }

  /** Orders and renews what these sockets want from now on, and nothing else. They are open. */
  adopt(sockets: readonly AcmeSocket[]): void {
    const wanted = new Map(sockets.map(({ settings }) => [certificateKey(settings), settings]));
    for (const [key, certificate] of this.#certificates) {
      const settings = wanted.get(key);
      if (settings === undefined) {
        certificate.close();
        this.#certificates.delete(key);
      } else {
        certificate.settings = settings;
        certificate.start();
      }
    }
  }

  /** What the socket shows. */
  keypairs({ settings }: AcmeSocket): readonly ServedKeypair[] {
    return this.#certificates.get(certificateKey(settings))?.keypairs ?? [];
  }

  /** When the socket's certificate ends, in milliseconds since 1970; 0 as long as none was issued. */
  notAfter({ settings }: AcmeSocket): number {
    return this.#certificates.get(certificateKey(settings))?.notAfter ?? 0;
  }

  /** Numbers of orders, by their keys as metrics. */
  get orders(): Iterable<readonly [key: string, value: number]> {
    return this.#orders;
  }

  /** Ends all orders; what is shown stays. */
  close(): void {
    for (const certificate of this.#certificates.values()) certificate.close();
  }

  onIssued(): Promise<void> {
    return this.#host.onIssued();
  }

  onOrder({ name }: ManagedCertificate, result: "ok" | "failed"): void {
    const key = metricKey("sluice_acme_orders_total", { certificate: name, result });
    this.#orders.set(key, (this.#orders.get(key) ?? 0) + 1);
  }

  event(level: LogLevel, event: string, message: string, fields: LogFields): void {
    this.#host.event(level, event, message, fields);
  }
}
