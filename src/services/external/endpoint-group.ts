import { isIP } from "node:net";
import type { UpstreamAddress } from "../../config/schema/upstream.ts";
import { type ErrorCode, ProxyError } from "../../errors/proxy-error.ts";
import { type Address, formatAddress, parseAddress } from "../../net/address.ts";
import type { ConnectTls } from "../../net/connect.ts";
import { type Asker, type Balancer, createBalancer } from "./balancer.ts";
import { Endpoint, type EndpointTraits } from "./endpoint.ts";
import { NameResolver } from "./name-resolver.ts";
import { type NameOwner, NameWatch } from "./name-watch.ts";
import type { Upstream } from "./upstream.ts";

/** An exchange or tunnel that came before there was an endpoint. */
export interface EndpointWaiter {
  /** There are endpoints now, or it is known that there are none. */
  onEndpoints(): void;
}

/** One address of the config, with the endpoints that it leads to. */
interface Target extends EndpointTraits {
  readonly port: number;
  readonly watch: NameWatch | null;
  endpoints: readonly Endpoint[];
}

/** The endpoints of an external: which there are, which take requests, and which one takes the next. */
export class EndpointGroup implements NameOwner {
  /** The one endpoint, when there never is another: then nothing is chosen. */
  readonly only: Endpoint | null = null;
  readonly #upstream: Upstream;
  readonly #targets: Target[];
  readonly #balancer: Balancer;
  readonly #resolver: NameResolver | null;
  #endpoints: readonly Endpoint[] = [];
  /** Those among which requests are shared now; see `#sift`. */
  #candidates: readonly Endpoint[] = [];
  readonly #waiting: Set<EndpointWaiter> = new Set();
  #opened = false;
  #closed = false;

  /** @throws Error when an address of the config is not valid */
  constructor(upstream: Upstream) {
    this.#upstream = upstream;
    const { addresses, balance, resolve } = upstream.config;
    this.#balancer = createBalancer(balance);
    const parsed = addresses.map((each) => ({ ...each, address: parseAddress(each.address) }));
    this.#resolver = parsed.some(({ address }) => isName(address)) ? new NameResolver(resolve) : null;
    const watched = this.#resolver !== null || parsed.length > 1;
    this.#targets = parsed.map(({ address, weight, backup, tls }): Target => {
      const name = isName(address) ? address.host : null;
      const traits = { weight, backup, tls: this.#secure(address, tls) };
      const watch =
        name === null || this.#resolver === null
          ? null
          : new NameWatch(name, this, this.#resolver, resolve, upstream.wheel);
      const endpoints = watch === null ? [new Endpoint(upstream, address, traits, watched)] : [];
      return { ...traits, port: address.kind === "tcp" ? address.port : 0, watch, endpoints };
    });
    this.#gather();
    const [first] = this.#endpoints;
    if (!watched && first !== undefined) this.only = first;
  }

  get endpoints(): readonly Endpoint[] {
    return this.#endpoints;
  }

