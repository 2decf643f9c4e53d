import type { ExternalConfig } from "../../config/schema/external.ts";
import { HeaderEditor } from "../../http/header-edits.ts";
import type { ParserLimits } from "../../http/http1/events.ts";
import { type Address, formatAddress, parseAddress } from "../../net/address.ts";
import type { ConnectTls } from "../../net/connect.ts";
import { TimerWheel } from "../../net/timer-wheel.ts";
import type { Traffic } from "../../observability/traffic.ts";
import type { ServiceContext } from "../context.ts";
import { Forwarding } from "./forwarding.ts";

/** What the parts of an external service share: where it is, how to speak to it, and its accounts. */
export class Upstream {
  readonly name: string;
  readonly config: ExternalConfig;
  readonly address: Address;
  /** The address as people write it, for messages. */
  readonly where: string;
  /** The authority for a request that has none. */
  readonly authority: string;
  readonly tls: ConnectTls | null;
  readonly wheel: TimerWheel;
  readonly traffic: Traffic;
  readonly forwarding: Forwarding;
  readonly requestEdits: HeaderEditor;
  readonly responseEdits: HeaderEditor;
  readonly parserLimits: ParserLimits = { headerBytes: 131_072, headerFields: 500, targetBytes: 8_000 };

  /** @throws Error or TypeError when the config's address or header edits are not valid. */
  constructor(name: string, config: ExternalConfig, context: ServiceContext) {
    this.name = name;
    this.config = config;
    this.address = parseAddress(config.address);
    this.where = formatAddress(this.address);
    this.authority = this.address.kind === "tcp" ? this.where : "localhost";
    this.wheel = TimerWheel.of(context);
    this.traffic = context.metrics.traffic("service", name);
    this.forwarding = new Forwarding(config.http);
    this.requestEdits = new HeaderEditor(config.http.injectRequestHeaders);
    this.responseEdits = new HeaderEditor(config.http.injectResponseHeaders);
    const { tls } = config;
    this.tls =
      tls === undefined
        ? null
        : {
            trust: tls.trust,
            host: tls.certificateHost ?? (this.address.kind === "tcp" ? this.address.host : "localhost"),
            keypair: tls.keypair ?? null,
            minVersion: tls.minVersion,
            alpn: config.tcp === undefined ? ["http/1.1"] : [],
          };
  }
}
