import { type Address, formatAddress } from "../../net/address.ts";
import type { ConnectTls } from "../../net/connect.ts";
import type { EndpointClient } from "./attempt.ts";
import { Http1Pool } from "./http1/pool.ts";
import type { Upstream } from "./upstream.ts";

/** One address behind an external, with the connections to it. */
export class Endpoint {
  readonly upstream: Upstream;
  readonly address: Address;
  readonly tls: ConnectTls | null;
  /** The address as people write it, for messages. */
  readonly where: string;
  readonly client: EndpointClient;

  constructor(upstream: Upstream, address: Address, tls: ConnectTls | null) {
    this.upstream = upstream;
    this.address = address;
    this.tls = tls;
    this.where = formatAddress(address);
    this.client = new Http1Pool(this);
  }

  close(): void {
    this.client.close();
  }
}
