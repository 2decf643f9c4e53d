import type { Transport } from "../../net/transport.ts";
import type { DownstreamExchange } from "./downstream-exchange.ts";

const maxProbes = 2;

/** How long after one the connection looks again. */
export const probeMs = 200;

/**
 * For a client that has ended its side while it waits. It may have left, or only have said all: a connection that it
 * closed answers whatever is sent with a reset, which the next write then meets. `100 Continue` is what may be sent at any
 * time (RFC 9110 §15.2.1), so a client that left aborts its exchange now and not with the first byte of the answer.
 */
export class DepartureProbe {
  #sent = 0;

  /** Another exchange begins. */
  begin(): void {
    this.#sent = 0;
  }

  /** @returns whether something was sent, so that it is worth to look again */
  send(exchange: DownstreamExchange | null, transport: Transport): boolean {
    if (exchange === null || !exchange.waiting || exchange.minor === 0 || this.#sent >= maxProbes)
      return false;
    this.#sent++;
    transport.text("HTTP/1.1 100 Continue\r\n\r\n");
    return true;
  }
}
