import { metricKey } from "../observability/metric-key.ts";
import type { ServedKeypair } from "../tls/acceptor.ts";
import { leafOf, namesOf } from "../tls/certificate.ts";

/** What one socket shows. */
export interface SocketCertificates {
  readonly socket: string;
  /** Those from files. */
  readonly keypairs: readonly ServedKeypair[];
  /** What an authority issues: `notAfter` is in milliseconds since 1970, 0 as long as it has issued none. */
  readonly issued: { readonly names: readonly string[]; readonly notAfter: number } | null;
}

/** `sluice_certificate_expiry_seconds` of each socket and name; the first certificate of a name is the one shown. */
export function* expiryMetrics(
  sockets: Iterable<SocketCertificates>,
): Iterable<readonly [key: string, value: number]> {
  for (const { socket, keypairs, issued } of sockets) {
    const seen = new Set<string>();
    const first = function* (name: string, notAfter: number): Iterable<readonly [string, number]> {
      if (seen.has(name)) return;
      seen.add(name);
      yield [metricKey("sluice_certificate_expiry_seconds", { socket, name }), Math.floor(notAfter / 1000)];
    };
    for (const { certificate } of keypairs) {
      const leaf = leafOf(certificate);
      for (const name of namesOf(leaf)) yield* first(name.toLowerCase(), leaf.validToDate.getTime());
    }
    for (const name of issued?.names ?? []) yield* first(name, issued?.notAfter ?? 0);
  }
}