  /** Exchanges and tunnels that wait for a name. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** Begins to resolve names, to check, and to open connections ahead. Idempotent. */
  open(): void {
    if (this.#opened || this.#closed) return;
    this.#opened = true;
    for (const { watch } of this.#targets) watch?.ask();
    for (const endpoint of this.#endpoints) endpoint.open();
  }

  /** True when each name was asked for, whatever came of it. */
  get settled(): boolean {
    return this.#targets.every(({ watch }) => watch === null || watch.settled);
  }

  /**
   * The endpoint for the next attempt.
   * @param tried those that have failed it already; they are chosen when there is no other. Null when there are none.
   * @returns null when there is no endpoint at all: see `wait` and `missing`
   */
  choose(asker: Asker, tried: readonly Endpoint[] | null): Endpoint | null {
    const candidates = this.#candidates;
    if (candidates.length === 0) return null;
    if (tried === null) return this.#balancer.choose(candidates, asker);
    const rest = candidates.filter((each) => !tried.includes(each));
    if (rest.length > 0) return this.#balancer.choose(rest, asker);
    // Backups may help where those that are held for well have failed.
    const others = this.#endpoints.filter(
      (each) => each.available && each.weight > 0 && !tried.includes(each),
    );
    return this.#balancer.choose(others.length > 0 ? others : candidates, asker);
  }

  /** @returns whether an answer is on its way; then the waiter hears of it, once */
  wait(waiter: EndpointWaiter): boolean {
    this.open();
    let asking = false;
    for (const { watch } of this.#targets) if (watch?.ask() === true) asking = true;
    if (asking) this.#waiting.add(waiter);
    return asking;
  }

  leave(waiter: EndpointWaiter): void {
    this.#waiting.delete(waiter);
  }

  /** Why there is no endpoint. */
  missing(code: ErrorCode = "upstream_name_unresolved"): ProxyError {
    const failed = this.#targets.find(({ watch }) => watch?.error != null)?.watch;
    const host = failed?.host ?? this.#targets.find(({ watch }) => watch !== null)?.watch?.host ?? "";
    const reason = failed?.error?.message ?? "it has no address yet";
    return new ProxyError(code, `cannot resolve "${host}": ${reason}`, { cause: failed?.error ?? undefined });
  }

  onAddresses(watch: NameWatch, addresses: readonly string[]): void {
    const target = this.#targets.find((each) => each.watch === watch);
    if (target === undefined || this.#closed) return;
    this.#upstream.onResolved(watch.host, null);
    // Two names may lead to the same place, which is one endpoint.
    const taken = new Set(
      this.#targets.flatMap((each) => (each === target ? [] : each.endpoints.map(({ where }) => where))),
    );
    const before = new Map(target.endpoints.map((endpoint) => [endpoint.where, endpoint]));
    const added: Endpoint[] = [];
    const now = addresses.flatMap((host): Endpoint[] => {
      const address: Address = { kind: "tcp", host, port: target.port };
      const where = formatAddress(address);
      const known = before.get(where);
      if (known !== undefined) return [known];
      if (taken.has(where)) return [];
      const made = new Endpoint(this.#upstream, address, target, true);
      added.push(made);
      return [made];
    });
    const gone = target.endpoints.filter((endpoint) => !now.includes(endpoint));
    if (added.length > 0 || gone.length > 0) {
      target.endpoints = now;
      this.#gather();
      this.#upstream.onEndpoints(watch.host, added, gone);
      for (const endpoint of gone) endpoint.close();
      if (this.#opened) for (const endpoint of added) endpoint.open();
    }
    this.#wake();
  }

  onUnresolved(watch: NameWatch, error: Error): void {
    this.#upstream.onResolved(watch.host, error);
    this.#wake();
  }

  /** Something about the health of an endpoint has changed. */
  sift(): void {
    this.#candidates = this.#sift();
  }

  close(): void {
    this.#closed = true;
    for (const { watch } of this.#targets) watch?.close();
    this.#resolver?.close();
    for (const endpoint of this.#endpoints) endpoint.close();
    this.#wake();
  }

  #gather(): void {
    this.#endpoints = this.#targets.flatMap(({ endpoints }) => endpoints);
    this.sift();
  }

  /**
   * The primaries that are well; the backups when none of them is; and all primaries, well or not, when less than the
   * threshold is left, or none of the backups is well either.
   */
  #sift(): readonly Endpoint[] {
    const { panicThreshold } = this.#upstream.config.health;
    const primaries = this.#endpoints.filter(({ backup, weight }) => !backup && weight > 0);
    const well = primaries.filter(({ available }) => available);
    if (well.length > 0 && well.length * 100 >= panicThreshold * primaries.length) return well;
    const backups = this.#endpoints.filter(({ backup }) => backup);
    if (well.length === 0) {
      const ready = backups.filter(({ available }) => available);
      if (ready.length > 0) return ready;
    }
    if (primaries.length > 0) return primaries;
    return backups.length > 0 ? backups : this.#endpoints;
  }

  #wake(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const waiter of waiting) waiter.onEndpoints();
  }

  #secure(address: Address, own: UpstreamAddress["tls"]): ConnectTls | null {
    const { config } = this.#upstream;
    const tls = own ?? config.tls;
    if (tls === undefined || tls === false) return null;
    return {
      trust: tls.trust,
      host: tls.certificateHost ?? (address.kind === "tcp" ? address.host : "localhost"),
      keypair: tls.keypair ?? null,
      minVersion: tls.minVersion,
      alpn: config.tcp !== undefined ? [] : config.http.version === 2 ? ["h2"] : ["http/1.1"],
    };
  }
}

/** `localhost` is one machine, however many addresses it has: they are tried in turn for each connection (RFC 6761 §6.3). */
function isName(address: Address): address is Address & { kind: "tcp" } {
  if (address.kind !== "tcp" || isIP(address.host) !== 0) return false;
  const host = address.host.toLowerCase();
  return host !== "localhost" && !host.endsWith(".localhost");
}
