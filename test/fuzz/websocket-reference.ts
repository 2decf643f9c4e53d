/** What a server makes of a client's frames, in the order in which it happens. */
export type FrameEvent =
  | readonly ["text", string]
  | readonly ["bytes", string]
  | readonly ["ping", string]
  | readonly ["close", number, string]
  /** The connection fails, with this code. */
  | readonly ["fail", number];

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * RFC 6455 §5 read plainly over the whole input, with the code of our reader neither used nor followed.
 *
 * @param limit bytes of the longest message
 */
export function readFrames(input: Uint8Array, limit: number): FrameEvent[] {
  const events: FrameEvent[] = [];
  const view = new DataView(input.buffer, input.byteOffset, input.byteLength);
  let message: { readonly opcode: number; readonly parts: Uint8Array[]; size: number } | null = null;
  let at = 0;
  const fail = (code: number): FrameEvent[] => [...events, ["fail", code]];
  for (;;) {
    if (input.length - at < 2) return events;
    const first = view.getUint8(at);
    const second = view.getUint8(at + 1);
    const fin = first >= 128;
    const opcode = first % 16;
    const isControl = opcode >= 8;
    if ((first & 0x70) !== 0 || second < 128) return fail(1002);
    if (opcode > 10 || (opcode > 2 && opcode < 8)) return fail(1002);
    let length = second - 128;
    if (isControl && (!fin || length > 125 || (opcode === 8 && length === 1))) return fail(1002);
    if (opcode === 0 && message === null) return fail(1002);
    if ((opcode === 1 || opcode === 2) && message !== null) return fail(1002);
    at += 2;
    if (length === 126) {
      if (input.length - at < 2) return events;
      length = view.getUint16(at);
      at += 2;
      if (length < 126) return fail(1002);
    } else if (length === 127) {
      if (input.length - at < 8) return events;
      const long = view.getBigUint64(at);
      at += 8;
      if (long < 65_536n) return fail(1002);
      if (long > BigInt(limit)) return fail(1009);
      length = Number(long);
    }
    if (!isControl && (message?.size ?? 0) + length > limit) return fail(1009);
    if (input.length - at < 4 + length) return events;
    const payload = new Uint8Array(length);
    for (let i = 0; i < length; i++) payload[i] = view.getUint8(at + 4 + i) ^ view.getUint8(at + (i % 4));
    at += 4 + length;
    if (opcode === 9) events.push(["ping", hex(payload)]);
    else if (opcode === 8) {
      if (length === 0) return [...events, ["close", 1005, ""]];
      const code = payload[0] !== undefined && payload[1] !== undefined ? payload[0] * 256 + payload[1] : 0;
      const named = code >= 1000 && code <= 1014 && code !== 1004 && code !== 1005 && code !== 1006;
      if (!named && (code < 3000 || code > 4999)) return fail(1002);
      const reason = text(payload.subarray(2));
      return reason === null ? fail(1007) : [...events, ["close", code, reason]];
    } else if (opcode < 3) {
      message ??= { opcode, parts: [], size: 0 };
      message.parts.push(payload);
      message.size += length;
      if (!fin) continue;
      const whole = Buffer.concat(message.parts);
      const isText = message.opcode === 1;
      message = null;
      if (!isText) events.push(["bytes", hex(whole)]);
      else {
        const read = text(whole);
        if (read === null) return fail(1007);
        events.push(["text", read]);
      }
    }
  }
}

function text(bytes: Uint8Array): string | null {
  try {
    return strict.decode(bytes);
  } catch {
    return null;
  }
}

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
