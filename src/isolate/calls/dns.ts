import type { Service } from "../../services/service.ts";
import { GuestFailure } from "../guest-failure.ts";
import { type CallOperation, CallResult, ThreadJob } from "./call.ts";

/** Names that resolvers take (RFC 1123 §2.1, RFC 8552 for "_"). */
const hostName = /^[A-Za-z0-9._-]{1,253}$/;

/**
 * Asks the Worker's global outbound for the addresses behind a name, for node:dns: those that its rules permit, so that
 * a Worker learns of no address that it could not reach. The text is the name; gives a JSON array of addresses.
 */
export function dnsOperation(outbound: () => Service | undefined): CallOperation {
  return (text) => {
    if (!hostName.test(text)) throw new GuestFailure("Error", "EBADNAME");
    const service = outbound();
    if (service?.lookup === undefined) throw new GuestFailure("Error", "ENOTIMP");
    const lookup = service.lookup.bind(service);
    return new ThreadJob(async () => {
      const addresses = await lookup(text);
      if (addresses.length === 0) throw new GuestFailure("Error", "ENOTFOUND");
      return new CallResult(JSON.stringify(addresses));
    });
  };
}
