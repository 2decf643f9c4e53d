import type { CheckConfig } from "../../config/schema/health.ts";
import { ProxyError } from "../../errors/proxy-error.ts";
import type { BodySource } from "../../http/body.ts";
import type { ByteStream, ClientFacts } from "../../http/exchange.ts";
import { RequestHead, type ResponseHead } from "../../http/message.ts";
import { Dial, type DialOwner } from "../../net/connect.ts";
import type { TransportStream } from "../../net/stream.ts";
import { type TimerOwner, WheelTimer } from "../../net/timer-wheel.ts";
import type { Attempt, AttemptOwner } from "./attempt.ts";
import type { Endpoint } from "./endpoint.ts";

/** Part of the interval by which checks of different endpoints and shards are spread. */
const jitter = 0.1;

/** The longest wait before the first check. */
const maxFirstMs = 1_000;

/** Asks one endpoint again and again, and tells it what came of it. */
export class HealthCheck implements TimerOwner {
  readonly #endpoint: Endpoint;
  readonly #config: CheckConfig;
  readonly #timer: WheelTimer = new WheelTimer(this);
  #probe: HttpProbe | TcpProbe | null = null;
  #up = true;
  #first = true;
  /** Results in a row that speak against what is held. */
  #against = 0;
  #closed = false;

  constructor(endpoint: Endpoint, config: CheckConfig) {
    this.#endpoint = endpoint;
    this.#config = config;
  }

  /** The first check comes soon, and not at once: servers that are started together with the proxy may need a moment. */
  start(): void {
    const { wheel } = this.#endpoint.upstream;
    const ms = Math.min(this.#config.interval, maxFirstMs);
    wheel.arm(this.#timer, wheel.now() + ms / 2 + (ms / 2) * Math.random());
  }

  #ask(): void {
    const { upstream } = this.#endpoint;
    const isTcp = upstream.config.tcp !== undefined;
    const probe = isTcp
      ? new TcpProbe(this.#endpoint, this.#config, this)
      : new HttpProbe(this.#endpoint, this.#config, this);
    this.#probe = probe;
    upstream.wheel.arm(this.#timer, upstream.wheel.now() + this.#config.timeout);
    probe.start();
  }

  /** The time of a check is over, or that between two. */
  onTimer(): void {
    const probe = this.#probe;
    if (probe === null) {
      this.#ask();
      return;
    }
    probe.abort();
    this.onResult(`no answer within ${this.#config.timeout} ms`);
  }

  /** @param problem null when the endpoint is well. */
  onResult(problem: string | null): void {
    if (this.#closed) return;
    this.#probe = null;
    const { interval, up, down } = this.#config;
    const { wheel } = this.#endpoint.upstream;
    wheel.arm(this.#timer, wheel.now() + interval * (1 - jitter + 2 * jitter * Math.random()));
    const well = problem === null;
    if (!well) this.#endpoint.failures.check++;
    const first = this.#first;
    this.#first = false;
    this.#against = well === this.#up ? 0 : this.#against + 1;
    if (this.#against === 0 || (!first && this.#against < (well ? up : down))) return;
    this.#against = 0;
    this.#up = well;
    this.#endpoint.onChecked(well, problem ?? `${first ? 1 : up} good checks`);
  }

  close(): void {
    this.#closed = true;
    this.#endpoint.upstream.wheel.cancel(this.#timer);
    this.#probe?.abort();
    this.#probe = null;
  }
}

const nobody: ClientFacts = { address: "", port: 0, socket: "", secure: false, httpVersion: "" };

/** One request to an endpoint, over a connection that is opened for it and closed after it. */
class HttpProbe implements AttemptOwner {
  readonly request: RequestHead;
  readonly client: ClientFacts = nobody;
  readonly requestBody = null;
  readonly #endpoint: Endpoint;
  readonly #config: CheckConfig;
  readonly #check: HealthCheck;
  #attempt: Attempt | null = null;

  constructor(endpoint: Endpoint, config: CheckConfig, check: HealthCheck) {
    this.#endpoint = endpoint;
    this.#config = config;
    this.#check = check;
    const scheme = endpoint.tls === null ? "http" : "https";
    const host = config.host ?? endpoint.upstream.authority;
    this.request = new RequestHead(config.method, scheme, host, config.path);
    for (const [name, value] of Object.entries(config.headers)) this.request.headers.append(name, value);
  }

  start(): void {
    const client = this.#endpoint.makeClient();
    this.#attempt = client.attempt(this, true);
    this.#attempt.start();
    // Its connection is not kept.
    client.close();
  }

  abort(): void {
    const attempt = this.#attempt;
    this.#attempt = null;
    attempt?.abort(new ProxyError("upstream_head_timeout", "cannot check the endpoint: it takes too long"));
  }

  onInterim(): void {}

  onResponse({ status }: ResponseHead, body: BodySource | null): void {
    const isWell = this.#config.status.some(([from, to]) => status >= from && status <= to);
    const attempt = this.#attempt;
    this.#attempt = null;
    if (body !== null) {
      attempt?.abort(new ProxyError("upstream_reset", "cannot read the answer to a check: nobody wants it"));
    }
    this.#check.onResult(isWell ? null : `status ${status}`);
  }

  onSwitch(_head: ResponseHead, stream: ByteStream): void {
    this.#attempt = null;
    const error = new ProxyError("upstream_malformed", "cannot switch protocols: a check did not ask for it");
    stream.readable.cancel(error);
    this.#check.onResult("status 101");
  }

  onFailed(error: ProxyError): void {
    this.#attempt = null;
    this.#check.onResult(error.message);
  }

  onDone(): void {}
}

/** One connection to an endpoint, which is closed as soon as it stands. */
class TcpProbe implements DialOwner {
  readonly #endpoint: Endpoint;
  readonly #config: CheckConfig;
  readonly #check: HealthCheck;
  #dial: Dial | null = null;

  constructor(endpoint: Endpoint, config: CheckConfig, check: HealthCheck) {
    this.#endpoint = endpoint;
    this.#config = config;
    this.#check = check;
  }

  start(): void {
    const { address, tls, upstream } = this.#endpoint;
    const preamble = upstream.preambles?.of(null) ?? null;
    this.#dial = new Dial(this, address, tls, upstream.wheel, this.#config.timeout, 0, preamble);
  }

  abort(): void {
    this.#dial?.abort();
  }

  onStream(stream: TransportStream): void {
    stream.cancel(new ProxyError("upstream_reset", "cannot go on: the check has its answer"));
    this.#check.onResult(null);
  }

  onDialError(error: ProxyError): void {
    this.#check.onResult(error.message);
  }
}
