import { type Address, formatAddress } from "../../net/address.ts";
import type { ConnectTls } from "../../net/connect.ts";
import type { EndpointClient } from "./attempt.ts";
import { hashText } from "./balancer.ts";
import { Ejection, type EjectionOwner } from "./ejection.ts";
import type { Failure } from "./failure-kind.ts";
import { HealthCheck } from "./health-check.ts";
import { Http1Pool } from "./http1/pool.ts";
import { Http2Pool } from "./http2/pool.ts";
import type { Upstream } from "./upstream.ts";

/** What an entry of the config says of the endpoints behind it. */
export interface EndpointTraits {
  readonly weight: number;
  readonly backup: boolean;
  readonly tls: ConnectTls | null;
}

/** The smallest part of its weight that an endpoint has when it comes back. */
const slowest = 0.1;

/** One address behind an external: the connections to it, and how it is. */
export class Endpoint implements EjectionOwner {
  readonly upstream: Upstream;
  readonly address: Address;
  readonly tls: ConnectTls | null;
  /** The address as people write it, for messages and metrics. */
  readonly where: string;
  readonly weight: number;
  readonly backup: boolean;
  /** Of the address, for hashing. */
  readonly seed: number;
  readonly client: EndpointClient;
  /** What the round robin owes it. */
  credit = 0;
  /** Attempts and streams under way. */
  active = 0;
  requests = 0;
  ejections = 0;
  readonly failures: Record<Failure, number> = {
    connect: 0,
    reset: 0,
    timeout: 0,
    malformed: 0,
    status: 0,
    check: 0,
  };
  readonly #ejection: Ejection | null;
  #check: HealthCheck | null = null;
  #checkedDown = false;
  /** When it came back, while its weight still grows; 0 otherwise. */
  #since = 0;

  /** @param watched there are others that can be used in its place. */
  constructor(upstream: Upstream, address: Address, traits: EndpointTraits, watched: boolean) {
    this.upstream = upstream;
    this.address = address;
    this.tls = traits.tls;
    this.weight = traits.weight;
    this.backup = traits.backup;
    this.where = formatAddress(address);
    this.seed = hashText(this.where);
    this.client = this.makeClient();
    const { passive } = upstream.config.health;
    this.#ejection = passive === false || !watched ? null : new Ejection(this, passive, upstream.wheel);
  }

  /** A client of its own, apart from that for requests. */
  makeClient(): EndpointClient {
    return this.upstream.config.http.version === 2 ? new Http2Pool(this) : new Http1Pool(this);
  }

  /** Opens what is to be ready beforehand, and begins to check. Called once. */
  open(): void {
    const { health, warm } = this.upstream.config;
    if (warm > 0) this.client.keepWarm(warm);
    if (health.check !== undefined) {
      this.#check = new HealthCheck(this, health.check);
      this.#check.start();
    }
  }

  /** It may be given requests. */
  get available(): boolean {
    return !this.#checkedDown && this.#ejection?.ejected !== true;
  }

  /** Its weight, as far as it has grown since the endpoint came back. */
  get share(): number {
    if (this.#since === 0) return this.weight;
    const { config, wheel } = this.upstream;
    const grown = (wheel.now() - this.#since) / config.health.slowStart;
    if (grown < 1) return this.weight * Math.max(slowest, grown);
    this.#since = 0;
    return this.weight;
  }

  begin(): void {
    this.active++;
    this.requests++;
  }

  end(): void {
    this.active--;
  }

  failed(failure: Failure): void {
    this.failures[failure]++;
    this.#ejection?.failed(failure);
  }

  answered(status: number): void {
    if (this.#ejection === null) return;
    if (this.#ejection.on.hasStatus(status)) this.failures.status++;
    this.#ejection.answered(status);
  }

  onEjected(ms: number, failures: number): void {
    this.ejections++;
    this.#changed("ejected", `${failures} failures in a row, out for ${ms} ms`);
  }

  onReturned(): void {
    this.#changed("returned", "the ejection is over");
  }

  onChecked(up: boolean, reason: string): void {
    if (this.#checkedDown === !up) return;
    this.#checkedDown = !up;
    this.#changed(up ? "up" : "down", reason);
  }

  /** No request follows; those that are under way go on. */
  close(): void {
    this.client.close();
    this.#ejection?.close();
    this.#check?.close();
  }

  #changed(state: "up" | "down" | "ejected" | "returned", reason: string): void {
    const { config, wheel } = this.upstream;
    const back = state === "up" || state === "returned";
    this.#since = back && this.available && config.health.slowStart > 0 ? wheel.now() : 0;
    this.upstream.onHealth(this, state, reason);
  }
}
