import type { Service } from "../../services/service.ts";
import * as wire from "../../wire/ops.ts";
import type { CallOperation } from "./call.ts";
import { CryptoCalls } from "./crypto.ts";
import { digest } from "./digest.ts";
import { dnsOperation } from "./dns.ts";
import { nativeOnThread } from "./native-threads.ts";
import { zlibOperation } from "./zlib.ts";

/** What operations may use of the guest that they work for. */
export interface CallScope {
  /** Bytes that the host keeps for the guest. */
  readonly buffer: { take(bytes: number): boolean; give(bytes: number): void };
  /** Collects the guest's garbage, so that it can tell what of the host's it no longer needs. */
  collect(): void;
  /** Where the guest's plain fetches go; absent where there is no such thing. */
  outbound?(): Service | undefined;
}

/** All operations of `wire.OUT_CALL` for one guest, by number. */
export function callOperations(scope: CallScope): ReadonlyMap<number, CallOperation> {
  return new Map<number, CallOperation>([
    [wire.CALL_DIGEST, digest],
    [wire.CALL_CRYPTO, new CryptoCalls(scope).call],
    [wire.CALL_NATIVE, nativeOnThread],
    [wire.CALL_ZLIB, zlibOperation(scope)],
    [wire.CALL_DNS, dnsOperation(() => scope.outbound?.())],
  ]);
}
