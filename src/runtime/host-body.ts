import type { ReadableStream } from "./web/streams.ts";

/**
 * A body whose bytes are on the host. As long as nobody reads it, only this handle is passed around, and the host pipes
 * the bytes by itself; reading brings them over the bridge.
 */
export interface HostBody {
  /** Bytes, or -1 when not known beforehand. */
  readonly length: number;
  /** The whole body decoded as UTF-8, BOM removed; decoded by native code on the host. Disturbs. */
  text(): Promise<string>;
  /** The whole body in a fresh array. Disturbs. */
  bytes(): Promise<Uint8Array>;
  /** The body as a byte stream, made on the first call; the same object afterwards. Reading from it disturbs. */
  stream(): ReadableStream;
  /** Splits on the host: two handles that each yield all bytes. This one is then used up. */
  tee(): [HostBody, HostBody];
  /** Nobody wants it any more. */
  cancel(): void;
}
