import * as wire from "../../wire/ops.ts";
import type { BodyParts } from "../web/body.ts";
import { MathFloor, TypedArrayLength } from "../web/primordials.ts";
import { encodeUtf8 } from "../web/utf8.ts";
import type { Channel } from "./channel.ts";
import type { HandleBody } from "./handle-body.ts";
import type { OutStreams } from "./out-streams.ts";

/** Characters of a body that cross in one text, which is copied in a time that no limit counts: some 10 ms. */
const MAX_TEXT = 1 << 23;

/**
 * The kind, reference, length and text of a body, for its record, which must be begun next: bytes are copied into the
 * window of the batch. @param streamDone called once, when the guest has nothing more to send.
 */
export function describeBody(
  body: BodyParts,
  channel: Channel,
  outs: OutStreams,
  streamDone: () => void,
): { kind: number; ref: number; high: number; low: number; text: string } {
  switch (body.kind) {
    case "none":
      streamDone();
      return none;
    case "text":
      if (body.text.length > MAX_TEXT) {
        const bytes = encodeUtf8(body.text);
        const low = TypedArrayLength(bytes) | 0;
        return { kind: wire.BODY_OUT, ref: outs.send(bytes, streamDone), high: 0, low, text: "" };
      }
      streamDone();
      return { kind: wire.BODY_TEXT, ref: 0, high: 0, low: 0, text: body.text };
    case "bytes": {
      const size = TypedArrayLength(body.bytes);
      if (size > wire.WINDOW) {
        return {
          kind: wire.BODY_OUT,
          ref: outs.send(body.bytes, streamDone),
          high: 0,
          low: size | 0,
          text: "",
        };
      }
      streamDone();
      return {
        kind: wire.BODY_BYTES,
        ref: channel.bytes(body.bytes, size),
        high: 0,
        low: size,
        text: "",
      };
    }
    case "handle":
      streamDone();
      return { kind: wire.BODY_HANDLE, ref: (body.body as HandleBody).id, high: 0, low: 0, text: "" };
    case "stream": {
      const known = body.length >= 0;
      return {
        kind: wire.BODY_OUT,
        ref: outs.send(body.stream, streamDone),
        high: known ? MathFloor(body.length / 4294967296) : -1,
        low: known ? body.length | 0 : -1,
        text: "",
      };
    }
  }
}

const none = { kind: wire.BODY_NONE, ref: 0, high: 0, low: 0, text: "" };
