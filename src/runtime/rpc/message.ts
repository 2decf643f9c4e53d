import type { CAP_BODY, CAP_EXPORT, CAP_IMPORT, CAP_OUT } from "../../wire/rpc-ops.ts";
import type { HostBody } from "../host-body.ts";
import type { BodyParts } from "../web/body.ts";
import { ArrayPush } from "../web/primordials.ts";
import type { RemoteObject } from "./targets.ts";

/** Something that is called when the last stub of an object is gone. */
export type Disposer = (() => void) | null;

/** What a message carries beside its text and bytes, before it is sent. */
export type OutCap =
  /** An object of this isolate. */
  | { readonly kind: typeof CAP_EXPORT; readonly value: unknown; readonly disposer: Disposer }
  /** What a stub stands for. */
  | { readonly kind: typeof CAP_IMPORT; readonly target: RemoteObject }
  | { readonly kind: typeof CAP_BODY; readonly body: BodyParts };

/** What has been serialised and not been sent. */
export class OutMessage {
  text = "";
  readonly chunks: Uint8Array[] = [];
  /** Bytes of all chunks. */
  size = 0;
  readonly caps: OutCap[] = [];

  /** @returns where the bytes begin among those of the message. */
  addBytes(bytes: Uint8Array, length: number): number {
    const at = this.size;
    ArrayPush(this.chunks, bytes);
    this.size = at + length;
    return at;
  }

  /** @returns the place of the capability in the message. */
  addCap(cap: OutCap): number {
    return ArrayPush(this.caps, cap) - 1;
  }
}

/** A capability as it arrived. */
export type InCap =
  | { readonly kind: typeof CAP_IMPORT; readonly target: RemoteObject }
  | { readonly kind: typeof CAP_BODY; readonly body: HostBody }
  | { readonly kind: typeof CAP_OUT; readonly body: BodyParts };

/** What has arrived. */
export class InMessage {
  readonly text: string;
  readonly bytes: Uint8Array;
  readonly caps: readonly InCap[];

  constructor(text: string, bytes: Uint8Array, caps: readonly InCap[]) {
    this.text = text;
    this.bytes = bytes;
    this.caps = caps;
  }
}
