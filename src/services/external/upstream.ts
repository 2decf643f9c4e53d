import type { ExternalConfig } from "../../config/schema/external.ts";
import { HeaderEditor } from "../../http/header-edits.ts";
import type { ParserLimits } from "../../http/http1/events.ts";
import { formatAddress, parseAddress } from "../../net/address.ts";
import { TimerWheel } from "../../net/timer-wheel.ts";
import type { Traffic } from "../../observability/traffic.ts";
import type { ServiceContext } from "../context.ts";
import { Endpoint } from "./endpoint.ts";
import { Forwarding } from "./forwarding.ts";

/** What the parts of an external service share: how to speak to it, its endpoints, and its accounts. */
export class Upstream {
  readonly name: string;
  readonly config: ExternalConfig;
  /** The authority for a request that has none. */
  readonly authority: string;
  readonly wheel: TimerWheel;
  readonly traffic: Traffic;
  readonly forwarding: Forwarding;
  readonly requestEdits: HeaderEditor;
  readonly responseEdits: HeaderEditor;
  readonly parserLimits: ParserLimits = { headerBytes: 131_072, headerFields: 500, targetBytes: 8_000 };
  readonly endpoint: Endpoint;

  /** @throws Error or TypeError when the config's address or header edits are not valid. */
  constructor(name: string, config: ExternalConfig, context: ServiceContext) {
    this.name = name;
    this.config = config;
    const address = parseAddress(config.address);
    this.authority = address.kind === "tcp" ? formatAddress(address) : "localhost";
    this.wheel = TimerWheel.of(context);
    this.traffic = context.metrics.traffic("service", name);
    this.forwarding = new Forwarding(config.http);
    this.requestEdits = new HeaderEditor(config.http.injectRequestHeaders);
    this.responseEdits = new HeaderEditor(config.http.injectResponseHeaders);
    const { tls } = config;
    const secure =
      tls === undefined
        ? null
        : {
            trust: tls.trust,
            host: tls.certificateHost ?? (address.kind === "tcp" ? address.host : "localhost"),
            keypair: tls.keypair ?? null,
            minVersion: tls.minVersion,
            alpn: config.tcp === undefined ? ["http/1.1"] : [],
          };
    this.endpoint = new Endpoint(this, address, secure);
  }

  close(): void {
    this.endpoint.close();
  }
}
