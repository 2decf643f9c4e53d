import type { ServedKeypair } from "./acceptor.ts";

/** What shards are to answer authorities that look whether names are ours; nothing else is answered. */
export interface AcmeChallenges {
  /** http-01 (RFC 8555 §8.3): the key authorization by its token. */
  readonly tokens: Readonly<Record<string, string>>;
  /** tls-alpn-01 (RFC 8737): the certificate by the name in lower case. */
  readonly certificates: Readonly<Record<string, ServedKeypair>>;
}

export const noChallenges: AcmeChallenges = { tokens: {}, certificates: {} };
